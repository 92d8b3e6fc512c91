// Vector quantization with a codebook trained by its loss (van den Oord et al., arXiv:1711.00937, section 3.2). Unused
// codes are restarted from the data (Dhariwal et al., arXiv:2005.00341).
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import { weight } from '../../src/model/layer.js';
import { ONES } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import type { QuantizerFamily, TrainingMoment } from '../../src/model/quantizer.js';
import {
  CODEBOOK_FIELDS,
  codebookSpec,
  codesOf,
  decodeIds,
  encodeLatents,
  lookUp,
  outOfSpace,
  spaceSpecs,
  startCodebook,
  widthOf,
} from './codebook.js';
import type { Lookup } from './codebook.js';
import { asColumn } from './nearest.js';
import { randomRows } from './start.js';

export const VqConfigSchema = z.strictObject({
  name: z.literal('vq').default('vq'),
  ...CODEBOOK_FIELDS,
});

export type VqConfig = z.infer<typeof VqConfigSchema>;

/** Counts the uses of codes, and restarts unused ones at random latents of this batch. */
function restartDeadCodes(
  p: Params,
  { detached, ids }: Lookup,
  { key }: TrainingMoment,
  { codebookSize: K, emaDecay, restartBelow }: VqConfig,
): void {
  const rows = detached.shape[0];
  const emaCount = weight<tf.Rank.R1>(p, 'emaCount');
  const codebook = weight<tf.Rank.R2>(p, 'codebook');
  const uses = tf.unsortedSegmentSum(tf.ones([rows]), ids, K); // [K]
  const count: tf.Tensor1D = tf.add(tf.mul(emaCount, emaDecay), tf.mul(uses, 1 - emaDecay));
  if (restartBelow === 0) return emaCount.assign(count);
  const evenShare = rows / K;
  const dead = tf.less(count, restartBelow * evenShare); // [K]
  const fresh = tf.gather(detached, randomRows(key, K, rows, 'quantizer.restart')); // [K, D]
  emaCount.assign(tf.where(dead, tf.fill([K], evenShare), count));
  codebook.assign(tf.where(tf.reshape(dead, [K, 1]), fresh, codebook));
}

/** The quantizer with a trained codebook as codecs know it. Its state is the mean number of uses of each code in a batch, [K]. */
export const vq: QuantizerFamily<VqConfig> = {
  name: 'vq',
  parseConfig: (json) => parseConfig('quantizer vq', VqConfigSchema, json),
  width: widthOf,
  vocabSize: ({ codebookSize }) => codebookSize,
  trainable: (config) => ({ codebook: codebookSpec(config), ...spaceSpecs(config) }),
  state: ({ codebookSize: K }) => ({ emaCount: { shape: [K], init: ONES } }),
  initialize: (p, latents, key, config) => {
    startCodebook(p, latents, key, config);
    weight<tf.Rank.R1>(p, 'emaCount').assign(tf.fill([config.codebookSize], latents.shape[0] / config.codebookSize));
  },
  train: (p, rows, moment, config) => {
    const found = lookUp(p, rows, config);
    const { latents, detached, ids } = found;
    const codes: tf.Tensor2D = tf.gather(codesOf(p, config), ids); // [N, D]
    const fixed = stopGradient(codes);
    const codebookLoss = tf.mean(tf.squaredDifference(detached, codes));
    const commitmentLoss = tf.mean(tf.squaredDifference(latents, fixed));
    restartDeadCodes(p, found, moment, config);
    return {
      codes: outOfSpace(p, latents, fixed, config),
      ids: asColumn(ids),
      loss: tf.add(codebookLoss, tf.mul(commitmentLoss, config.commitment)),
    };
  },
  encode: encodeLatents,
  decode: decodeIds,
};
