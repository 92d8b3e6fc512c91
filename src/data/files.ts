// Reads parts of files: a bounded pool of open files with positioned reads, and sequential scans through a window.
import { open, type FileHandle } from 'node:fs/promises';

import { InputError, IoError, TesseraeError, messageOf } from '../errors.js';

const MAX_OPEN = 64;

/**
 * Keeps the most recently used files open, so that a dataset of a thousand archives stays within the system's limits.
 */
export class FilePool {
  private readonly handles = new Map<string, Promise<FileHandle>>();

  /**
   * Reads exactly `length` bytes at `position`.
   *
   * @throws {IoError} E_DATA_READ when the file cannot be read or has become shorter.
   */
  async read(path: string, position: number, length: number): Promise<Uint8Array> {
    try {
      return await readExactly(await this.handle(path), path, position, length);
    } catch (error) {
      throw readError(path, error);
    }
  }

  async close(): Promise<void> {
    const handles = [...this.handles.values()];
    this.handles.clear();
    await Promise.allSettled(handles.map(async (handle) => (await handle).close()));
  }

  private handle(path: string): Promise<FileHandle> {
    const known = this.handles.get(path);
    const handle = known ?? open(path, 'r');
    this.handles.delete(path);
    this.handles.set(path, handle);
    if (!known) this.evict();
    return handle;
  }

  /** Closes the least recently used file. Closing waits for pending reads. */
  private evict(): void {
    if (this.handles.size <= MAX_OPEN) return;
    const [path, handle] = this.handles.entries().next().value!;
    this.handles.delete(path);
    handle.then((file) => file.close()).catch(() => undefined);
  }
}

/**
 * Reads exactly `length` bytes at `position` of an open file.
 *
 * @throws {IoError} E_DATA_READ when the file ends before.
 */
export async function readExactly(
  handle: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0)
      throw new IoError(
        'E_DATA_READ',
        `${path}: expected ${length} bytes at ${position}, found ${filled}. The file changed.`,
      );
    filled += bytesRead;
  }
  return bytes;
}

/**
 * Converts a system error about one file of a dataset: problems of the file itself become input errors, disk errors
 * remain I/O errors.
 */
export function accessError({ where }: { where: string }, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR')
    return new InputError('E_DATA_LINK', `${where}: expected a file, found a dangling link. Remove or repair it.`, {
      cause: error,
    });
  if (code === 'EACCES' || code === 'EPERM')
    return new InputError(
      'E_DATA_ACCESS',
      `${where}: expected a readable file, found permission denied. Change its permissions.`,
      { cause: error },
    );
  if (code === 'EISDIR' || code === 'ENAMETOOLONG' || code === 'ENXIO')
    return new InputError(
      'E_DATA_ACCESS',
      `${where.slice(0, 200)}: expected a file, found ${code === 'ENAMETOOLONG' ? 'a path longer than the system allows' : 'something else'}. Remove or rename it.`,
      { cause: error },
    );
  return new IoError('E_DATA_READ', `${where}: cannot be read (${messageOf(error)}).`, { cause: error });
}

/**
 * Opens a file for reading while `work` runs.
 *
 * @throws the error of {@link readError} when the file cannot be opened.
 */
export async function withHandle<T>(path: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw readError(path, error);
  });
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** Returns the first 512 bytes of a file, or fewer if it is shorter. */
export function firstBytes(path: string): Promise<Uint8Array> {
  return withHandle(path, async (handle) => {
    const head = new Uint8Array(512);
    const { bytesRead } = await handle.read(head, 0, head.length, 0).catch((error: unknown) => {
      throw readError(path, error);
    });
    return head.subarray(0, bytesRead);
  });
}

/**
 * Converts an error of `node:fs` into an error with a code: a missing file is bad input, anything else is an I/O error.
 */
export function readError(path: string, error: unknown): Error {
  if (error instanceof TesseraeError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new InputError('E_NOT_FOUND', `${path}: expected a file or folder, found nothing. Check the path.`, {
      cause: error,
    });
  }
  return new IoError('E_DATA_READ', `${path}: cannot be read (${messageOf(error)}).`, { cause: error });
}

const WINDOW = 256 * 1024;

/** Reads a file sequentially through a window. Parts that are not requested are skipped without reading them. */
export class WindowReader {
  private readonly window = Buffer.alloc(WINDOW);
  private start = 0;
  private filled = 0;

  constructor(private readonly handle: FileHandle) {}

  /**
   * Returns up to `length` bytes at `position`, fewer at the end of the file. The result is a view that is valid only
   * until the next call.
   */
  async at(position: number, length: number): Promise<Buffer> {
    if (length > WINDOW) return this.fill(Buffer.alloc(length), position);
    if (position < this.start || position + length > this.start + this.filled) {
      this.filled = (await this.fill(this.window, position)).length;
      this.start = position;
    }
    const from = position - this.start;
    return this.window.subarray(from, Math.min(from + length, this.filled));
  }

  private async fill(buffer: Buffer, position: number): Promise<Buffer> {
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.handle.read(buffer, filled, buffer.length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}
