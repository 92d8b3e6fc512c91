// What trainings reach, as laws that were fitted to trainings. Nothing here depends on which data they were.
// `node test/bench/advice.mjs` trains with advice and prints what was predicted and what came; docs/advice.md has the trainings that the
// constants were fitted to.
import type { Difficulty } from './patches.js';

/** The networks that advice picks from: that of the preset `gray-28`, and that of `color-32`. */
export type Network = 'gray' | 'color';

const CODEC: Record<Network, { scale: number; excess: number }> = {
  gray: { scale: 0.8, excess: 1 },
  color: { scale: 0.8, excess: 0.64 },
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

/** Fitted to one training only: its scale is a guess from how trainings go on. */
const PRIOR = { scale: 0.68, excess: 0.085 };

/**
 * The held-out nats per code that a prior reaches: a fraction of those of a model of counts, and more before, as in {@link codecError}.
 *
 * @param counted nats per code of the model of counts.
 * @param vocabSize a prior that knows nothing has the logarithm of it.
 */
export function priorError(
  counted: number,
  { steps, learningRate, vocabSize }: { steps: number; learningRate: number; vocabSize: number },
): number {
  return Math.min(Math.log(vocabSize), PRIOR.scale * counted * (1 + PRIOR.excess / (steps * learningRate)));
}
