import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../src/checkpoint/safetensors.js';
import { refuseForeignFormat } from '../../src/checkpoint/foreign-format.js';
import { ARRAY_OF, fingerprint } from '../../src/checkpoint/tensors.js';
import type { NamedTensor, NamedTensors, TensorDtype } from '../../src/checkpoint/tensors.js';
import { CorruptError, TesseraeError, UsageError } from '../../src/errors.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tesserae-safetensors-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A file from a header of any kind and `size` bytes of data. */
function fileOf(header: unknown, size: number): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const bytes = new Uint8Array(8 + Buffer.byteLength(text) + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Buffer.byteLength(text)), true);
  bytes.set(Buffer.from(text), 8);
  return bytes;
}

const f32 = (shape: unknown, offsets: unknown): object => ({ dtype: 'F32', shape, data_offsets: offsets });

const float = (shape: number[], ...values: number[]): NamedTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

describe('encoding and decoding', () => {
  test('gives back tensors of every dtype, in order-independent bytes', () => {
    const tensors: NamedTensors = {};
    for (const [dtype, type] of Object.entries(ARRAY_OF)) {
      const data =
        dtype.endsWith('64') && dtype !== 'float64' ? [1n, 0n, 2n] : dtype === 'bool' ? [1, 0, 1] : [1, 0, 2];
      tensors[`w.${dtype}`] = {
        dtype: dtype as TensorDtype,
        shape: [3, 1],
        data: (type as unknown as { from(values: unknown): never }).from(data),
      } as NamedTensor;
    }
    const bytes = encodeSafetensors(tensors, { format: 'tesserae' });
    expect(decodeSafetensors(bytes, 'f')).toEqual({ tensors, metadata: { format: 'tesserae' } });
    const reversed = Object.fromEntries(Object.entries(tensors).reverse());
    expect(encodeSafetensors(reversed, { format: 'tesserae' })).toEqual(bytes);
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });

  test('holds a scalar and no tensor at all', () => {
    expect(decodeSafetensors(encodeSafetensors({ s: float([], 3) }), 'f').tensors).toEqual({ s: float([], 3) });
    expect(decodeSafetensors(encodeSafetensors({}), 'f').tensors).toEqual({});
  });

  test('reads a tensor that is not aligned', () => {
    const bytes = fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} ', 4);
    const data = new DataView(bytes.buffer, bytes.length - 4);
    data.setFloat32(0, 1.5, true);
    expect(decodeSafetensors(bytes, 'f').tensors.a).toEqual(float([1], 1.5));
  });

  test('widens half precision exactly: zeros, subnormals, ones, the largest, infinities', () => {
    const halves = Uint16Array.of(
      0x0000,
      0x8000,
      0x0001,
      0x03ff,
      0x0400,
      0x3c00,
      0xbc00,
      0x7bff,
      0x7c00,
      0xfc00,
      0x7e00,
    );
    const expected = [0, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -1, 65504, Infinity, -Infinity, Number.NaN];
    const bytes = fileOf({ h: { dtype: 'F16', shape: [11], data_offsets: [0, 22] } }, 22);
    bytes.set(new Uint8Array(halves.buffer), bytes.length - 22);
    expect([...(decodeSafetensors(bytes, 'f').tensors.h!.data as Float32Array)]).toEqual(expected);
  });

  test('widens every bfloat16 exactly', () => {
    const bytes = fileOf({ b: { dtype: 'BF16', shape: [65_536], data_offsets: [0, 131_072] } }, 131_072);
    const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    bytes.set(new Uint8Array(halves.buffer), bytes.length - 131_072);
    const words = new Uint32Array((decodeSafetensors(bytes, 'f').tensors.b!.data as Float32Array).buffer);
    expect(words.every((word, i) => word === (i << 16) >>> 0)).toBe(true);
  });
});

describe('the writer refuses', () => {
  test.each<[string, NamedTensors]>([
    ['a shape that does not fit the data', { a: float([3], 1, 2) }],
    ['an empty dimension', { a: float([0]) }],
    ['a negative dimension', { a: float([-1], 1) }],
    ['data of another type', { a: { dtype: 'float32', shape: [1], data: Int32Array.of(1) } as unknown as NamedTensor }],
    ['the reserved name', { __metadata__: float([1], 1) }],
    ['an empty name', { '': float([1], 1) }],
  ])('%s', (_, tensors) => {
    expect(() => encodeSafetensors(tensors)).toThrow(expect.objectContaining({ code: 'E_TENSOR' }));
  });
});

describe('the reader refuses', () => {
  const huge = new Uint8Array(16);
  new DataView(huge.buffer).setBigUint64(0, 2n ** 63n, true);
  const header = (value: unknown, size = 8): Uint8Array => fileOf(value, size);

  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /expected at least 8 bytes/],
    ['a huge header', huge, /header of at most 100000000 bytes, found 9223372036854775808/],
    ['a header past the end', fileOf('{}', 0).subarray(0, 9), /the file ends after 1/],
    ['a header that is an array', header('[]'), /start with "\{"/],
    ['a header that is not JSON', header('{"a":'), /E_JSON/],
    ['a header that is not UTF-8', Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d), /UTF-8/],
    ['a nesting bomb', header(`{"a":${'['.repeat(100_000)}`), /levels of nesting/],
    [
      'a duplicate name',
      header(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
      ),
      /"a" twice/,
    ],
    ['a __proto__ name', header('{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'), /__proto__/],
    ['a hole', header({ a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12), /tensor "b": .*hole/],
    ['a hole at the start', header({ a: f32([1], [4, 8]) }), /tensor "a": .*hole/],
    ['an overlap', header({ a: f32([2], [0, 8]), b: f32([1], [4, 8]) }), /tensor "b": .*overlap/],
    ['bytes after the last tensor', header({ a: f32([1], [0, 4]) }), /expected 4 bytes of tensors, found 8/],
    ['a tensor past the end', header({ a: f32([3], [0, 12]) }), /expected 12 bytes of tensors, found 8/],
    ['a shape of other bytes', header({ a: f32([3], [0, 8]) }), /tensor "a": expected 12 bytes for F32 \[3\], found 8/],
    ['a zero dimension', header({ a: f32([0, 2], [0, 0]), b: f32([2], [0, 8]) }), /tensor "a": expected positive/],
    ['a negative dimension', header({ a: f32([-1, -2], [0, 8]) }), /tensor "a": expected positive/],
    ['a fractional dimension', header({ a: f32([0.5], [0, 8]) }), /tensor "a": expected positive/],
    ['a huge dimension', header({ a: f32([2 ** 53], [0, 8]) }), /tensor "a": expected positive/],
    [
      'dimensions whose product overflows',
      header({ a: f32([2 ** 32, 2 ** 32], [0, 8]) }),
      /tensor "a": expected 7378697629\d+ bytes/,
    ],
    [
      'too many dimensions',
      header(
        {
          a: f32(
            Array.from({ length: 17 }, () => 1),
            [0, 4],
          ),
        },
        4,
      ),
      /tensor "a"/,
    ],
    ['offsets the wrong way round', header({ a: f32([2], [8, 0]) }), /tensor "a": expected data_offsets/],
    [
      'an unknown dtype',
      header({ a: { dtype: 'F8_E5M2', shape: [8], data_offsets: [0, 8] } }),
      /tensor "a": expected a dtype/,
    ],
    [
      'a dtype from the prototype',
      header({ a: { dtype: 'constructor', shape: [8], data_offsets: [0, 8] } }),
      /tensor "a": expected a dtype/,
    ],
    ['an entry that is no object', header({ a: 3 }), /tensor "a": expected \{dtype/],
    ['metadata that is not text', header({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    [
      'booleans other than 0 and 1',
      Uint8Array.from([...fileOf({ a: { dtype: 'BOOL', shape: [1], data_offsets: [0, 1] } }, 0), 2]),
      /tensor "a": expected booleans/,
    ],
  ])('%s', (_, bytes, message) => {
    const decode = (): unknown => decodeSafetensors(bytes, 'f.safetensors');
    expect(decode).toThrow(CorruptError);
    expect(decode).toThrow(message);
    expect(decode).toThrow(/f\.safetensors/);
  });

  test('weights that are not finite, on request', () => {
    const bytes = encodeSafetensors({ w: float([3], 1, Number.NaN, 2) });
    expect(decodeSafetensors(bytes, 'f').tensors.w!.data[1]).toBeNaN();
    expect(() => decodeSafetensors(bytes, 'f', { finite: true })).toThrow(
      /E_TENSOR_NOT_FINITE f tensor "w": .*NaN at element 1/,
    );
  });

  test('every truncation, with a typed error', () => {
    const bytes = encodeSafetensors({
      a: float([2], 1, 2),
      b: { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
    });
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeSafetensors(bytes.subarray(0, length), 'f')).toThrow(CorruptError);
  });

  test('any bytes whatever with a typed error, or reads them', () => {
    const base = encodeSafetensors({ a: float([2], 1, 2) }, { k: 'v' });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (changes) => {
          const bytes = base.slice();
          for (const [position, value] of changes) bytes[position] = value;
          const thrown = errorOf(() => decodeSafetensors(bytes, 'f'));
          expect(thrown === undefined || thrown instanceof TesseraeError).toBe(true);
        },
      ),
      { numRuns: 2000, seed: 1 },
    );
  });
});

function errorOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('other formats', () => {
  test.each(['model.pt', 'model.pth', 'weights.pkl', 'last.ckpt', 'model.h5', 'pytorch_model.bin'])(
    '%s is refused with the way to convert it',
    (name) => {
      writeFileSync(join(directory, name), 'x');
      expect(() => refuseForeignFormat(join(directory, name))).toThrow(/E_MODEL_FORMAT .*save_file/);
    },
  );

  test.each([
    ['a pickle', [0x80, 4, 0x95, 9, 0, 0, 0, 0, 0, 0, 0, 0x7d]],
    ['a zip archive', [0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0]],
    ['an HDF5 file', [0x89, 0x48, 0x44, 0x46, 13, 10, 0x1a, 10, 0]],
  ])('%s under another name is recognized', (_, bytes) => {
    const path = join(directory, 'model.safetensors');
    writeFileSync(path, Uint8Array.from(bytes));
    expect(() => refuseForeignFormat(path)).toThrow(UsageError);
  });

  test('a header length that looks like a pickle is not taken for one', () => {
    const bytes = fileOf(JSON.stringify({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }).padEnd(0x0480), 1);
    expect([bytes[0], bytes[1]]).toEqual([0x80, 4]);
    writeFileSync(join(directory, 'f'), bytes);
    expect(() => refuseForeignFormat(join(directory, 'f'))).not.toThrow();
    expect(Object.keys(decodeSafetensors(bytes, 'f').tensors)).toEqual(['a']);
  });
});

describe('the fingerprint', () => {
  const base: NamedTensors = { a: float([2], 1, 2), b: float([1], 3) };

  test('does not depend on the order of names or keys', () => {
    expect(fingerprint({ x: 1, y: { z: 2, w: 3 } }, base)).toBe(
      fingerprint({ y: { w: 3, z: 2 }, x: 1 }, { b: base.b!, a: base.a! }),
    );
    expect(fingerprint({}, base)).toMatch(/^[0-9a-f]{64}$/);
  });

  test('changes with config, name, shape, dtype and every value', () => {
    const variants = [
      fingerprint({}, base),
      fingerprint({ x: 1 }, base),
      fingerprint({}, { a: base.a!, c: base.b! }),
      fingerprint({}, { ...base, a: float([2, 1], 1, 2) }),
      fingerprint({}, { ...base, a: float([2], 1, 2.0000002) }),
      fingerprint({}, { ...base, b: { dtype: 'int32', shape: [1], data: new Int32Array(Float32Array.of(3).buffer) } }),
      fingerprint({}, { a: float([3], 1, 2, 3) }),
    ];
    expect(new Set(variants).size).toBe(variants.length);
  });
});

const python = process.env.TESSERAE_PYTHON ?? 'python3';
const hasPython = spawnSync(python, ['-c', 'import safetensors, numpy']).status === 0;

test.runIf(hasPython)('Python reads what we write, and we read what Python writes', () => {
  const tensors: NamedTensors = {
    w: float([2, 2], 1, -2, 3.5, 0.25),
    ids: { dtype: 'int32', shape: [3], data: Int32Array.of(-1, 0, 7) },
    codes: { dtype: 'uint16', shape: [2], data: Uint16Array.of(9, 65_535) },
    bytes: { dtype: 'uint8', shape: [5], data: Uint8Array.of(1, 2, 3, 4, 5) },
    step: { dtype: 'float32', shape: [], data: Float32Array.of(12) },
  };
  writeFileSync(join(directory, 'ours.safetensors'), encodeSafetensors(tensors, { format: 'tesserae' }));
  const script = `
from safetensors.numpy import load_file, save_file
from safetensors import safe_open
t = load_file("ours.safetensors")
assert t["w"].tolist() == [[1, -2], [3.5, 0.25]] and t["codes"].tolist() == [9, 65535] and t["step"].shape == ()
assert safe_open("ours.safetensors", "np").metadata() == {"format": "tesserae"}
save_file(t, "theirs.safetensors", {"a": "b"})
`;
  const { status, stderr } = spawnSync(python, ['-c', script], { cwd: directory, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  const theirs = readFileSync(join(directory, 'theirs.safetensors'));
  expect(decodeSafetensors(theirs, 'theirs')).toEqual({ tensors, metadata: { a: 'b' } });
});

const samples = join(process.env.TESSERAE_DATA ?? join(import.meta.dirname, '../../../shared/data'), 'weights');

test.runIf(existsSync(samples))('reads the sample files of other projects', () => {
  const paths = readdirSync(samples, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.safetensors'),
  );
  expect(paths.length).toBeGreaterThan(0);
  for (const path of paths) {
    refuseForeignFormat(join(samples, path));
    const { tensors } = decodeSafetensors(readFileSync(join(samples, path)), path, { finite: true });
    expect(Object.keys(tensors).length).toBeGreaterThan(0);
    expect(readFileSync(join(samples, path)).length).toBeGreaterThan(Object.values(tensors).length);
  }
});
