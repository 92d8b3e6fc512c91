// Self-attention of every cell of a grid over all others, as a residual block (VQGAN: Esser et al., arXiv:2012.09841).
import { tf } from '../engine/index.js';
import { convSpecs, conv } from './conv.js';
import { ONES, ZEROS } from './params.js';
import type { Params, ParamSpecs } from './params.js';
import { layerNorm, mergeHeads, splitHeads } from './transformer.js';

export function gridAttentionSpecs(name: string, channels: number): ParamSpecs {
  return {
    [`${name}.norm.weight`]: { shape: [channels], init: ONES },
    [`${name}.norm.bias`]: { shape: [channels], init: ZEROS },
    // No bias: on the keys it would change nothing.
    [`${name}.qkv.weight`]: { shape: [channels, 3 * channels], init: { kind: 'normal', std: 1 / Math.sqrt(channels) } },
    // The block starts close to the identity.
    ...convSpecs(`${name}.project`, 1, channels, channels, 0.3),
  };
}

/**
 * float32 [B, H, W, C] -> [B, H, W, C].
 *
 * `heads` divides C. Memory grows with (H W)^2: meant for grids of codes.
 */
export function gridAttention(p: Params, name: string, x: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const cells = height * width;
  const rows = tf.reshape(layerNorm(p, `${name}.norm`, x), [-1, channels]) as tf.Tensor2D; // [B * H * W, C]
  const qkv = tf.reshape(tf.matMul(rows, p[`${name}.qkv.weight`] as unknown as tf.Tensor2D), [
    batch,
    cells,
    3 * channels,
  ]) as tf.Tensor3D;
  const [queries, keys, values] = splitHeads(qkv, heads); // [B, heads, H * W, C / heads]
  const scores = tf.matMul(tf.mul(queries, Math.sqrt(heads / channels)), keys, false, true); // [B, heads, H * W, H * W]
  const mixed = mergeHeads(tf.matMul(tf.softmax(scores), values) as tf.Tensor4D);
  return tf.add(x, conv(p, `${name}.project`, tf.reshape(mixed, x.shape)));
}
