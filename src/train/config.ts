// How long and how fast to train. Every number has a default that works; presets set what matters.
import { z } from 'zod';
import { ADAMW_DEFAULTS } from '../nn/optimizer.js';
import type { AdamWConfig } from '../nn/optimizer.js';

const common = {
  /** Optimizer steps. */
  steps: z.int().min(1),
  /** Samples a step. */
  batchSize: z.int().min(1).max(4096),
  /** Peak learning rate. */
  learningRate: z.number().positive(),
  warmupSteps: z.int().min(0).default(100),
  /** Fraction of the learning rate left at the end of the cosine. */
  finalFraction: z.number().min(0).max(1).default(0.1),
  weightDecay: z.number().min(0).default(0),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1),
  /** Largest global gradient norm; 0 does not clip. */
  clip: z.number().min(0),
  /** Steps between evaluations on held-out samples, and how many samples those use; the last one uses all. */
  evalEvery: z.int().min(1).default(500),
  evalSamples: z.int().min(1).default(512),
  /** Steps between checkpoints. */
  checkpointEvery: z.int().min(1).default(500),
};

export const CodecTrainingSchema = z.strictObject({
  ...common,
  steps: common.steps.default(5000),
  batchSize: common.batchSize.default(32),
  learningRate: common.learningRate.default(3e-4),
  beta2: common.beta2.default(0.999),
  clip: common.clip.default(0),
  augment: z
    .strictObject({
      /** Mirror half of the pictures. */
      flip: z.boolean().default(false),
      /** Shift by up to this many pixels. */
      crop: z.int().min(0).default(0),
    })
    .prefault({}),
});

export const PriorTrainingSchema = z.strictObject({
  ...common,
  steps: common.steps.default(5000),
  batchSize: common.batchSize.default(64),
  learningRate: common.learningRate.default(6e-4),
  weightDecay: z.number().min(0).default(0.045),
  beta2: common.beta2.default(0.96),
  clip: common.clip.default(1),
  /** Fraction of samples trained without their condition, so that guidance has something to move away from. */
  captionDropout: z.number().min(0).max(1).default(0.1),
  /** Decay of the averaged weights that are kept in place of the last ones; 0 keeps the last ones. */
  averageDecay: z.number().min(0).lt(1).default(0),
});

export type CodecTraining = z.infer<typeof CodecTrainingSchema>;
export type PriorTraining = z.infer<typeof PriorTrainingSchema>;

/** The optimizer's part of the settings. */
export function adamWConfig({ beta1, beta2, weightDecay, clip }: CodecTraining | PriorTraining): AdamWConfig {
  return { ...ADAMW_DEFAULTS, beta1, beta2, weightDecay, clip };
}
