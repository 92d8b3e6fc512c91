// Lookup-free quantization: the signs of the latents are the bits of the id. An entropy loss makes each position confident of its
// code and uses all codes evenly (Yu et al., arXiv:2310.05737).
import { z } from 'zod';
import { stopGradient, tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { entropyLoss } from './entropy.js';
import { asColumn, fromColumn, straightThrough } from './nearest.js';
import { projection } from './projection.js';
import type { Projection } from './projection.js';

export const LfqConfigSchema = z.strictObject({
  name: z.literal('lfq').default('lfq'),
  /** Number of bits of an id; there are 2^bits codes. */
  bits: z.int().min(1).max(16).default(10),
  /** Channels of the codec, which are projected to `bits` and back. Default: one channel for each bit, without a projection. */
  width: z.int().min(1).max(1024).optional(),
  /** Weight of the commitment loss, which keeps latents near -1 and 1. */
  commitment: z.number().min(0).default(0.25),
  /** Weight of the entropy loss, in nats per bit. */
  entropyWeight: z.number().min(0).default(0.5),
  /** Weight of the even use of codes, relative to the confidence of each position: gamma. */
  diversity: z.number().min(0).default(1),
  /** Temperature of the entropy loss: the squared distance between latents and codes that changes the odds of a code by the factor e. */
  temperature: z.number().min(0.01).max(100).default(1),
  /**
   * Number of bits whose joint use is balanced, from 1 (each bit alone) to `bits`. A batch estimates the use of 2^jointBits codes
   * only if it has many more positions than that.
   */
  jointBits: z.int().min(1).max(16).default(8),
});

export type LfqConfig = z.infer<typeof LfqConfigSchema>;

/** -1 or 1; zero counts as -1. float32 [N, bits] -> the same. */
const signs = (latents: tf.Tensor2D): tf.Tensor2D => tf.sub(tf.mul(tf.cast(tf.greater(latents, 0), 'float32'), 2), 1);

const powersOfTwo = (bits: number): number[] => Array.from({ length: bits }, (_, i) => 2 ** i);

/** float32 [N, bits] -> int32 [N, 1], the first dimension the lowest bit. */
function idsOf(latents: tf.Tensor2D, bits: number): tf.Tensor2D {
  const set = tf.cast(tf.greater(latents, 0), 'float32');
  return asColumn(tf.cast(tf.sum(tf.mul(set, powersOfTwo(bits)), 1), 'int32'));
}

/** int32 [N, 1] -> float32 [N, bits] of -1 and 1. */
function codesOf(ids: tf.Tensor2D, bits: number): tf.Tensor2D {
  const set = powersOfTwo(bits).map((power) =>
    tf.mod(tf.floorDiv(fromColumn(ids), tf.scalar(power, 'int32')), tf.scalar(2, 'int32')),
  );
  return tf.sub(tf.mul(tf.cast(tf.stack(set, 1), 'float32'), 2), 1);
}

/** Sizes of groups of at most `jointBits`, as equal as possible. */
function groupsOf({ bits, jointBits }: LfqConfig): number[] {
  const groups = Math.ceil(bits / jointBits);
  const border = (i: number): number => Math.floor((i * bits) / groups);
  return Array.from({ length: groups }, (_, i) => border(i + 1) - border(i));
}

/** The entropy loss. float32 [N, bits] -> a scalar, in nats per bit. */
export const signEntropyLoss = (latents: tf.Tensor2D, config: LfqConfig): tf.Scalar =>
  entropyLoss(
    latents,
    Array.from({ length: config.bits }, () => [-1, 1]),
    { ...config, groups: groupsOf(config) },
  );

const projectionOf = ({ width, bits }: LfqConfig): Projection => projection(width, bits);

/** The lookup-free quantizer as codecs know it. */
export const lfq: QuantizerFamily<LfqConfig> = {
  name: 'lfq',
  parseConfig: (json) => parseConfig('quantizer lfq', LfqConfigSchema, json),
  width: ({ width, bits }) => width ?? bits,
  vocabSize: ({ bits }) => 2 ** bits,
  trainable: (config) => projectionOf(config).params,
  state: () => ({}),
  initialize: (p, latents, _, config) => projectionOf(config).start(p, latents),
  train: (p, latents, _, config) => {
    const inward = projectionOf(config).inward(p, latents);
    const codes = signs(stopGradient(inward));
    const committed = tf.mul(tf.mean(tf.squaredDifference(inward, codes)), config.commitment);
    const loss: tf.Scalar = tf.add(committed, tf.mul(signEntropyLoss(inward, config), config.entropyWeight));
    return {
      codes: projectionOf(config).outward(p, straightThrough(inward, codes)),
      ids: idsOf(inward, config.bits),
      loss,
    };
  },
  encode: (p, latents, config) => idsOf(projectionOf(config).inward(p, latents), config.bits),
  decode: (p, ids, config) => projectionOf(config).outward(p, codesOf(ids, config.bits)),
};
