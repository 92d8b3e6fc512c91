import type * as Tesserae from '../../src/index.js';

/** float32 [T, C], about [-1, 1]. */
export interface Series {
  kind: 'series';
  /** Seconds between two frames. */
  interval: number;
  channels: number;
  /** [T, C]. */
  values: Float32Array;
}

export interface SeriesInput {
  length: number;
  channels: number;
  /** Seconds between two frames. */
  interval: number;
  /** Cut or padded to the length, or kept as long as they are. */
  fit: 'length' | 'none';
}

export function seriesMedium(tesserae: typeof Tesserae): Tesserae.Medium<Series, SeriesInput>;
export default function register(tesserae: typeof Tesserae): void;
