// The pieces of GPT-2 as functions over parameters with Hugging Face's names. Linear layers store [in, out].
import { tf } from '../engine/index.js';
import type { Params } from './params.js';

/** Layer normalisation over the last axis (Ba et al., arXiv:1607.06450). float32 [.., E] -> [.., E]. */
export function layerNorm(p: Params, name: string, x: tf.Tensor): tf.Tensor {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  const normal = tf.mul(centered, tf.rsqrt(tf.add(variance, 1e-5)));
  return tf.add(tf.mul(normal, p[`${name}.weight`]!), p[`${name}.bias`]!);
}

/** float32 [.., in] -> [.., out]. */
export function linear(p: Params, name: string, x: tf.Tensor): tf.Tensor {
  const weight = p[`${name}.weight`] as unknown as tf.Tensor2D;
  const rows = tf.reshape(x, [-1, weight.shape[0]!]);
  const y = tf.add(tf.matMul(rows, weight), p[`${name}.bias`]!);
  return tf.reshape(y, [...x.shape.slice(0, -1), weight.shape[1]!]);
}

/** The tanh approximation of GELU that GPT-2 uses (Hendrycks and Gimpel, arXiv:1606.08415). */
export function gelu(x: tf.Tensor): tf.Tensor {
  const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.mul(x, tf.add(1, tf.mul(0.044715, tf.square(x)))));
  return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
}

/** Added to attention scores: 0 where a query may look, a large negative number where not. float32 [T, T]. */
export function causalMask(length: number): tf.Tensor2D {
  const mask = new Float32Array(length * length);
  for (let query = 0; query < length; query++) mask.fill(-1e9, query * length + query + 1, (query + 1) * length);
  return tf.tensor2d(mask, [length, length]);
}

/** Splits the fused projection into queries, keys and values. float32 [B, T, 3E] -> 3 x [B, H, T, E / H]. */
export function splitHeads(qkv: tf.Tensor3D, heads: number): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] {
  const [batch, length, width] = qkv.shape;
  const size = width / 3 / heads;
  return tf.split(qkv, 3, -1).map((part) => tf.transpose(tf.reshape(part, [batch, length, heads, size]), [0, 2, 1, 3])) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
}

/** float32 [B, H, T, D] -> [B, T, H * D]. */
export function mergeHeads(x: tf.Tensor4D): tf.Tensor3D {
  const [batch, heads, length, size] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]);
}
