// The one door to TensorFlow.js. Importing it brings up the `cpu` backend, where the tensors of a program live between
// compiled calls: its storage is plain typed arrays, which ONNX Runtime reads and writes without a copy.
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

/** Arrays that a program has been handed by `data()` or `dataSync()`, which do not copy. */
const handedOut = new WeakSet<HostArray>();

/** True when a program may still look at this array, so that it must not be overwritten. */
export function isHandedOut(values: HostArray): boolean {
  return handedOut.has(values);
}

/** The `cpu` backend, active or not. */
export function hostBackend(): MathBackendCPU {
  if (!host) {
    host = tf.findBackend('cpu') as MathBackendCPU;
    // The backend's first tensor prints an advertisement of tfjs-node; a library stays quiet.
    (host as unknown as { firstUse: boolean }).firstUse = false;
    const read = host.readSync.bind(host);
    host.readSync = (dataId) => {
      const values = read(dataId);
      if (ArrayBuffer.isView(values)) handedOut.add(values as HostArray);
      return values;
    };
  }
  return host;
}

/** Makes `cpu` the active TF.js backend. Synchronous: its factory is. Idempotent and cheap. */
export function useHostBackend(): MathBackendCPU {
  if (tf.engine().backendName !== 'cpu') void tf.setBackend('cpu');
  return hostBackend();
}

/** True while some backend of TF.js holds the tensor's data. */
export function isAlive({ dataId }: tf.TensorInfo): boolean {
  return (tf.engine().state as unknown as { tensorInfo: WeakMap<object, unknown> }).tensorInfo.has(dataId);
}

/**
 * The typed array behind a cpu tensor, not a copy. A variable's array may be overwritten by a later compiled call:
 * take a `slice()` to keep it, or `dataSync()`, whose arrays are left alone.
 *
 * @throws {EngineError} E_ENGINE_DISPOSED when the tensor's data are gone.
 */
export function hostValues(tensor: tf.TensorInfo): HostArray {
  const backend = useHostBackend();
  if (!backend.data.has(tensor.dataId) && !isAlive(tensor)) {
    throw new EngineError(
      'E_ENGINE_DISPOSED',
      `compiled function: expected a live tensor, received a disposed ${tensor.dtype} [${tensor.shape.join(', ')}]. Dispose arguments and captured tensors only when the call's promise has settled.`,
    );
  }
  const { values } = backend.data.get(tensor.dataId) as unknown as HostEntry;
  // A boolean tensor cast to int32 shares its bytes.
  return tensor.dtype === 'int32' && values instanceof Uint8Array ? Int32Array.from(values) : values;
}

/** Replaces the typed array behind a cpu tensor; the old one is left to its other holders. */
export function setHostValues(tensor: tf.TensorInfo, values: HostArray): void {
  const entry = useHostBackend().data.get(tensor.dataId) as unknown as HostEntry;
  entry.values = values;
}

useHostBackend();
