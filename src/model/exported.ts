import type { tf } from '../engine/index.js';

/** A function to be written as an ONNX file. */
export interface ExportedFunction {
  fn: (...args: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  inputs: { name: string; shape: number[]; dtype: 'float32' | 'int32' }[];
  outputs: string[];
  /** Axis 0 of all inputs and outputs stays open. */
  dynamicBatch: boolean;
}
