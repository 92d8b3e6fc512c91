// What trainings reach, as laws that were fitted to trainings. Nothing here depends on which data they were.
// `node test/bench/advice.mjs` trains with advice and prints what was predicted and what came; docs/advice.md has its table and says
// how the constants were found.
import type { Difficulty } from './patches.js';

/** A = scale, B = slowness, ... of {@link codecError}. */
/** The networks that advice picks from: that of the preset `gray-28`, and that of `color-32`. */
export type Network = 'gray' | 'color';

const CODEC: Record<Network, { scale: number; context: number; excess: number; fall: number }> = {
  gray: { scale: 0.8, context: 1, excess: 0.85, fall: 0.9 },
  color: { scale: 0.8, context: 1, excess: 0.35, fall: 0.8 },
};

/**
 * The held-out NMSE that a codec reaches: in the end a multiple of what simple codes reach, and more before. `scale` is that multiple,
 * `context` says how much of the gain of coding neighboring cells together a codec makes use of, `excess` is the share by which the error of
 * 1,000 steps is larger, and `fall` the power of the number of steps with which the excess falls.
 */
export function codecError({ alone, together }: Difficulty, steps: number, network: Network): number {
  const { scale, context, excess, fall } = CODEC[network];
  return Math.min(1, scale * alone * together ** context * (1 + excess * (1000 / steps) ** fall));
}

const PRIOR = {
  /** Cross-entropy of a transformer after several passes over the samples, relative to that of a model of counts. */
  scale: 0.9,
  /** Share that few passes leave in excess. */
  excess: 0.05,
};

/** The held-out nats per code that a prior reaches. @param counted those of a model of counts. @param epochs passes over the samples. */
export function priorError(counted: number, epochs: number): number {
  const { scale, excess } = PRIOR;
  return counted * scale * (1 + excess / Math.max(0.2, epochs));
}
