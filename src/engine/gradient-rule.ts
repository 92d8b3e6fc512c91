// How a gradient is declared: what to save of the forward pass, and the inputs' gradients from the output's.
import { tf } from './tf.js';

export type Grads = Record<string, () => tf.Tensor>;
export type Attributes = Record<string, unknown>;

export interface Rule {
  /** Inputs to keep for the gradient, by name. */
  save?: string[];
  /** Keeps the (first) output, after the inputs. */
  saveOutput?: boolean;
  gradient: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => Grads;
}

export const zeros = (x: tf.Tensor): tf.Tensor => tf.zeros(x.shape);

/** Calls a TF.js kernel that has no op of its own. */
export const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: Attributes): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap) as tf.Tensor;
