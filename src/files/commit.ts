// The commit protocol for a single file or directory: write under a temporary name, fsync, rename, fsync the parent
// directory.
import { dirname } from 'node:path';
import { IoError, UsageError } from '../errors.js';
import { fileError, guarded, nodeFiles } from './system.js';
import type { FileSystem } from './system.js';

const TEMPORARY = /\.tmp-\d+-[0-9a-f]{12}$/;

/** A name beside `path` for what is not committed yet: `<path>.tmp-<pid>-<random>`. */
export function temporaryName(path: string): string {
  // Not from src/rng.ts: two processes with one seed must not agree on it.
  const random = globalThis.crypto.getRandomValues(new Uint8Array(6));
  return `${path}.tmp-${process.pid}-${Buffer.from(random).toString('hex')}`;
}

/** True for the names {@link temporaryName} makes. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** The name that a file under a temporary name will have. */
export function finalName(temporary: string): string {
  return temporary.replace(TEMPORARY, '');
}

/** Writes all of `bytes`. `fs.writeSync` returns short on a full disk without throwing, hence the loop. */
function writeFully(fd: number, bytes: Uint8Array, files: FileSystem = nodeFiles): void {
  let done = 0;
  while (done < bytes.length) {
    const count = files.write(fd, bytes, done, bytes.length - done);
    if (count <= 0) throw Object.assign(new Error('ENOSPC: the disk took no more bytes'), { code: 'ENOSPC' });
    done += count;
  }
}

/** A file under a temporary name, until {@link PendingFile.commit} puts it in place. */
export class PendingFile {
  readonly temporary: string;
  private fd: number | undefined;

  constructor(
    readonly path: string,
    private readonly files: FileSystem = nodeFiles,
  ) {
    this.temporary = temporaryName(path);
    this.fd = guarded(path, 'creating', () => files.open(this.temporary, 'wx'));
  }

  write(bytes: Uint8Array): void {
    const fd = this.fd;
    if (fd === undefined)
      throw new UsageError('E_FILE_CLOSED', `${this.path}: expected an open file, it was committed or discarded.`);
    this.orDiscard('writing', () => writeFully(fd, bytes, this.files));
  }

  /** Makes the bytes durable, still under the temporary name. */
  seal(): void {
    const fd = this.fd;
    if (fd === undefined) return;
    this.orDiscard('flushing', () => {
      this.files.fsync(fd);
      this.fd = undefined;
      this.files.close(fd);
    });
  }

  /** Seals, renames, makes the name durable. On failure what was at `path` is still there. */
  commit(): void {
    this.seal();
    this.orDiscard('renaming', () => {
      this.files.rename(this.temporary, this.path);
      this.files.fsyncDirectory(dirname(this.path));
    });
  }

  /** Drops the bytes. Never throws: it runs while another failure is on its way. */
  discard(): void {
    try {
      if (this.fd !== undefined) this.files.close(this.fd);
      this.fd = undefined;
      this.files.remove(this.temporary);
    } catch {
      // the next sweepTemporaries takes it
    }
  }

  private orDiscard(doing: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.discard();
      throw fileError(error, this.path, doing);
    }
  }
}

/**
 * Writes a file so that after a crash at any moment the path holds either what it held or all of `content`.
 *
 * @throws {IoError} E_DISK_FULL, E_IO; the temporary is removed and the previous file is intact.
 */
export function writeFileAtomic(path: string, content: Uint8Array | string, files: FileSystem = nodeFiles): void {
  const pending = new PendingFile(path, files);
  pending.write(toBytes(content));
  pending.commit();
}

export function toBytes(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
}

/** Creates a directory and what its path lacks, each name durable in its parent. An existing one is left as it is. */
export function createDirectory(path: string, files: FileSystem = nodeFiles): void {
  guarded(path, 'creating the directory', () => {
    if (files.status(path) !== undefined) return;
    const parent = dirname(path);
    createDirectory(parent, files);
    makeIn(parent, path, files);
    files.fsyncDirectory(parent);
  });
}

/**
 * A parent that is there and still knows no such name, as below /proc, refuses: nothing is missing that the user could
 * name.
 */
function makeIn(parent: string, path: string, files: FileSystem): void {
  try {
    files.makeDirectory(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || files.status(parent) === undefined) throw error;
    throw new IoError(
      'E_IO',
      `${path}: creating the directory failed, ${parent} takes no new directories. Choose another place; earlier output is intact.`,
      { cause: error },
    );
  }
}
