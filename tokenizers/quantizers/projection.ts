// Linear layers around a quantizer whose own width is fixed by its codes, so that the codec's need not be.
import { tf } from '../../src/engine/index.js';
import { bind, paramsOf, weight } from '../../src/model/layer.js';
import { linear } from '../../src/nn/linear.js';
import type { Params, ParamSpecs } from '../../src/model/params.js';

/** Variance of the latents below which they are taken to be constant. */
const LEAST_VARIANCE = 1e-8;

/** The way from the codec's latents to the quantizer's and back. */
export interface Projection {
  /** `inward` [width, codeWidth] and `outward` [codeWidth, width]; none without a width. */
  params: ParamSpecs;
  /** float32 [N, width] -> [N, codeWidth]. */
  inward(p: Params, latents: tf.Tensor2D): tf.Tensor2D;
  /** float32 [N, codeWidth] -> [N, width]. */
  outward(p: Params, codes: tf.Tensor2D): tf.Tensor2D;
  /** Makes what is projected of a first batch, float32 [N, width], centered and of unit variance in each dimension. */
  start(p: Params, latents: tf.Tensor2D): void;
}

const NONE: Projection = { params: {}, inward: (_, latents) => latents, outward: (_, codes) => codes, start: () => {} };

/** @param width of the codec's latents; left out, they are the quantizer's own and nothing is projected. */
export function projection(width: number | undefined, codeWidth: number): Projection {
  if (width === undefined) return NONE;
  const layers = { inward: spreading(width, codeWidth), outward: spreading(codeWidth, width) };
  const inward = (p: Params, latents: tf.Tensor2D): tf.Tensor2D => bind(layers, p).inward(latents) as tf.Tensor2D;
  return {
    params: paramsOf(layers),
    inward,
    outward: (p, codes) => bind(layers, p).outward(codes) as tf.Tensor2D,
    start: (p, latents) => {
      const { mean, variance } = tf.moments(inward(p, latents), 0); // [codeWidth]
      const scale = tf.rsqrt(tf.add(variance, LEAST_VARIANCE));
      const [matrix, bias] = [weight(p, 'inward.weight'), weight(p, 'inward.bias')] as [tf.Variable, tf.Variable];
      bias.assign(tf.mul(tf.sub(bias, mean), scale));
      matrix.assign(tf.mul(matrix, scale));
    },
  };
}

/** A linear layer that keeps unit variance. */
const spreading = (from: number, to: number) =>
  linear(from, to, { init: { kind: 'normal', std: 1 / Math.sqrt(from) } });
