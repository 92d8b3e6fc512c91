// The only module that imports TensorFlow.js. Importing it starts the `cpu` backend, which holds the tensors of a
// program between compiled calls: its storage is plain typed arrays, which ONNX Runtime reads and writes without a
// copy.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import type { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { EngineError } from '../errors.js';

export { tf };

/** What TF.js stores for a tensor of the cpu backend. */
interface HostEntry {
  values: Float32Array | Int32Array | Uint8Array;
}

type HostArray = HostEntry['values'];

let host: MathBackendCPU | undefined;

/** Arrays returned to the program by `data()` or `dataSync()`, which do not copy. */
const handedOut = new WeakSet<HostArray>();

/** Whether the program may still hold this array, in which case it must not be overwritten. */
export function isHandedOut(values: HostArray): boolean {
  return handedOut.has(values);
}

/** The `cpu` backend, active or not. */
export function hostBackend(): MathBackendCPU {
  if (!host) {
    host = tf.findBackend('cpu') as MathBackendCPU;
    // The backend's first tensor prints an advertisement for tfjs-node, which a library should not do.
    (host as unknown as { firstUse: boolean }).firstUse = false;
    const read = host.readSync.bind(host);
    host.readSync = (dataId) => {
      const values = read(dataId);
      if (ArrayBuffer.isView(values)) handedOut.add(values);
      return values;
    };
  }
  return host;
}

/**
 * Makes `cpu` the active TF.js backend. Synchronous, because the backend's factory is synchronous; idempotent and
 * cheap.
 */
export function useHostBackend(): MathBackendCPU {
  if (tf.engine().backendName !== 'cpu') void tf.setBackend('cpu');
  return hostBackend();
}

/** Whether any TF.js backend still holds the tensor's data. */
export function isAlive({ dataId }: tf.TensorInfo): boolean {
  return (tf.engine().state as { tensorInfo: WeakMap<object, unknown> }).tensorInfo.has(dataId);
}

/**
 * Returns the typed array behind a cpu tensor without copying it. A later compiled call may overwrite the array of a
 * variable: to keep the values, copy them with `slice()`, or use `dataSync()`, whose arrays are never overwritten.
 *
 * @throws {EngineError} E_ENGINE_DISPOSED when the tensor's data have been disposed.
 */
export function hostValues(tensor: tf.TensorInfo): HostArray {
  const backend = useHostBackend();
  if (!backend.data.has(tensor.dataId) && !isAlive(tensor)) {
    throw new EngineError(
      'E_ENGINE_DISPOSED',
      `compiled function: expected a live tensor, received a disposed ${tensor.dtype} [${tensor.shape.join(', ')}]. Dispose arguments and captured tensors only when the call's promise has settled.`,
    );
  }
  const { values } = backend.data.get(tensor.dataId) as HostEntry;
  // A boolean tensor cast to int32 shares the bytes of the original.
  return tensor.dtype === 'int32' && values instanceof Uint8Array ? Int32Array.from(values) : values;
}

/** Replaces the typed array behind a cpu tensor. The old array stays valid for other holders. */
export function setHostValues(tensor: tf.TensorInfo, values: HostArray): void {
  const entry = useHostBackend().data.get(tensor.dataId) as HostEntry;
  entry.values = values;
}

useHostBackend();
