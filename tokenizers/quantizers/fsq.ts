// Finite scalar quantization: each latent dimension is bounded and rounded to one of a few levels. The codes are the points of
// that grid, so no codebook is learned and none can collapse (Mentzer et al., arXiv:2309.15505).
import { z } from 'zod';
import { tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { entropyLoss } from './entropy.js';
import { asColumn, fromColumn, straightThrough } from './nearest.js';
import { projection } from './projection.js';
import type { Projection } from './projection.js';

/** Maximum number of codes: ids are exact in float32 and fit the shards. */
const MOST_CODES = 2 ** 22;

const product = (levels: readonly number[]): number => levels.reduce((codes, count) => codes * count, 1);

export const FsqConfigSchema = z
  .strictObject({
    name: z.literal('fsq').default('fsq'),
    /**
     * Number of levels of each dimension. Their product is the number of codes. Known to work: [8, 6, 5] for 240 codes, [8, 5, 5, 5] for
     * 1,000, [7, 5, 5, 5, 5] for 4,375, [8, 8, 8, 6, 5] for 15,360, [8, 8, 8, 5, 5, 5] for 64,000. Five levels or more use the
     * latents best.
     */
    levels: z
      .array(z.int().min(3, 'expected 3 levels or more; quantizer lfq has 2').max(1024))
      .min(1)
      .max(16)
      .default([8, 5, 5, 5]),
    /** Channels of the codec, which are projected to the dimensions and back. Default: one channel for each dimension, without a projection. */
    width: z.int().min(1).max(1024).optional(),
    /** Weight of the entropy loss, in nats per bit. Above 0 it keeps rare codes of large grids in use. */
    entropyWeight: z.number().min(0).default(0),
    /** Weight of the even use of codes in the entropy loss, relative to the confidence of each position. */
    diversity: z.number().min(0).default(1),
    /** Temperature of the entropy loss: the squared distance, in steps between levels, that changes the odds of a code by the factor e. */
    temperature: z.number().min(0.01).max(100).default(0.25),
  })
  .refine(({ levels }) => product(levels) <= MOST_CODES, {
    path: ['levels'],
    message: `expected a product of at most ${MOST_CODES}`,
  });

export type FsqConfig = z.infer<typeof FsqConfigSchema>;

/** Factor of each dimension in an id; the first dimension changes fastest. */
const radices = (levels: readonly number[]): number[] => levels.map((_, i) => product(levels.slice(0, i)));

/** Offset of each dimension that makes grid points count from zero. */
const zeroDigits = (levels: readonly number[]): number[] => levels.map((count) => Math.floor(count / 2));

/**
 * Bounds latents so that rounding gives as many integers as there are levels. A tanh spans all of them, shifted by half a step
 * for even numbers, and zero stays zero.
 *
 * @param latents float32 [N, D], unbounded.
 * @returns float32 [N, D], each dimension within half a step of its levels.
 * Source: Mentzer et al., arXiv:2309.15505, section 3.1 and appendix A.1.
 */
export function bound(latents: tf.Tensor2D, levels: readonly number[]): tf.Tensor2D {
  // Slightly less than half a step beyond the outer levels, so that saturated latents round to them.
  const reach = levels.map((count) => ((count - 1) * (1 - 1e-3)) / 2);
  const offset = levels.map((count) => (count % 2 === 0 ? 0.5 : 0));
  const shift = offset.map((value, i) => Math.atanh(value / reach[i]!));
  return tf.sub(tf.mul(tf.tanh(tf.add(latents, shift)), reach), offset);
}

/** Scales grid points, integers around zero, to codes in [-1, 1]. float32 [N, D] -> [N, D]. */
const normalize = (points: tf.Tensor, levels: readonly number[]): tf.Tensor2D => tf.div(points, zeroDigits(levels));

/** float32 grid points [N, D] -> int32 [N, 1]. */
function idsOf(points: tf.Tensor2D, levels: readonly number[]): tf.Tensor2D {
  const digits = tf.add(points, zeroDigits(levels));
  return asColumn(tf.cast(tf.sum(tf.mul(digits, radices(levels)), 1), 'int32'));
}

/** int32 [N, 1] -> float32 grid points [N, D]. */
function pointsOf(ids: tf.Tensor2D, levels: readonly number[]): tf.Tensor2D {
  const digits = levels.map((count, i) =>
    tf.mod(tf.floorDiv(fromColumn(ids), tf.scalar(radices(levels)[i]!, 'int32')), tf.scalar(count, 'int32')),
  );
  return tf.sub(tf.cast(tf.stack(digits, 1), 'float32'), zeroDigits(levels));
}

/** Maximum number of codes in a group of dimensions of the entropy loss. */
const JOINT_CODES = 2 ** 16;

/** Sizes of groups of dimensions, in order, of at most {@link JOINT_CODES} codes each. */
function groupsOf(levels: readonly number[]): number[] {
  const groups: number[][] = [];
  for (const count of levels) {
    const last = groups.at(-1);
    if (last && product(last) * count <= JOINT_CODES) last.push(count);
    else groups.push([count]);
  }
  return groups.map(({ length }) => length);
}

/** The entropy loss of bounded latents float32 [N, D]: a scalar, in nats per bit. */
export function gridEntropyLoss(bounded: tf.Tensor2D, { levels, temperature, diversity }: FsqConfig): tf.Scalar {
  const values = levels.map((count) => Array.from({ length: count }, (_, digit) => digit - Math.floor(count / 2)));
  return entropyLoss(bounded, values, { temperature, diversity, groups: groupsOf(levels) });
}

const projectionOf = ({ width, levels }: FsqConfig): Projection => projection(width, levels.length);

/** The finite scalar quantizer as codecs know it. Without the entropy loss, its loss is zero, because it has no codebook. */
export const fsq: QuantizerFamily<FsqConfig> = {
  name: 'fsq',
  parseConfig: (json) => parseConfig('quantizer fsq', FsqConfigSchema, json),
  width: ({ width, levels }) => width ?? levels.length,
  vocabSize: ({ levels }) => product(levels),
  trainable: (config) => projectionOf(config).params,
  state: () => ({}),
  initialize: (p, latents, _, config) => projectionOf(config).start(p, latents),
  train: (p, latents, _, config) => {
    const { levels, entropyWeight } = config;
    const bounded = bound(projectionOf(config).inward(p, latents), levels);
    const points = tf.round(bounded);
    const codes = normalize(straightThrough(bounded, points), levels);
    const loss =
      entropyWeight === 0 ? tf.scalar(0) : (tf.mul(gridEntropyLoss(bounded, config), entropyWeight) as tf.Scalar);
    return { codes: projectionOf(config).outward(p, codes), ids: idsOf(points, levels), loss };
  },
  encode: (p, latents, config) =>
    idsOf(tf.round(bound(projectionOf(config).inward(p, latents), config.levels)), config.levels),
  decode: (p, ids, config) => projectionOf(config).outward(p, normalize(pointsOf(ids, config.levels), config.levels)),
};
