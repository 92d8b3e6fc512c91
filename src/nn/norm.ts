// Normalization layers. Group normalization (Wu and He, arXiv:1803.08494) does not depend on the batch, and so neither do the
// codes of a sample.
import { layerNorm as normalize, tf } from '../engine/index.js';
import { SEES_EVERYTHING, SEES_ITSELF, weight } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { ONES, ZEROS } from '../model/params.js';
import type { ParamSpecs } from '../model/params.js';

const EPSILON = 1e-5;

const gainAndBias = (channels: number): ParamSpecs => ({
  weight: { shape: [channels], init: ONES },
  bias: { shape: [channels], init: ZEROS },
});

/** The number of groups: eight, or fewer so that each has the same number of at least two channels. */
export function groupsOf(channels: number): number {
  return [8, 4, 2].find((groups) => channels % groups === 0 && channels / groups >= 2) ?? 1;
}

/** float32 [B, ...axes, C] -> the same shape: zero mean and unit variance in each group of channels of each sample, then gain and bias by channel. */
export function groupNorm(channels: number): Layer {
  const groups = groupsOf(channels);
  return {
    params: gainAndBias(channels),
    apply: (p, x) => {
      const grouped = tf.reshape(x, [x.shape[0], x.size / x.shape[0] / channels, groups, channels / groups]);
      const centered = tf.sub(grouped, tf.mean(grouped, [1, 3], true));
      const variance = tf.mean(tf.square(centered), [1, 3], true); // [B, 1, G, 1]
      const normal = tf.reshape(tf.mul(centered, tf.rsqrt(tf.add(variance, EPSILON))), x.shape);
      return tf.add(tf.mul(normal, weight(p, 'weight')), weight(p, 'bias'));
    },
    sees: SEES_EVERYTHING,
  };
}

/** Layer normalization over the last axis. float32 [.., C] -> [.., C]. */
export function layerNorm(channels: number): Layer {
  return {
    params: gainAndBias(channels),
    apply: (p, x) => normalize(x, weight(p, 'weight'), weight(p, 'bias')),
    sees: SEES_ITSELF,
  };
}
