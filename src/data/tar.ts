// The index of a tar archive, built from its headers alone: bodies are skipped, never held. `tar-stream` cannot seek and
// does not say where a body lies. Source: POSIX.1-2001 pax, "ustar interchange format"; GNU tar's long names.
import { open } from 'node:fs/promises';

import { InputError } from '../errors.js';
import { readError, WindowReader } from './files.js';
import { utf8 } from './labels.js';

const BLOCK = 512;

/** Bound on pax records and long names: real ones are a few hundred bytes. */
const MAX_EXTENSION = 1 << 20;

export interface TarMember {
  /** Path inside the archive, without a leading `./`. */
  name: string;
  /** Byte position of the body. */
  position: number;
  size: number;
}

/** Reads the body of the member just visited. */
export type ReadBody = () => Promise<Uint8Array>;

/**
 * Visits the regular files of an archive, in order.
 *
 * @throws {InputError} E_TAR_CORRUPT, E_TAR_TRUNCATED naming the byte position; E_NOT_FOUND.
 */
export async function scanTar(path: string, visit: (member: TarMember, body: ReadBody) => Promise<void>): Promise<void> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw readError(path, error);
  });
  try {
    const { size } = await handle.stat();
    await scan(new WindowReader(handle), path, size, visit);
  } finally {
    await handle.close();
  }
}

async function scan(
  reader: WindowReader,
  path: string,
  fileSize: number,
  visit: (member: TarMember, body: ReadBody) => Promise<void>,
): Promise<void> {
  let override: { name?: string; size?: number } = {};
  for (let at = 0; ; ) {
    const block = await reader.at(at, BLOCK);
    if (block.length < BLOCK) throw truncated(path, at, 'a header or the end-of-archive marker');
    if (isZero(block)) return;
    const header = readHeader(block, path, at);
    const extension = header.type === 'x' || header.type === 'L';
    const size = extension ? header.size : (override.size ?? header.size);
    const position = at + BLOCK;
    if (position + size > fileSize) throw truncated(path, at, `${size} bytes of ${header.name}`);
    at = position + Math.ceil(size / BLOCK) * BLOCK;
    const body: ReadBody = async () => Uint8Array.from(await reader.at(position, size));
    if (extension) {
      if (size > MAX_EXTENSION) throw corrupt(path, position, `an extended header of ${size} bytes`);
      const bytes = await body();
      override = header.type === 'L' ? { ...override, name: cString(bytes) } : { ...override, ...readPax(bytes, path, position) };
      continue;
    }
    const name = (override.name ?? header.name).replace(/^(\.\/)+/, '');
    override = {};
    if (header.type === '0') await visit({ name, position, size }, body);
  }
}

interface Header {
  name: string;
  size: number;
  /** `0` for a regular file. */
  type: string;
}

function readHeader(block: Buffer, path: string, at: number): Header {
  const stored = octal(block.subarray(148, 156));
  if (stored === undefined || stored !== checksum(block)) throw corrupt(path, at, 'a header with a wrong checksum');
  const size = readSize(block.subarray(124, 136));
  if (size === undefined) throw corrupt(path, at, 'a header without a size');
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? cString(block.subarray(345, 500)) : '';
  const name = cString(block.subarray(0, 100));
  const type = String.fromCharCode(block[156]!);
  // Links, devices and folders have no body, whatever their size field says.
  const bodiless = type >= '1' && type <= '6';
  return { name: prefix ? `${prefix}/${name}` : name, size: bodiless ? 0 : size, type: fileType(type) };
}

/** Old archives write NUL, and contiguous files `7`, for what is a regular file. */
function fileType(type: string): string {
  return type === '\0' || type === '7' ? '0' : type;
}

/** Sum of the header's bytes, its own checksum field taken as blanks. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i]!;
  return sum;
}

/** Octal digits, or GNU's big-endian binary when the top bit is set. */
function readSize(field: Buffer): number | undefined {
  if (field[0]! !== 0x80) return octal(field);
  let value = 0;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : undefined;
}

function octal(field: Buffer): number | undefined {
  const text = cString(field).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** Records `length key=value\n`. */
function readPax(bytes: Uint8Array, path: string, position: number): { name?: string; size?: number } {
  const found: { name?: string; size?: number } = {};
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const length = blank < 0 ? Number.NaN : Number(utf8(bytes.subarray(at, blank), path));
    if (!Number.isInteger(length) || length < blank - at + 3 || at + length > bytes.length) {
      throw corrupt(path, position + at, 'a malformed pax record');
    }
    const record = utf8(bytes.subarray(blank + 1, at + length - 1), path);
    const equals = record.indexOf('=');
    const value = record.slice(equals + 1);
    if (record.startsWith('path=')) found.name = value;
    if (record.startsWith('size=')) found.size = paxSize(value, path, position + at);
    at += length;
  }
  return found;
}

function paxSize(value: string, path: string, position: number): number {
  const size = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  if (size === undefined) throw corrupt(path, position, 'a pax size that is no number');
  return size;
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return Buffer.from(bytes.subarray(0, end < 0 ? bytes.length : end)).toString('utf8');
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function corrupt(path: string, at: number, found: string): InputError {
  return new InputError('E_TAR_CORRUPT', `${path}@${at}: expected a tar header, found ${found}. Pack the archive again.`);
}

function truncated(path: string, at: number, expected: string): InputError {
  return new InputError('E_TAR_TRUNCATED', `${path}@${at}: expected ${expected}, found the end of the file. Fetch the archive again.`);
}
