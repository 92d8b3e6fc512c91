// Linear layers over the last axis. Matrices are stored [in, out].
import { tf } from '../engine/index.js';
import { SEES_ITSELF, weight } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { heUniform, ZEROS } from '../model/params.js';
import type { Init } from '../model/params.js';

/** float32 [.., from] -> [.., to]. @param init of the matrix; by default that of He et al. times `gain`. */
export function linear(
  from: number,
  to: number,
  { gain = 1, init = heUniform(from, gain) }: { gain?: number; init?: Init } = {},
): Layer {
  return {
    params: { weight: { shape: [from, to], init }, bias: { shape: [to], init: ZEROS } },
    apply: (p, x) => {
      const matrix = weight<tf.Rank.R2>(p, 'weight');
      if (x.rank === 2) return tf.add(tf.matMul(x, matrix), weight(p, 'bias'));
      const y = tf.add(tf.matMul(tf.reshape(x, [-1, from]), matrix), weight(p, 'bias'));
      return tf.reshape(y, x.shape.with(x.rank - 1, to) as typeof x.shape);
    },
    sees: SEES_ITSELF,
    output: 'weight',
  };
}
