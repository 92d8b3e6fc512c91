// What quantizers with a codebook share: the nearest code, and gradients past the choice.
import { ShapeError } from '../../src/errors.js';
import { stopGradient, tf } from '../../src/engine/index.js';

/**
 * Assigns each latent to its nearest codebook row.
 *
 * @param latents  float32 [N, D], unbounded.
 * @param codebook float32 [K, D].
 * @param price    float32 [K], added to the squared distance of each code; absent for plain nearest codes.
 * @returns int32 [N], each id in [0, K).
 * @throws {ShapeError} E_VQ_DIM when the last axes differ.
 *
 * Ties take the lowest id. No gradient: pair with {@link straightThrough} in training.
 * Source: van den Oord et al., arXiv:1711.00937, section 3.1.
 */
export function nearestCode(latents: tf.Tensor2D, codebook: tf.Tensor2D, price?: tf.Tensor1D): tf.Tensor1D {
  if (latents.shape[1] !== codebook.shape[1]) {
    throw new ShapeError('E_VQ_DIM', `nearestCode(latents): expected last axis ${codebook.shape[1]}, received [${latents.shape.join(', ')}]. Encoder and codebook must use the same codeDim.`);
  }
  // |z|^2 is the same for every code and is left out: |e|^2 - 2 z.e decides.
  const norms = tf.sum(tf.square(codebook), 1);
  const offset = price ? tf.add(norms, price) : norms;
  const distances = tf.sub(offset, tf.matMul(tf.mul(latents, 2), codebook, false, true)); // [N, K]
  return tf.argMin(distances, 1);
}

/** Values of `codes`, gradient of `latents`. */
export function straightThrough<T extends tf.Tensor>(latents: T, codes: tf.Tensor): T {
  return tf.add(latents, stopGradient(tf.sub(codes, latents)));
}

/** Ids of quantizers that give one a position: int32 [N] -> [N, 1], and back. */
export const asColumn = (ids: tf.Tensor1D): tf.Tensor2D => tf.reshape(ids, [-1, 1]);
export const fromColumn = (ids: tf.Tensor2D): tf.Tensor1D => tf.reshape(ids, [-1]);
