import { tf } from './tf.js';
import { currentTrace } from './trace.js';

/** The same values, cut off from the gradient: a tensor over the same data that is not on the tape. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  const trace = currentTrace();
  // In a trace the value as it is now: a variable may be assigned later.
  if (trace) return tf.engine().makeTensorFromTensorInfo(trace.hold(trace.valueOf(x))) as T;
  return tf.engine().makeTensorFromTensorInfo(retained(x)) as T;
}

/** The new tensor will give its reference back when it is disposed, so it takes one now. */
function retained(x: tf.Tensor): tf.TensorInfo {
  const { backend } = (
    tf.engine().state as unknown as { tensorInfo: WeakMap<object, { backend: tf.KernelBackend }> }
  ).tensorInfo.get(x.dataId)!;
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}
