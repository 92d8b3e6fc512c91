// Builds the index of a tar archive from its headers: bodies are skipped and never held in memory. `tar-stream` cannot
// seek and does not report the position of a body. Source: POSIX.1-2001 pax, "ustar interchange format"; GNU tar's long
// names.
import type { FileHandle } from 'node:fs/promises';

import { InputError } from '../errors.js';
import { WindowReader, withHandle } from './files.js';
import { decodeName } from './names.js';

const BLOCK = 512;

/** Maximum size of pax records and long names in bytes; real ones take a few hundred. */
const MAX_EXTENSION = 1 << 20;

/** A member of an archive: a regular file or a link. */
export interface TarMember {
  /** Path as stored, in any encoding. */
  name: Uint8Array;
  /** Byte position of the body. */
  position: number;
  size: number;
  /**
   * Set for a link, which has no body: the target path as stored, relative to the top of the archive or to the link's
   * folder.
   */
  link?: { target: Uint8Array; from: 'top' | 'folder' };
  /** Set for a member of an unsupported kind, such as a sparse file or a device. */
  isOther?: true;
}

/** Reads the body of the member being visited. */
export type ReadBody = () => Promise<Uint8Array>;

/**
 * Visits the regular files and links of an archive, in order. Several archives concatenated into one file are read as
 * one.
 *
 * @returns The number of bytes after the end of the archive that are not part of it.
 * @throws {InputError} E_TAR_CORRUPT, E_TAR_TRUNCATED naming the byte position; E_NOT_FOUND.
 */
export async function scanTar(
  path: string,
  visit: (member: TarMember, body: ReadBody) => Promise<void>,
): Promise<number> {
  return withHandle(path, (handle) => scanOpen(handle, path, visit));
}

/** Like {@link scanTar}, for an open file. @param where Names the file in errors. */
export async function scanOpen(
  handle: FileHandle,
  where: string,
  visit: (member: TarMember, body: ReadBody) => Promise<void>,
): Promise<number> {
  const { size } = await handle.stat();
  const reader = new WindowReader(handle);
  for (let at = 0; ;) {
    const end = await scan(reader, where, at, size, visit);
    const next = await skipZeros(reader, end, size);
    if (next >= size) return 0;
    // Like GNU tar, ignores what follows the end unless it is another archive.
    const block = await reader.at(next, BLOCK);
    if (block.length < BLOCK || !isHeader(block)) return size - next;
    at = next;
  }
}

/** @returns The position of the first block at or after `start` that is not all zeros. */
async function skipZeros(reader: WindowReader, start: number, size: number): Promise<number> {
  for (let at = start; at < size; at += BLOCK) if (!isZero(await reader.at(at, BLOCK))) return at;
  return size;
}

interface Override {
  name?: Uint8Array;
  link?: Uint8Array;
  size?: number;
}

/** @returns The position of the end-of-archive marker. */
async function scan(
  reader: WindowReader,
  path: string,
  start: number,
  fileSize: number,
  visit: (member: TarMember, body: ReadBody) => Promise<void>,
): Promise<number> {
  let override: Override = {};
  for (let at = start; ;) {
    const block = await reader.at(at, BLOCK);
    if (block.length < BLOCK) throw truncated(path, at, 'a header or the end-of-archive marker');
    if (isZero(block)) return at;
    const header = readHeader(block, path, at);
    const extension = EXTENSIONS.includes(header.type);
    const size = extension ? header.size : (override.size ?? header.size);
    const position = at + BLOCK;
    if (position + size > fileSize) throw truncated(path, at, `${size} bytes of ${decodeName(header.name).text}`);
    at = position + Math.ceil(size / BLOCK) * BLOCK;
    const body: ReadBody = async () => Uint8Array.from(await reader.at(position, size));
    if (extension) {
      if (size > MAX_EXTENSION) throw corrupt(path, position, `an extended header of ${size} bytes`);
      override = { ...override, ...readExtension(header.type, await body(), path, position) };
      continue;
    }
    const name = override.name ?? header.name;
    const target = override.link ?? header.link;
    override = {};
    if (header.type === '0') await visit({ name, position, size }, body);
    else if (header.type === '1') await visit({ name, position, size: 0, link: { target, from: 'top' } }, body);
    else if (header.type === '2') await visit({ name, position, size: 0, link: { target, from: 'folder' } }, body);
    else if (!WITHOUT_CONTENT.includes(header.type)) await visit({ name, position, size, isOther: true }, body);
  }
}

/** Types without content: folders, and headers that apply to all members. */
const WITHOUT_CONTENT = ['5', 'g'];

/** Types that describe the following member: pax records, GNU's long name and long link. */
const EXTENSIONS = ['x', 'L', 'K'];

function readExtension(type: string, bytes: Uint8Array, path: string, position: number): Override {
  if (type === 'L') return { name: untilZero(bytes) };
  return type === 'K' ? { link: untilZero(bytes) } : readPax(bytes, path, position);
}

interface Header {
  name: Uint8Array;
  link: Uint8Array;
  size: number;
  /** `0` for a regular file, `1` for a hard link, `2` for a symbolic link. */
  type: string;
}

const NO_LINK = new Uint8Array(0);

function isHeader(block: Buffer): boolean {
  return octal(block.subarray(148, 156)) === checksum(block);
}

function readHeader(block: Buffer, path: string, at: number): Header {
  if (!isHeader(block)) throw corrupt(path, at, 'a header with a wrong checksum');
  const size = readSize(block.subarray(124, 136));
  if (size === undefined) throw corrupt(path, at, 'a header without a size');
  const prefix =
    block.toString('latin1', 257, 263) === 'ustar\0' ? untilZero(block.subarray(345, 500)) : new Uint8Array(0);
  const own = untilZero(block.subarray(0, 100));
  const name = prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), own]) : Uint8Array.from(own);
  const type = String.fromCharCode(block[156]!);
  // Links, devices and folders have no body, whatever their size field says.
  const bodiless = type >= '1' && type <= '6';
  return {
    name,
    link: type === '1' || type === '2' ? Uint8Array.from(untilZero(block.subarray(157, 257))) : NO_LINK,
    size: bodiless ? 0 : size,
    type: fileType(type),
  };
}

/** Maps the types of regular files to `0`: old archives use NUL, and contiguous files use `7`. */
function fileType(type: string): string {
  return type === '\0' || type === '7' ? '0' : type;
}

/** Returns the sum of the header's bytes, with its checksum field read as blanks. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i]!;
  return sum;
}

/** Reads octal digits, or GNU's big-endian binary if the top bit is set. */
function readSize(field: Buffer): number | undefined {
  if (field[0]! !== 0x80) return octal(field);
  let value = 0;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : undefined;
}

function octal(field: Buffer): number | undefined {
  const text = Buffer.from(untilZero(field)).toString('latin1').trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/**
 * Reads records `length key=value\n`. All except path, linkpath and size are skipped as bytes, because attributes may
 * contain anything.
 */
function readPax(bytes: Uint8Array, path: string, position: number): Override {
  const found: Override = {};
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at);
    const digits = blank < 0 ? '' : Buffer.from(bytes.subarray(at, blank)).toString('latin1');
    const length = /^\d{1,9}$/.test(digits) ? Number(digits) : Number.NaN;
    if (!(length >= digits.length + 3) || at + length > bytes.length)
      throw corrupt(path, position + at, 'a malformed pax record');
    const record = bytes.subarray(blank + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    const value = record.subarray(equals + 1);
    const key = Buffer.from(record.subarray(0, Math.max(0, equals))).toString('latin1');
    if (key === 'path') found.name = value;
    if (key === 'linkpath') found.link = value;
    if (key === 'size') found.size = paxSize(Buffer.from(value).toString('latin1'), path, position + at);
    at += length;
  }
  return found;
}

function paxSize(value: string, path: string, position: number): number {
  const size = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  if (size === undefined) throw corrupt(path, position, 'a pax size that is not a number');
  return size;
}

function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end < 0 ? bytes.length : end);
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function corrupt(path: string, at: number, found: string): InputError {
  return new InputError(
    'E_TAR_CORRUPT',
    `${path}@${at}: expected a tar header, found ${found}. Pack the archive again.`,
  );
}

function truncated(path: string, at: number, expected: string): InputError {
  return new InputError(
    'E_TAR_TRUNCATED',
    `${path}@${at}: expected ${expected}, found the end of the file. Fetch the archive again.`,
  );
}
