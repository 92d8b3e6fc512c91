// The discriminator of a picture codec: a convolutional network that judges overlapping patches, real or generated, and
// the losses of both sides, generator and discriminator. Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
// arXiv:1611.07004, section 3.2.2; hinge losses and adaptive weight as in Esser et al., arXiv:2012.09841, section 3.1.
import { stopGradient, tf } from '../engine/index.js';
import { conv } from '../nn/conv.js';
import { chain, pointwise } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { groupNorm } from '../nn/norm.js';

export interface PatchGanConfig {
  /** Channels of the first layer; each of the next two doubles them. */
  channels: number;
  /** Halvings of the resolution: 2 judge patches of 34 pixels, 3 of 70. */
  layers: number;
}

const LEAK = 0.2;

/** Channels after each layer but the last: one more than there are halvings, as the stride stops before the depth. */
const widthsOf = ({ channels, layers }: PatchGanConfig): number[] =>
  Array.from({ length: layers + 1 }, (_, i) => channels * 2 ** Math.min(i, 3));

/** Pictures float32 [B, H, W, channels] -> verdicts [B, H / 2^layers, W / 2^layers, 1], positive for real. */
export function patchGan(channels: number, config: PatchGanConfig): Layer {
  const widths = widthsOf(config);
  const layers = widths.map((width, i) => ({
    [`layers.${i}`]: conv(4, widths[i - 1] ?? channels, width, { stride: i < config.layers ? 2 : 1 }),
    [`norms.${i}`]: i > 0 && groupNorm(width),
    [`activations.${i}`]: pointwise((x) => tf.leakyRelu(x, LEAK)),
  }));
  // A first verdict near zero: within the margin of the hinge.
  return chain({ ...Object.assign({}, ...layers), verdict: conv(4, widths.at(-1)!, 1, { gain: 0.1 }) });
}

/** What the codec minimizes: the verdict on its pictures, turned around. A scalar. */
export const generatorLoss = (made: tf.Tensor): tf.Scalar => tf.neg(tf.mean(made));

/** What the discriminator minimizes half the sum of: verdicts on real pictures short of 1, on made ones above -1. Scalars. */
export function discriminatorLosses(real: tf.Tensor, made: tf.Tensor): { real: tf.Scalar; made: tf.Scalar } {
  return { real: tf.mean(tf.relu(tf.sub(1, real))), made: tf.mean(tf.relu(tf.add(1, made))) };
}

/**
 * The weight at which both losses pull equally hard: the ratio of the norms of their gradients at one place.
 *
 * @returns a scalar in [0, largest], without gradient.
 */
export function adaptiveWeight(ofLoss: tf.Tensor, ofVerdict: tf.Tensor, largest: number): tf.Scalar {
  const ratio = tf.div(norm(ofLoss), tf.add(norm(ofVerdict), 1e-4));
  return stopGradient(tf.minimum(ratio, largest)) as tf.Scalar;
}

const norm = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.sum(tf.square(x)));
