// What trainings reach, as laws that were fitted to trainings. Nothing here depends on which data they were.
// `node test/bench/advice.mjs` trains with advice and prints what was predicted and what came; docs/advice.md has its table and says
// how the constants were found.
import type { Difficulty } from './patches.js';

/** A = scale, B = slowness, ... of {@link codecError}. */
const CODEC = {
  /** Error of a codec after many steps, relative to that of a vocabulary of patches coded alone. */
  scale: 0.95,
  /** How much of the gain of coding neighboring cells together a codec makes use of. */
  context: 1,
  /** Share of the error that 1,000 steps leave in excess, and how it falls with more steps. */
  excess: 0.3,
  fall: 0.8,
};

/** The held-out NMSE that a codec reaches. */
export function codecError({ alone, together }: Difficulty, steps: number): number {
  const { scale, context, excess, fall } = CODEC;
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
