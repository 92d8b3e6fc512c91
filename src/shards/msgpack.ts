// The subset of msgpack that shards use: maps, arrays, strings, integers, floats, booleans, null and bin. Extension
// types, keys that are not strings, deep nesting and lengths past the end are rejected before the decoder sees any
// byte.
import type * as msgpackr from 'msgpackr';
import { CorruptError, messageOf } from '../errors.js';
import { requireVendored } from '../vendored.js';

const { Packr, Unpackr } = requireVendored<typeof msgpackr>('msgpackr', 'msgpackr/index-no-eval');

const MAX_DEPTH = 16;

const packr = new Packr({ useRecords: false, variableMapSize: true, structuredClone: false, moreTypes: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, structuredClone: false, int64AsType: 'number' });

/** Encodes one value. Equal values with keys in the same order give equal bytes. */
export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/**
 * Decodes the single object in `bytes`. `bin` values are views into `bytes`.
 *
 * @throws {CorruptError} E_MSGPACK naming `where` and the offset within `bytes`.
 */
export function unpackStrict(bytes: Uint8Array, where: () => string): unknown {
  const end = skipObject(bytes, 0, where);
  if (end !== bytes.length) throw malformed(where, end, `expected one object of ${bytes.length} bytes, found its end`);
  try {
    return unpackr.unpack(bytes);
  } catch (error) {
    throw malformed(where, 0, `expected msgpack, ${messageOf(error)}`);
  }
}

function malformed(where: () => string, offset: number, detail: string): CorruptError {
  return new CorruptError(
    'E_MSGPACK',
    `${where()}: ${detail} at byte ${offset}. The data are damaged or were not written by Tesserae.`,
  );
}

/**
 * Walks over the object at `start` without decoding it and returns the offset after it.
 *
 * @throws {CorruptError} E_MSGPACK when it runs past the end of `bytes`, is nested more than 16 levels deep, or
 *   contains an extension type, the unused byte 0xc1 or a key that is not a string.
 */
export function skipObject(bytes: Uint8Array, start: number, where: () => string, depth = 0): number {
  if (depth > MAX_DEPTH) throw malformed(where, start, `expected at most ${MAX_DEPTH} levels, found more`);
  const token = bytes[start];
  if (token === undefined) throw malformed(where, start, 'expected a value, found the end');
  if (token < 0x80 || token >= 0xe0) return start + 1;
  if (token < 0x90) return skipEntries(bytes, start + 1, token & 0x0f, true, where, depth);
  if (token < 0xa0) return skipEntries(bytes, start + 1, token & 0x0f, false, where, depth);
  if (token < 0xc0) return within(bytes, start, start + 1 + (token & 0x1f), where);
  const fixed = FIXED_SIZES[token];
  if (fixed !== undefined) return within(bytes, start, start + fixed, where);
  const width = LENGTH_WIDTHS[token];
  if (width === undefined) throw malformed(where, start, `expected plain msgpack, found type 0x${token.toString(16)}`);
  const body = within(bytes, start, start + 1 + width, where);
  const length = bigEndian(bytes, start + 1, width);
  if (token >= 0xdc) return skipEntries(bytes, body, length, token >= 0xde, where, depth);
  return within(bytes, start, body + length, where);
}

/** Sizes in bytes of the values whose type determines their size: nil, false, true, floats and integers. */
const FIXED_SIZES: Record<number, number> = {
  0xc0: 1,
  0xc2: 1,
  0xc3: 1,
  0xca: 5,
  0xcb: 9,
  0xcc: 2,
  0xcd: 3,
  0xce: 5,
  0xcf: 9,
  0xd0: 2,
  0xd1: 3,
  0xd2: 5,
  0xd3: 9,
};

/** Number of bytes that encode the length of a bin, str, array or map. Extension types are deliberately absent. */
const LENGTH_WIDTHS: Record<number, number> = {
  0xc4: 1,
  0xc5: 2,
  0xc6: 4,
  0xd9: 1,
  0xda: 2,
  0xdb: 4,
  0xdc: 2,
  0xdd: 4,
  0xde: 2,
  0xdf: 4,
};

function skipEntries(
  bytes: Uint8Array,
  start: number,
  count: number,
  keyed: boolean,
  where: () => string,
  depth: number,
): number {
  // Every entry takes at least one byte, so a count beyond the remaining bytes is an attack.
  if (count * (keyed ? 2 : 1) > bytes.length - start)
    throw malformed(where, start, `expected ${count} entries, found ${bytes.length - start} bytes`);
  let position = start;
  for (let i = 0; i < count; i++) {
    if (keyed) {
      const token = bytes[position]!;
      const isString = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
      if (!isString) throw malformed(where, position, 'expected a string as key, found another type');
      position = skipObject(bytes, position, where, depth + 1);
    }
    position = skipObject(bytes, position, where, depth + 1);
  }
  return position;
}

function within(bytes: Uint8Array, start: number, end: number, where: () => string): number {
  if (end > bytes.length) throw malformed(where, start, `expected ${end - start} bytes, found ${bytes.length - start}`);
  return end;
}

function bigEndian(bytes: Uint8Array, start: number, width: number): number {
  let value = 0;
  for (let i = 0; i < width; i++) value = value * 256 + bytes[start + i]!;
  return value;
}
