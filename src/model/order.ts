// The sequence in which a stage predicts the codes of a map [...grid, levels].
import type { TokenMapSpec } from '../interfaces/index.js';

/** A sequence of the codes of a map. */
export interface Order {
  /** Place of each code of the sequence among the row-major codes; undefined if they are the same. */
  readonly places?: Int32Array;
}

/** Row-major: position after position, and all levels of a position together. */
export const rasterOrder = (): Order => ({});

/** Level after level, each in raster order: the coarse codes of residual quantization before the fine ones. */
export function levelOrder({ grid, levels }: Pick<TokenMapSpec, 'grid' | 'levels'>): Order {
  return orderBy(grid, levels, (_, level) => level);
}

/**
 * The delay pattern: level q of a position together with level 0 of the position q further on, so that a level follows the
 * coarser levels of its own position closely. Source: Copet et al., "Simple and Controllable Music Generation",
 * arXiv:2306.05284, section 2.2; here flattened into one sequence.
 */
export function delayOrder({ grid, levels }: Pick<TokenMapSpec, 'grid' | 'levels'>): Order {
  return orderBy(grid, levels, (position, level) => position + level);
}

/** Sorts codes by a rank, and codes of one rank by level, then by position. */
function orderBy(grid: readonly number[], levels: number, rank: (position: number, level: number) => number): Order {
  if (levels === 1) return {};
  const positions = grid.reduce((product, length) => product * length, 1);
  const ranks = Array.from({ length: positions * levels }, (_, place) =>
    rank(Math.floor(place / levels), place % levels),
  );
  const places = Int32Array.from(ranks.keys()).sort(
    (a, b) => ranks[a]! - ranks[b]! || (a % levels) - (b % levels) || a - b,
  );
  return { places };
}

/** Row-major codes [rows, N] in an order. */
export function toSequence(codes: Int32Array, { places }: Order): Int32Array {
  if (!places) return codes;
  const length = places.length;
  return codes.map((_, i) => codes[Math.floor(i / length) * length + places[i % length]!]!);
}

/** The reverse of {@link toSequence}. */
export function fromSequence(sequence: Int32Array, { places }: Order): Int32Array {
  if (!places) return sequence;
  const length = places.length;
  const codes = new Int32Array(sequence.length);
  for (let i = 0; i < sequence.length; i++) codes[Math.floor(i / length) * length + places[i % length]!] = sequence[i]!;
  return codes;
}
