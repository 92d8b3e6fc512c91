// Nested arguments and results: flattening, signatures and rebuilding.
import { tf } from './tf.js';

/**
 * What a compiled function takes and returns: tensors nested in arrays and plain objects. Numbers, strings, booleans
 * and null are plain values; as arguments they select the graph.
 */
export type Structure =
  | tf.Tensor
  | number
  | string
  | boolean
  | null
  | undefined
  | readonly Structure[]
  | { readonly [key: string]: Structure };

const isTensor = (value: unknown): value is tf.Tensor => value instanceof tf.Tensor;

/** Collects all tensors, depth first, in key order. */
export function tensorsOf(value: Structure, out: tf.Tensor[] = []): tf.Tensor[] {
  if (isTensor(value)) out.push(value);
  else if (value !== null && typeof value === 'object') for (const item of Object.values(value)) tensorsOf(item, out);
  return out;
}

/** Copies a structure, replacing every tensor by the result of `replace`, in the order of {@link tensorsOf}. */
export function mapTensors(value: Structure, replace: (tensor: tf.Tensor) => tf.Tensor): Structure {
  if (isTensor(value)) return replace(value);
  if (Array.isArray(value)) return value.map((item) => mapTensors(item as Structure, replace));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, replace)]));
  }
  return value;
}

/**
 * Returns a string that is equal for arguments that may share a graph: same structure, shapes, dtypes and plain values.
 */
export function signatureOf(value: Structure): string {
  if (isTensor(value)) return `${value.dtype}[${value.shape.join()}]`;
  if (Array.isArray(value)) return `(${value.map((item) => signatureOf(item as Structure)).join(';')})`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}:${signatureOf(item)}`)
      .join(';')}}`;
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
