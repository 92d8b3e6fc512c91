// The one door to TensorFlow.js. Importing it brings up the `cpu` backend, where the tensors of a program live between
// compiled calls: its storage is plain typed arrays, which ONNX Runtime reads and writes without a copy.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';

export { tf };

/** What TF.js stores for a tensor of the cpu backend. */
interface HostEntry {
  values: Float32Array | Int32Array | Uint8Array;
}

let host: MathBackendCPU | undefined;

/** Makes `cpu` the active TF.js backend. Synchronous: its factory is. Idempotent and cheap. */
export function useHostBackend(): MathBackendCPU {
  if (tf.engine().backendName !== 'cpu') void tf.setBackend('cpu');
  if (!host) {
    host = tf.findBackend('cpu') as MathBackendCPU;
    // The backend's first tensor prints an advertisement of tfjs-node; a library stays quiet.
    (host as unknown as { firstUse: boolean }).firstUse = false;
  }
  return host;
}

/** The typed array behind a cpu tensor, not a copy. */
export function hostValues(tensor: tf.TensorInfo): Float32Array | Int32Array | Uint8Array {
  const entry = useHostBackend().data.get(tensor.dataId) as unknown as HostEntry;
  return entry.values;
}

/** Replaces the typed array behind a cpu tensor; the old one is left to its other holders. */
export function setHostValues(tensor: tf.TensorInfo, values: Float32Array | Int32Array | Uint8Array): void {
  const entry = useHostBackend().data.get(tensor.dataId) as unknown as HostEntry;
  entry.values = values;
}

useHostBackend();
