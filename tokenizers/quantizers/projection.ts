// Linear layers around a quantizer, which make the codec's width independent of that of the codes.
import { tf } from '../../src/engine/index.js';
import { bind, paramsOf, weight } from '../../src/model/layer.js';
import { linear } from '../../src/nn/linear.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';

/** Latents with a smaller variance are treated as constant. */
const LEAST_VARIANCE = 1e-8;

/** The projections between the codec's latents and the quantizer's. */
export interface Projection {
  /** `inward` [width, codeWidth] and `outward` [codeWidth, width]; none without a width. */
  params: ParamSpecs;
  /** float32 [N, width] -> [N, codeWidth]. */
  inward(p: Params, latents: tf.Tensor2D): tf.Tensor2D;
  /** float32 [N, codeWidth] -> [N, width]. */
  outward(p: Params, codes: tf.Tensor2D): tf.Tensor2D;
  /** Initializes the projection so that a first batch, float32 [N, width], has zero mean and unit variance in each dimension. */
  start(p: Params, latents: tf.Tensor2D): void;
}

const NONE: Projection = { params: {}, inward: (_, latents) => latents, outward: (_, codes) => codes, start: () => {} };

/** @param width of the codec's latents. Without it, there is no projection. */
export function projection(width: number | undefined, codeWidth: number): Projection {
  if (width === undefined) return NONE;
  const layers = { inward: spreading(width, codeWidth), outward: spreading(codeWidth, width) };
  const inward = (p: Params, latents: tf.Tensor2D): tf.Tensor2D => bind(layers, p).inward(latents);
  return {
    params: paramsOf(layers),
    inward,
    outward: (p, codes) => bind(layers, p).outward(codes),
    start: (p, latents) => {
      const { mean, variance } = tf.moments(inward(p, latents), 0); // [codeWidth]
      const scale = tf.rsqrt(tf.add(variance, LEAST_VARIANCE));
      const [matrix, bias] = [weight(p, 'inward.weight'), weight(p, 'inward.bias')];
      bias.assign(tf.mul(tf.sub(bias, mean), scale));
      matrix.assign(tf.mul(matrix, scale));
    },
  };
}

/** The weights of a linear layer that keeps unit variance. */
const spreading = (from: number, to: number) =>
  linear(from, to, { init: { kind: 'normal', std: 1 / Math.sqrt(from) } });
