// The nearest code, and gradients through its choice.
import { ShapeError } from '../../src/errors.js';
import { stopGradient, tf } from '../../src/engine/index.js';

/** Number of codes that are searched at once. Larger codebooks are searched part by part, which keeps the distances in the processor's cache. */
const CODES_AT_ONCE = 512;

/**
 * Assigns each latent to its nearest codebook row.
 *
 * @param latents  float32 [N, D], unbounded.
 * @param codebook float32 [K, D].
 * @param rateCosts    float32 [K], added to the squared distance of each code; absent for plain nearest codes.
 * @returns int32 [N], each id in [0, K).
 * @throws {ShapeError} E_VQ_DIM when the last axes differ.
 *
 * Ties take the lowest id. There is no gradient: use {@link passGradient} in training. Memory: 2 KiB for each latent, for any K.
 * Source: van den Oord et al., arXiv:1711.00937, section 3.1.
 */
export function nearestCode(latents: tf.Tensor2D, codebook: tf.Tensor2D, rateCosts?: tf.Tensor1D): tf.Tensor1D {
  if (latents.shape[1] !== codebook.shape[1]) {
    throw new ShapeError(
      'E_VQ_DIM',
      `nearestCode(latents): expected last axis ${codebook.shape[1]}, received [${latents.shape.join(', ')}]. Encoder and codebook must use the same codeDim.`,
    );
  }
  const [K, D] = codebook.shape;
  // |z|^2 is the same for every code and is left out: |e|^2 - 2 z.e decides.
  const norms: tf.Tensor1D = tf.sum(tf.square(codebook), 1);
  const offsets: tf.Tensor1D = rateCosts ? tf.add(norms, rateCosts) : norms; // [K]
  const doubled = tf.mul(latents, 2);
  const distances = (codes: tf.Tensor2D, offset: tf.Tensor1D): tf.Tensor2D =>
    tf.sub(offset, tf.matMul(doubled, codes, false, true)); // [N, codes]
  if (K <= CODES_AT_ONCE) return tf.argMin(distances(codebook, offsets), 1);

  let ids: tf.Tensor1D | undefined;
  let nearest: tf.Tensor1D | undefined;
  for (let start = 0; start < K; start += CODES_AT_ONCE) {
    const count = Math.min(CODES_AT_ONCE, K - start);
    const part = distances(tf.slice2d(codebook, [start, 0], [count, D]), tf.slice1d(offsets, start, count));
    const partNearest: tf.Tensor1D = tf.min(part, 1);
    const partIds: tf.Tensor1D = tf.add(tf.argMin(part, 1), tf.scalar(start, 'int32'));
    ids = ids && nearest ? tf.where(tf.less(partNearest, nearest), partIds, ids) : partIds;
    nearest = nearest ? tf.minimum(nearest, partNearest) : partNearest;
  }
  return ids!;
}

/** The values of `codes` with the gradient of `latents`. */
export function straightThrough<T extends tf.Tensor>(latents: T, codes: tf.Tensor): T {
  return tf.add(latents, stopGradient(tf.sub(codes, latents)));
}

/** Minimum length to divide by. */
const LEAST_LENGTH = 1e-6;

const lengthOf = (x: tf.Tensor): tf.Tensor => tf.maximum(tf.norm(x, 'euclidean', -1, true), LEAST_LENGTH); // [N, 1]

/**
 * The values of `codes`, as a rotation and rescaling of the latents that is constant in the gradient. Latents then keep their
 * angle to their code, instead of moving in parallel.
 *
 * @param latents float32 [N, D]; `codes` [N, D], which get no gradient.
 * Source: Fifty et al., arXiv:2410.06424, section 4.
 */
export function rotated(latents: tf.Tensor2D, codes: tf.Tensor2D): tf.Tensor2D {
  const z = stopGradient(latents);
  const q = stopGradient(codes);
  const from = tf.div(z, lengthOf(z));
  const to = tf.div(q, lengthOf(q));
  const sum = tf.add(from, to);
  const between = tf.div(sum, lengthOf(sum));
  const along = (direction: tf.Tensor): tf.Tensor => tf.sum(tf.mul(latents, direction), -1, true); // [N, 1]
  // Two reflections: through the plane between the directions, then through that of the code.
  const turned = tf.add(
    tf.sub(latents, tf.mul(along(between), tf.mul(between, 2))),
    tf.mul(along(from), tf.mul(to, 2)),
  );
  return straightThrough(tf.mul(turned, tf.div(lengthOf(q), lengthOf(z))), q);
}

/** How the decoder's gradient passes the choice of a code. */
export type CodeGradient = 'straight-through' | 'rotation';

/** The values of `codes`, float32 [N, D], with a gradient for `latents` [N, D] only. */
export const passGradient = (latents: tf.Tensor2D, codes: tf.Tensor2D, gradient: CodeGradient): tf.Tensor2D =>
  gradient === 'rotation' ? rotated(latents, codes) : straightThrough(latents, codes);

/** Ids of quantizers with one id at each position: int32 [N] -> [N, 1], and back. */
export const asColumn = (ids: tf.Tensor1D): tf.Tensor2D => tf.reshape(ids, [-1, 1]);
export const fromColumn = (ids: tf.Tensor2D): tf.Tensor1D => tf.reshape(ids, [-1]);
