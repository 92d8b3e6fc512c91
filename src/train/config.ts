// How long and how fast to train. Every number has a default that works; presets set what matters.
import { z } from 'zod';
import { DEFAULT_SCALING, FEATURE_SCALINGS } from '../features/scaling.js';
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
  /** Steps between evaluations on held-out samples, and how many samples those use; the kept weights are measured on all. */
  evalEvery: z.int().min(1),
  evalSamples: z.int().min(1).default(512),
  /** Steps between checkpoints. */
  checkpointEvery: z.int().min(1).default(500),
  /** Which weights become the model: those of the evaluation with the best held-out figure, or the last ones. */
  keep: z.enum(['best', 'last']),
  /** Evaluations without a better held-out figure after which training stops; 0 never stops. */
  patience: z.int().min(0),
};

/** A discriminator that learns to tell reconstructions from real pictures (Esser et al., arXiv:2012.09841). */
const AdversarialSchema = z.strictObject({
  /** Weight of the adversarial loss, relative to that of the other losses at the codec's last layer. Above 1 the pictures would give way, whose larger error would strengthen the pull further. */
  weight: z.number().positive().max(1).default(0.8),
  /** Fraction of the training that is done when it joins. */
  startFraction: z.number().min(0).lt(1).default(0.25),
  /** Channels of its first layer. */
  channels: z.int().min(8).max(256).default(64),
  /** Halvings of the resolution: 2 judge patches of 34 pixels, 3 of 70. */
  layers: z.int().min(1).max(5).default(2),
  /** Its peak learning rate; it follows the codec's schedule. */
  learningRate: z.number().positive().default(2e-4),
  /** Largest factor that evens the two pulls out. */
  maxWeight: z.number().positive().default(1e4),
});

/** Distance of features, by a network the user names (Zhang et al., arXiv:1801.03924). */
const PerceptualSchema = z.strictObject({
  weight: z.number().positive().default(1),
  /** What the network expects of its pixels. */
  scaling: z.enum(FEATURE_SCALINGS).default(DEFAULT_SCALING),
});

export const CodecTrainingSchema = z.strictObject({
  ...common,
  steps: common.steps.default(5000),
  batchSize: common.batchSize.default(32),
  learningRate: common.learningRate.default(3e-4),
  beta2: common.beta2.default(0.999),
  clip: common.clip.default(0),
  evalEvery: common.evalEvery.default(500),
  /** Default `best`; `last` with a discriminator or a feature network, as pixel errors do not measure what these add. */
  keep: common.keep.optional(),
  /** Off by default: a codec's error often falls again when the learning rate does. */
  patience: common.patience.default(0),
  augment: z
    .strictObject({
      /** Mirror half of the pictures. */
      flip: z.boolean().default(false),
      /** Shift by up to this many pixels. */
      crop: z.int().min(0).default(0),
    })
    .prefault({}),
  /** Left out: no discriminator. */
  adversarial: AdversarialSchema.optional(),
  /** Left out: no features. Without a network it has no effect. */
  perceptual: PerceptualSchema.optional(),
});

/** Steps between a prior's evaluations, which cost about three steps each; a short run has ten. */
const PRIOR_EVAL_EVERY = 250;

const PriorTrainingFields = z.strictObject({
  ...common,
  steps: common.steps.default(5000),
  batchSize: common.batchSize.default(64),
  learningRate: common.learningRate.default(6e-4),
  weightDecay: z.number().min(0).default(0.045),
  beta2: common.beta2.default(0.96),
  clip: common.clip.default(1),
  /** Default 250, or a tenth of the steps where that is less. */
  evalEvery: common.evalEvery.optional(),
  keep: common.keep.default('best'),
  patience: common.patience.default(10),
  /** Fraction of samples trained without their condition, so that guidance has something to move away from. */
  captionDropout: z.number().min(0).max(1).default(0.1),
  /** Decay of the averaged weights that are kept in place of the last ones; 0 keeps the last ones. */
  averageDecay: z.number().min(0).lt(1).default(0),
});

export const PriorTrainingSchema = PriorTrainingFields.transform((training) => ({
  ...training,
  evalEvery: training.evalEvery ?? Math.min(PRIOR_EVAL_EVERY, Math.ceil(training.steps / 10)),
}));

export type CodecTraining = z.infer<typeof CodecTrainingSchema>;
export type AdversarialTraining = z.infer<typeof AdversarialSchema>;
export type PriorTraining = z.infer<typeof PriorTrainingSchema>;

/** The optimizer's part of the settings. */
export function adamWConfig({ beta1, beta2, weightDecay, clip }: CodecTraining | PriorTraining): AdamWConfig {
  return { ...ADAMW_DEFAULTS, beta1, beta2, weightDecay, clip };
}
