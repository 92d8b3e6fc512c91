// What codecs and priors are built of: TF.js ops, layers, parameters and losses. The entry `tesserae/nn`.
import './engine/register-node.js';

export { crossEntropy, gelu, randomNormal, randomUniform, stopGradient, tf } from './engine/index.js';
export type { RandomKey } from './engine/index.js';

// Layers, and how they are put together.
export { bind, chain, named, paramsOf, pointwise, reachOf, together, weight } from './model/layer.js';
export type { Layer, LayerTree, Reach, Sight } from './model/layer.js';
export { relu, silu } from './nn/activations.js';
export { gridAttention } from './nn/attention2d.js';
export { conv, convTranspose, maxPool, repeat, resizedConv } from './nn/conv.js';
export { linear } from './nn/linear.js';
export { groupNorm, layerNorm } from './nn/norm.js';
export { residual, residualStack } from './nn/residual.js';
export { causalAttention, mergeHeads, splitHeads } from './nn/transformer.js';

// Parameters.
export { heUniform, ONES, prefixed, scoped, ZEROS } from './model/params.js';
export type { Init, Params, ParamSpec, ParamSpecs } from './model/params.js';

// Configs: schemas, and how they are checked.
export { z } from 'zod';
export { parseConfig } from './model/config.js';
export { oneMap, TokenMapSchema } from './model/token-map.js';

// Maps, orders and conditions of priors.
export { codeCount, specOf } from './interfaces/index.js';
export { delayOrder, levelOrder, rasterOrder } from './model/order.js';
export { conditionFields, conditionOf, refuseBadCondition } from './registry.js';

// Losses.
export { codeScores } from './losses/codes.js';
export { normalizedError } from './losses/reconstruction.js';

// Quantizers.
export { Quantizer, QuantizerConfigSchema } from './registry.js';
export type { QuantizerConfig } from './registry.js';
