// Convolutions over [B, H, W, C] with "same" padding. Kernels are stored [kh, kw, in, out], as TensorFlow stores them.
import { tf } from '../engine/index.js';
import { groupNorm, groupNormSpecs } from './norm.js';
import { heUniform, ZEROS } from './params.js';
import type { Params, ParamSpecs } from './params.js';

/** Weights of a `size` x `size` convolution. `gain` scales the initial weights. */
export function convSpecs(name: string, size: number, inChannels: number, outChannels: number, gain = 1): ParamSpecs {
  return {
    [`${name}.weight`]: {
      shape: [size, size, inChannels, outChannels],
      init: heUniform(size * size * inChannels, gain),
    },
    [`${name}.bias`]: { shape: [outChannels], init: ZEROS },
  };
}

/** float32 [B, H, W, Ci] -> [B, H / stride, W / stride, Co]. */
export function conv(p: Params, name: string, x: tf.Tensor4D, stride = 1): tf.Tensor4D {
  return tf.add(tf.conv2d(x, p[`${name}.weight`] as unknown as tf.Tensor4D, stride, 'same'), p[`${name}.bias`]!);
}

/** Weights of a transposed convolution: kernel [kh, kw, out, in]. */
export function convTransposeSpecs(
  name: string,
  size: number,
  stride: number,
  inChannels: number,
  outChannels: number,
  gain = 1,
): ParamSpecs {
  // Each output position is reached by (size / stride)^2 taps of every input channel.
  const fanIn = (size / stride) ** 2 * inChannels;
  return {
    [`${name}.weight`]: { shape: [size, size, outChannels, inChannels], init: heUniform(fanIn, gain) },
    [`${name}.bias`]: { shape: [outChannels], init: ZEROS },
  };
}

/** float32 [B, H, W, Ci] -> [B, H * stride, W * stride, Co]. */
export function convTranspose(p: Params, name: string, x: tf.Tensor4D, stride: number): tf.Tensor4D {
  const weight = p[`${name}.weight`] as unknown as tf.Tensor4D;
  const [batch, height, width] = x.shape;
  const shape: [number, number, number, number] = [batch, height * stride, width * stride, weight.shape[2]];
  return tf.add(tf.conv2dTranspose(x, weight, shape, stride, 'same'), p[`${name}.bias`]!);
}

/** How the blocks of a stack are made. */
export interface BlockStyle {
  activation: 'relu' | 'silu';
  /** Group normalisation before each activation, or none. */
  norm: 'none' | 'group';
}

const PLAIN: BlockStyle = { activation: 'relu', norm: 'none' };

/** float32 [..] -> [..]. SiLU: Elfwing, Uchibe and Doya, arXiv:1702.03118. */
export function activate<T extends tf.Tensor>(x: T, activation: BlockStyle['activation']): T {
  return activation === 'relu' ? tf.relu(x) : tf.mul(x, tf.sigmoid(x));
}

const normSpecs = (name: string, channels: number, { norm }: BlockStyle): ParamSpecs =>
  norm === 'group' ? groupNormSpecs(name, channels) : {};

/** float32 [B, H, W, C] -> [B, H, W, C]: normalisation, where there is one, and activation. */
function opening(p: Params, name: string, x: tf.Tensor4D, { activation, norm }: BlockStyle): tf.Tensor4D {
  return activate(norm === 'group' ? groupNorm(p, name, x) : x, activation);
}

/** A stack of pre-activation residual blocks (3x3 to `inner` channels, 1x1 back), closed by an activation, as in VQ-VAE. */
export function residualStackSpecs(
  name: string,
  layers: number,
  channels: number,
  inner: number,
  style = PLAIN,
): ParamSpecs {
  const blocks = Array.from({ length: layers }, (_, i) => ({
    ...normSpecs(`${name}.${i}.norm3`, channels, style),
    ...convSpecs(`${name}.${i}.conv3`, 3, channels, inner),
    ...normSpecs(`${name}.${i}.norm1`, inner, style),
    // A block starts close to the identity.
    ...convSpecs(`${name}.${i}.conv1`, 1, inner, channels, 0.3),
  }));
  return Object.assign({}, ...blocks, normSpecs(`${name}.norm`, channels, style)) as ParamSpecs;
}

/** float32 [B, H, W, C] -> [B, H, W, C]. */
export function residualStack(p: Params, name: string, layers: number, x: tf.Tensor4D, style = PLAIN): tf.Tensor4D {
  for (let i = 0; i < layers; i++) {
    const inner = conv(p, `${name}.${i}.conv3`, opening(p, `${name}.${i}.norm3`, x, style));
    x = tf.add(x, conv(p, `${name}.${i}.conv1`, opening(p, `${name}.${i}.norm1`, inner, style)));
  }
  return opening(p, `${name}.norm`, x, style);
}
