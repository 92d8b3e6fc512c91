// Activations as layers.
import { tf } from '../engine/index.js';
import { pointwise } from '../model/layer.js';

/** max(x, 0). float32 [..] -> the same shape. */
export const relu = pointwise((x) => tf.relu(x));

/** x sigmoid(x) (Elfwing, Uchibe and Doya, arXiv:1702.03118). float32 [..] -> the same shape. */
export const silu = pointwise((x) => tf.mul(x, tf.sigmoid(x)));
