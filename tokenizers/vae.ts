// The VAE: Gaussian latents instead of codes, trained on the evidence lower bound, in bits per dimension of 8-bit pixels.
// Kingma and Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114; pixels as intervals of a logistic distribution:
// Salimans et al., "PixelCNN++", arXiv:1701.05517, section 2.1, with one component.
import { z } from 'zod';
import { randomNormal, tf } from '../src/engine/index.js';
import type { RandomKey } from '../src/engine/index.js';
import { UsageError } from '../src/errors.js';
import { parseConfig } from '../src/model/config.js';
import type { CodecBatch, CodecFamily, CodecLosses } from '../src/model/codec.js';
import { normalizedError } from '../src/losses/reconstruction.js';
import { named, weight } from '../src/model/layer.js';
import type { Layer } from '../src/model/layer.js';
import { linear } from '../src/nn/linear.js';
import { ZEROS } from '../src/model/params.js';
import type { Params, ParamSpecs } from '../src/model/params.js';
import { inputOf } from './family.js';
import { decoder, encoder, networkFields, imageFields, refuseBadNetwork } from './networks.js';

const VaeConfigSchema = z
  .strictObject({
    ...imageFields,
    ...networkFields,
    /** A vector of `size` for the whole image, or a grid of vectors of `size`, one for each `downsample` x `downsample` pixels. */
    latent: z
      .strictObject({ kind: z.enum(['vector', 'grid']).default('vector'), size: z.int().min(1).max(1024).default(32) })
      .prefault({}),
    /** The scale of the pixels' distributions: predicted for every pixel, or one number for each channel, which weighs all pixels equally and needs more bits. */
    scale: z.enum(['pixel', 'channel']).default('pixel'),
    /** Weight of the KL term in the loss (Higgins et al., ICLR 2017). Reported bits are those of a weight of 1. */
    beta: z.number().min(0).default(1),
    /** Fraction of the training over which that weight grows from 0, which avoids unused latents. */
    warmup: z.number().min(0).max(1).default(0),
  })
  .superRefine(refuseBadNetwork);

export type VaeConfig = z.infer<typeof VaeConfigSchema>;

/** The approximate posterior, both float32 [B, ...shape of the latents]. */
interface Posterior {
  means: tf.Tensor;
  logVariances: tf.Tensor;
}

/** The distributions of the pixels, both float32 [B, H, W, C] or of a shape that broadcasts to it. */
interface Pixels {
  means: tf.Tensor4D;
  logScales: tf.Tensor;
}

/** Rows, columns and channels between the networks and the latents. */
function innerShape(c: VaeConfig, grid: number): [number, number, number] {
  // A vector is computed from all positions: half of the hidden channels limit the size of that matrix.
  return [
    c.height / c.downsample,
    c.width / c.downsample,
    c.latent.kind === 'grid' ? grid : Math.max(1, Math.floor(c.hidden / 2)),
  ];
}

const latentShape = (c: VaeConfig): number[] =>
  c.latent.kind === 'vector' ? [c.latent.size] : innerShape(c, c.latent.size);

const sizeOfInner = (c: VaeConfig): number => innerShape(c, 0).reduce((product, size) => product * size);

/** The layers, each with the weights that its key names. */
function networksOf(c: VaeConfig): Record<'encoder' | 'posterior' | 'latents' | 'decoder', Layer> {
  const { kind, size } = c.latent;
  const outputs = c.scale === 'pixel' ? 2 * c.channels : c.channels;
  return named({
    // Posteriors start near the prior, where the KL term is close to 0.
    encoder: encoder(c, c.channels, innerShape(c, 2 * size)[2], kind === 'vector' ? 1 : 0.1),
    posterior: linear(sizeOfInner(c), 2 * size, { gain: 0.1 }),
    latents: linear(size, sizeOfInner(c), { gain: Math.SQRT1_2 }),
    decoder: decoder(c, innerShape(c, size)[2], outputs, 0.1),
  });
}

function trainableSpecs(c: VaeConfig): ParamSpecs {
  const networks = networksOf(c);
  return {
    ...networks.encoder.params,
    ...(c.latent.kind === 'vector' && { ...networks.posterior.params, ...networks.latents.params }),
    ...networks.decoder.params,
    ...(c.scale === 'channel' && { 'pixels.logScale': { shape: [c.channels], init: ZEROS } }),
  };
}

/** Bound of the log variances, which keeps their exponentials and the KL term finite. */
const MAX_LOG_VARIANCE = 12;

/** float32 [B, H, W, C] in [-1, 1] -> the posterior of their latents. */
function posterior(p: Params, images: tf.Tensor4D, c: VaeConfig): Posterior {
  const networks = networksOf(c);
  const x = networks.encoder.apply(p, images);
  const both = c.latent.kind === 'grid' ? x : networks.posterior.apply(p, tf.relu(tf.reshape(x, [-1, sizeOfInner(c)])));
  const [means, logVariances] = tf.split(both, 2, -1) as [tf.Tensor, tf.Tensor];
  return { means, logVariances: tf.clipByValue(logVariances, -MAX_LOG_VARIANCE, MAX_LOG_VARIANCE) };
}

/** z = mean + deviation * noise, a sample that passes the gradient to both. */
function sampled({ means, logVariances }: Posterior, key: RandomKey): tf.Tensor {
  return tf.add(means, tf.mul(tf.exp(tf.mul(logVariances, 0.5)), randomNormal(key, means.shape, 'vae.latents')));
}

/** Nats from the posterior to the standard normal prior, float32 [B]. */
function divergence({ means, logVariances }: Posterior): tf.Tensor1D {
  const each = tf.sub(tf.add(tf.square(means), tf.exp(logVariances)), tf.add(logVariances, 1));
  return tf.mul(tf.sum(tf.reshape(each, [means.shape[0], -1]), 1), 0.5);
}

/** Below e^-7, almost all of a distribution lies in one gray level. */
const MIN_LOG_SCALE = -7;

/** float32 [B, ..shape of the latents] -> the distributions of the pixels. */
function pixels(p: Params, latents: tf.Tensor, c: VaeConfig): Pixels {
  const networks = networksOf(c);
  const inner: tf.Tensor4D =
    c.latent.kind === 'grid'
      ? (latents as tf.Tensor4D)
      : tf.reshape(tf.relu(networks.latents.apply(p, latents)), [-1, ...innerShape(c, 0)]);
  const output: tf.Tensor4D = networks.decoder.apply(p, inner);
  const [means, raw] = (c.scale === 'pixel' ? tf.split(output, 2, -1) : [output, weight(p, 'pixels.logScale')]) as [
    tf.Tensor4D,
    tf.Tensor,
  ];
  return { means, logScales: tf.add(tf.softplus(tf.sub(raw, MIN_LOG_SCALE)), MIN_LOG_SCALE) };
}

/**
 * Nats of images of 8-bit pixels. Each pixel has the probability that the logistic distribution gives to the interval that rounds
 * to it. Black and white include the tails, so that all 256 probabilities sum to 1.
 *
 * @param images float32 [B, H, W, C] of k / 127.5 - 1, k from 0 to 255.
 * @returns float32 [B].
 */
export function pixelNats(images: tf.Tensor4D, { means, logScales }: Pixels): tf.Tensor1D {
  const half = 1 / 255;
  const inverse = tf.exp(tf.neg(logScales));
  const offset = tf.sub(images, means);
  const upper = tf.mul(tf.add(offset, half), inverse);
  const lower = tf.mul(tf.sub(offset, half), inverse);
  // With s the sigmoid: s(u) - s(l) = s(u) (1 - s(l)) (1 - exp(l - u)). Every factor has a logarithm that is exact in its tails.
  const isBlack = tf.cast(tf.less(images, -1 + half), 'float32');
  const isWhite = tf.cast(tf.greater(images, 1 - half), 'float32');
  const belowUpper = tf.mul(tf.softplus(tf.neg(upper)), tf.sub(1, isWhite));
  const aboveLower = tf.mul(tf.softplus(lower), tf.sub(1, isBlack));
  const narrow = tf.log(tf.neg(tf.expm1(tf.mul(inverse, -2 * half))));
  const between = tf.mul(narrow, tf.sub(1, tf.add(isBlack, isWhite)));
  return tf.sum(tf.sub(tf.add(belowUpper, aboveLower), between), [1, 2, 3]);
}

/**
 * The expected image, with pixels clipped to black and white. With s the scale and m the mean,
 * E[clip(x, -1, 1)] = -1 + s (softplus((m + 1) / s) - softplus((m - 1) / s)).
 *
 * @returns float32 [B, H, W, C] in [-1, 1]. The means themselves may lie far outside.
 */
export function expectedImages({ means, logScales }: Pixels): tf.Tensor4D {
  const scales = tf.exp(logScales);
  const above = (level: number): tf.Tensor => tf.softplus(tf.div(tf.sub(means, level), scales));
  return tf.sub(tf.mul(scales, tf.sub(above(-1), above(1))), 1);
}

const dimensions = ({ height, width, channels }: VaeConfig): number => height * width * channels;

/** Converts nats to bits. */
const bits = <T extends tf.Tensor>(nats: T): T => tf.div(nats, Math.LN2);

/** Both parts of the negative evidence lower bound of each image, in nats, estimated by one sample of its latents; float32 [B]. */
function bound(
  p: Params,
  images: tf.Tensor4D,
  key: RandomKey,
  c: VaeConfig,
): { reconstruction: tf.Tensor1D; kl: tf.Tensor1D; means: tf.Tensor4D } {
  const q = posterior(p, images, c);
  const decoded = pixels(p, sampled(q, key), c);
  return { reconstruction: pixelNats(images, decoded), kl: divergence(q), means: expectedImages(decoded) };
}

/** The training objective: the bound in bits per dimension, with a weighted KL term. */
function vaeLoss(
  p: Params,
  { inputs, dataVariance, key, progress }: CodecBatch<tf.Tensor4D>,
  c: VaeConfig,
): CodecLosses<tf.Tensor4D> {
  const { reconstruction, kl, means } = bound(p, inputs, key, c);
  const perDimension = (nats: tf.Tensor1D): tf.Scalar => bits(tf.div(tf.mean(nats), dimensions(c)));
  const [pixelBits, klBits] = [perDimension(reconstruction), perDimension(kl)];
  const weight = c.warmup > 0 ? tf.mul(tf.minimum(tf.div(progress, c.warmup), 1), c.beta) : c.beta;
  return {
    loss: tf.add(pixelBits, tf.mul(klBits, weight)),
    nmse: normalizedError(means, inputs, dataVariance),
    reconstruction: means,
    terms: { bitsPerDim: tf.add(pixelBits, klBits), klBitsPerDim: klBits },
  };
}

const decodeLatents = (p: Params, latents: tf.Tensor, c: VaeConfig): tf.Tensor4D =>
  expectedImages(pixels(p, latents, c));

/** The VAE as the registry knows it. */
export const vae: CodecFamily<VaeConfig, tf.Tensor4D> = {
  name: 'vae',
  medium: 'image',
  parseConfig: (json) => parseConfig('vae', VaeConfigSchema, json),
  input: inputOf,
  maps: () => [],
  trainable: trainableSpecs,
  state: () => ({}),
  initialize: () => {},
  loss: vaeLoss,
  lastLayer: (c) => networksOf(c).decoder.output!,
  encode: () => [],
  decode: () => {
    throw new UsageError('E_NO_CODES', 'vae: expected a codec with codes, received one with continuous latents.');
  },
  latents: {
    shapes: (c) => [latentShape(c)],
    encode: (p, images, c) => [posterior(p, images, c).means],
    decode: (p, [latents], c) => decodeLatents(p, latents!, c),
  },
  /** Estimates of the bound with one sample of the latents: total bits per dimension, and bits of the latents of an image. */
  figure: { name: 'bitsPerDim', unit: 'bits per dimension' },
  measures: (p, images, key, c) => {
    const { reconstruction, kl } = bound(p, images, key, c);
    return { bitsPerDim: bits(tf.div(tf.add(reconstruction, kl), dimensions(c))), klBits: bits(kl) };
  },
  exports: (p, c, samples) => ({
    encoder: {
      fn: (images) => {
        const { means, logVariances } = posterior(p, images as tf.Tensor4D, c);
        return [means, logVariances];
      },
      inputs: [{ ...samples, shape: [1, c.height, c.width, c.channels], dtype: 'float32' }],
      outputs: [
        { name: 'means', meaning: 'of the latents' },
        { name: 'log_variances', meaning: 'of the latents, natural logarithms' },
      ],
      dynamicBatch: true,
    },
    decoder: {
      fn: (latents) => decodeLatents(p, latents, c),
      inputs: [
        {
          name: 'latents',
          meaning: 'means as the encoder gives them, or draws around them',
          shape: [1, ...latentShape(c)],
          dtype: 'float32',
        },
      ],
      outputs: [samples],
      dynamicBatch: true,
    },
  }),
};
