// Reading whole files, their beginnings and their hashes.
import * as fs from 'node:fs';
import { createHash } from 'node:crypto';
import { CorruptError, UsageError } from '../errors.js';
import { decodeUtf8, parseJson } from '../json.js';
import { KIND_NAMES, guarded, nodeFiles } from './system.js';
import type { FileSystem } from './system.js';

/** Fills `target` from `position`; returns the bytes read, fewer only at the end of the file. */
export function readFully(fd: number, target: Uint8Array, position: number, files: FileSystem = nodeFiles): number {
  let done = 0;
  while (done < target.length) {
    const count = files.read(fd, target, done, target.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Opens a file for reading, hands the descriptor and the size over, closes it again. */
function withFile<T>(path: string, files: FileSystem, action: (fd: number, size: number) => T): T {
  return guarded(path, 'reading', () => {
    const size = regularFileSize(path, files);
    const fd = files.open(path, 'r');
    try {
      return action(fd, size);
    } finally {
      files.close(fd);
    }
  });
}

function regularFileSize(path: string, files: FileSystem): number {
  let status = files.status(path);
  if (status?.kind === 'link' && files === nodeFiles) {
    const target = fs.statSync(path); // a link the user names is followed; links inside our directories are refused there
    if (target.isFile()) status = { kind: 'file', size: target.size, modifiedMs: target.mtimeMs };
  }
  if (status === undefined)
    throw new UsageError('E_NOT_FOUND', `${path}: expected to exist, found nothing. Check the path.`);
  if (status.kind !== 'file')
    throw new UsageError('E_NOT_A_FILE', `${path}: expected a file, found ${KIND_NAMES[status.kind]}.`);
  return status.size;
}

/**
 * Refuses a path inside one of our directories that is there but is no regular file: links lead out of the directory,
 * and reading a pipe or device may never end. Call it before such a file is read.
 *
 * @param code of the error.
 * @throws {CorruptError} with that code.
 */
export function expectRegular(path: string, code: string, files: FileSystem = nodeFiles): void {
  const kind = guarded(path, 'reading', () => files.status(path)?.kind);
  if (kind !== undefined && kind !== 'file')
    throw new CorruptError(
      code,
      `${path}: expected a regular file, found ${KIND_NAMES[kind]}. Put the file itself there.`,
    );
}

/**
 * Reads a whole file into its own, 8-byte aligned memory.
 *
 * @param limit bytes; a larger file is refused before anything is allocated.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_FILE. @throws {CorruptError} E_FILE_TOO_LARGE. @throws {IoError} E_IO.
 */
export function readFile(path: string, options: { limit?: number; files?: FileSystem } = {}): Uint8Array<ArrayBuffer> {
  const files = options.files ?? nodeFiles;
  return withFile(path, files, (fd, size) => {
    if (size > (options.limit ?? Number.MAX_SAFE_INTEGER)) {
      throw new CorruptError('E_FILE_TOO_LARGE', `${path}: expected at most ${options.limit} bytes, found ${size}.`);
    }
    const bytes = new Uint8Array(size);
    const count = readFully(fd, bytes, 0, files);
    return count === size ? bytes : bytes.slice(0, count);
  });
}

/** The first `length` bytes of a file, fewer when it is shorter: enough to tell what it is. */
export function readHead(path: string, length: number, files: FileSystem = nodeFiles): Uint8Array<ArrayBuffer> {
  return withFile(path, files, (fd, size) => {
    const head = new Uint8Array(Math.min(length, size));
    return head.slice(0, readFully(fd, head, 0, files));
  });
}

const HASH_CHUNK = 1 << 20;

/** sha256 of a file, hex, read in chunks of 1 MiB. */
export function sha256File(path: string, files: FileSystem = nodeFiles): string {
  return withFile(path, files, (fd) => {
    const hash = createHash('sha256');
    const chunk = new Uint8Array(HASH_CHUNK);
    for (let position = 0; ;) {
      const count = readFully(fd, chunk, position, files);
      hash.update(chunk.subarray(0, count));
      position += count;
      if (count < chunk.length) return hash.digest('hex');
    }
  });
}

const JSON_LIMIT = 64 * 2 ** 20;

/**
 * Reads a JSON file of at most 64 MiB, as strict as {@link parseJson}.
 *
 * @throws {CorruptError} E_JSON. @throws {UsageError} E_NOT_FOUND. @throws {IoError} E_IO.
 */
export function readJson(path: string, files: FileSystem = nodeFiles): unknown {
  return parseJson(decodeUtf8(readFile(path, { limit: JSON_LIMIT, files }), path), path);
}
