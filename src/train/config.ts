// Settings of training. Every number has a default that works; presets set what matters.
import { z } from 'zod';
import { DEFAULT_SCALING, FEATURE_SCALINGS } from '../features/scaling.js';
import { ADAMW_DEFAULTS } from '../nn/optimizer.js';
import type { AdamWConfig } from '../nn/optimizer.js';

const common = {
  /** Number of optimizer steps. */
  steps: z.int().min(1),
  /** Number of samples in a step. */
  batchSize: z.int().min(1).max(4096),
  /** Peak learning rate. */
  learningRate: z.number().positive(),
  warmupSteps: z.int().min(0).default(100),
  /** Fraction of the peak learning rate at the end of the cosine schedule. */
  finalFraction: z.number().min(0).max(1).default(0.1),
  weightDecay: z.number().min(0).default(0),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1),
  /** Maximum global norm of the gradient; 0 does not clip. */
  clip: z.number().min(0),
  /** Number of steps between evaluations, and number of held-out samples in each. The kept weights are measured on all samples. */
  evalEvery: z.int().min(1),
  evalSamples: z.int().min(1).default(512),
  /** Number of steps between checkpoints. */
  checkpointEvery: z.int().min(1).default(500),
  /** Which weights become the model: those of the evaluation with the best held-out figure, or the last ones. */
  keep: z.enum(['best', 'last']),
  /** Number of evaluations without a better held-out figure after which training stops; 0 never stops. */
  patience: z.int().min(0),
};

/** A discriminator that learns to tell reconstructions from real images (Esser et al., arXiv:2012.09841). */
const AdversarialSchema = z.strictObject({
  /** Weight of the adversarial loss, relative to the gradient of the other losses at the codec's last layer. Values above 1 sacrifice the reconstruction. */
  weight: z.number().positive().max(1).default(0.8),
  /** Fraction of the training after which the discriminator starts. */
  startFraction: z.number().min(0).lt(1).default(0.25),
  /** Number of channels of its first layer. */
  channels: z.int().min(8).max(256).default(64),
  /** Number of downsamplings by 2. With 2 it judges patches of 34 pixels, with 3 of 70 pixels. */
  layers: z.int().min(1).max(5).default(2),
  /** Its peak learning rate, with the codec's schedule. */
  learningRate: z.number().positive().default(2e-4),
  /** Maximum of the adaptive weight that balances both gradients. */
  maxWeight: z.number().positive().default(1e4),
});

/** A perceptual loss: the distance of features of a network that the user names (Zhang et al., arXiv:1801.03924). */
const PerceptualSchema = z.strictObject({
  weight: z.number().positive().default(1),
  /** The pixel values that the network expects. */
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
  /** Default `best`, but `last` with a discriminator or a feature network, because the pixel error does not measure what they add. */
  keep: common.keep.optional(),
  /** Off by default, because a codec's error often falls again when the learning rate falls. */
  patience: common.patience.default(0),
  augment: z
    .strictObject({
      /** Mirrors half of the samples along their last axis. */
      flip: z.boolean().default(false),
      /** Shifts samples by up to this many positions along each axis. */
      crop: z.int().min(0).default(0),
    })
    .prefault({}),
  /** Without it, there is no discriminator. */
  adversarial: AdversarialSchema.optional(),
  /** Without it, there is no perceptual loss. It needs a feature network. */
  perceptual: PerceptualSchema.optional(),
});

/** Number of steps between a prior's evaluations, each of which costs about three steps. A short run has ten. */
const PRIOR_EVAL_EVERY = 250;

const PriorTrainingFields = z.strictObject({
  ...common,
  steps: common.steps.default(5000),
  batchSize: common.batchSize.default(64),
  learningRate: common.learningRate.default(6e-4),
  weightDecay: z.number().min(0).default(0.045),
  beta2: common.beta2.default(0.96),
  clip: common.clip.default(1),
  /** Default 250, or a tenth of the steps if that is less. */
  evalEvery: common.evalEvery.optional(),
  keep: common.keep.default('best'),
  patience: common.patience.default(10),
  /** Fraction of samples trained without their condition, for classifier-free guidance. */
  captionDropout: z.number().min(0).max(1).default(0.1),
  /** Decay of the averaged weights, which are kept instead of the last ones; 0 keeps the last ones. */
  averageDecay: z.number().min(0).lt(1).default(0),
});

export const PriorTrainingSchema = PriorTrainingFields.transform((training) => ({
  ...training,
  evalEvery: training.evalEvery ?? Math.min(PRIOR_EVAL_EVERY, Math.ceil(training.steps / 10)),
}));

export type CodecTraining = z.infer<typeof CodecTrainingSchema>;
export type AdversarialTraining = z.infer<typeof AdversarialSchema>;
export type PriorTraining = z.infer<typeof PriorTrainingSchema>;

/** The settings of the optimizer. */
export function adamWConfig({ beta1, beta2, weightDecay, clip }: CodecTraining | PriorTraining): AdamWConfig {
  return { ...ADAMW_DEFAULTS, beta1, beta2, weightDecay, clip };
}
