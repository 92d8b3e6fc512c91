// A decoder-only transformer over [condition | codes]: GPT-2 (Radford et al., 2019) used as in DALL-E (Ramesh et al.,
// arXiv:2102.12092). Parameters carry the names and layouts of Hugging Face's GPT-2.
import { z } from 'zod';
import { crossEntropy, gelu, randomUniform, tf } from '../src/engine/index.js';
import type { RandomKey } from '../src/engine/index.js';
import { codeCount as codesOfMap } from '../src/interfaces/index.js';
import type { StageBatch } from '../src/model/prior.js';
import { bind, paramsOf, weight } from '../src/model/layer.js';
import type { Bound, Layer } from '../src/model/layer.js';
import { linear } from '../src/nn/linear.js';
import { layerNorm } from '../src/nn/norm.js';
import { prefixed, scoped } from '../src/model/params.js';
import { TokenMapSchema } from '../src/model/token-map.js';
import { conditionFields, conditionLength, conditionVocabulary, refuseBadCondition } from './condition.js';
import type { Init, Params, ParamSpecs } from '../src/model/params.js';
import { causalAttention, mergeHeads, splitHeads } from '../src/nn/transformer.js';

export const GptConfigSchema = z
  .strictObject({
    /** The token map to model: its grid, levels and vocabulary K. */
    codes: TokenMapSchema,
    ...conditionFields,
    /** The sequence of codes of several levels: position after position, level after level, or the delay pattern of MusicGen. Default `raster`. */
    order: z.enum(['raster', 'level', 'delay']).optional(),
    nLayer: z.int().min(1).max(64).default(4),
    nHead: z.int().min(1).max(64).default(8),
    nEmbd: z.int().min(8).max(4096).default(256),
    /** Dropout rate of the embeddings and of the output of each layer in training. */
    dropout: z.number().min(0).lt(1).default(0),
    /** Weights of the losses of codes and of the caption. */
    codeLossWeight: z.number().min(0).default(7),
    textLossWeight: z.number().min(0).default(1),
  })
  .refine((c) => c.nEmbd % c.nHead === 0, { message: 'nEmbd must be a multiple of nHead' })
  .superRefine(refuseBadCondition);

export type GptConfig = z.infer<typeof GptConfigSchema>;

/** Number of codes of a sample, N. */
export const codeCount = (c: GptConfig): number => codesOfMap(c.codes);

/** Number of ids before the first code, P; see {@link conditionLength}. */
export const prefixLength = (c: GptConfig): number => conditionLength(c);

/** One vocabulary for all: codes first, then that of {@link conditionVocabulary}. */
export function vocabulary(c: GptConfig): ReturnType<typeof conditionVocabulary> {
  const K = c.codes.vocabSize;
  const { start, classes, text, padding, size } = conditionVocabulary(c);
  return { start: K + start, classes: K + classes, text: K + text, padding: K + padding, size: K + size };
}

/** The ids of a condition as GPT reads them: in its vocabulary they follow the codes. int32 [B, P] -> [B, P]. */
const conditionIds = (condition: tf.Tensor2D, c: GptConfig): tf.Tensor2D =>
  tf.add(condition, tf.scalar(c.codes.vocabSize, 'int32'));

const normal = (std: number): Init => ({ kind: 'normal', std });

/** The layers of one block. Projections into the residual stream start scaled by 1 / sqrt(2 nLayer). */
function blockLayers({ nEmbd: E, nLayer }: GptConfig) {
  const projection = normal(0.02 / Math.sqrt(2 * nLayer));
  return {
    ln_1: layerNorm(E),
    attn: { c_attn: linear(E, 3 * E, { init: normal(0.02) }), c_proj: linear(E, E, { init: projection }) },
    ln_2: layerNorm(E),
    mlp: { c_fc: linear(E, 4 * E, { init: normal(0.02) }), c_proj: linear(4 * E, E, { init: projection }) },
  };
}

type Block = Bound<ReturnType<typeof blockLayers>>;

/** Positions of codes in raster order start as sums of a row and a column. */
const positionInit = (c: GptConfig): Init =>
  c.order === undefined || c.order === 'raster'
    ? { kind: 'grid', std: 0.02, offset: prefixLength(c), width: c.codes.grid.at(-1)! * c.codes.levels }
    : normal(0.02);

/** GPT-2's parameters: N(0, 0.02) where nothing else is said; positions of codes as sums of a row and a column. */
export function specs(c: GptConfig): ParamSpecs {
  const E = c.nEmbd;
  const blocks = Array.from({ length: c.nLayer }, (_, i) => prefixed(`h.${i}`, paramsOf(blockLayers(c))));
  return Object.assign(
    {
      'wte.weight': { shape: [vocabulary(c).size, E], init: normal(0.02) },
      'wpe.weight': {
        shape: [prefixLength(c) + codeCount(c), E],
        init: positionInit(c),
      },
    },
    ...blocks,
    paramsOf({ ln_f: layerNorm(E) }),
  ) as ParamSpecs;
}

/** The blocks and the last norm, with their weights. */
function trunkOf(p: Params, c: GptConfig): { blocks: Block[]; normalize: Bound<Layer> } {
  const layers = blockLayers(c);
  return {
    blocks: Array.from({ length: c.nLayer }, (_, i) => bind(layers, scoped(`h.${i}`, p))),
    normalize: bind({ ln_f: layerNorm(c.nEmbd) }, p).ln_f,
  };
}

/** Token plus position embeddings. int32 [B, T] at positions from `offset` -> float32 [B, T, E]. */
function embed(p: Params, ids: tf.Tensor2D, offset: number): tf.Tensor3D {
  const [, length] = ids.shape;
  const positions = tf.slice(weight<tf.Rank.R2>(p, 'wpe.weight'), [offset, 0], [length, -1]);
  return tf.add(tf.gather(weight<tf.Rank.R2>(p, 'wte.weight'), ids), positions);
}

/** Causal self-attention. float32 [B, T, E] -> [B, T, E]; also gives the keys and values [B, H, T, E / H] for a cache. */
function attention(
  { c_attn, c_proj }: Block['attn'],
  x: tf.Tensor3D,
  c: GptConfig,
): { out: tf.Tensor3D; keys: tf.Tensor4D; values: tf.Tensor4D } {
  const [queries, keys, values] = splitHeads(c_attn(x), c.nHead);
  const mixed = mergeHeads(causalAttention(queries, keys, values)); // [B, T, E]
  return { out: c_proj(mixed), keys, values };
}

const mlp = ({ c_fc, c_proj }: Block['mlp'], x: tf.Tensor3D): tf.Tensor3D => c_proj(gelu(c_fc(x)));

/** Dropout: sets values to 0 at random and scales the others. Does nothing without a key. The name distinguishes the draws of a step. */
type Drop = (x: tf.Tensor3D, name: string) => tf.Tensor3D;

function dropping({ dropout }: GptConfig, key: RandomKey | undefined): Drop {
  if (dropout === 0 || !key) return (x) => x;
  return (x, name) => {
    const kept = tf.cast(tf.greaterEqual(randomUniform(key, x.shape, `gpt.dropout.${name}`), dropout), 'float32');
    return tf.mul(x, tf.mul(kept, 1 / (1 - dropout)));
  };
}

/** The trunk. int32 [B, T] -> hidden float32 [B, T, E], with each layer's keys and values. The key is for dropout, in training. */
export function forward(
  p: Params,
  ids: tf.Tensor2D,
  c: GptConfig,
  key?: RandomKey,
): { hidden: tf.Tensor3D; keys: tf.Tensor4D[]; values: tf.Tensor4D[] } {
  const drop = dropping(c, key);
  const { blocks, normalize } = trunkOf(p, c);
  let x = drop(embed(p, ids, 0), 'embedding');
  const keys: tf.Tensor4D[] = [];
  const values: tf.Tensor4D[] = [];
  for (const [i, block] of blocks.entries()) {
    const attended = attention(block.attn, block.ln_1(x), c);
    x = tf.add(x, drop(attended.out, `${i}.attention`));
    x = tf.add(x, drop(mlp(block.mlp, block.ln_2(x)), `${i}.mlp`));
    keys.push(attended.keys);
    values.push(attended.values);
  }
  return { hidden: normalize(x), keys, values };
}

/** Logits over one stretch of the vocabulary, tied to the embeddings. float32 [N, E] -> [N, size]. */
export function logits(p: Params, hidden: tf.Tensor2D, begin: number, size: number): tf.Tensor2D {
  const table: tf.Tensor2D = tf.slice(weight<tf.Rank.R2>(p, 'wte.weight'), [begin, 0], [size, -1]);
  return tf.matMul(hidden, table, false, true);
}

/** Cross-entropy of every code. codes int32 [B, N], condition int32 [B, P] -> nats float32 [B * N], with logits [B * N, K] and the trunk's output. */
export function codeNats(
  p: Params,
  { codes, condition }: StageBatch,
  c: GptConfig,
  key?: RandomKey,
): { nats: tf.Tensor1D; logits: tf.Tensor2D; hidden: tf.Tensor3D } {
  const [batch, count] = codes.shape;
  const prefix = prefixLength(c);
  // The last code is only predicted, never read.
  const ids = tf.concat([conditionIds(condition, c), tf.slice(codes, [0, 0], [batch, count - 1])], 1); // [B, P + N - 1]
  const { hidden } = forward(p, ids, c, key);
  const ofCodes: tf.Tensor2D = tf.reshape(tf.slice(hidden, [0, prefix - 1, 0], [batch, count, -1]), [
    batch * count,
    c.nEmbd,
  ]);
  const scores = logits(p, ofCodes, 0, c.codes.vocabSize);
  return { nats: crossEntropy(scores, tf.reshape(codes, [-1])), logits: scores, hidden };
}

/** Mean cross-entropy of the caption's tokens, without padding. */
function textNats(p: Params, condition: tf.Tensor2D, hidden: tf.Tensor3D, c: GptConfig): tf.Scalar {
  const { text, padding } = vocabulary(c);
  const { length, vocabSize } = c.text!;
  const batch = condition.shape[0];
  const before: tf.Tensor2D = tf.reshape(tf.slice(hidden, [0, 0, 0], [batch, length, -1]), [batch * length, c.nEmbd]);
  const targets = tf.reshape(tf.slice(conditionIds(condition, c), [0, 1], [batch, length]), [-1]); // [B * L]
  const isText = tf.cast(tf.less(targets, padding), 'float32');
  const clipped: tf.Tensor1D = tf.cast(tf.mul(tf.cast(tf.sub(targets, text), 'float32'), isText), 'int32');
  const nats = crossEntropy(logits(p, before, text, vocabSize), clipped);
  return tf.div(tf.sum(tf.mul(nats, isText)), tf.add(tf.sum(isText), 1e-6));
}

/** The training objective: the weighted mean of code and text losses. */
export function gptLoss(
  p: Params,
  batch: StageBatch,
  key: RandomKey,
  c: GptConfig,
): { loss: tf.Scalar; natsPerCode: tf.Scalar } {
  const { nats, hidden } = codeNats(p, batch, c, key);
  const natsPerCode: tf.Scalar = tf.mean(nats);
  if (c.conditioning !== 'text' || c.textLossWeight === 0) return { loss: natsPerCode, natsPerCode };
  const total = c.codeLossWeight + c.textLossWeight;
  const text = textNats(p, batch.condition, hidden, c);
  return {
    loss: tf.add(tf.mul(natsPerCode, c.codeLossWeight / total), tf.mul(text, c.textLossWeight / total)),
    natsPerCode,
  };
}

/** Keys and values of the positions read so far: for each layer float32 [B, H, capacity, E / H]. */
export interface Cache {
  keys: tf.Tensor[];
  values: tf.Tensor[];
}

/**
 * Reads one more token with a cache. Attention is computed in two parts, over the cache and over the token itself,
 * joined by one softmax, so that nothing of the cache is copied.
 *
 * @param ids      int32 [B].
 * @param position int32 [1], counted from 0 over condition and codes.
 * @param mask     float32 [capacity]: 0 for cached positions, a large negative number elsewhere.
 * @returns logits float32 [B, K] and the new keys and values, each [nLayer, B, H, 1, E / H].
 */
export function decodeStep(
  p: Params,
  ids: tf.Tensor1D,
  position: tf.Tensor1D,
  mask: tf.Tensor1D,
  cache: Cache,
  c: GptConfig,
): { logits: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const batch = ids.shape[0];
  const fresh: Cache = { keys: [], values: [] };
  const capacity = mask.shape[0];
  const { blocks, normalize } = trunkOf(p, c);
  let x: tf.Tensor3D = tf.add(
    tf.gather(weight<tf.Rank.R2>(p, 'wte.weight'), tf.reshape(ids, [batch, 1])),
    tf.gather(weight<tf.Rank.R2>(p, 'wpe.weight'), position),
  ); // [B, 1, E]
  for (const [i, block] of blocks.entries()) {
    const [query, key, value] = splitHeads(block.attn.c_attn(block.ln_1(x)), c.nHead); // [B, H, 1, D]
    const scaled = tf.mul(query, 1 / Math.sqrt(c.nEmbd / c.nHead));
    const old = tf.add(tf.matMul(scaled, cache.keys[i]!, false, true), mask); // [B, H, 1, capacity]
    const own = tf.sum(tf.mul(scaled, key), -1, true); // [B, H, 1, 1]
    const weights = tf.softmax(tf.concat([old, own], -1));
    const fromPast = tf.matMul(tf.slice(weights, [0, 0, 0, 0], [-1, -1, -1, capacity]), cache.values[i]!);
    const fromOwn = tf.mul(tf.slice(weights, [0, 0, 0, capacity], [-1, -1, -1, 1]), value);
    x = tf.add(x, block.attn.c_proj(mergeHeads(tf.add(fromPast, fromOwn))));
    x = tf.add(x, mlp(block.mlp, block.ln_2(x)));
    fresh.keys.push(key);
    fresh.values.push(value);
  }
  const hidden: tf.Tensor2D = tf.reshape(normalize(x), [batch, c.nEmbd]);
  return {
    logits: logits(p, hidden, 0, c.codes.vocabSize),
    keys: tf.stack(fresh.keys),
    values: tf.stack(fresh.values),
  };
}

/** Reads the condition at once. int32 [B, P] -> logits of the first code [B, K] and keys, values [nLayer, B, H, P, E / H]. */
export function prefill(
  p: Params,
  condition: tf.Tensor2D,
  c: GptConfig,
): { logits: tf.Tensor2D; keys: tf.Tensor; values: tf.Tensor } {
  const [batch, length] = condition.shape;
  const { hidden, keys, values } = forward(p, conditionIds(condition, c), c);
  const last: tf.Tensor2D = tf.reshape(tf.slice(hidden, [0, length - 1, 0], [-1, 1, -1]), [batch, c.nEmbd]);
  return { logits: logits(p, last, 0, c.codes.vocabSize), keys: tf.stack(keys), values: tf.stack(values) };
}
