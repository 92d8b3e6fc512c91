// The discriminator of an image codec, a convolutional network that classifies overlapping patches as real or generated, and the
// losses of generator and discriminator. Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
// arXiv:1611.07004, section 3.2.2; hinge losses and adaptive weight as in Esser et al., arXiv:2012.09841, section 3.1.
import { stopGradient, tf } from '../engine/index.js';
import { conv } from '../nn/conv.js';
import { chain, pointwise } from '../model/layer.js';
import type { Layer } from '../model/layer.js';
import { groupNorm } from '../nn/norm.js';

export interface PatchGanConfig {
  /** Number of channels of the first layer. Each of the next two layers doubles it. */
  channels: number;
  /** Number of downsamplings by 2. With 2 it judges patches of 34 pixels, with 3 of 70 pixels. */
  layers: number;
}

const LEAK = 0.2;

/** Number of channels after each layer except the last. The layer before the last does not downsample. */
const widthsOf = ({ channels, layers }: PatchGanConfig): number[] =>
  Array.from({ length: layers + 1 }, (_, i) => channels * 2 ** Math.min(i, 3));

/** Images float32 [B, H, W, channels] -> logits [B, H / 2^layers, W / 2^layers, 1], positive for real patches. */
export function patchGan(channels: number, config: PatchGanConfig): Layer {
  const widths = widthsOf(config);
  const layers = widths.map((width, i) => ({
    [`layers.${i}`]: conv(4, widths[i - 1] ?? channels, width, { stride: i < config.layers ? 2 : 1 }),
    [`norms.${i}`]: i > 0 && groupNorm(width),
    [`activations.${i}`]: pointwise((x) => tf.leakyRelu(x, LEAK)),
  }));
  // The first logits are near zero, within the margin of the hinge.
  return chain({ ...Object.assign({}, ...layers), verdict: conv(4, widths.at(-1)!, 1, { gain: 0.1 }) });
}

/** The loss of the codec: the negative mean logit of its images. A scalar. */
export const generatorLoss = (made: tf.Tensor): tf.Scalar => tf.neg(tf.mean(made));

/** Hinge losses of the discriminator: for logits of real images below 1, and for those of generated images above -1. Scalars. */
export function discriminatorLosses(real: tf.Tensor, made: tf.Tensor): { real: tf.Scalar; made: tf.Scalar } {
  return { real: tf.mean(tf.relu(tf.sub(1, real))), made: tf.mean(tf.relu(tf.add(1, made))) };
}

/**
 * The adaptive weight that balances both losses: the ratio of the norms of their gradients at one weight.
 *
 * @returns a scalar in [0, largest], without gradient.
 */
export function adaptiveWeight(ofLoss: tf.Tensor, ofVerdict: tf.Tensor, largest: number): tf.Scalar {
  const ratio = tf.div(norm(ofLoss), tf.add(norm(ofVerdict), 1e-4));
  return stopGradient(tf.minimum(ratio, largest));
}

const norm = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.sum(tf.square(x)));
