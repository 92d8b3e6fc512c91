// How pictures are handed to a feature network: the conventions networks are trained with. Shared by the perceptual
// term of training and the Frechet distance of evaluation.
import { z } from 'zod';
import { tf } from '../engine/index.js';
import { sizeOf } from '../shape.js';

/** What a network expects of its pixels: [0, 1], [-1, 1], or [0, 1] normalized by the mean and deviation of ImageNet's channels. */
export const FeatureRangeSchema = z.enum(['0..1', '-1..1', 'imagenet']);

export type FeatureRange = z.infer<typeof FeatureRangeSchema>;

export const DEFAULT_FEATURE_RANGE: FeatureRange = 'imagenet';

/** Of red, green and blue in [0, 1], over the training pictures of ImageNet. */
const IMAGENET = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };

/** What takes pixels of [-1, 1] to the range of a network: x * scale + offset, by channel. */
function scalingOf(range: FeatureRange): { scale: number[]; offset: number[] } {
  if (range === '-1..1') return { scale: [1, 1, 1], offset: [0, 0, 0] };
  if (range === '0..1') return { scale: [0.5, 0.5, 0.5], offset: [0.5, 0.5, 0.5] };
  const { mean, deviation } = IMAGENET;
  return { scale: deviation.map((one) => 0.5 / one), offset: deviation.map((one, c) => (0.5 - mean[c]!) / one) };
}

/**
 * Pictures as a network takes them, differentiable.
 *
 * @param images float32 [B, H, W, 1 or 3] in [-1, 1]; gray is repeated in all three channels.
 * @returns float32 [B, 3, H, W].
 */
export function featureInput(images: tf.Tensor4D, range: FeatureRange): tf.Tensor4D {
  const { scale, offset } = scalingOf(range);
  const scaled = tf.add(tf.mul(images, tf.tensor1d(scale)), tf.tensor1d(offset)); // [B, H, W, 3]
  return tf.transpose(scaled as tf.Tensor4D, [0, 3, 1, 2]);
}

/** {@link featureInput} of plain arrays, for networks that ONNX Runtime runs. `shape` is [B, H, W, 1 or 3]. */
export function featurePixels(pixels: Float32Array, [batch, height, width, channels]: readonly [number, number, number, number], range: FeatureRange): Float32Array {
  const { scale, offset } = scalingOf(range);
  const area = height * width;
  const planes = new Float32Array(sizeOf([batch, 3, area]));
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < 3; c++) {
      const source = b * area * channels + Math.min(c, channels - 1);
      const target = (b * 3 + c) * area;
      for (let at = 0; at < area; at++) planes[target + at] = pixels[source + at * channels]! * scale[c]! + offset[c]!;
    }
  }
  return planes;
}
