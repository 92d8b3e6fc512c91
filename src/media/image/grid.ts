// Joins many images into one sheet.
import { UsageError } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { checkImages } from './check.js';
import { withChannels } from './pixels.js';
import type { Color } from './resample.js';

export interface GridOptions {
  /** Number of columns. Default: that of a nearly square sheet. */
  columns?: number;
  /** Pixels between cells and around them. Default 2. */
  gap?: number;
  /** Factor by which images are enlarged. Default 1. */
  scale?: number;
  /** Labels below the images, in capitals and wrapped to their width. */
  labels?: readonly string[];
  /** Default white. */
  background?: Color;
}

const MAX_LABEL_LINES = 4;

/**
 * Arranges images in rows. Cells are as large as the largest image. Smaller images are centered.
 *
 * @returns RGB, or gray if all images and the background are gray.
 * @throws {UsageError} E_IMAGE_GRID without images, or if the number of labels differs.
 */
export function imageGrid(images: readonly Image[], options: GridOptions = {}): Image {
  checkImages('imageGrid', images);
  const {
    columns = Math.ceil(Math.sqrt(images.length)),
    gap = 2,
    scale = 1,
    labels,
    background = [255, 255, 255],
  } = options;
  checkGrid(images, columns, gap, scale, labels);
  const cell = {
    width: scale * Math.max(...images.map((i) => i.width)),
    height: scale * Math.max(...images.map((i) => i.height)),
  };
  const lines = images.map((_, i) => wrap(labels?.[i] ?? '', Math.max(1, Math.floor((cell.width + 1) / ADVANCE))));
  const labelHeight = labels ? LINE * Math.max(...lines.map((own) => own.length)) + 2 : 0;
  const rows = Math.ceil(images.length / columns);
  const gray = images.every((image) => image.channels === 1) && new Set(background).size === 1;
  const sheet = blank(
    gap + columns * (cell.width + gap),
    gap + rows * (cell.height + labelHeight + gap),
    gray ? 1 : 3,
    background,
  );
  const ink = background[0] + background[1] + background[2] > 382 ? 0 : 255;
  images.forEach((image, i) => {
    const left = gap + (i % columns) * (cell.width + gap);
    const top = gap + Math.floor(i / columns) * (cell.height + labelHeight + gap);
    const right = Math.floor((cell.width - image.width * scale) / 2);
    const down = Math.floor((cell.height - image.height * scale) / 2);
    paste(sheet, withChannels(image, sheet.channels), left + right, top + down, scale);
    lines[i]!.forEach((line, row) => write(sheet, line, left, top + cell.height + 2 + row * LINE, ink));
  });
  return sheet;
}

function checkGrid(
  images: readonly Image[],
  columns: number,
  gap: number,
  scale: number,
  labels?: readonly string[],
): void {
  if (images.length === 0)
    throw new UsageError('E_IMAGE_GRID', 'imageGrid: expected at least one image, received none.');
  if (labels && labels.length !== images.length) {
    throw new UsageError('E_IMAGE_GRID', `imageGrid(labels): expected ${images.length}, received ${labels.length}.`);
  }
  if (
    ![columns, scale].every((value) => Number.isInteger(value) && value >= 1) ||
    !(Number.isInteger(gap) && gap >= 0)
  ) {
    throw new UsageError(
      'E_IMAGE_GRID',
      `imageGrid: expected whole columns, gap and scale, received ${columns}, ${gap}, ${scale}.`,
    );
  }
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

// The machine may have no fonts, so labels have their own: capitals of 5 x 7 pixels, with one base-32 digit for each row.
const GLYPH_WIDTH = 5;
const ADVANCE = 6;
const LINE = 9;
const UNKNOWN = 'vhhhhhv';
const GLYPHS: Readonly<Record<string, string>> = {
  A: 'ehhvhhh',
  B: 'uhhuhhu',
  C: 'ehggghe',
  D: 'uhhhhhu',
  E: 'vgguggv',
  F: 'vgguggg',
  G: 'ehgnhhf',
  H: 'hhhvhhh',
  I: 'e44444e',
  J: '72222ic',
  K: 'hikokih',
  L: 'ggggggv',
  M: 'hrllhhh',
  N: 'hhpljhh',
  O: 'ehhhhhe',
  P: 'uhhuggg',
  Q: 'ehhhlid',
  R: 'uhhukih',
  S: 'fgge11u',
  T: 'v444444',
  U: 'hhhhhhe',
  V: 'hhhhha4',
  W: 'hhhllla',
  X: 'hha4ahh',
  Y: 'hhha444',
  Z: 'v1248gv',
  0: 'ehjlphe',
  1: '4c4444e',
  2: 'eh1248v',
  3: 'v2421he',
  4: '26aiv22',
  5: 'vgu11he',
  6: '68guhhe',
  7: 'v124888',
  8: 'ehhehhe',
  9: 'ehhf12c',
  ' ': '0000000',
  '.': '00000cc',
  ',': '0000c48',
  ':': '0cc0cc0',
  ';': '0cc0c48',
  '-': '000v000',
  "'": 'c480000',
  '!': '4444004',
  '?': 'eh12404',
  '(': '2488842',
  ')': '8422248',
  '/': '01248g0',
  '+': '044v440',
  '=': '00v0v00',
  '%': 'op248j3',
  '&': 'cik8lid',
  '#': 'aavavaa',
  _: '000000v',
  '"': 'aaa0000',
};

/** Breaks a label into lines of at most `width` characters, at spaces if possible. */
function wrap(label: string, width: number): string[] {
  const lines: string[] = [];
  for (let word of label.normalize('NFD').replace(/\p{M}/gu, '').toUpperCase().split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
      continue;
    }
    for (; word.length > 0; word = word.slice(width)) lines.push(word.slice(0, width));
  }
  return lines.slice(0, MAX_LABEL_LINES);
}

function write(sheet: Image, line: string, left: number, top: number, ink: number): void {
  [...line].forEach((character, i) => {
    const rows = GLYPHS[character] ?? UNKNOWN;
    for (let y = 0; y < rows.length; y++) {
      const bits = Number.parseInt(rows[y]!, 32);
      for (let x = 0; x < GLYPH_WIDTH; x++) {
        if (bits & (16 >> x)) dot(sheet, left + i * ADVANCE + x, top + y, ink);
      }
    }
  });
}

function dot(sheet: Image, x: number, y: number, ink: number): void {
  if (x >= sheet.width || y >= sheet.height) return;
  const at = (y * sheet.width + x) * sheet.channels;
  sheet.pixels.fill(ink, at, at + sheet.channels);
}
