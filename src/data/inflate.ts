// Gzip files whose content is read at random: inflated once into a temporary file.
import { rmSync, unlinkSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { createReadStream } from 'node:fs';

import { InputError, IoError, TesseraeError, messageOf } from '../errors.js';
import { readError } from './files.js';

/** The content of a `.gz`, open for reading. */
export class InflatedFile {
  private constructor(
    readonly handle: FileHandle,
    /** Bytes. */
    readonly size: number,
    private readonly temporary: string | undefined,
  ) {
    if (temporary) process.once('exit', this.remove);
  }

  /**
   * Inflates a file, stopping one byte past `limit`. Where the system allows, the temporary file has no name any more when
   * this returns, so nothing is left behind even by kill -9.
   *
   * @throws {InputError} E_GZIP for a damaged file, E_NOT_FOUND. @throws {IoError} E_DATA_TEMPORARY, E_DATA_READ.
   */
  static async open(path: string, limit: number): Promise<InflatedFile> {
    const temporary = join(tmpdir(), `tesserae-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
    const handle = await open(temporary, 'wx+', 0o600).catch((error: unknown) => {
      throw temporaryError(temporary, error);
    });
    try {
      const size = await inflate(path, handle, temporary, limit);
      return new InflatedFile(handle, size, unlinkOpen(temporary));
    } catch (error) {
      await handle.close();
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
    this.remove();
    process.off('exit', this.remove);
  }

  private readonly remove = (): void => {
    if (this.temporary) rmSync(this.temporary, { force: true });
  };
}

/** Content beyond the limit ends the inflation early. */
const ENOUGH = Symbol('enough');

async function inflate(path: string, handle: FileHandle, temporary: string, limit: number): Promise<number> {
  let size = 0;
  const write = async (content: AsyncIterable<Buffer>): Promise<void> => {
    for await (const part of content) {
      await writeAll(handle, part, temporary);
      size += part.length;
      if (size > limit) throw ENOUGH;
    }
  };
  try {
    await pipeline(createReadStream(path), createGunzip({ chunkSize: 1 << 18 }), write);
  } catch (error) {
    if (error !== ENOUGH) throw error instanceof TesseraeError ? error : gzipError(path, error);
  }
  return size;
}

/** The first bytes of a `.gz`'s content, fewer than `length` only when it ends before. @throws as {@link InflatedFile.open}. */
export async function inflatedHead(path: string, length: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let found = 0;
  const take = async (content: AsyncIterable<Buffer>): Promise<void> => {
    for await (const part of content) {
      parts.push(part);
      found += part.length;
      if (found >= length) throw ENOUGH;
    }
  };
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 14 }), createGunzip(), take);
  } catch (error) {
    if (error !== ENOUGH) throw gzipError(path, error);
  }
  return Buffer.concat(parts).subarray(0, length);
}

/** Loops, because a full disk shows as a short write before it shows as an error. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
  } catch (error) {
    throw temporaryError(path, error);
  }
}

function temporaryError(path: string, error: unknown): IoError {
  return new IoError('E_DATA_TEMPORARY', `${path}: cannot be written (${messageOf(error)}). Free space or set TMPDIR.`, { cause: error });
}

/** Removes the name of an open file; returns it where the system (Windows) refuses. */
function unlinkOpen(path: string): string | undefined {
  try {
    unlinkSync(path);
    return undefined;
  } catch {
    return path;
  }
}

/** The gunzip's complaints are the file's fault; others are the system's. */
function gzipError(path: string, error: unknown): Error {
  const { code = '', syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (syscall !== undefined && !code.startsWith('Z_')) return readError(path, error);
  return new InputError('E_GZIP', `${path}: expected a complete gzip file (${messageOf(error)}). Fetch it again.`, { cause: error });
}
