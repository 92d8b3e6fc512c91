// Group normalisation (Wu and He, arXiv:1803.08494) over [B, H, W, C]: independent of the batch, so a picture's codes are too.
import { tf } from '../engine/index.js';
import { ONES, ZEROS } from './params.js';
import type { Params, ParamSpecs } from './params.js';

const EPSILON = 1e-5;

/** Eight groups, or as many of two channels and more as divide the channels. */
export function groupsOf(channels: number): number {
  return [8, 4, 2].find((groups) => channels % groups === 0 && channels / groups >= 2) ?? 1;
}

export function groupNormSpecs(name: string, channels: number): ParamSpecs {
  return {
    [`${name}.weight`]: { shape: [channels], init: ONES },
    [`${name}.bias`]: { shape: [channels], init: ZEROS },
  };
}

/** float32 [B, H, W, C] -> [B, H, W, C]: zero mean and unit variance in each group of channels of each picture, then gain and bias a channel. */
export function groupNorm(p: Params, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const groups = groupsOf(channels);
  const grouped = tf.reshape(x, [batch, height * width, groups, channels / groups]);
  const centered = tf.sub(grouped, tf.mean(grouped, [1, 3], true));
  const variance = tf.mean(tf.square(centered), [1, 3], true); // [B, 1, G, 1]
  const normal = tf.reshape(tf.mul(centered, tf.rsqrt(tf.add(variance, EPSILON))), x.shape);
  return tf.add(tf.mul(normal, p[`${name}.weight`]!), p[`${name}.bias`]!);
}
