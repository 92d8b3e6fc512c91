// Vector quantization with a frozen random codebook and one trained linear layer after it. Each step moves all codes, so that
// none stays unused, even in large codebooks (Zhu et al., arXiv:2411.02038).
import { z } from 'zod';
import { randomUniform, stopGradient, tf } from '../../src/engine/index.js';
import { parseConfig } from '../../src/model/config.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { named, weight } from '../../src/model/layer.js';
import type { Layer } from '../../src/model/layer.js';
import { linear } from '../../src/nn/linear.js';
import { asColumn, fromColumn, nearestCode, straightThrough } from './nearest.js';

export const SimVqConfigSchema = z.strictObject({
  name: z.literal('simvq').default('simvq'),
  /** Number of codes, K. */
  codebookSize: z.int().min(2).max(65536).default(1024),
  /** Number of dimensions of a code, D. */
  codeDim: z.int().min(1).max(1024).default(64),
  /** Weight of the commitment loss, which keeps latents near their codes. */
  commitment: z.number().min(0).default(0.25),
  /** Weight of the loss that moves the codes towards their latents, through the layer. */
  codebookLoss: z.number().min(0).default(1),
});

export type SimVqConfig = z.infer<typeof SimVqConfigSchema>;

/** The trained layer, [D, D]. The projected codes have unit variance in each dimension at the start. */
const codeLayer = (codeDim: number): Layer =>
  named({ layer: linear(codeDim, codeDim, { init: { kind: 'normal', std: 1 } }) }).layer;

/** `codebook` [K, D], which is drawn once and never changed. */
const stateSpecs = ({ codebookSize: K, codeDim: D }: SimVqConfig): ParamSpecs => ({
  codebook: { shape: [K, D], init: { kind: 'normal', std: 1 / Math.sqrt(D) } },
});

/** Maps rows of the frozen codebook to codes. float32 [N, D] -> [N, D]. */
const seen = (p: Params, rows: tf.Tensor2D): tf.Tensor2D => codeLayer(rows.shape[1]).apply(p, rows);

const codebookOf = (p: Params): tf.Tensor2D => weight(p, 'codebook');

/** float32 [N, D] -> int32 [N]: the nearest of all codes. */
const nearestIds = (p: Params, latents: tf.Tensor2D): tf.Tensor1D => nearestCode(latents, seen(p, codebookOf(p)));

/** int32 [N] -> float32 [N, D]. Rows are chosen before the layer, so that its gradient costs N rows and not K. */
const codesOf = (p: Params, ids: tf.Tensor1D): tf.Tensor2D => seen(p, tf.gather(codebookOf(p), ids));

/**
 * Initializes the rows of the layer with random centered latents of a first batch. A code is then a random sum of them, so that
 * codes have the distribution of the latents.
 */
function startLayer(p: Params, latents: tf.Tensor2D, random: tf.Tensor): void {
  const picks = tf.cast(tf.floor(tf.mul(random, latents.shape[0])), 'int32');
  const mean: tf.Tensor1D = tf.mean(latents, 0); // [D]
  weight<tf.Rank.R2>(p, 'layer.weight').assign(tf.sub(tf.gather(latents, picks), mean));
  weight<tf.Rank.R1>(p, 'layer.bias').assign(mean);
}

/** SimVQ as codecs know it. */
export const simVq: QuantizerFamily<SimVqConfig> = {
  name: 'simvq',
  parseConfig: (json) => parseConfig('quantizer simvq', SimVqConfigSchema, json),
  width: ({ codeDim }) => codeDim,
  vocabSize: ({ codebookSize }) => codebookSize,
  trainable: ({ codeDim }) => codeLayer(codeDim).params,
  state: stateSpecs,
  initialize: (p, latents, key, { codeDim: D }) => startLayer(p, latents, randomUniform(key, [D], 'quantizer.start')),
  train: (p, latents, _, { commitment, codebookLoss }) => {
    const detached = stopGradient(latents);
    const ids = stopGradient(nearestIds(p, detached));
    const codes = codesOf(p, ids);
    const committed = tf.mean(tf.squaredDifference(latents, stopGradient(codes)));
    const followed = tf.mean(tf.squaredDifference(codes, detached));
    const loss: tf.Scalar = tf.add(tf.mul(committed, commitment), tf.mul(followed, codebookLoss));
    return { codes: straightThrough(latents, codes), ids: asColumn(ids), loss };
  },
  encode: (p, latents) => asColumn(nearestIds(p, latents)),
  decode: (p, ids) => codesOf(p, fromColumn(ids)),
};
