// Vector quantization with a codebook trained by its loss (van den Oord et al., arXiv:1711.00937, section 3.2). Unused
// codes are restarted from the data (Dhariwal et al., arXiv:2005.00341).
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
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
  const uses = tf.unsortedSegmentSum(tf.ones([rows]) as tf.Tensor1D, ids, K); // [K]
  const count = tf.add(tf.mul(p.emaCount!, emaDecay), tf.mul(uses, 1 - emaDecay)) as tf.Tensor1D;
  if (restartBelow === 0) return p.emaCount!.assign(count);
  const evenShare = rows / K;
  const dead = tf.less(count, restartBelow * evenShare); // [K]
  const fresh = tf.gather(detached, randomRows(key, K, rows, 'quantizer.restart')); // [K, D]
  p.emaCount!.assign(tf.where(dead, tf.fill([K], evenShare), count) as tf.Tensor1D);
  p.codebook!.assign(tf.where(tf.reshape(dead, [K, 1]), fresh, p.codebook as tf.Tensor) as tf.Tensor2D);
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
    p.emaCount!.assign(tf.fill([config.codebookSize], latents.shape[0] / config.codebookSize));
  },
  train: (p, rows, moment, config) => {
    const found = lookUp(p, rows, config);
    const { latents, detached, ids } = found;
    const codes = tf.gather(codesOf(p, config), ids) as tf.Tensor2D; // [N, D]
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
