// Grouped (multi-head) quantization: the channels of a latent are split, and each group has its own codes. K codes in each group
// correspond to K^groups in one codebook (Jegou, Douze and Schmid, "Product quantization", TPAMI 2011).
import { z } from 'zod';
import { tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { allSpecs, columns, NestedConfigsSchema, nestedQuantizers, problemWithNested, totalLevels } from './nested.js';
import type { Quantizer } from './quantizer.js';

export const GroupedConfigSchema = z
  .strictObject({
    name: z.literal('grouped').default('grouped'),
    /** Number of groups of channels. */
    groups: z.int().min(1).max(64).default(2),
    /** The quantizer of every group, or a list with one for each. All have the same number of codes, and their widths add up. */
    quantizer: NestedConfigsSchema,
  })
  .superRefine(({ quantizer, groups }, context) => {
    const message = problemWithNested(quantizer, groups, 'group');
    if (message) context.addIssue({ code: 'custom', path: ['quantizer'], message });
  });

export type GroupedConfig = z.infer<typeof GroupedConfigSchema>;

const nestedOf = ({ quantizer, groups }: GroupedConfig): Quantizer[] => nestedQuantizers(quantizer, groups);
const widthsOf = (nested: readonly Quantizer[]): number[] => nested.map(({ width }) => width);
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** The grouped quantizer as codecs know it. */
export const grouped: QuantizerFamily<GroupedConfig> = {
  name: 'grouped',
  parseConfig: (json) => parseConfig('quantizer grouped', GroupedConfigSchema, json),
  width: (config) => sum(widthsOf(nestedOf(config))),
  levels: (config) => totalLevels(nestedOf(config)),
  vocabSize: (config) => nestedOf(config)[0]!.vocabSize,
  trainable: (config) => allSpecs(nestedOf(config).map((group) => group.trainable())),
  state: (config) => allSpecs(nestedOf(config).map((group) => group.state())),
  initialize: (p, latents, key, config) => {
    const nested = nestedOf(config);
    const parts = columns(latents, widthsOf(nested));
    nested.forEach((group, i) => group.initialize(p, parts[i]!, key));
  },
  train: (p, latents, moment, config) => {
    const nested = nestedOf(config);
    const widths = widthsOf(nested);
    const parts = columns(latents, widths);
    const batches = nested.map((group, i) => group.trainRows(p, parts[i]!, moment));
    // The means over the channels of each group, weighted by their numbers of channels, give the mean over all channels.
    const losses = batches.map(({ loss }, i) => tf.mul(loss, widths[i]! / sum(widths)));
    return {
      codes: tf.concat2d(
        batches.map(({ codes }) => codes),
        1,
      ),
      ids: tf.concat2d(
        batches.map(({ ids }) => ids),
        1,
      ),
      loss: tf.addN(losses) as tf.Scalar,
    };
  },
  encode: (p, latents, config) => {
    const nested = nestedOf(config);
    const parts = columns(latents, widthsOf(nested));
    return tf.concat2d(
      nested.map((group, i) => group.encodeRows(p, parts[i]!)),
      1,
    );
  },
  decode: (p, ids, config) => {
    const nested = nestedOf(config);
    const parts = columns(
      ids,
      nested.map(({ levels }) => levels),
    );
    return tf.concat2d(
      nested.map((group, i) => group.decodeRows(p, parts[i]!)),
      1,
    );
  },
};
