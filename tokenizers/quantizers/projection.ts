// Linear layers around a quantizer whose own width is fixed by its codes, so that the codec's need not be.
import { tf } from '../../src/engine/index.js';
import { ZEROS } from '../../src/nn/params.js';
import type { Params, ParamSpecs } from '../../src/nn/params.js';
import { linear } from '../../src/nn/transformer.js';

/** Variance of the latents below which they are taken to be constant. */
const LEAST_VARIANCE = 1e-8;

/** `inward` [width, codeWidth] and `outward` [codeWidth, width]; nothing without a width. */
export function projectionSpecs(width: number | undefined, codeWidth: number): ParamSpecs {
  if (width === undefined) return {};
  return {
    'inward.weight': { shape: [width, codeWidth], init: { kind: 'normal', std: 1 / Math.sqrt(width) } },
    'inward.bias': { shape: [codeWidth], init: ZEROS },
    'outward.weight': { shape: [codeWidth, width], init: { kind: 'normal', std: 1 / Math.sqrt(codeWidth) } },
    'outward.bias': { shape: [width], init: ZEROS },
  };
}

/** Makes what is projected of a first batch, float32 [N, width], centered and of unit variance in each dimension. */
export function startProjection(p: Params, width: number | undefined, latents: tf.Tensor2D): void {
  if (width === undefined) return;
  const { mean, variance } = tf.moments(linear(p, 'inward', latents), 0); // [codeWidth]
  const scale = tf.rsqrt(tf.add(variance, LEAST_VARIANCE));
  p['inward.bias']!.assign(tf.mul(tf.sub(p['inward.bias']!, mean), scale) as tf.Tensor1D);
  p['inward.weight']!.assign(tf.mul(p['inward.weight']!, scale) as tf.Tensor2D);
}

/** float32 [N, width] -> [N, codeWidth]; the latents themselves without a width. */
export const projectInward = (p: Params, width: number | undefined, latents: tf.Tensor2D): tf.Tensor2D =>
  width === undefined ? latents : (linear(p, 'inward', latents) as tf.Tensor2D);

/** float32 [N, codeWidth] -> [N, width]; the codes themselves without a width. */
export const projectOutward = (p: Params, width: number | undefined, codes: tf.Tensor2D): tf.Tensor2D =>
  width === undefined ? codes : (linear(p, 'outward', codes) as tf.Tensor2D);
