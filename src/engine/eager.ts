// Compiled functions on the engines that trace nothing.
import { loadTensorflow } from './engines.js';
import type { EngineName } from './engines.js';
import { tf, useHostBackend } from './tf.js';

/** Runs a function on an eager engine; only its result survives. */
export async function runEagerly<R>(engine: Exclude<EngineName, 'onnxruntime'>, fn: () => R): Promise<R> {
  if (engine === 'tensorflow') {
    await loadTensorflow();
    await tf.setBackend('tensorflow');
  } else useHostBackend();
  return tf.tidy(() => fn() as tf.TensorContainer) as R;
}
