// The safetensors format (https://huggingface.co/docs/safetensors, "Format"): eight bytes with the header's length, a
// JSON header of name -> {dtype, shape, data_offsets}, then the bytes of the tensors without holes or overlaps.
import { CorruptError } from '../errors.js';
import { canonicalJson, decodeUtf8, isRecord, parseJson } from '../json.js';
import { floatBits, toHalves } from './half.js';
import { ARRAY_OF, bytesOf, checkTensor, sortedNames } from './tensors.js';
import type { NamedTensor, NamedTensors, TensorDtype } from './tensors.js';

/** The format's own limit on the header. */
const HEADER_LIMIT = 100_000_000;
const LENGTH_BYTES = 8;
const SPACE = 0x20;

const NAME_ON_DISK: Record<TensorDtype, string> = {
  float32: 'F32',
  float64: 'F64',
  int8: 'I8',
  int16: 'I16',
  int32: 'I32',
  int64: 'I64',
  uint8: 'U8',
  uint16: 'U16',
  uint32: 'U32',
  uint64: 'U64',
  bool: 'BOOL',
};

/** How each dtype on disk is read. F16 and BF16 widen to float32, which holds every value of both. */
const DTYPES: Record<string, { dtype: TensorDtype; bytes: number; widen?: (bits: number) => number }> = {
  F64: { dtype: 'float64', bytes: 8 },
  F32: { dtype: 'float32', bytes: 4 },
  F16: { dtype: 'float32', bytes: 2, widen: floatBits },
  BF16: { dtype: 'float32', bytes: 2, widen: (bits) => bits << 16 },
  I64: { dtype: 'int64', bytes: 8 },
  I32: { dtype: 'int32', bytes: 4 },
  I16: { dtype: 'int16', bytes: 2 },
  I8: { dtype: 'int8', bytes: 1 },
  U64: { dtype: 'uint64', bytes: 8 },
  U32: { dtype: 'uint32', bytes: 4 },
  U16: { dtype: 'uint16', bytes: 2 },
  U8: { dtype: 'uint8', bytes: 1 },
  BOOL: { dtype: 'bool', bytes: 1 },
};

/** What a safetensors file holds. */
export interface SafetensorsFile {
  tensors: NamedTensors;
  /** The header's `__metadata__`, empty when there is none. */
  metadata: Record<string, string>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

/**
 * Serializes tensors. The same tensors give the same bytes: wider elements first (so that every tensor is aligned to
 * its element), then by name; the header is padded to 8 bytes with spaces.
 *
 * @param options.halves stores float32 tensors as F16, rounded to it. Default: false.
 * @throws {UsageError} E_TENSOR when a tensor's name, shape or data do not fit together.
 */
export function encodeSafetensors(
  tensors: NamedTensors,
  metadata: Record<string, string> = {},
  options: { halves?: boolean } = {},
): Uint8Array {
  const stored = sortedNames(tensors).map((name) => {
    const tensor = tensors[name]!;
    checkTensor(name, tensor);
    const asHalves = options.halves && tensor.dtype === 'float32';
    return asHalves
      ? { name, dtype: 'F16', shape: tensor.shape, data: toHalves(tensor.data) }
      : { name, dtype: NAME_ON_DISK[tensor.dtype], shape: tensor.shape, data: tensor.data };
  });
  stored.sort((a, b) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT); // stable
  const header = encodeHeader(stored, metadata);
  const start = LENGTH_BYTES + header.length;
  const out = new Uint8Array(stored.reduce((sum, { data }) => sum + data.byteLength, start));
  new DataView(out.buffer).setBigUint64(0, BigInt(header.length), true);
  out.set(header, LENGTH_BYTES);
  let position = start;
  for (const { data } of stored) {
    out.set(bytesOf({ data }), position);
    position += data.byteLength;
  }
  return out;
}

/** A tensor as it is stored. */
interface Stored {
  name: string;
  dtype: string;
  shape: number[];
  data: NamedTensor['data'];
}

function encodeHeader(stored: readonly Stored[], metadata: Record<string, string>): Uint8Array {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"__metadata__":${canonicalJson(metadata)}`);
  let offset = 0;
  for (const { name, dtype, shape, data } of stored) {
    const end = offset + data.byteLength;
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const text = new TextEncoder().encode(`{${entries.join(',')}}`);
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(SPACE);
  padded.set(text);
  return padded;
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

/**
 * Parses the bytes of a safetensors file. Tensors are views into `bytes` where the alignment allows it.
 *
 * @param where named in errors.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  where: string,
  options: { finite?: boolean } = {},
): SafetensorsFile {
  const { header, start } = readHeader(bytes, where);
  const metadata = readMetadata(header.__metadata__, where);
  const entries = Object.keys(header)
    .filter((name) => name !== '__metadata__')
    .map((name) => readEntry(name, header[name], where));
  checkLayout(entries, bytes.length - start, where);
  const tensors: NamedTensors = {};
  for (const entry of entries) {
    const tensor = readTensor(entry, bytes.subarray(start + entry.begin, start + entry.end), where);
    if (options.finite) checkFinite(entry.name, tensor, where);
    tensors[entry.name] = tensor;
  }
  return { tensors, metadata };
}

interface Entry {
  name: string;
  stored: string;
  shape: number[];
  begin: number;
  end: number;
}

function corrupt(where: string, detail: string): CorruptError {
  return new CorruptError(
    'E_SAFETENSORS',
    `${where}: ${detail}. The file is damaged or not a safetensors file; make or copy it again.`,
  );
}

function readHeader(bytes: Uint8Array, where: string): { header: Record<string, unknown>; start: number } {
  if (bytes.length < LENGTH_BYTES)
    throw corrupt(where, `expected at least ${LENGTH_BYTES} bytes, found ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > HEADER_LIMIT)
    throw corrupt(where, `expected a header of at most ${HEADER_LIMIT} bytes, found ${length}`);
  const start = LENGTH_BYTES + Number(length);
  if (start > bytes.length)
    throw corrupt(where, `expected a header of ${length} bytes, the file ends after ${bytes.length - LENGTH_BYTES}`);
  if (bytes[LENGTH_BYTES] !== 0x7b) throw corrupt(where, 'expected the header to start with "{"');
  const text = decodeUtf8(bytes.subarray(LENGTH_BYTES, start), `${where} header`);
  return { header: parseJson(text, `${where} header`) as Record<string, unknown>, start };
}

function readMetadata(value: unknown, where: string): Record<string, string> {
  if (value === undefined) return {};
  const valid = isRecord(value) && Object.values(value).every((item) => typeof item === 'string');
  if (!valid) throw corrupt(where, 'expected __metadata__ to map strings to strings');
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, where: string): Entry {
  const at = `${where} tensor "${name}"`;
  if (!isRecord(value)) throw corrupt(at, 'expected {dtype, shape, data_offsets}');
  const { dtype, shape, data_offsets: offsets } = value;
  const format = typeof dtype === 'string' && Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype]! : undefined;
  if (format === undefined)
    throw corrupt(at, `expected a dtype of ${Object.keys(DTYPES).join(', ')}, found ${JSON.stringify(dtype)}`);
  if (!isIntegers(shape) || shape.length > 16 || shape.includes(0))
    throw corrupt(at, `expected positive integer dimensions, found ${JSON.stringify(shape)}`);
  if (!isIntegers(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!)
    throw corrupt(at, `expected data_offsets [begin, end], found ${JSON.stringify(offsets)}`);
  const expected = shape.reduce((size, dim) => size * dim, format.bytes); // a double: huge products stay huge
  const [begin, end] = offsets as [number, number];
  if (end - begin !== expected)
    throw corrupt(at, `expected ${expected} bytes for ${dtype} [${shape.join(', ')}], found ${end - begin}`);
  return { name, stored: dtype as string, shape, begin, end };
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function checkLayout(entries: Entry[], size: number, where: string): void {
  let position = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const at = `${where} tensor "${name}"`;
    if (begin > position) throw corrupt(at, `expected data to begin at ${position}, found a hole up to ${begin}`);
    if (begin < position) throw corrupt(at, `expected data to begin at ${position}, found an overlap from ${begin}`);
    position = end;
  }
  if (position !== size) throw corrupt(where, `expected ${position} bytes of tensors, found ${size}`);
}

function readTensor(entry: Entry, bytes: Uint8Array, where: string): NamedTensor {
  const format = DTYPES[entry.stored]!;
  const data = format.widen ? widen(bytes, format.widen) : viewAs(bytes, format.dtype);
  if (format.dtype === 'bool' && (data as Uint8Array).some((value) => value > 1)) {
    throw corrupt(`${where} tensor "${entry.name}"`, 'expected booleans of 0 or 1, found another value');
  }
  return { dtype: format.dtype, shape: entry.shape, data } as NamedTensor;
}

function viewAs(bytes: Uint8Array, dtype: TensorDtype): NamedTensor['data'] {
  const type = ARRAY_OF[dtype];
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new type(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.length / type.BYTES_PER_ELEMENT);
}

function widen(bytes: Uint8Array, toFloatBits: (bits: number) => number): Float32Array {
  const halves = viewAs(bytes, 'uint16') as Uint16Array;
  const words = new Int32Array(halves.length);
  for (let i = 0; i < halves.length; i++) words[i] = toFloatBits(halves[i]!);
  return new Float32Array(words.buffer);
}

function checkFinite(name: string, tensor: NamedTensor, where: string): void {
  if (tensor.dtype !== 'float32' && tensor.dtype !== 'float64') return;
  const data = tensor.data;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i]!))
      throw new CorruptError(
        'E_TENSOR_NOT_FINITE',
        `${where} tensor "${name}": expected finite weights, found ${data[i]} at element ${i}.`,
      );
  }
}
