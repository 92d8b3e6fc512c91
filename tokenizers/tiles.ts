// Large pictures in pieces. A code, or a decoded pixel, depends on what is within the network's reach of it alone; tiles
// that overlap by the reach therefore give, away from their borders, what one pass over the whole picture gives.
import { stridesOf } from './networks.js';
import type { Network } from './networks.js';

/** Default side of a tile, in pixels. */
export const TILE = 256;

/** A piece of an axis: what is seen, and the part of it that counts. All multiples of the codec's downsampling. */
export interface Span {
  start: number;
  length: number;
  /** Where the part that counts begins and ends, on the axis of the picture. */
  from: number;
  to: number;
}

/**
 * Cuts an axis into spans of one length whose inner parts cover it once. The first and the last lie against the ends of
 * the axis, so that a network sees the picture's border where it is.
 *
 * @param extent, tile, reach whole multiples of the codec's downsampling; tile > 2 * reach.
 */
export function spansOf(extent: number, tile: number, reach: number): Span[] {
  if (extent <= tile) return [{ start: 0, length: extent, from: 0, to: extent }];
  const spans: Span[] = [];
  for (let from = 0; from < extent; from = spans.at(-1)!.to) {
    const start = Math.min(Math.max(0, from - reach), extent - tile);
    spans.push({ start, length: tile, from, to: start + tile === extent ? extent : start + tile - reach });
  }
  return spans;
}

/** A tile of a picture. */
export interface Tile {
  rows: Span;
  columns: Span;
}

/** How a codec's pictures are cut. */
export interface Tiling {
  /** Side of a tile and overlap, in pixels, multiples of the codec's downsampling. */
  tile: number;
  reach: number;
}

/**
 * The tiles for a codec: as large as asked for, rounded up to a multiple, and three times the reach at least, so that
 * most of a tile counts.
 */
export function tilingOf(side: number, reach: number, multiple: number): Tiling {
  const rounded = (pixels: number): number => Math.ceil(pixels / multiple) * multiple;
  return { tile: Math.max(rounded(side), 3 * rounded(reach), multiple), reach: rounded(reach) };
}

/** The tiles of a picture of a padded size, row by row. All are of one size. */
export function tilesOf(height: number, width: number, { tile, reach }: Tiling): Tile[] {
  const columns = spansOf(width, tile, reach);
  return spansOf(height, tile, reach).flatMap((rows) => columns.map((span) => ({ rows, columns: span })));
}

/** Row-major values [height, width, depth] in a typed array. */
export interface Grid<T extends ArrayLike<number>> {
  values: T;
  width: number;
  depth: number;
}

interface Block {
  /** Where it lies in the source and in the target: row, column. */
  source: readonly [number, number];
  target: readonly [number, number];
  height: number;
  width: number;
}

type Values = Int32Array | Uint8Array | Float32Array | Uint16Array | Uint32Array;

/** Copies a rectangle of cells from one grid to another. */
export function copyBlock(from: Grid<Values>, to: Grid<Values>, { source, target, height, width }: Block): void {
  const { depth } = from;
  for (let y = 0; y < height; y++) {
    const start = ((source[0] + y) * from.width + source[1]) * depth;
    to.values.set(from.values.subarray(start, start + width * depth), ((target[0] + y) * to.width + target[1]) * depth);
  }
}

/** The whole window of a tile, from the picture's grid to the tile's. `cell` is the pixels of a cell's side. */
export function windowBlock({ rows, columns }: Tile, cell: number): Block {
  return {
    source: [rows.start / cell, columns.start / cell],
    target: [0, 0],
    height: rows.length / cell,
    width: columns.length / cell,
  };
}

/** The part of a tile that counts, from the tile's grid to the picture's, cut off at the picture's true extents. */
export function innerBlock({ rows, columns }: Tile, cell: number, height = Infinity, width = Infinity): Block {
  return {
    source: [(rows.from - rows.start) / cell, (columns.from - columns.start) / cell],
    target: [rows.from / cell, columns.from / cell],
    height: Math.max(0, Math.min(rows.to / cell, height) - rows.from / cell),
    width: Math.max(0, Math.min(columns.to / cell, width) - columns.from / cell),
  };
}

/**
 * How far an encoder sees beyond a code's own cell, in pixels of the picture.
 *
 * A 3x3 convolution adds one cell of its resolution; a strided one, of a kernel of twice its stride, half a cell of what
 * it gives. Attention and group norm see everything: undefined.
 *
 * @param scale pixels of the picture to one of the encoder's input.
 */
export function encoderReach(n: Network, scale = 1): number | undefined {
  if (seesEverything(n)) return undefined;
  let cell = scale;
  let reach = n.stem > 0 ? (1 + n.blocksPerStage) * cell : 0;
  const strides = stridesOf(n);
  for (const [i, stride] of strides.entries()) {
    reach += (stride / 2) * cell;
    cell *= stride;
    if (i < strides.length - 1) reach += n.blocksPerStage * cell;
  }
  return reach + (1 + n.residualLayers) * cell;
}

/** How far a decoder sees beyond a pixel's own cell, as {@link encoderReach}. A transposed convolution adds one cell of what it gets. */
export function decoderReach(n: Network, scale = 1): number | undefined {
  if (seesEverything(n)) return undefined;
  let cell = scale * n.downsample;
  let reach = (1 + n.residualLayers) * cell;
  for (const stride of stridesOf(n).toReversed()) {
    const fine = cell / stride;
    const blocks = fine === scale && n.stem === 0 ? 0 : n.blocksPerStage;
    reach += (n.upsample === 'transposed' ? cell : fine) + blocks * fine;
    cell = fine;
  }
  return n.stem > 0 ? reach + cell : reach;
}

/** The larger of the reaches of encoder and decoder, in pixels. */
export function networkReach(n: Network): number | undefined {
  const [encoder, decoder] = [encoderReach(n), decoderReach(n)];
  return encoder === undefined || decoder === undefined ? undefined : Math.max(encoder, decoder);
}

const seesEverything = ({ norm, attentionHeads }: Network): boolean => norm === 'group' || attentionHeads > 0;
