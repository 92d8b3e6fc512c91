// Self-attention of every cell of a grid over all others, as a residual block (VQGAN: Esser et al., arXiv:2012.09841).
import { tf } from '../engine/index.js';
import { conv } from './conv.js';
import { SEES_EVERYTHING, weight } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { layerNorm } from './norm.js';
import { prefixed, scoped } from '../model/params.js';
import { mergeHeads, splitHeads } from './transformer.js';

/**
 * float32 [B, H, W, C] -> [B, H, W, C].
 *
 * `heads` divides C. Memory grows with (H W)^2, so it is meant for grids of codes.
 */
export function gridAttention(channels: number, heads: number): Layer {
  const norm = layerNorm(channels);
  // The block starts close to the identity.
  const project = conv(1, channels, channels, { gain: 0.3 });
  return {
    params: {
      ...prefixed('norm', norm.params),
      // A bias of the keys would change nothing.
      'qkv.weight': { shape: [channels, 3 * channels], init: { kind: 'normal', std: 1 / Math.sqrt(channels) } },
      ...prefixed('project', project.params),
    },
    apply: (p, x) => {
      const [batch, height, width] = x.shape as [number, number, number, number];
      const rows: tf.Tensor2D = tf.reshape(norm.apply(scoped('norm', p), x), [-1, channels]); // [B * H * W, C]
      const projected = tf.matMul(rows, weight<tf.Rank.R2>(p, 'qkv.weight'));
      const qkv: tf.Tensor3D = tf.reshape(projected, [batch, height * width, 3 * channels]);
      const [queries, keys, values] = splitHeads(qkv, heads); // [B, heads, H * W, C / heads]
      const scores = tf.matMul(tf.mul(queries, Math.sqrt(heads / channels)), keys, false, true); // [B, heads, H * W, H * W]
      const mixed = mergeHeads(tf.matMul(tf.softmax(scores), values));
      return tf.add(x, project.apply(scoped('project', p), tf.reshape(mixed, x.shape)));
    },
    sees: SEES_EVERYTHING,
    output: 'project.weight',
  };
}
