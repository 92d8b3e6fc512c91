// The port to the disk: the part of a file system that Tesserae uses, the file system of the machine behind it, and one
// translation of the operating system's errors. The calls are synchronous: they are short beside the work they save,
// and a test can stop them between any two.
import * as fs from 'node:fs';
import { IoError, TesseraeError, UsageError, messageOf } from '../errors.js';

/** What is known of a path without following a link. */
export interface FileStatus {
  kind: 'file' | 'directory' | 'link' | 'other';
  /** Bytes. */
  size: number;
  /** Last change in milliseconds since 1970. */
  modifiedMs: number;
  /** Tells a file from one that replaces it, where the file system numbers its files. */
  identity?: string;
}

/** The part of a file system that Tesserae writes through. Tests put a faulty one in its place. */
export interface FileSystem {
  /** `r` reads, `w` creates or empties, `wx` creates and fails when the path exists. */
  open(path: string, flags: 'r' | 'w' | 'wx'): number;
  /** Reads up to `length` bytes at `position`; returns how many, 0 at the end. */
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number;
  /** Appends up to `length` bytes; returns how many were taken, which may be fewer. */
  write(fd: number, source: Uint8Array, offset: number, length: number): number;
  fsync(fd: number): void;
  /** Makes the names in a directory durable. */
  fsyncDirectory(path: string): void;
  close(fd: number): void;
  rename(from: string, to: string): void;
  /** Creates a directory in one that exists; an existing one is left as it is. */
  makeDirectory(path: string): void;
  /** Removes a file or a whole directory; a missing one is left missing. */
  remove(path: string): void;
  /** Names in a directory, sorted by code unit. */
  list(path: string): string[];
  /** `undefined` when there is nothing at the path. Does not follow links. */
  status(path: string): FileStatus | undefined;
}

/** The file system of the machine. */
export const nodeFiles: FileSystem = {
  // Where a pipe lies in place of a file, opening it must not wait for a writer.
  open: (path, flags) =>
    fs.openSync(path, flags === 'r' ? fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0) : flags),
  read: (fd, target, offset, length, position) => fs.readSync(fd, target, offset, length, position),
  write: (fd, source, offset, length) => fs.writeSync(fd, source, offset, length),
  fsync: (fd) => fs.fsyncSync(fd),
  fsyncDirectory(path) {
    if (process.platform === 'win32') return; // directories cannot be opened there; renames are journaled
    const fd = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
  close: (fd) => fs.closeSync(fd),
  rename: (from, to) => fs.renameSync(from, to),
  makeDirectory(path) {
    try {
      fs.mkdirSync(path); // not recursively: Node then reports a read-only file system as ENOENT, and never returns below /proc
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !fs.statSync(path).isDirectory()) throw error;
    }
  },
  remove: (path) => fs.rmSync(path, { recursive: true, force: true }),
  list: (path) => fs.readdirSync(path).sort(),
  status(path) {
    const found = lstat(path);
    if (found === undefined) return undefined;
    const kind = found.isFile()
      ? 'file'
      : found.isDirectory()
        ? 'directory'
        : found.isSymbolicLink()
          ? 'link'
          : 'other';
    return {
      kind,
      size: found.size,
      modifiedMs: found.mtimeMs,
      identity: `${found.dev}:${found.ino}:${found.ctimeMs}`,
    };
  },
};

/** Below a file there is nothing; Node says so by an error, on some systems. */
function lstat(path: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** What a path is, for the end of a sentence. */
export const KIND_NAMES: Readonly<Record<FileStatus['kind'], string>> = {
  file: 'a file',
  directory: 'a directory',
  link: 'a link',
  other: 'a pipe, socket or device',
};

const REFUSALS: Record<string, string> = {
  EIO: 'the device reports an input/output error',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory',
  ENAMETOOLONG: 'the name is too long',
};

/**
 * Turns what a file call threw into a typed error that names the path; errors of ours pass unchanged.
 *
 * ENOENT becomes {@link UsageError} `E_NOT_FOUND` (exit 2), ENOSPC and EDQUOT {@link IoError} `E_DISK_FULL`, everything
 * else {@link IoError} `E_IO` (exit 5).
 */
export function fileError(error: unknown, path: string, doing: string): TesseraeError {
  if (error instanceof TesseraeError) return error;
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  if (code === 'ENOENT')
    return new UsageError('E_NOT_FOUND', `${path}: expected to exist, found nothing. Check the path.`, {
      cause: error,
    });
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new IoError(
      'E_DISK_FULL',
      `${path}: ${doing} failed, no space left. Free some space and run again; earlier output is intact.`,
      { cause: error },
    );
  }
  const reason = REFUSALS[code] ?? messageOf(error);
  return new IoError(
    'E_IO',
    `${path}: ${doing} failed, ${reason}. Check the disk and the permissions; earlier output is intact.`,
    { cause: error },
  );
}

/** Runs `action`, translating what it throws by {@link fileError}. */
export function guarded<T>(path: string, doing: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fileError(error, path, doing);
  }
}
