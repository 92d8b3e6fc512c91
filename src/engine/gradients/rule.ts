// Declares a gradient: which values of the forward pass to save, and how to compute the gradients of the inputs from
// that of the output.
import { byName } from '../named.js';
import { tf } from '../tf.js';

export type Grads = Record<string, () => tf.Tensor>;
export type Attributes = Record<string, unknown>;

/** TF.js's names of inputs that gradients use, and `y` for the first output. */
export type SavedName =
  | 'a'
  | 'alpha'
  | 'b'
  | 'condition'
  | 'dy'
  | 'filter'
  | 'images'
  | 'indices'
  | 'input'
  | 'mean'
  | 'params'
  | 'segmentIds'
  | 'updates'
  | 'variance'
  | 'x'
  | 'y';

/** The saved values by name. Reading one that the rule does not save throws. */
export type Saved = Readonly<Record<SavedName, tf.Tensor> & { scale?: tf.Tensor | undefined }>;

export interface Rule {
  /** Names of the inputs to save for the gradient. */
  save?: readonly (keyof Saved)[];
  /** Also saves the (first) output, as `y`. */
  saveOutput?: boolean;
  gradient: (dy: tf.Tensor, saved: Saved, attributes: Attributes) => Grads;
}

/** The values that TF.js saved for a rule, inputs first, by name. */
export function savedOf(kernelName: string, { save = [], saveOutput }: Rule, values: readonly tf.Tensor[]): Saved {
  const names: string[] = [...save, ...(saveOutput ? ['y'] : [])];
  return byName(`the gradient of ${kernelName}`, Object.fromEntries(names.map((name, i) => [name, values[i]])));
}

export const zeros = (x: tf.Tensor): tf.Tensor => tf.zeros(x.shape);

/** Calls a TF.js kernel that has no public op. */
export const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: Attributes): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap);

/** Sums a gradient over the axes along which an operand was broadcast. float32 [..] -> float32 `shape`. */
export function sumTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, dy.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, shape);
}

/** Rule for y = f(x) with dy/dx computed from x. */
export const ofInput = (derivative: (dy: tf.Tensor, x: tf.Tensor, attributes: Attributes) => tf.Tensor): Rule => ({
  save: ['x'],
  gradient: (dy, { x }, attributes) => ({ x: () => derivative(dy, x, attributes) }),
});

/** Rule for y = f(x) with dy/dx computed from y. */
export const ofOutput = (derivative: (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor): Rule => ({
  saveOutput: true,
  gradient: (dy, { y }) => ({ x: () => derivative(dy, y) }),
});

/** Rule for functions whose derivative is zero wherever it exists. */
export const zeroGradient = (...inputs: SavedName[]): Rule => ({
  save: inputs,
  gradient: (_, saved) => Object.fromEntries(inputs.map((name) => [name, () => zeros(saved[name])])),
});

export const asFloat = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'float32');
