// Initial codebooks: latents of a first batch, or the means of their clusters by k-means (Lloyd, 1982).
import { randomUniform, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { nearestCode } from './nearest.js';

export type Start = 'batch' | 'kmeans';

/** Number of rounds of k-means. More change little. */
const ROUNDS = 10;

/**
 * Chooses initial codes.
 *
 * @param latents float32 [N, D].
 * @param codebookSize K.
 * @param normalize changes codes after each round, e.g. to length 1.
 * @returns float32 [K, D]: random latents, or the means of K clusters. If there are not more latents than codes, both are
 * random latents.
 *
 * The same key and latents give the same codes.
 */
export function startCodes(
  latents: tf.Tensor2D,
  codebookSize: number,
  key: RandomKey,
  start: Start,
  normalize: (codes: tf.Tensor2D) => tf.Tensor2D,
): tf.Tensor2D {
  const rows = latents.shape[0];
  if (start === 'batch' || rows <= codebookSize)
    return normalize(tf.gather(latents, randomRows(key, codebookSize, rows, 'quantizer.start')));
  const distinct = tf.topk(randomUniform(key, [rows], 'quantizer.start'), codebookSize).indices; // [K]
  let codes = normalize(tf.gather(latents, tf.cast(distinct, 'int32')));
  for (let round = 0; round < ROUNDS; round++) codes = normalize(lloydRound(latents, codes));
  return codes;
}

/** Row numbers with repetition, int32 [count], each in [0, rows). */
export const randomRows = (key: RandomKey, count: number, rows: number, stream: string): tf.Tensor1D =>
  tf.cast(tf.floor(tf.mul(randomUniform(key, [count], stream), rows)), 'int32');

/** Moves codes [K, D] to the means of their latents [N, D], and codes without latents to the latents that are farthest from their codes. */
function lloydRound(latents: tf.Tensor2D, codes: tf.Tensor2D): tf.Tensor2D {
  const [rows, K] = [latents.shape[0], codes.shape[0]];
  const ids = nearestCode(latents, codes);
  const uses = tf.unsortedSegmentSum(tf.ones([rows]), ids, K); // [K]
  const means: tf.Tensor2D = tf.div(tf.unsortedSegmentSum(latents, ids, K), tf.reshape(tf.maximum(uses, 1), [K, 1])); // [K, D]
  const distance = tf.sum(tf.squaredDifference(latents, tf.gather(codes, ids)), -1); // [N]
  const farthest = tf.cast(tf.topk(distance, K).indices, 'int32'); // [K]
  const empty = tf.less(uses, 0.5); // [K]
  const turn = tf.maximum(tf.sub(tf.cumsum(tf.cast(empty, 'float32')), 1), 0); // [K]: place among the empty ones
  const fresh = tf.gather(latents, tf.gather(farthest, tf.cast(turn, 'int32'))); // [K, D]
  return tf.where(tf.reshape(empty, [K, 1]), fresh, means);
}
