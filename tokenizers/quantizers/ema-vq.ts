// Vector quantization with a codebook that follows the encoder by exponential moving averages
// (van den Oord et al., arXiv:1711.00937, appendix A.1), unused codes restarted from the data (Dhariwal et al.,
// arXiv:2005.00341), and an optional price on rare codes (entropy-constrained VQ: Chou, Lookabaugh and Gray, 1989).
import { z } from 'zod';
import { randomUniform, stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { parseConfig } from '../../src/nn/config.js';
import { ZEROS } from '../../src/nn/params.js';
import type { Params, ParamSpecs } from '../../src/nn/params.js';
import type { QuantizerFamily } from '../../src/nn/quantizer.js';
import { asColumn, fromColumn, nearestCode, straightThrough } from './nearest.js';

export const EmaVqConfigSchema = z.strictObject({
  name: z.literal('ema-vq').default('ema-vq'),
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
function stateSpecs({ codebookSize: K, codeDim: D }: EmaVqConfig): ParamSpecs {
  return {
    codebook: { shape: [K, D], init: { kind: 'normal', std: 1 / Math.sqrt(D) } },
    emaCount: { shape: [K], init: { kind: 'constant', value: 1 } },
    emaSum: { shape: [K, D], init: { kind: 'normal', std: 1 / Math.sqrt(D) } },
    emaDistance: { shape: [1], init: ZEROS },
  };
}

const codebookOf = (p: Params): tf.Tensor2D => p.codebook as unknown as tf.Tensor2D;

/** What coding with each code costs under the running use of the codes. float32 [K]. */
export function codePrice(p: Params, { entropyPrice }: EmaVqConfig): tf.Tensor1D | undefined {
  if (entropyPrice === 0) return undefined;
  const smoothed = tf.add(p.emaCount!, 1e-2);
  const nats = tf.neg(tf.log(tf.div(smoothed, tf.sum(smoothed))));
  return tf.mul(nats, tf.mul(p.emaDistance!, entropyPrice));
}

/**
 * Moves the codebook towards the mean of the latents assigned to each code; restarts codes that died on random latents
 * of this batch.
 *
 * @param latents float32 [N, D] and `codes` [N, D], both detached; ids int32 [N].
 */
function updateCodebook(p: Params, { latents, codes, ids }: { latents: tf.Tensor2D; codes: tf.Tensor2D; ids: tf.Tensor1D }, key: RandomKey, config: EmaVqConfig): void {
  const { codebookSize: K, emaDecay, restartBelow } = config;
  const rows = latents.shape[0];
  const average = (old: tf.Tensor, now: tf.Tensor): tf.Tensor => tf.add(tf.mul(old, emaDecay), tf.mul(now, 1 - emaDecay));
  const uses = tf.unsortedSegmentSum(tf.ones([rows]) as tf.Tensor1D, ids, K); // [K]
  const sums = tf.unsortedSegmentSum(latents, ids, K); // [K, D]
  let count = average(p.emaCount!, uses);
  let sum = average(p.emaSum!, sums);

  if (restartBelow > 0) {
    const evenShare = rows / K;
    const dead = tf.less(count, restartBelow * evenShare); // [K]
    const picks = tf.cast(tf.floor(tf.mul(randomUniform(key, [K], 'quantizer.restart'), rows)), 'int32');
    const fresh = tf.gather(latents, picks); // [K, D]
    count = tf.where(dead, tf.fill([K], evenShare), count);
    sum = tf.where(tf.reshape(dead, [K, 1]), tf.mul(fresh, evenShare), sum);
  }
  const distance = tf.mean(tf.sum(tf.squaredDifference(latents, codes), -1), 0, true); // [1]
  p.emaDistance!.assign(average(p.emaDistance!, distance) as tf.Tensor1D);
  p.emaCount!.assign(count as tf.Tensor1D);
  p.emaSum!.assign(sum as tf.Tensor2D);
  // Laplace smoothing keeps a code with a vanishing count finite.
  const total = tf.sum(count);
  const smoothed = tf.mul(tf.div(tf.add(count, 1e-5), tf.add(total, K * 1e-5)), total);
  p.codebook!.assign(tf.div(sum, tf.reshape(smoothed, [K, 1])) as tf.Tensor2D);
}

/** The EMA quantizer as codecs know it. */
export const emaVq: QuantizerFamily<EmaVqConfig> = {
  name: 'ema-vq',
  parseConfig: (json) => parseConfig('quantizer ema-vq', EmaVqConfigSchema, json),
  width: ({ codeDim }) => codeDim,
  depth: () => 1,
  vocabSize: ({ codebookSize }) => codebookSize,
  trainable: () => ({}),
  state: stateSpecs,
  /** The codebook starts from random latents of the data. */
  initialize: (p, latents, key, { codebookSize: K }) => {
    const rows = latents.shape[0];
    const picks = tf.cast(tf.floor(tf.mul(randomUniform(key, [K], 'quantizer.start'), rows)), 'int32');
    const codes = tf.gather(latents, picks);
    p.codebook!.assign(codes);
    p.emaCount!.assign(tf.fill([K], rows / K));
    p.emaSum!.assign(tf.mul(codes, rows / K));
  },
  train: (p, latents, { key }, config) => {
    const detached = stopGradient(latents);
    const ids = nearestCode(detached, codebookOf(p), codePrice(p, config));
    const codes = stopGradient(tf.gather(codebookOf(p), ids)) as tf.Tensor2D;
    const loss = tf.mul(config.commitment, tf.mean(tf.squaredDifference(latents, codes))) as tf.Scalar;
    updateCodebook(p, { latents: detached, codes, ids }, key, config);
    return { codes: straightThrough(latents, codes), ids: asColumn(ids), loss };
  },
  encode: (p, latents, config) => asColumn(nearestCode(latents, codebookOf(p), codePrice(p, config))),
  decode: (p, ids) => tf.gather(codebookOf(p), fromColumn(ids)),
};
