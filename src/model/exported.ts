import type { tf } from '../engine/index.js';

/** A tensor that goes into an exported function or comes out of it. */
export interface ExportedTensor {
  /** Name in the ONNX file. */
  name: string;
  /** What its values are, for the people who run the file: axes, range, unit. It is written into the card of the export. */
  meaning?: string | undefined;
}

/** A function to be written as an ONNX file. */
export interface ExportedFunction {
  fn: (...args: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  inputs: (ExportedTensor & { shape: number[]; dtype: 'float32' | 'int32' })[];
  outputs: ExportedTensor[];
  /** Axis 0 of all inputs and outputs stays open. */
  dynamicBatch: boolean;
}
