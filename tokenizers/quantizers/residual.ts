// Residual quantization: each level quantizes the error of the levels before it (Zeghidour et al., "SoundStream",
// arXiv:2107.03312). Dropping the last levels at random makes the first ones a coarse code of their own.
import { z } from 'zod';
import { randomUniform, tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { QuantizerFamily, TrainingMoment } from '../../src/model/quantizer.js';
import { allSpecs, columns, NestedConfigsSchema, nestedQuantizers, problemWithNested, totalLevels } from './nested.js';
import type { Quantizer } from './quantizer.js';

export const ResidualConfigSchema = z
  .strictObject({
    name: z.literal('residual').default('residual'),
    /** Number of quantizers in sequence. */
    levels: z.int().min(1).max(64).default(4),
    /** The quantizer of every level, or a list with one for each. All have the same width and number of codes. */
    quantizer: NestedConfigsSchema,
    /** Probability in training that only a random number of levels reaches the decoder. The other levels still learn. */
    dropout: z.number().min(0).max(1).default(0),
    /** Whether levels are dropped for the whole batch, or for each position separately. */
    dropoutOf: z.enum(['batch', 'position']).default('batch'),
  })
  .superRefine(({ quantizer, levels }, context) => {
    const widths = new Set(nestedQuantizers(quantizer, quantizer.length).map(({ width }) => width));
    const message =
      problemWithNested(quantizer, levels, 'level') ??
      (widths.size > 1 ? `expected one width for all levels, received ${[...widths].join(', ')}` : undefined);
    if (message) context.addIssue({ code: 'custom', path: ['quantizer'], message });
  });

export type ResidualConfig = z.infer<typeof ResidualConfigSchema>;

const nestedOf = ({ quantizer, levels }: ResidualConfig): Quantizer[] => nestedQuantizers(quantizer, levels);

/** The number of levels that each row keeps: float32 [N, 1], or [1, 1] for all rows; undefined if all are kept. */
function keptLevels(
  { key }: TrainingMoment,
  rows: number,
  { levels, dropout, dropoutOf }: ResidualConfig,
): tf.Tensor2D | undefined {
  if (dropout === 0) return undefined;
  const shape = [dropoutOf === 'batch' ? 1 : rows, 1];
  const some = tf.add(tf.floor(tf.mul(randomUniform(key, shape, 'residual.levels'), levels)), 1);
  const drops = tf.less(randomUniform(key, shape, 'residual.dropout'), dropout);
  return tf.where(drops, some, levels) as tf.Tensor2D;
}

/** The residual quantizer as codecs know it. */
export const residual: QuantizerFamily<ResidualConfig> = {
  name: 'residual',
  parseConfig: (json) => parseConfig('quantizer residual', ResidualConfigSchema, json),
  width: (config) => nestedOf(config)[0]!.width,
  levels: (config) => totalLevels(nestedOf(config)),
  vocabSize: (config) => nestedOf(config)[0]!.vocabSize,
  trainable: (config) => allSpecs(nestedOf(config).map((level) => level.trainable())),
  state: (config) => allSpecs(nestedOf(config).map((level) => level.state())),
  initialize: (p, latents, key, config) => {
    let rest = latents;
    for (const level of nestedOf(config)) {
      level.initialize(p, rest, key);
      rest = tf.sub(rest, level.decodeRows(p, level.encodeRows(p, rest)));
    }
  },
  train: (p, latents, moment, config) => {
    const kept = keptLevels(moment, latents.shape[0], config);
    let rest = latents;
    const batches = nestedOf(config).map((level, i) => {
      const { codes, ids, loss } = level.trainRows(p, rest, moment);
      // The codes keep their gradient here, so that the decoder's gradient reaches the latents once, not once for each level.
      rest = tf.sub(rest, codes);
      const passed = kept && i > 0 ? tf.mul(codes, tf.cast(tf.greater(kept, i), 'float32')) : codes;
      return { passed, ids, loss };
    });
    return {
      codes: tf.addN(batches.map(({ passed }) => passed)) as tf.Tensor2D,
      ids: tf.concat2d(
        batches.map(({ ids }) => ids),
        1,
      ),
      loss: tf.addN(batches.map(({ loss }) => loss)),
    };
  },
  encode: (p, latents, config) => {
    let rest = latents;
    const ids = nestedOf(config).map((level) => {
      const own = level.encodeRows(p, rest);
      rest = tf.sub(rest, level.decodeRows(p, own));
      return own;
    });
    return tf.concat2d(ids, 1);
  },
  decode: (p, ids, config) => {
    const nested = nestedOf(config);
    const parts = columns(
      ids,
      nested.map(({ levels }) => levels),
    );
    return tf.addN(nested.map((level, i) => level.decodeRows(p, parts[i]!)));
  },
};
