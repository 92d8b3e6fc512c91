// Declares a gradient: which values of the forward pass to save, and how to compute the gradients of the inputs from
// that of the output.
import { tf } from './tf.js';

export type Grads = Record<string, () => tf.Tensor>;
export type Attributes = Record<string, unknown>;

export interface Rule {
  /** Names of the inputs to save for the gradient. */
  save?: string[];
  /** Also saves the (first) output, after the inputs. */
  saveOutput?: boolean;
  gradient: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => Grads;
}

export const zeros = (x: tf.Tensor): tf.Tensor => tf.zeros(x.shape);

/** Calls a TF.js kernel that has no public op. */
export const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: Attributes): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as tf.Tensor;
