// How well logits predict codes.
import { crossEntropy, tf } from '../engine/index.js';

/**
 * Cross-entropy of each code, and whether it has the largest logit.
 *
 * @param logits float32 [N, K].
 * @param codes  int32 [N].
 * @returns nats float32 [N], and hits float32 [N] of 0 and 1.
 */
export function codeScores(logits: tf.Tensor2D, codes: tf.Tensor1D): { nats: tf.Tensor1D; hits: tf.Tensor1D } {
  const hits: tf.Tensor1D = tf.equal(tf.argMax(logits, 1), codes);
  return { nats: crossEntropy(logits, codes), hits: tf.cast(hits, 'float32') };
}
