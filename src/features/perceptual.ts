// The distance of two images in the features of a network: Zhang et al., "The Unreasonable Effectiveness of Deep
// Features as a Perceptual Metric", arXiv:1801.03924, without the learned weights of channels.
import { stopGradient, tf } from '../engine/index.js';
import type { ImportedNetwork } from '../engine/index.js';
import { UsageError } from '../errors.js';
import { pixelScale } from './scaling.js';
import type { FeatureScaling } from './scaling.js';

/** Images float32 [B, H, W, 1 or 3] in [-1, 1] -> maps float32 [B, C, ..], one for each output of a network. */
export type Features = (images: tf.Tensor4D) => tf.Tensor[];

/** Keeps the length of features differentiable if all of them are zero, as after a ReLU. */
const EPSILON = 1e-10;

/**
 * The mean over feature maps of the squared distance of their unit vectors, from 0 to 4.
 *
 * @param images         float32 [B, H, W, 1 or 3] in [-1, 1].
 * @param reconstruction the same shape. Only this gets a gradient.
 * @returns a scalar.
 */
export function perceptualLoss(features: Features, images: tf.Tensor4D, reconstruction: tf.Tensor4D): tf.Scalar {
  const wanted = features(images).map((map) => stopGradient(unitVectors(map)));
  const found = features(reconstruction).map(unitVectors);
  const distances = found.map((map, i) => tf.mean(tf.sum(tf.squaredDifference(map, wanted[i]!), 1)));
  return tf.div(tf.addN(distances), distances.length);
}

/** Normalizes the vector of channels of each position to length 1. float32 [B, C, ..]. */
function unitVectors(map: tf.Tensor): tf.Tensor {
  return tf.mul(map, tf.rsqrt(tf.add(tf.sum(tf.square(map), 1, true), EPSILON)));
}

/** @throws {UsageError} E_FEATURES unless the network takes images [B, 3, H, W] and nothing else. */
export function checkTakesImages({ inputs }: ImportedNetwork, where: string): void {
  const shapes = inputs.map(({ name, shape }) => `"${name}" [${shape.map((extent) => extent ?? '?').join(', ')}]`);
  if (inputs.length !== 1 || inputs[0]!.shape.length !== 4 || (inputs[0]!.shape[1] ?? 3) !== 3) {
    throw new UsageError(
      'E_FEATURES',
      `${where}: expected one input [B, 3, H, W], found ${shapes.join(' and ') || 'none'}. Export the network so.`,
    );
  }
}

/**
 * The features of a network that {@link checkTakesImages} accepted, as part of the traced function; see
 * `ImportedNetwork.prepare`. Gray is repeated in all channels. Images are resized if the network has a size of its own.
 */
export function featuresOf(network: ImportedNetwork, scaling: FeatureScaling): Features {
  const run = network.prepare();
  const { scale, shift } = pixelScale(scaling);
  const [, , height, width] = network.inputs[0]!.shape;
  return (images) => {
    const size: [number, number] = [height ?? images.shape[1], width ?? images.shape[2]];
    const fitted =
      size[0] === images.shape[1] && size[1] === images.shape[2]
        ? images
        : tf.image.resizeBilinear(images, size, false, true);
    const scaled = tf.add(tf.mul(fitted, tf.tensor1d(scale)), tf.tensor1d(shift)); // [B, H, W, 3]
    return run(tf.transpose(scaled, [0, 3, 1, 2]));
  };
}
