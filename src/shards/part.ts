// One part on disk: header, records, footer. Every byte is either covered by a checksum or determined by bytes that
// are, so every flipped bit is detected. FORMAT.md describes the layout.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { CorruptError } from '../errors.js';
import { PendingFile } from '../files/commit.js';
import { guarded, nodeFiles } from '../files/system.js';
import { readFully } from '../files/read.js';
import type { FileSystem } from '../files/system.js';
import type { Split } from '../interfaces/dataset.js';
import { LIMITS, SHARD_FORMAT_VERSION, checkFooter, checkHeader } from './format.js';
import type { FullCard, ManifestPart, RejectsMark, ShardFooter, ShardHeader } from './format.js';
import { pack, skipObject, unpackStrict } from './msgpack.js';

/**
 * Placeholder for a uint32 in msgpack (0xce and four bytes, big-endian). The largest value prevents pack() from
 * choosing a shorter form.
 */
const PLACEHOLDER = 0xffffffff;
/** Size of a footer's end: the keys `start` and `crc32`, each with a uint32. */
const FOOTER_TAIL = 6 + 5 + 6 + 5;
const START_KEY = Buffer.from('\xa5start\xce', 'latin1');
const CRC_KEY = Buffer.from('\xa5crc32\xce', 'latin1');
const CRC_BYTES = 5;
const WRITE_CHUNK = 1 << 20;

// ---------------------------------------------------------------------------------------------------------------------
// Framing

/** Packs a map whose last field is the crc32 of all bytes before that number. */
function packSealed(fields: Record<string, unknown>): Uint8Array {
  const bytes = Uint8Array.from(pack({ ...fields, crc32: PLACEHOLDER }));
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)));
  return bytes;
}

/** Whether `bytes` end in their own crc32, as written by {@link packSealed}. */
function isSealed(bytes: Uint8Array): boolean {
  if (bytes.length < CRC_KEY.length + 4) return false;
  const key = bytes.subarray(bytes.length - 4 - CRC_KEY.length, bytes.length - 4);
  return CRC_KEY.equals(key) && uint32At(bytes, bytes.length - 4) === crc32(bytes.subarray(0, bytes.length - 4));
}

function uint32At(bytes: Uint8Array, position: number): number {
  return (
    ((bytes[position]! << 24) | (bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!) >>> 0
  );
}

/** Encodes the header of a part. */
export function encodeHeader(part: number, split: Split, card: FullCard): Uint8Array {
  return packSealed({ format: 'tesserae-shard', version: SHARD_FORMAT_VERSION, part, split, ...card });
}

function encodeFooter(part: number, split: Split, offsets: Uint32Array, rejects: RejectsMark): Uint8Array {
  const start = offsets[offsets.length - 1]!;
  const table = Buffer.from(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  const bytes = Uint8Array.from(
    pack({ part, split, samples: offsets.length - 1, offsets: table, rejects, start: PLACEHOLDER, crc32: PLACEHOLDER }),
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - FOOTER_TAIL + START_KEY.length, start);
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)));
  return bytes;
}

/** Returns the number of bytes before a payload of `length` bytes: the array of two, and the bin's type and length. */
function framingBytes(length: number): number {
  return length < 0x100 ? 3 : length < 0x10000 ? 4 : 6;
}

/** Encodes `[payload, crc32]` in the only valid form: the shortest possible bin, and the crc as uint32. */
export function encodeRecord(payload: Uint8Array): Uint8Array {
  const front = framingBytes(payload.length);
  const bytes = new Uint8Array(front + payload.length + CRC_BYTES);
  writeFraming(bytes, payload.length);
  bytes.set(payload, front);
  bytes[front + payload.length] = 0xce;
  new DataView(bytes.buffer).setUint32(front + payload.length + 1, crc32(payload));
  return bytes;
}

function writeFraming(bytes: Uint8Array, length: number): void {
  bytes[0] = 0x92;
  bytes[1] = length < 0x100 ? 0xc4 : length < 0x10000 ? 0xc5 : 0xc6;
  const front = framingBytes(length);
  for (let i = front - 1, rest = length; i >= 2; i--, rest = Math.floor(rest / 256)) bytes[i] = rest % 256;
}

/**
 * Returns the payload of the record that fills `bytes` exactly, or a description of what is wrong with it. The record's
 * length determines every byte of its framing.
 */
export function openRecord(bytes: Uint8Array): Uint8Array | string {
  const total = bytes.length - CRC_BYTES;
  const width = bytes[1] === 0xc4 ? 3 : bytes[1] === 0xc5 ? 4 : 6;
  const length = total - width;
  if (length < 1 || bytes[0] !== 0x92 || framingBytes(length) !== width || bytes[1]! < 0xc4 || bytes[1]! > 0xc6)
    return 'expected a record of payload and crc32, found other bytes';
  let stored = 0;
  for (let i = 2; i < width; i++) stored = stored * 256 + bytes[i]!;
  if (stored !== length || bytes[total] !== 0xce)
    return `expected a record of ${bytes.length} bytes, found one of another length`;
  const payload = bytes.subarray(width, total);
  const expected = uint32At(bytes, total + 1);
  const found = crc32(payload);
  return found === expected ? payload : `expected crc32 ${hex(expected)}, found ${hex(found)}`;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/**
 * Returns the length of the record at the start of `bytes`, from its framing alone, or 0 if there is no record. Needs
 * the first 6 bytes.
 */
export function recordLength(bytes: Uint8Array): number {
  if (bytes.length < 6 || bytes[0] !== 0x92) return 0;
  const width = bytes[1] === 0xc4 ? 1 : bytes[1] === 0xc5 ? 2 : bytes[1] === 0xc6 ? 4 : 0;
  if (width === 0) return 0;
  let length = 0;
  for (let i = 0; i < width; i++) length = length * 256 + bytes[2 + i]!;
  return framingBytes(length) === 2 + width && length > 0 && length <= LIMITS.payloadBytes
    ? 2 + width + length + CRC_BYTES
    : 0;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

/** Writes one part under a temporary name, one megabyte at a time. */
export class PartWriter {
  private readonly file: PendingFile;
  private readonly hash = createHash('sha256');
  private readonly chunk = Buffer.allocUnsafe(WRITE_CHUNK);
  private buffered = 0;
  private position = 0;
  private offsets = new Uint32Array(1024);
  /** Number of records so far. */
  samples = 0;

  constructor(
    path: string,
    private readonly name: string,
    readonly part: number,
    readonly split: Split,
    card: FullCard,
    files: FileSystem,
  ) {
    this.file = new PendingFile(path, files);
    this.put(encodeHeader(part, split, card));
    this.offsets[0] = this.position;
  }

  /** Number of bytes so far, without the footer. */
  get bytes(): number {
    return this.position;
  }

  append(record: Uint8Array): void {
    this.put(record);
    this.samples++;
    if (this.samples === this.offsets.length) {
      const grown = new Uint32Array(this.offsets.length * 2);
      grown.set(this.offsets);
      this.offsets = grown;
    }
    this.offsets[this.samples] = this.position;
  }

  /** Writes the footer and commits the part. @param rejects The samples rejected before the last record. */
  commit(rejects: RejectsMark): ManifestPart {
    this.put(encodeFooter(this.part, this.split, this.offsets.subarray(0, this.samples + 1), rejects));
    this.flush();
    this.file.commit();
    return {
      file: this.name,
      split: this.split,
      samples: this.samples,
      bytes: this.position,
      sha256: this.hash.digest('hex'),
    };
  }

  discard(): void {
    this.file.discard();
  }

  private put(bytes: Uint8Array): void {
    this.position += bytes.length;
    this.hash.update(bytes);
    if (this.buffered + bytes.length > this.chunk.length) this.flush();
    if (bytes.length > this.chunk.length) return this.file.write(bytes);
    this.chunk.set(bytes, this.buffered);
    this.buffered += bytes.length;
  }

  private flush(): void {
    this.file.write(this.chunk.subarray(0, this.buffered));
    this.buffered = 0;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

/** A part opened for random access. It holds a file descriptor and a table of offsets, but no samples. */
export class PartReader {
  private scratch = new Uint8Array(4096);

  private constructor(
    readonly path: string,
    private readonly fd: number,
    private readonly files: FileSystem,
    /** Size of the file in bytes. */
    readonly size: number,
    readonly header: ShardHeader,
    /** Where each record starts and where the last one ends: uint32 [samples + 1]. */
    readonly offsets: Uint32Array,
    /** The samples rejected before the last record; unknown in parts of format 1.0. */
    readonly rejects: RejectsMark,
  ) {}

  get samples(): number {
    return this.offsets.length - 1;
  }

  /**
   * Opens a part and verifies its header, footer and offsets. Records are verified when they are read.
   *
   * @throws {CorruptError} E_SHARD_MISSING, E_SHARD_HEADER, E_SHARD_FOOTER, E_SHARD_VERSION naming the file and the
   *   offset.
   */
  static open(path: string, files: FileSystem = nodeFiles): PartReader {
    return guarded(path, 'reading', () => {
      const status = files.status(path);
      if (status === undefined)
        throw new CorruptError(
          'E_SHARD_MISSING',
          `${path}: expected a part, found nothing. Restore it, or run repair to keep the others.`,
        );
      if (status.kind !== 'file')
        throw new CorruptError('E_SHARD_MISSING', `${path}: expected a regular file, found a ${status.kind}.`);
      const fd = files.open(path, 'r');
      try {
        const { footer, offsets } = readFooter(path, fd, status.size, files);
        const header = readHeader(path, fd, offsets[0]!, files);
        if (footer.part !== header.part || footer.split !== header.split)
          throw damagedFooter(path, footer.start, 'expected the part and split of the header, found different ones');
        if (!footer.rejects)
          throw damagedFooter(path, footer.start, 'expected what was skipped before its last record, found nothing');
        return new PartReader(path, fd, files, status.size, header, offsets, footer.rejects);
      } catch (error) {
        files.close(fd);
        throw error;
      }
    });
  }

  /** Returns the location of a record for errors: `path#record@offset`. */
  place(record: number): string {
    return `${this.path}#${record}@${this.offsets[record]}`;
  }

  /**
   * Returns the payload of a record, in memory that the next call overwrites.
   *
   * @throws {CorruptError} E_SHARD_RECORD naming file, record and offset.
   */
  payload(record: number): Uint8Array {
    const start = this.offsets[record]!;
    const length = this.offsets[record + 1]! - start;
    if (length > this.scratch.length) this.scratch = new Uint8Array(length * 2);
    const bytes = this.scratch.subarray(0, length);
    const count = readFully(this.fd, bytes, start, this.files);
    const payload = count === length ? openRecord(bytes) : `expected ${length} bytes, found ${count}`;
    if (typeof payload === 'string')
      throw new CorruptError(
        'E_SHARD_RECORD',
        `${this.place(record)}: ${payload}. Run repair to keep the other records.`,
      );
    return payload;
  }

  close(): void {
    this.files.close(this.fd);
  }
}

function damagedFooter(path: string, offset: number, detail: string): CorruptError {
  return new CorruptError(
    'E_SHARD_FOOTER',
    `${path}#footer@${offset}: ${detail}. The part is truncated or damaged; run repair to keep its complete records.`,
  );
}

/** Finds the footer by the fixed bytes at the end of the file, then verifies it. */
export function readFooter(
  path: string,
  fd: number,
  size: number,
  files: FileSystem,
): { footer: ShardFooter; offsets: Uint32Array } {
  const tail = new Uint8Array(Math.min(FOOTER_TAIL, size));
  readFully(fd, tail, size - tail.length, files);
  const marked = tail.length === FOOTER_TAIL && START_KEY.equals(tail.subarray(0, START_KEY.length));
  const start = marked ? uint32At(tail, START_KEY.length) : 0;
  const longest = 512 + 4 * (LIMITS.partSamples + 1);
  if (!marked || start >= size - FOOTER_TAIL || size - start > longest)
    throw damagedFooter(path, Math.max(0, size - FOOTER_TAIL), 'expected a footer at the end, found other bytes');
  const bytes = new Uint8Array(size - start);
  readFully(fd, bytes, start, files);
  if (!isSealed(bytes)) throw damagedFooter(path, start, 'expected the footer to match its crc32, but it does not');
  const footer = checkFooter(
    unpackStrict(bytes, () => `${path}#footer@${start}`),
    `${path}#footer@${start}`,
  );
  const offsets = readOffsets(footer);
  if (footer.start !== start || offsets === undefined)
    throw damagedFooter(path, start, `expected ascending offsets of ${footer.samples} records`);
  return { footer, offsets };
}

function readOffsets(footer: ShardFooter): Uint32Array | undefined {
  if (footer.offsets.length !== 4 * (footer.samples + 1)) return undefined;
  const offsets = new Uint32Array(footer.samples + 1);
  new Uint8Array(offsets.buffer).set(footer.offsets);
  const longest = LIMITS.payloadBytes + framingBytes(LIMITS.payloadBytes) + CRC_BYTES;
  for (let i = 0; i < footer.samples; i++) {
    const length = offsets[i + 1]! - offsets[i]!;
    if (length <= 0 || length > longest) return undefined;
  }
  const headerFits = offsets[0]! > 0 && offsets[0]! <= LIMITS.headerBytes;
  return headerFits && offsets[footer.samples] === footer.start ? offsets : undefined;
}

function readHeader(path: string, fd: number, length: number, files: FileSystem): ShardHeader {
  const bytes = new Uint8Array(length);
  readFully(fd, bytes, 0, files);
  return decodeHeader(bytes, path);
}

/** @throws {CorruptError} E_SHARD_HEADER, E_SHARD_VERSION. */
export function decodeHeader(bytes: Uint8Array, path: string): ShardHeader {
  const where = `${path}#header@0`;
  if (!isSealed(bytes))
    throw new CorruptError(
      'E_SHARD_HEADER',
      `${where}: expected the header to match its crc32, but it does not. Run repair to keep the records.`,
    );
  return checkHeader(
    unpackStrict(bytes, () => where),
    where,
  );
}

/** Returns the length of the header at the start of `bytes`, or `undefined` if it is incomplete. */
export function headerLength(bytes: Uint8Array, path: string): number | undefined {
  try {
    return skipObject(bytes, 0, () => path);
  } catch {
    return undefined;
  }
}
