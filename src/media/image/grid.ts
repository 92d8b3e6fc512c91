// Joins many images into one sheet.
import { UsageError } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import type { SampleGroup } from '../medium.js';
import { captionSize, captionsOf, captionWidth, drawCaption } from './caption.js';
import type { Caption } from './caption.js';
import { checkImages } from './check.js';
import { withChannels } from './pixels.js';
import type { Color } from './resample.js';

export interface GridOptions {
  /** Number of columns. Default: that of a nearly square sheet; with several groups, up to 8 that fill the rows evenly. */
  columns?: number;
  /** Pixels between cells and around them. Default 2; 12 with labels or groups. */
  gap?: number;
  /** Whole factor by which images are enlarged. Default 1. */
  scale?: number;
  /** Labels below the images. They are wrapped, and never cut off up to 600 characters. */
  labels?: readonly string[];
  /** Images that belong together: each group begins a new row, below its label. Together they have all images. */
  groups?: readonly SampleGroup[];
  /** Default white. */
  background?: Color;
}

/** Pixels that a column of labels has at least, and the labels of groups. */
const LABEL_WIDTH = 96;
const HEADING_WIDTH = 280;

/** Pixels between an image and its label. */
const LABEL_GAP = 4;

/** A row of the sheet: a heading, or images with what is below them. */
type Row = { top: number; height: number } & (
  { kind: 'heading'; caption: Caption } | { kind: 'images'; first: number; count: number }
);

/**
 * Arranges images in rows. Cells are as large as the largest image. Smaller images are centered.
 *
 * @returns RGB, or gray if all images and the background are gray.
 * @throws {UsageError} E_IMAGE_GRID without images, or if the number of labels or of images in groups differs.
 */
export function imageGrid(images: readonly Image[], options: GridOptions = {}): Image {
  checkImages('imageGrid', images);
  const { labels, groups = [{ label: '', count: images.length }], scale = 1, background = [255, 255, 255] } = options;
  const { columns = columnsFor(groups), gap = labels || options.groups ? 12 : 2 } = options;
  checkGrid(images, { columns, gap, scale, labels, groups });
  const cell = {
    width: scale * Math.max(...images.map((i) => i.width)),
    height: scale * Math.max(...images.map((i) => i.height)),
  };
  const size = captionSize(cell.width);
  const column = Math.max(cell.width, Math.min(LABEL_WIDTH, widest(labels ?? [], size)));
  const captions = captionsOf(labels ?? [], column, size);
  const used = Math.min(columns, Math.max(...groups.map(({ count }) => count)));
  const inner = Math.max(
    used * (column + gap) - gap,
    Math.min(
      HEADING_WIDTH,
      widest(
        groups.map(({ label }) => label),
        size + 1,
      ),
    ),
  );
  const headings = captionsOf(
    groups.map(({ label }) => label),
    inner,
    size + 1,
  );
  const rows = rowsOf(groups, headings, captions, { columns, gap, height: cell.height });
  const gray = images.every((image) => image.channels === 1) && new Set(background).size === 1;
  const last = rows.at(-1)!;
  const sheet = blank(inner + 2 * gap, last.top + last.height + gap, gray ? 1 : 3, background);
  const ink = background[0] + background[1] + background[2] > 382 ? 24 : 240;
  for (const row of rows) {
    if (row.kind === 'heading') {
      drawCaption(sheet, row.caption, { left: gap, top: row.top, width: inner, align: 'left', ink });
      continue;
    }
    for (let i = 0; i < row.count; i++) {
      const image = images[row.first + i]!;
      const left = gap + i * (column + gap);
      const right = Math.floor((column - image.width * scale) / 2);
      const down = Math.floor((cell.height - image.height * scale) / 2);
      paste(sheet, withChannels(image, sheet.channels), left + right, row.top + down, scale);
      const caption = captions[row.first + i];
      const top = row.top + cell.height + LABEL_GAP;
      if (caption) drawCaption(sheet, caption, { left, top, width: column, align: 'center', ink });
    }
  }
  return sheet;
}

const widest = (texts: readonly string[], size: number): number =>
  Math.max(0, ...texts.map((text) => captionWidth(text, size)));

/** Default number of columns: that of a nearly square sheet; with several groups, up to 8 that fill the rows evenly. */
export function columnsFor(groups: readonly Pick<SampleGroup, 'count'>[]): number {
  const count = Math.max(...groups.map((group) => group.count));
  if (groups.length > 1) return Math.ceil(count / Math.ceil(count / 8));
  const square = Math.ceil(Math.sqrt(count));
  // A few columns more, if that leaves no cell empty.
  return [square, square + 1, square + 2].find((columns) => count % columns === 0 && columns <= count) ?? square;
}

function rowsOf(
  groups: readonly SampleGroup[],
  headings: readonly Caption[],
  captions: readonly Caption[],
  { columns, gap, height }: { columns: number; gap: number; height: number },
): Row[] {
  const rows: Row[] = [];
  let [top, first] = [gap, 0];
  groups.forEach(({ count }, group) => {
    const caption = headings[group]!;
    if (caption.lines.length > 0) {
      if (first > 0) top += gap;
      rows.push({ kind: 'heading', top, height: caption.height, caption });
      top += caption.height + LABEL_GAP;
    }
    for (let done = 0; done < count; done += columns) {
      const inRow = Math.min(columns, count - done);
      const labels = captions.slice(first, first + inRow).map((label) => label.height);
      const below = labels.length > 0 ? LABEL_GAP + Math.max(...labels) : 0;
      rows.push({ kind: 'images', top, height: height + below, first, count: inRow });
      top += height + below + gap;
      first += inRow;
    }
  });
  return rows;
}

function checkGrid(
  images: readonly Image[],
  {
    columns,
    gap,
    scale,
    labels,
    groups,
  }: Required<Pick<GridOptions, 'columns' | 'gap' | 'scale' | 'groups'>> & Pick<GridOptions, 'labels'>,
): void {
  const refuse = (detail: string): never => {
    throw new UsageError('E_IMAGE_GRID', detail);
  };
  if (images.length === 0) refuse('imageGrid: expected at least one image, received none.');
  if (labels && labels.length !== images.length)
    refuse(`imageGrid(labels): expected ${images.length}, received ${labels.length}.`);
  const grouped = groups.reduce((sum, { count }) => sum + count, 0);
  if (grouped !== images.length || !groups.every(({ count }) => Number.isInteger(count) && count >= 1))
    refuse(`imageGrid(groups): expected groups of ${images.length} images together, received ${grouped}.`);
  const isWhole = [columns, scale].every((value) => Number.isInteger(value) && value >= 1);
  if (!isWhole || !(Number.isInteger(gap) && gap >= 0))
    refuse(`imageGrid: expected whole columns, gap and scale, received ${columns}, ${gap}, ${scale}.`);
}

function blank(width: number, height: number, channels: 1 | 3, color: Color): Image {
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < pixels.length; i++) pixels[i] = color[i % channels]!;
  return { kind: 'image', width, height, channels, pixels };
}

function paste(sheet: Image, image: Image, left: number, top: number, scale: number): void {
  const { channels } = sheet;
  for (let y = 0; y < image.height * scale; y++) {
    const row = Math.floor(y / scale) * image.width;
    let to = ((top + y) * sheet.width + left) * channels;
    for (let x = 0; x < image.width * scale; x++) {
      const from = (row + Math.floor(x / scale)) * channels;
      for (let c = 0; c < channels; c++) sheet.pixels[to++] = image.pixels[from + c]!;
    }
  }
}
