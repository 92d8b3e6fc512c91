// What trainings reach, as laws that were fitted to trainings. Nothing here depends on which data they were.
// `node test/bench/advice.mjs` trains with advice and prints what was predicted and what came; docs/advice.md has its table and says
// how the constants were found.
import type { Difficulty } from './patches.js';

/** A = scale, B = slowness, ... of {@link codecError}. */
/** The networks that advice picks from: that of the preset `gray-28`, and that of `color-32`. */
export type Network = 'gray' | 'color';

const CODEC: Record<Network, { scale: number; excess: number }> = {
  gray: { scale: 0.8, excess: 1 },
  color: { scale: 0.8, excess: 0.53 },
};

/**
 * The held-out NMSE that a codec reaches: in the end, `scale` times what simple codes reach, which look at one cell, and at neighbors. Before,
 * the error is larger by `excess` divided by the way that weights can go: the number of steps times the learning rate, as Adam's steps have
 * about the length of the learning rate.
 */
export function codecError(
  { alone, together }: Difficulty,
  { steps, learningRate }: { steps: number; learningRate: number },
  network: Network,
): number {
  const { scale, excess } = CODEC[network];
  return Math.min(1, scale * alone * together * (1 + excess / (steps * learningRate)));
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
