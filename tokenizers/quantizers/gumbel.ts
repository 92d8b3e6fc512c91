// Gumbel-softmax codes: latents give logits over the codes. Training draws from them through a relaxation that sharpens with time;
// encoding takes the likeliest code (Jang et al., arXiv:1611.01144; Maddison et al., arXiv:1611.00712; as in the
// dVAE of Ramesh et al., arXiv:2102.12092).
import { z } from 'zod';
import { randomUniform, stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { named, weight } from '../../src/model/layer.js';
import type { Layer } from '../../src/model/layer.js';
import { linear } from '../../src/nn/linear.js';
import { asColumn, fromColumn } from './nearest.js';

const TemperatureSchema = z.strictObject({
  /** Softmax temperature at the first step. */
  start: z.number().min(0.01).max(100).default(1),
  /** Softmax temperature from `until` on. Near 0 the relaxed codes are close to the codebook, and gradients are large and noisy. */
  end: z
    .number()
    .min(0.01)
    .max(100)
    .default(1 / 16),
  /** Half a cosine from start to end, or the same factor in every step. */
  schedule: z.enum(['cosine', 'exponential']).default('cosine'),
  /** Fraction of the training after which the temperature is constant. */
  until: z.number().min(0.001).max(1).default(0.8),
});

export const GumbelConfigSchema = z.strictObject({
  name: z.literal('gumbel').default('gumbel'),
  /** Number of codes, K. Training needs several float32 [N, K] for N positions of a batch. */
  codebookSize: z.int().min(2).max(16384).default(512),
  /** Number of dimensions of a code and of the latents, which the quantizer projects to logits. */
  codeDim: z.int().min(1).max(1024).default(64),
  temperature: TemperatureSchema.prefault({}),
  /** Trains the decoder on the drawn codes instead of their relaxed mixture. The gradient of the logits is that of the mixture. */
  hard: z.boolean().default(false),
  /**
   * Weight of the KL divergence of a position's codes from the uniform distribution, in nats per position. 0 by default: the term
   * rewards uncertain codes, so that small models learn to ignore the latents. The evidence bound has positions /
   * (pixels * channels) times the scale of the reconstruction loss.
   */
  klWeight: z.number().min(0).default(0),
  /** Fraction of the training in which that weight grows from 0 along half a cosine. 0 uses the full weight from the start. */
  klWarmup: z.number().min(0).max(1).default(0.2),
  /**
   * Weight of the divergence of the mean distribution over a batch from the uniform one, in nats. It keeps all codes in use without
   * making any position less certain (the diversity loss of wav2vec 2.0, Baevski et al., arXiv:2006.11477).
   */
  diversity: z.number().min(0).default(0.05),
});

export type GumbelConfig = z.infer<typeof GumbelConfigSchema>;

/** float32 [N, D] -> logits [N, K]. */
const logitsLayer = ({ codebookSize: K, codeDim: D }: GumbelConfig): Layer =>
  named({ logits: linear(D, K, { init: { kind: 'normal', std: 1 / Math.sqrt(D) } }) }).logits;

/** `logits` [D, K] and the codebook [K, D]. */
function trainableSpecs(config: GumbelConfig): ParamSpecs {
  const { codebookSize: K, codeDim: D } = config;
  return {
    ...logitsLayer(config).params,
    codebook: { shape: [K, D], init: { kind: 'normal', std: 1 } },
  };
}

/** Minimum variance of latents in the scale of the logits. */
const LEAST_VARIANCE = 1e-8;

/**
 * Initializes the quantizer like vector quantization: codes are random latents of a first batch, and logits fall with the squared
 * distance to them. From random logits, training would use only a few codes.
 *
 * @param random float32 [K], uniform in (0, 1).
 */
function startOnLatents(p: Params, latents: tf.Tensor2D, random: tf.Tensor): void {
  const codes = tf.gather(latents, tf.cast(tf.floor(tf.mul(random, latents.shape[0])), 'int32')); // [K, D]
  const variance = tf.sum(tf.moments(latents, 0).variance);
  // Latents are two variances apart on average: odds of K squared to one are clear among K codes.
  const scale = tf.div(2 * Math.log(random.size), tf.add(variance, LEAST_VARIANCE));
  weight<tf.Rank.R2>(p, 'codebook').assign(codes);
  weight<tf.Rank.R2>(p, 'logits.weight').assign(tf.mul(tf.transpose(codes), scale));
  weight<tf.Rank.R1>(p, 'logits.bias').assign(tf.mul(tf.sum(tf.square(codes), 1), tf.div(scale, -2)));
}

const logitsOf = (p: Params, latents: tf.Tensor2D, config: GumbelConfig): tf.Tensor2D =>
  logitsLayer(config).apply(p, latents);

const codebookOf = (p: Params): tf.Tensor2D => weight(p, 'codebook');

/** From 0 to 1 along half a cosine while `progress` goes from 0 to `until`, 1 from there on. */
const ramp = (progress: tf.Scalar, until: number): tf.Scalar =>
  tf.mul(tf.sub(1, tf.cos(tf.mul(tf.minimum(tf.div(progress, until), 1), Math.PI))), 0.5);

/** The softmax temperature at a moment of training. float32 []. */
export function temperatureAt(
  progress: tf.Scalar,
  { start, end, schedule, until }: GumbelConfig['temperature'],
): tf.Scalar {
  if (schedule === 'cosine') return tf.add(start, tf.mul(ramp(progress, until), end - start));
  const done = tf.minimum(tf.div(progress, until), 1);
  return tf.mul(tf.exp(tf.mul(done, Math.log(end / start))), start);
}

/** The weight of the divergence at a moment of training. float32 []. */
export function klWeightAt(progress: tf.Scalar, { klWeight, klWarmup }: GumbelConfig): tf.Scalar {
  return klWarmup === 0 ? tf.scalar(klWeight) : tf.mul(ramp(progress, klWarmup), klWeight);
}

/** Gumbel noise: argmax(logits + noise) is a draw from softmax(logits). float32 of `shape`. */
const gumbelNoise = (key: RandomKey, shape: number[]): tf.Tensor =>
  tf.neg(tf.log(tf.neg(tf.log(randomUniform(key, shape, 'quantizer.gumbel')))));

/**
 * KL divergence of the distribution of codes from the uniform one, averaged over positions.
 *
 * @param logits float32 [N, K].
 * @returns scalar in [0, log K], nats per position.
 */
export function divergenceFromUniform(logits: tf.Tensor2D): tf.Scalar {
  const logProbabilities = tf.sub(logits, tf.logSumExp(logits, 1, true));
  const negativeEntropy = tf.sum(tf.mul(tf.exp(logProbabilities), logProbabilities), 1); // [N]
  return tf.add(tf.mean(negativeEntropy), Math.log(logits.shape[1]));
}

/**
 * Difference between the entropy of the uniform distribution and that of the mean distribution over positions.
 *
 * @param logits float32 [N, K].
 * @returns scalar in [0, log K], nats.
 */
export function lackOfDiversity(logits: tf.Tensor2D): tf.Scalar {
  const mean = tf.mean(tf.softmax(logits), 0); // [K]
  return tf.add(tf.sum(tf.mul(mean, tf.log(tf.add(mean, 1e-10)))), Math.log(logits.shape[1]));
}

/**
 * The codes of relaxed draws.
 *
 * @param weights float32 [N, K], rows sum to 1.
 * @param ids int32 [N]: the drawn codes.
 * @returns float32 [N, D]: the mixture of the codebook's rows, or with `hard` the drawn rows, with the gradient of the mixture.
 */
function codesOfDraw(p: Params, weights: tf.Tensor2D, ids: tf.Tensor1D, { hard }: GumbelConfig): tf.Tensor2D {
  if (!hard) return tf.matMul(weights, codebookOf(p));
  const mixture = tf.matMul(weights, stopGradient(codebookOf(p)));
  return tf.add(tf.gather(codebookOf(p), ids), tf.sub(mixture, stopGradient(mixture)));
}

/** The Gumbel-softmax quantizer as codecs know it. Its ids in training are the drawn ones. */
export const gumbel: QuantizerFamily<GumbelConfig> = {
  name: 'gumbel',
  parseConfig: (json) => parseConfig('quantizer gumbel', GumbelConfigSchema, json),
  width: ({ codeDim }) => codeDim,
  vocabSize: ({ codebookSize }) => codebookSize,
  trainable: trainableSpecs,
  state: () => ({}),
  initialize: (p, latents, key, { codebookSize: K }) =>
    startOnLatents(p, latents, randomUniform(key, [K], 'quantizer.start')),
  train: (p, latents, { key, progress }, config) => {
    const logits = logitsOf(p, latents, config);
    const noisy: tf.Tensor2D = tf.add(logits, gumbelNoise(key, logits.shape));
    const ids: tf.Tensor1D = tf.argMax(noisy, 1);
    const weights: tf.Tensor2D = tf.softmax(tf.div(noisy, temperatureAt(progress, config.temperature)));
    const divergence: tf.Scalar =
      config.klWeight === 0 ? tf.scalar(0) : tf.mul(divergenceFromUniform(logits), klWeightAt(progress, config));
    const loss: tf.Scalar =
      config.diversity === 0 ? divergence : tf.add(divergence, tf.mul(lackOfDiversity(logits), config.diversity));
    return { codes: codesOfDraw(p, weights, ids, config), ids: asColumn(ids), loss };
  },
  encode: (p, latents, config) => asColumn(tf.argMax(logitsOf(p, latents, config), 1)),
  decode: (p, ids) => tf.gather(codebookOf(p), fromColumn(ids)),
};
