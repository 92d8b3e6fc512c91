import { tf } from '../engine/index.js';

/**
 * Cross-entropy of each row in nats.
 *
 * @param logits  float32 [N, K].
 * @param targets int32 [N], each in [0, K).
 * @returns float32 [N]. The gradient is softmax - one-hot, computed from the saved probabilities.
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const op = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const values = x as tf.Tensor2D;
    const shifted = tf.sub(values, tf.max(values, 1, true));
    const exponentials = tf.exp(shifted);
    const total = tf.sum(exponentials, 1, true);
    const oneHot = tf.oneHot(targets, values.shape[1]);
    const picked = tf.sum(tf.mul(shifted, oneHot), 1);
    (save as tf.GradSaveFunc)([tf.sub(tf.div(exponentials, total), oneHot)]);
    const value = tf.sub(tf.reshape(tf.log(total), [values.shape[0]]), picked);
    return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(saved[0]!, tf.reshape(dy, [-1, 1])) };
  });
  return op(logits) as tf.Tensor1D;
}
