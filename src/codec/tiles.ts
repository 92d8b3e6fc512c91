// Cuts large samples into tiles along any number of axes. A code or a decoded position depends only on positions within the
// network's reach. Tiles that overlap by the reach therefore give the result of one pass over the whole sample.
import type { Block } from '../media/samples.js';

/** Default number of positions in a tile: 256 x 256 of an image, 65,536 of a sound. */
const TILE_POSITIONS = 65_536;

/** Default length of a tile along each axis, for a number of axes. */
export const tileLength = (axes: number): number => Math.floor(TILE_POSITIONS ** (1 / axes));

/** A piece of an axis: what the network sees, and the inner part whose result is used. All are multiples of the codec's cells. */
export interface Span {
  start: number;
  length: number;
  /** Where the inner part begins and ends, on the axis of the sample. */
  from: number;
  to: number;
}

/** How an axis is cut: length of a piece and its overlap with the next, multiples of the codec's cells. */
export interface Cut {
  length: number;
  reach: number;
}

/** The pieces of a sample along each axis that make up one tile. */
export type Tile = readonly Span[];

/**
 * Cuts an axis into spans of one length whose inner parts cover it once. The first and the last span lie at the ends of
 * the axis, so that a network sees the border of the sample where it is.
 *
 * @param extent a multiple of the codec's cells; cut.length > 2 * cut.reach.
 */
export function spansOf(extent: number, { length, reach }: Cut): Span[] {
  if (extent <= length) return [{ start: 0, length: extent, from: 0, to: extent }];
  const spans: Span[] = [];
  for (let from = 0; from < extent; from = spans.at(-1)!.to) {
    const start = Math.min(Math.max(0, from - reach), extent - length);
    spans.push({ start, length, from, to: start + length === extent ? extent : start + length - reach });
  }
  return spans;
}

/**
 * Cuts an axis for a codec: into pieces of the requested length, rounded up to whole cells, and at least three times the reach,
 * so that most of a piece is used.
 */
export function cutOf(length: number, reach: number, cell: number): Cut {
  const rounded = (positions: number): number => Math.ceil(positions / cell) * cell;
  return { length: Math.max(rounded(length), 3 * rounded(reach), cell), reach: rounded(reach) };
}

/** The tiles of a sample of a padded extent, the last axis running fastest. */
export function tilesOf(extent: readonly number[], cuts: readonly Cut[]): Tile[] {
  return extent.reduce<Tile[]>(
    (tiles, length, axis) => tiles.flatMap((tile) => spansOf(length, cuts[axis]!).map((span) => [...tile, span])),
    [[]],
  );
}

/** The whole window of a tile, from the sample's grid to the tile's. @param cell positions of a grid's cell, by axis. */
export function windowBlock(tile: Tile, cell: readonly number[]): Block {
  return {
    source: tile.map(({ start }, axis) => start / cell[axis]!),
    target: tile.map(() => 0),
    extent: tile.map(({ length }, axis) => length / cell[axis]!),
  };
}

/** The inner part of a tile, from the tile's grid to the sample's, cut off at the sample's true extent. */
export function innerBlock(tile: Tile, cell: readonly number[], extent?: readonly number[]): Block {
  const end = ({ to }: Span, axis: number): number => Math.min(to / cell[axis]!, extent?.[axis] ?? Infinity);
  return {
    source: tile.map(({ from, start }, axis) => (from - start) / cell[axis]!),
    target: tile.map(({ from }, axis) => from / cell[axis]!),
    extent: tile.map((span, axis) => Math.max(0, end(span, axis) - span.from / cell[axis]!)),
  };
}
