import { tf } from './tf.js';
import { currentTrace } from './trace.js';

/** Returns a tensor with the same data that is not recorded on the gradient tape. */
export function stopGradient<T extends tf.Tensor>(x: T): T {
  const trace = currentTrace();
  // A trace needs the current value, because a variable may be assigned later.
  if (trace) return tf.engine().makeTensorFromTensorInfo(trace.hold(trace.valueOf(x))) as T;
  return tf.engine().makeTensorFromTensorInfo(retained(x)) as T;
}

/** Increments the reference count: the new tensor will decrement it when it is disposed. */
function retained(x: tf.Tensor): tf.TensorInfo {
  const { backend } = (
    tf.engine().state as { tensorInfo: WeakMap<object, { backend: tf.KernelBackend }> }
  ).tensorInfo.get(x.dataId)!;
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}
