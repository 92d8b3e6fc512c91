// Vector quantization with a codebook of exponential moving averages (van den Oord et al., arXiv:1711.00937, appendix A.1).
// Unused codes are restarted from the data (Dhariwal et al., arXiv:2005.00341), and the rate can have a weight
// (entropy-constrained VQ: Chou, Lookabaugh and Gray, 1989).
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import { weight } from '../../src/model/layer.js';
import { ONES, ZEROS } from '../../src/model/params.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import {
  CODEBOOK_FIELDS,
  codebookSpec,
  codesOf,
  decodeIds,
  encodeLatents,
  lookUp,
  outOfSpace,
  normalizeRows,
  spaceSpecs,
  startCodebook,
  widthOf,
} from './codebook.js';
import { asColumn } from './nearest.js';
import { randomRows } from './start.js';

/** Configs of models trained by earlier versions call the rate weight `entropyPrice`. */
function withRateWeight(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || !('entropyPrice' in json)) return json;
  const { entropyPrice, ...rest } = json;
  return { rateWeight: entropyPrice, ...rest };
}

export const EmaVqConfigSchema = z.preprocess(
  withRateWeight,
  z.strictObject({
    name: z.literal('ema-vq').default('ema-vq'),
    ...CODEBOOK_FIELDS,
    /**
     * Weight of the rate in rate-distortion optimized code choice: the cost of one nat of code length, in units of the
     * mean squared distance between latents and codes. Above 0 the codes take fewer bits and are less exact; near 1 few
     * codes are used.
     */
    rateWeight: z.number().min(0).max(1).default(0),
  }),
);

export type EmaVqConfig = z.infer<typeof EmaVqConfigSchema>;

/** Running statistics, which the gradient does not train: codebook [K, D], count [K] (mean uses in a batch), sum [K, D], squared distance of latents to their codes [1]. */
function stateSpecs(config: EmaVqConfig): ParamSpecs {
  return {
    codebook: codebookSpec(config),
    emaCount: { shape: [config.codebookSize], init: ONES },
    emaSum: codebookSpec(config),
    emaDistance: { shape: [1], init: ZEROS },
  };
}

/** The cost of each code by the running frequencies of the codes. float32 [K]. */
export function rateCosts(p: Params, { rateWeight }: EmaVqConfig): tf.Tensor1D | undefined {
  if (rateWeight === 0) return undefined;
  const smoothed = tf.add(weight<tf.Rank.R1>(p, 'emaCount'), 1e-2);
  const nats = tf.neg(tf.log(tf.div(smoothed, tf.sum(smoothed))));
  return tf.mul(nats, tf.mul(weight<tf.Rank.R1>(p, 'emaDistance'), rateWeight));
}

/**
 * Moves each code towards the mean of its latents, and restarts unused codes at random latents of this batch.
 *
 * @param latents float32 [N, D] and `codes` [N, D], both detached; ids int32 [N].
 */
function updateCodebook(
  p: Params,
  { latents, codes, ids }: { latents: tf.Tensor2D; codes: tf.Tensor2D; ids: tf.Tensor1D },
  key: RandomKey,
  config: EmaVqConfig,
): void {
  const { codebookSize: K, emaDecay, restartBelow } = config;
  const rows = latents.shape[0];
  const average = <T extends tf.Tensor>(old: T, now: T): T => tf.add(tf.mul(old, emaDecay), tf.mul(now, 1 - emaDecay));
  const [emaDistance, emaCount] = [weight<tf.Rank.R1>(p, 'emaDistance'), weight<tf.Rank.R1>(p, 'emaCount')];
  const emaSum = weight<tf.Rank.R2>(p, 'emaSum');
  const uses: tf.Tensor1D = tf.unsortedSegmentSum(tf.ones([rows]), ids, K); // [K]
  const sums: tf.Tensor2D = tf.unsortedSegmentSum(latents, ids, K); // [K, D]
  let count: tf.Tensor1D = average(emaCount, uses);
  let sum: tf.Tensor2D = average(emaSum, sums);

  if (restartBelow > 0) {
    const evenShare = rows / K;
    const dead = tf.less(count, restartBelow * evenShare); // [K]
    const fresh = tf.gather(latents, randomRows(key, K, rows, 'quantizer.restart')); // [K, D]
    count = tf.where(dead, tf.fill([K], evenShare), count);
    sum = tf.where(tf.reshape(dead, [K, 1]), tf.mul(fresh, evenShare), sum);
  }
  const distance: tf.Tensor1D = tf.mean(tf.sum(tf.squaredDifference(latents, codes), -1), 0, true); // [1]
  emaDistance.assign(average(emaDistance, distance));
  emaCount.assign(count);
  emaSum.assign(sum);
  // Laplace smoothing keeps codes with a count near 0 finite.
  const total = tf.sum(count);
  const smoothed = tf.mul(tf.div(tf.add(count, 1e-5), tf.add(total, K * 1e-5)), total);
  weight<tf.Rank.R2>(p, 'codebook').assign(normalizeRows(tf.div(sum, tf.reshape(smoothed, [K, 1])), config));
}

/** The EMA quantizer as codecs know it. */
export const emaVq: QuantizerFamily<EmaVqConfig> = {
  name: 'ema-vq',
  parseConfig: (json) => parseConfig('quantizer ema-vq', EmaVqConfigSchema, json),
  width: widthOf,
  vocabSize: ({ codebookSize }) => codebookSize,
  trainable: spaceSpecs,
  state: stateSpecs,
  initialize: (p, latents, key, config) => {
    const codes = startCodebook(p, latents, key, config);
    const evenShare = latents.shape[0] / config.codebookSize;
    weight<tf.Rank.R1>(p, 'emaCount').assign(tf.fill([config.codebookSize], evenShare));
    weight<tf.Rank.R2>(p, 'emaSum').assign(tf.mul(codes, evenShare));
  },
  train: (p, rows, { key }, config) => {
    const { latents, detached, ids } = lookUp(p, rows, config, rateCosts(p, config));
    const codes: tf.Tensor2D = stopGradient(tf.gather(codesOf(p, config), ids)); // [N, D]
    const loss: tf.Scalar = tf.mul(config.commitment, tf.mean(tf.squaredDifference(latents, codes)));
    updateCodebook(p, { latents: detached, codes, ids }, key, config);
    return { codes: outOfSpace(p, latents, codes, config), ids: asColumn(ids), loss };
  },
  encode: (p, latents, config) => encodeLatents(p, latents, config, rateCosts(p, config)),
  decode: decodeIds,
};
