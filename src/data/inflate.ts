// Gzip files that are read at random positions: they are inflated once into a temporary file.
import { createReadStream, rmSync, unlinkSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

import { InputError, IoError, TesseraeError, messageOf } from '../errors.js';
import { readError } from './files.js';

/** The content of a `.gz` file, open for reading. */
export class InflatedFile {
  private constructor(
    readonly handle: FileHandle,
    /** Size of the content in bytes. */
    readonly size: number,
    private readonly temporary: string | undefined,
  ) {
    if (temporary) process.once('exit', this.remove);
  }

  /**
   * Inflates a file and stops one byte past `limit`. Where the system allows it, the temporary file is already unlinked
   * when this returns, so that even kill -9 leaves nothing behind.
   *
   * @param code Error code for a damaged file.
   * @throws {InputError} E_GZIP or `code` for a damaged file, E_NOT_FOUND.
   * @throws {IoError} E_DATA_TEMPORARY, E_DATA_READ.
   */
  static async open(path: string, limit: number, code = DAMAGED): Promise<InflatedFile> {
    const temporary = join(tmpdir(), `tesserae-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
    const handle = await open(temporary, 'wx+', 0o600).catch((error: unknown) => {
      throw temporaryError(temporary, error);
    });
    try {
      const size = await inflate(path, handle, temporary, limit, code);
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

/** Default error code for a damaged file. */
const DAMAGED = 'E_GZIP';

async function inflate(
  path: string,
  handle: FileHandle,
  temporary: string,
  limit: number,
  code: string,
): Promise<number> {
  let size = 0;
  await consume(path, code, async (part) => {
    await writeAll(handle, part, temporary);
    size += part.length;
    return size <= limit;
  });
  return size;
}

/**
 * Returns the first bytes of a `.gz` file's content, fewer than `length` only if the content ends before.
 *
 * @throws the errors of {@link InflatedFile.open}.
 */
export async function inflatedHead(path: string, length: number, code = DAMAGED): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let found = 0;
  await consume(path, code, async (part) => {
    parts.push(part);
    found += part.length;
    return found < length;
  });
  return Buffer.concat(parts).subarray(0, length);
}

/** Passes the content on in pieces, until `take` returns false. */
async function consume(path: string, code: string, take: (part: Buffer) => Promise<boolean>): Promise<void> {
  let enough = false;
  try {
    // Unlike pipes, a pipeline closes the file if it is not read to the end.
    await pipeline(
      createReadStream(path),
      createGunzip({ chunkSize: 1 << 18 }),
      async (content: AsyncIterable<Buffer>) => {
        for await (const part of content) {
          enough = !(await take(part));
          if (enough) return;
        }
      },
    );
  } catch (error) {
    if (!enough) throw gzipError(path, error, code);
  }
}

/** Writes all bytes. Loops, because a full disk first causes a short write and only then an error. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, path: string): Promise<void> {
  try {
    for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
  } catch (error) {
    throw temporaryError(path, error);
  }
}

function temporaryError(path: string, error: unknown): IoError {
  return new IoError(
    'E_DATA_TEMPORARY',
    `${path}: cannot be written (${messageOf(error)}). Free space or set TMPDIR.`,
    { cause: error },
  );
}

/** Unlinks an open file. Returns its path if the system (Windows) does not allow that. */
function unlinkOpen(path: string): string | undefined {
  try {
    unlinkSync(path);
    return undefined;
  } catch {
    return path;
  }
}

/** Converts an error: errors of gunzip are the file's fault, others come from the system. */
function gzipError(path: string, error: unknown, code: string): Error {
  const { code: reason = '', syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof TesseraeError || (syscall !== undefined && !reason.startsWith('Z_')))
    return readError(path, error);
  return new InputError(code, `${path}: expected a complete gzip file (${messageOf(error)}). Fetch it again.`, {
    cause: error,
  });
}
