// Residual blocks of convolutional networks.
import { tf } from '../engine/index.js';
import { relu, silu } from './activations.js';
import { conv } from './conv.js';
import { chain, SEES_ITSELF, together } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { groupNorm } from './norm.js';

/** How the blocks of a stack are made. */
export interface BlockStyle {
  activation: 'relu' | 'silu';
  /** Group normalization before each activation, or none. */
  norm: 'none' | 'group';
  /** 1 for sequences, 2 for grids. Default 2. */
  axes?: 1 | 2;
}

const PLAIN: BlockStyle = { activation: 'relu', norm: 'none' };

const ACTIVATIONS = { relu, silu };

/** Adds what a layer computes to its input. float32 [..] -> the same shape. */
export function residual(inner: Layer): Layer {
  return { ...inner, apply: (p, x) => tf.add(x, inner.apply(p, x)), sees: together(SEES_ITSELF, inner.sees) };
}

/**
 * A stack of residual blocks with pre-activation (3x3 to `inner` channels, 1x1 back), followed by an activation, as in
 * VQ-VAE. float32 [B, ...axes, channels] -> the same shape.
 */
export function residualStack(
  blocks: number,
  channels: number,
  inner: number,
  { axes, ...style }: BlockStyle = PLAIN,
): Layer {
  const norm = (width: number): Layer | false => style.norm === 'group' && groupNorm(width);
  const block = residual(
    chain({
      norm3: norm(channels),
      before3: ACTIVATIONS[style.activation],
      conv3: conv(3, channels, inner, { axes }),
      norm1: norm(inner),
      before1: ACTIVATIONS[style.activation],
      // A block starts close to the identity.
      conv1: conv(1, inner, channels, { gain: 0.3, axes }),
    }),
  );
  return chain({
    ...Object.fromEntries(Array.from({ length: blocks }, (_, i) => [`${i}`, block])),
    norm: norm(channels),
    activation: ACTIVATIONS[style.activation],
  });
}
