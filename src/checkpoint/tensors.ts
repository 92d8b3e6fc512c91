// Named tensors, the content of checkpoints. They are plain typed arrays, so that the disk code does not depend on the engine.
import { UsageError } from '../errors.js';
import { createSha256 } from '../hash.js';
import { canonicalJson } from '../json.js';
import { sizeOf } from '../shape.js';

/** The element types of tensors in memory, with the typed array of each. */
export interface TensorArrays {
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  /** 0 or 1. */
  bool: Uint8Array;
}

export type TensorDtype = keyof TensorArrays;

/** One tensor: `data` is row-major and has as many elements as `shape` says. */
export type NamedTensor<D extends TensorDtype = TensorDtype> = {
  [K in D]: { dtype: K; shape: number[]; data: TensorArrays[K] };
}[D];

export type NamedTensors = Record<string, NamedTensor>;

/** The constructor of each dtype's typed array. */
export const ARRAY_OF = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** The bytes of a tensor in memory (little-endian on every platform that runs JavaScript); not a copy. */
export function bytesOf({ data }: Pick<NamedTensor, 'data'>): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Names in code unit order: the same on every machine. */
export function sortedNames(tensors: NamedTensors): string[] {
  return Object.keys(tensors).sort();
}

/**
 * @throws {UsageError} E_TENSOR naming the tensor when its name, shape or data do not fit together.
 */
export function checkTensor(name: string, tensor: NamedTensor): void {
  const fail = (expected: string): never => {
    throw new UsageError(
      'E_TENSOR',
      `tensor "${name}": expected ${expected}, received ${tensor.dtype} [${tensor.shape.join(', ')}] with ${tensor.data.length} elements.`,
    );
  };
  if (name === '' || name === '__metadata__' || name === '__proto__') fail('another name');
  if (!tensor.shape.every((dim) => Number.isSafeInteger(dim) && dim > 0)) fail('positive integer dimensions');
  if (!(tensor.data instanceof ARRAY_OF[tensor.dtype])) fail(`data in a ${ARRAY_OF[tensor.dtype].name}`);
  if (tensor.data.length !== sizeOf(tensor.shape)) fail(`${sizeOf(tensor.shape)} elements`);
}

/**
 * Identifies a model: sha256, hex, over the canonical JSON of its config, then of every tensor in name order its name,
 * dtype, shape and bytes, then of every other file in name order its name and sha256. Equal weights under an equal config
 * have equal fingerprints on every machine.
 *
 * @param extras sha256 of the files that the model needs besides its weights, by name.
 */
export function fingerprint(
  config: unknown,
  tensors: NamedTensors,
  extras: Readonly<Record<string, string>> = {},
): string {
  const hash = createSha256().update(`${canonicalJson(config)}\n`);
  for (const name of sortedNames(tensors)) {
    const tensor = tensors[name]!;
    hash.update(`${canonicalJson([name, tensor.dtype, tensor.shape])}\n`).update(bytesOf(tensor));
  }
  for (const name of Object.keys(extras).sort()) hash.update(`${canonicalJson([name, extras[name]])}\n`);
  return hash.hex();
}
