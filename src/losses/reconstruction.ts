// Reconstruction losses by name, and the output that each expects from the decoder.
import { z } from 'zod';
import { tf } from '../engine/index.js';
import { ShapeError } from '../errors.js';

export const ReconstructionConfigSchema = z
  .discriminatedUnion('kind', [
    /** Mean squared error divided by the variance of the data: 1 for the best constant image. */
    z.strictObject({ kind: z.literal('mse') }),
    /** Mean absolute error divided by the standard deviation of the data. Tolerates outliers and keeps edges. */
    z.strictObject({ kind: z.literal('l1') }),
    /** Nats per value of a Laplace distribution over the logits of the pixels, its scale learned (arXiv:2102.12092, appendix A.3). The decoder has twice the channels. */
    z.strictObject({
      kind: z.literal('logit-laplace'),
      /** Pixels in [0, 1] are brought into [epsilon, 1 - epsilon], where the logit is finite. */
      epsilon: z.number().min(0.001).max(0.4).default(0.1),
      /** Minimum scale, in logits. 0.1 is about eight gray levels: with less, a plain background dominates the loss. */
      minScale: z.number().min(1e-4).max(1).default(0.1),
    }),
    /** (1 - weight) * MSE / variance + weight * (1 - SSIM): both 0 for equal images and about 1 for a constant one. */
    z.strictObject({ kind: z.literal('mse-ssim'), weight: z.number().min(0).max(1).default(0.5) }),
  ])
  .prefault({ kind: 'mse' });

export type ReconstructionConfig = z.infer<typeof ReconstructionConfigSchema>;
type LogitLaplace = Extract<ReconstructionConfig, { kind: 'logit-laplace' }>;

/** Number of channels of the decoder's output, for images of `channels`. */
export const outputChannels = (channels: number, { kind }: ReconstructionConfig): number =>
  kind === 'logit-laplace' ? 2 * channels : channels;

/** Decoder output float32 [B, H, W, outputChannels] -> images float32 [B, H, W, C], about [-1, 1], not clipped. */
export function toImages(output: tf.Tensor4D, config: ReconstructionConfig): tf.Tensor4D {
  if (config.kind !== 'logit-laplace') return output;
  const [logits] = tf.split(output, 2, -1) as [tf.Tensor4D, tf.Tensor4D];
  const unit = tf.div(tf.sub(tf.sigmoid(logits), config.epsilon), 1 - 2 * config.epsilon);
  return tf.sub(tf.mul(unit, 2), 1);
}

/**
 * The loss of a batch, independent of the scale of the data: about 1 for a constant decoder, lower for better ones.
 *
 * @param output       float32 [B, H, W, outputChannels], as the decoder gives it.
 * @param images       float32 [B, H, W, C] in [-1, 1].
 * @param dataVariance of the pixels of the training set; above 0.
 * @returns a scalar. For `logit-laplace` it is nats per value, which are negative for a confident decoder.
 * @throws {ShapeError} E_LOSS_SHAPE for other shapes.
 */
export function reconstructionLoss(
  output: tf.Tensor4D,
  images: tf.Tensor4D,
  dataVariance: number,
  config: ReconstructionConfig,
): tf.Scalar {
  checkShapes(output, images, config);
  switch (config.kind) {
    case 'mse':
      return normalizedError(output, images, dataVariance);
    case 'l1':
      return tf.div(tf.mean(tf.abs(tf.sub(output, images))), Math.sqrt(dataVariance));
    case 'logit-laplace':
      return logitLaplaceNats(output, images, config);
    case 'mse-ssim': {
      const dissimilarity = tf.sub(1, similarity(output, images));
      return tf.add(
        tf.mul(normalizedError(output, images, dataVariance), 1 - config.weight),
        tf.mul(dissimilarity, config.weight),
      );
    }
  }
}

/** Mean squared error divided by the variance of the data. */
export const normalizedError = (reconstruction: tf.Tensor, inputs: tf.Tensor, dataVariance: number): tf.Scalar =>
  tf.div(tf.mean(tf.squaredDifference(reconstruction, inputs)), dataVariance);

function checkShapes(output: tf.Tensor4D, images: tf.Tensor4D, config: ReconstructionConfig): void {
  const expected = [...images.shape.slice(0, 3), outputChannels(images.shape[3], config)];
  if (expected.some((size, axis) => size !== output.shape[axis])) {
    throw new ShapeError(
      'E_LOSS_SHAPE',
      `reconstructionLoss(output): expected [${expected.join(', ')}] for ${config.kind}, received [${output.shape.join(', ')}]. Give the decoder outputChannels(channels, config) channels.`,
    );
  }
}

/**
 * Mean negative log density of the pixels y = epsilon + (1 - 2 epsilon) x, x in [0, 1], under
 * f(y | m, b) = exp(-|logit(y) - m| / b) / (2 b y (1 - y)). The first half of the channels is m, the second the logarithm of b - minScale.
 */
function logitLaplaceNats(output: tf.Tensor4D, images: tf.Tensor4D, { epsilon, minScale }: LogitLaplace): tf.Scalar {
  const [means, logScales] = tf.split(output, 2, -1) as [tf.Tensor4D, tf.Tensor4D];
  const pixels = tf.add(tf.mul(images, 0.5 - epsilon), 0.5);
  const rest = tf.sub(1, pixels);
  const logits = tf.sub(tf.log(pixels), tf.log(rest));
  const scales = tf.add(tf.exp(logScales), minScale);
  const distance = tf.div(tf.abs(tf.sub(logits, means)), scales);
  const volume = tf.log(tf.mul(tf.mul(pixels, rest), 2));
  return tf.mean(tf.add(tf.add(distance, tf.log(scales)), volume));
}

const WINDOW = 11;
const SIGMA = 1.5;
/** K1 = 0.01 and K2 = 0.03 of a range of 2. */
const C1 = 0.02 ** 2;
const C2 = 0.06 ** 2;

/**
 * Mean structural similarity of a batch, with a gradient. It is the same index as `ssim` of the metrics.
 *
 * @param x float32 [B, H, W, C] in [-1, 1], as `y`.
 * @returns a scalar, 1 for equal images.
 * Source: Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004.
 */
export function similarity(x: tf.Tensor4D, y: tf.Tensor4D): tf.Scalar {
  const [fromBlackX, fromBlackY] = [tf.add(x, 1), tf.add(y, 1)];
  const power = tf.add(tf.square(fromBlackX), tf.square(fromBlackY));
  const local = localMeans(
    tf.concat([fromBlackX, fromBlackY, power, tf.mul(fromBlackX, fromBlackY)], -1) as tf.Tensor4D,
  ); // [B, h, w, 4 C]
  const [meanX, meanY, meanPower, meanProduct] = tf.split(local, 4, -1) as [
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor4D,
  ];
  const cross = tf.mul(meanX, meanY);
  const powers = tf.add(tf.square(meanX), tf.square(meanY));
  const covariance = tf.sub(meanProduct, cross);
  const variances = tf.sub(meanPower, powers);
  const upper = tf.mul(tf.add(tf.mul(cross, 2), C1), tf.add(tf.mul(covariance, 2), C2));
  const lower = tf.mul(tf.add(powers, C1), tf.add(variances, C2));
  return tf.mean(tf.div(upper, lower));
}

/** Gaussian-weighted means wherever the window fits: float32 [B, H, W, C] -> [B, H - side + 1, W - side + 1, C]. */
function localMeans(maps: tf.Tensor4D): tf.Tensor4D {
  const [, height, width, channels] = maps.shape;
  const side = Math.min(WINDOW, height, width);
  const taps = gaussian(side % 2 === 1 ? side : side - 1);
  const filter = (rows: number, columns: number): tf.Tensor4D =>
    tf.tile(tf.tensor4d(taps, [rows, columns, 1, 1]), [1, 1, channels, 1]);
  const overRows = tf.depthwiseConv2d(maps, filter(taps.length, 1), 1, 'valid');
  return tf.depthwiseConv2d(overRows, filter(1, taps.length), 1, 'valid');
}

/** `size` weights that sum to 1, the middle one the largest. */
function gaussian(size: number): number[] {
  const weights = Array.from({ length: size }, (_, i) => Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * SIGMA ** 2)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
