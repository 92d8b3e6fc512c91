// Galleries of samples: tiles with captions, or stacks such as an original above its reconstruction. Pixels are enlarged by
// whole factors, and the number of columns is chosen so that the last row is full.
import type { Media } from '../interfaces/index.js';
import type { AnyMedium } from '../media/medium.js';
import { escapeMarkup } from './format.js';
import { fragment, sizeOfExhibit, zoomable } from './html.js';
import type { Fragment, Picture } from './html.js';

/** A picture with a caption of its own. */
export interface Tile extends Picture {
  caption?: string;
  /** A verdict before the caption, for example of a check. */
  verdict?: { good: boolean; text: string };
}

/** Several pictures above each other, one for each row of labels; at least one of them is there. */
export interface Stack {
  pictures: readonly (Picture | undefined)[];
  caption?: string;
}

export interface GalleryOptions {
  /** Leaves out some of the last, if the last row would not be full otherwise. */
  trim?: boolean;
}

interface GridOptions extends GalleryOptions {
  captioned: boolean;
  most: { wide: number; narrow: number };
}

/** Width of the page's content, and of the narrowest screen's. */
const ROOM = { wide: 928, narrow: 318 };
const GAP = { wide: 12, narrow: 8 };
/** Width of a tile at least and at most. With captions it is wider. */
const LEAST = { wide: 80, narrow: 56 };
const LEAST_WITH_CAPTION = { wide: 112, narrow: 92 };
const MOST = { wide: 168, narrow: 155 };
/** Tiles of stacks without captions are smaller, so that a stack is seen as a whole. */
const MOST_IN_STACK = { wide: 128, narrow: 104 };

interface Layout {
  columns: number;
  /** Factor by which pictures are enlarged; whole unless they are shrunk. */
  factor: number;
  cell: number;
}

/** A sample alone, in its own pixels. */
export async function pictureOf(medium: AnyMedium, sample: Media, alt: string): Promise<Picture> {
  return { exhibit: await medium.show([sample], { columns: 1, scale: 1, gap: 0 }), alt };
}

/** Builds a gallery of tiles. */
export function gallery(tiles: readonly Tile[], options: GalleryOptions = {}): Fragment {
  return grid(
    tiles.map((tile) => [tile]),
    { ...options, captioned: areCaptioned(tiles), most: MOST },
    (i) => {
      const tile = tiles[i]!;
      return `<figure>\n${zoomable(tile)}${captionOf(tile)}\n</figure>`;
    },
  );
}

/**
 * Builds a gallery of stacks. The labels of their rows stand above the first stack of each line.
 *
 * @param rows one label for each picture of a stack.
 */
export function stackGallery(
  rows: readonly string[],
  stacks: readonly Stack[],
  options: GalleryOptions = {},
): Fragment {
  const captioned = areCaptioned(stacks);
  return grid(
    stacks.map(({ pictures }) => pictures),
    { ...options, captioned, most: captioned ? MOST : MOST_IN_STACK },
    (i, { wide, narrow }) => {
      const { pictures, caption } = stacks[i]!;
      const first = [
        ...(i % wide.columns === 0 ? ['first'] : []),
        ...(i % narrow.columns === 0 ? ['first-narrow'] : []),
      ];
      const size = sizeOfExhibit(pictures.find((picture) => picture !== undefined)!.exhibit);
      const content = pictures.map(
        (picture, row) =>
          `<span class="row" aria-hidden="true">${escapeMarkup(rows[row]!)}</span>\n${picture ? zoomable(picture) : emptyPlace(size)}`,
      );
      return `<figure class="${['stack', ...first].join(' ')}">\n${content.join('\n')}${captionOf({ caption })}\n</figure>`;
    },
  );
}

const areCaptioned = (items: readonly { caption?: string }[]): boolean =>
  items.some(({ caption }) => caption !== undefined && caption !== '');

/** Keeps the place of a picture that there is none of. */
const emptyPlace = ({ width, height }: { width: number; height: number }): string =>
  `<div class="none" style="--w:${width};aspect-ratio:${width}/${height}">none</div>`;

function captionOf({ caption, verdict }: Pick<Tile, 'caption' | 'verdict'>): string {
  if (caption === undefined && !verdict) return '';
  const mark = verdict
    ? `<span class="mark ${verdict.good ? 'good' : 'bad'}">${verdict.good ? '✓' : '✗'} ${escapeMarkup(verdict.text)}</span>${caption ? '<br>' : ''}`
    : '';
  return `\n<figcaption>${mark}${escapeMarkup(caption ?? '')}</figcaption>`;
}

function grid(
  items: readonly (readonly (Picture | undefined)[])[],
  { trim = false, captioned, most }: GridOptions,
  render: (index: number, layouts: { wide: Layout; narrow: Layout }) => string,
): Fragment {
  const sizes = items.flatMap((pictures) => pictures.flatMap((one) => (one ? [sizeOfExhibit(one.exhibit)] : [])));
  const width = Math.max(1, ...sizes.map((size) => size.width));
  const least = captioned ? LEAST_WITH_CAPTION : LEAST;
  const { wide, narrow, count } = arrangement(items.length, width, least, most, trim);
  const used = wide.columns * (wide.cell + GAP.wide) - GAP.wide;
  const style = [
    `--wide:${wide.columns}`,
    `--wide-cell:${wide.cell}px`,
    `--wide-factor:${number(wide.factor)}`,
    `--narrow:${narrow.columns}`,
    `--narrow-cell:${narrow.cell}px`,
    `--narrow-factor:${number(narrow.factor)}`,
  ].join(';');
  const shown = Array.from({ length: count }, (_, i) => render(i, { wide, narrow }));
  const full = wide.columns > 2 && used > 0.8 * ROOM.wide;
  return fragment(`<div class="gallery${full ? ' full' : ''}" style="${style}">\n${shown.join('\n')}\n</div>`);
}

const number = (value: number): string => String(Number(value.toFixed(5)));

/** Least share of the items that is shown if some may be left out. */
const LEAST_SHOWN = 0.7;

/** Chooses how many items are shown, and their layout on both screens: full rows first, then the width that is used. */
function arrangement(
  items: number,
  width: number,
  least: GridOptions['most'],
  most: GridOptions['most'],
  trim: boolean,
): { wide: Layout; narrow: Layout; count: number } {
  const fewest = trim ? Math.ceil(LEAST_SHOWN * items) : items;
  const candidates = Array.from({ length: items - fewest + 1 }, (_, i) => {
    const count = items - i;
    const wide = bestLayout(count, sizesOf(width, least.wide, most.wide), ROOM.wide, GAP.wide);
    const narrow = bestLayout(count, sizesOf(width, least.narrow, most.narrow), ROOM.narrow, GAP.narrow);
    return { wide, narrow, count, score: 2 * wide.score + narrow.score + count / items };
  });
  return candidates.reduce((best, one) => (one.score > best.score + 1e-9 ? one : best));
}

function bestLayout(
  count: number,
  sizes: readonly { factor: number; cell: number }[],
  room: number,
  gap: number,
): Layout & { score: number } {
  const layouts = sizes.flatMap(({ factor, cell }) => {
    const fitting = Math.max(1, Math.floor((room + gap) / (cell + gap)));
    const most = Math.min(fitting, count);
    const fewest = Math.ceil(most / 2);
    return Array.from({ length: most - fewest + 1 }, (_, i) => {
      const columns = fewest + i;
      const rest = count % columns;
      const filled = rest === 0 ? 1 : rest / columns;
      return { columns, factor, cell, score: 3 * filled + (columns * (cell + gap)) / (room + gap) };
    });
  });
  return layouts.reduce((best, one) => (one.score > best.score + 1e-9 ? one : best));
}

/** The sizes that a tile can have: enlarged by a whole factor, or shrunk to the largest size. */
function sizesOf(width: number, least: number, most: number): { factor: number; cell: number }[] {
  if (width > most) return [{ factor: most / width, cell: most }];
  const last = Math.floor(most / width);
  const first = Math.min(last, Math.ceil((0.9 * least) / width));
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    factor: first + i,
    cell: Math.max((first + i) * width, least),
  }));
}
