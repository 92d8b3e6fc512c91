// Vector quantization with a codebook that follows the encoder by exponential moving averages
// (van den Oord et al., arXiv:1711.00937, appendix A.1), unused codes restarted from the data (Dhariwal et al.,
// arXiv:2005.00341), and an optional price on rare codes (entropy-constrained VQ: Chou, Lookabaugh and Gray, 1989).
import { z } from 'zod';
import { ShapeError } from '../../src/errors.js';
import { randomUniform, stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { ZEROS } from '../../src/nn/params.js';
import type { Params, ParamSpecs } from '../../src/nn/params.js';

export const EmaVqConfigSchema = z.strictObject({
  /** Number of codes, K. */
  codebookSize: z.int().min(2).max(65536).default(512),
  /** Width of a code, D. */
  codeDim: z.int().min(1).max(1024).default(64),
  /** Weight of the loss that holds the encoder near its codes. */
  commitment: z.number().min(0).default(0.25),
  /** Decay of the moving averages a step. */
  emaDecay: z.number().min(0).max(1).default(0.99),
  /** A code used less than this fraction of an even share is restarted; 0 never restarts. */
  restartBelow: z.number().min(0).max(1).default(0.05),
  /** Price of one nat of code length, in units of the mean squared distance between latents and codes; above 0 the codes cost fewer bits and are less exact, near 1 few are left. */
  entropyPrice: z.number().min(0).max(1).default(0),
});

export type EmaVqConfig = z.infer<typeof EmaVqConfigSchema>;

/** Running statistics, not trained by gradient: codebook [K, D], count [K] (mean uses a batch), sum [K, D], squared distance of latents to their codes [1]. */
export function emaVqSpecs({ codebookSize: K, codeDim: D }: EmaVqConfig): ParamSpecs {
  return {
    'quantizer.codebook': { shape: [K, D], init: { kind: 'normal', std: 1 / Math.sqrt(D) } },
    'quantizer.emaCount': { shape: [K], init: { kind: 'constant', value: 1 } },
    'quantizer.emaSum': { shape: [K, D], init: { kind: 'normal', std: 1 / Math.sqrt(D) } },
    'quantizer.emaDistance': { shape: [1], init: ZEROS },
  };
}

/**
 * Assigns each latent to its nearest codebook row.
 *
 * @param latents  float32 [N, D], unbounded.
 * @param codebook float32 [K, D].
 * @param price    float32 [K], added to the squared distance of each code; absent for plain nearest codes.
 * @returns int32 [N], each id in [0, K).
 * @throws {ShapeError} E_VQ_DIM when the last axes differ.
 *
 * Ties take the lowest id. No gradient: pair with {@link straightThrough} in training.
 * Source: van den Oord et al., arXiv:1711.00937, section 3.1.
 */
export function nearestCode(latents: tf.Tensor2D, codebook: tf.Tensor2D, price?: tf.Tensor1D): tf.Tensor1D {
  if (latents.shape[1] !== codebook.shape[1]) {
    throw new ShapeError('E_VQ_DIM', `nearestCode(latents): expected last axis ${codebook.shape[1]}, received [${latents.shape.join(', ')}]. Encoder and codebook must use the same codeDim.`);
  }
  // |z|^2 is the same for every code and is left out: |e|^2 - 2 z.e decides.
  const norms = tf.sum(tf.square(codebook), 1);
  const offset = price ? tf.add(norms, price) : norms;
  const distances = tf.sub(offset, tf.matMul(tf.mul(latents, 2), codebook, false, true)); // [N, K]
  return tf.argMin(distances, 1);
}

/** Values of `codes`, gradient of `latents`. */
export function straightThrough<T extends tf.Tensor>(latents: T, codes: tf.Tensor): T {
  return tf.add(latents, stopGradient(tf.sub(codes, latents)));
}

/** What coding with each code costs under the running use of the codes. float32 [K]. */
export function codePrice(p: Params, config: EmaVqConfig): tf.Tensor1D | undefined {
  if (config.entropyPrice === 0) return undefined;
  const smoothed = tf.add(p['quantizer.emaCount']!, 1e-2);
  const nats = tf.neg(tf.log(tf.div(smoothed, tf.sum(smoothed))));
  return tf.mul(nats, tf.mul(p['quantizer.emaDistance']!, config.entropyPrice));
}

/** float32 [B, H, W, D] -> int32 [B, H, W]. */
export function quantize(p: Params, latents: tf.Tensor4D, config: EmaVqConfig): tf.Tensor3D {
  const flat = tf.reshape(latents, [-1, config.codeDim]) as tf.Tensor2D;
  const ids = nearestCode(flat, p['quantizer.codebook'] as unknown as tf.Tensor2D, codePrice(p, config));
  return tf.reshape(ids, latents.shape.slice(0, 3) as [number, number, number]);
}

/** int32 [B, H, W] -> float32 [B, H, W, D]. */
export function lookup(p: Params, ids: tf.Tensor): tf.Tensor4D {
  return tf.gather(p['quantizer.codebook']!, ids) as tf.Tensor4D;
}

export interface QuantizedBatch {
  /** float32 [B, H, W, D]: codes in the forward pass, the latents' gradient in the backward pass. */
  straight: tf.Tensor4D;
  /** float32 [N, D]: the codes, detached. */
  codes: tf.Tensor2D;
  /** int32 [N]. */
  ids: tf.Tensor1D;
  /** float32 [N, D], detached. */
  latents: tf.Tensor2D;
  /** Scalar, weighted. */
  loss: tf.Scalar;
}

/** Quantizes a training batch. Call {@link updateCodebook} with the result in the same step. */
export function quantizeForTraining(p: Params, latents: tf.Tensor4D, config: EmaVqConfig): QuantizedBatch {
  const flat = tf.reshape(latents, [-1, config.codeDim]) as tf.Tensor2D; // [N, D]
  const detached = stopGradient(flat);
  const ids = nearestCode(detached, p['quantizer.codebook'] as unknown as tf.Tensor2D, codePrice(p, config));
  const codes = stopGradient(tf.gather(p['quantizer.codebook']!, ids)) as tf.Tensor2D;
  const loss = tf.mul(config.commitment, tf.mean(tf.squaredDifference(flat, codes))) as tf.Scalar;
  return { straight: tf.reshape(straightThrough(flat, codes), latents.shape), codes, ids, latents: detached, loss };
}

/**
 * Moves the codebook towards the mean of the latents assigned to each code; restarts codes that died on random latents
 * of this batch. Assigns the quantizer's variables.
 */
export function updateCodebook(p: Params, batch: QuantizedBatch, key: RandomKey, config: EmaVqConfig): void {
  const { codebookSize: K, emaDecay, restartBelow } = config;
  const rows = batch.latents.shape[0];
  const average = (old: tf.Tensor, now: tf.Tensor): tf.Tensor => tf.add(tf.mul(old, emaDecay), tf.mul(now, 1 - emaDecay));
  const uses = tf.unsortedSegmentSum(tf.ones([rows]) as tf.Tensor1D, batch.ids, K); // [K]
  const sums = tf.unsortedSegmentSum(batch.latents, batch.ids, K); // [K, D]
  let count = average(p['quantizer.emaCount']!, uses);
  let sum = average(p['quantizer.emaSum']!, sums);

  if (restartBelow > 0) {
    const evenShare = rows / K;
    const dead = tf.less(count, restartBelow * evenShare); // [K]
    const picks = tf.cast(tf.floor(tf.mul(randomUniform(key, [K], 'quantizer.restart'), rows)), 'int32');
    const fresh = tf.gather(batch.latents, picks); // [K, D]
    count = tf.where(dead, tf.fill([K], evenShare), count);
    sum = tf.where(tf.reshape(dead, [K, 1]), tf.mul(fresh, evenShare), sum);
  }
  const distance = tf.mean(tf.sum(tf.squaredDifference(batch.latents, batch.codes), -1), 0, true); // [1]
  p['quantizer.emaDistance']!.assign(average(p['quantizer.emaDistance']!, distance) as tf.Tensor1D);
  p['quantizer.emaCount']!.assign(count as tf.Tensor1D);
  p['quantizer.emaSum']!.assign(sum as tf.Tensor2D);
  // Laplace smoothing keeps a code with a vanishing count finite.
  const total = tf.sum(count);
  const smoothed = tf.mul(tf.div(tf.add(count, 1e-5), tf.add(total, K * 1e-5)), total);
  p['quantizer.codebook']!.assign(tf.div(sum, tf.reshape(smoothed, [K, 1])) as tf.Tensor2D);
}

/** Starts the codebook from random latents of the data. latents float32 [N, D]; assigns the quantizer's variables. */
export function startCodebook(p: Params, latents: tf.Tensor2D, key: RandomKey, { codebookSize: K }: EmaVqConfig): void {
  const rows = latents.shape[0];
  const picks = tf.cast(tf.floor(tf.mul(randomUniform(key, [K], 'quantizer.start'), rows)), 'int32');
  const codes = tf.gather(latents, picks);
  p['quantizer.codebook']!.assign(codes);
  p['quantizer.emaCount']!.assign(tf.fill([K], rows / K));
  p['quantizer.emaSum']!.assign(tf.mul(codes, rows / K));
}
