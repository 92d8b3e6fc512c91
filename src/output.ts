// Output directories: preparing them, locking them for one process at a time, and removing temporary files that a
// killed process left behind.
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { LockError, UsageError } from './errors.js';
import { KIND_NAMES, guarded, nodeFiles } from './files/system.js';
import { createDirectory, isTemporary, temporaryName } from './files/commit.js';
import { formatJson } from './json.js';
import { sweepTemporaries } from './files/journal.js';
import type { FileSystem } from './files/system.js';

// ---------------------------------------------------------------------------------------------------------------------
// Output directories

export interface OutputOptions {
  /** Continues existing output. */
  resume?: boolean;
  /** Overwrites existing output. */
  force?: boolean;
  /** Names that `force` removes first. Nothing else in the directory is touched. */
  owned?: readonly (string | RegExp)[];
}

/**
 * Prepares an output directory: creates it, or rejects one that is not empty unless `resume` or `force` is set.
 * Temporary files and the lock do not count as content.
 *
 * @throws {UsageError} E_OUTPUT_EXISTS, E_OUTPUT_NOT_DIRECTORY.
 * @throws {IoError} E_IO, E_DISK_FULL.
 */
export function prepareOutput(path: string, options: OutputOptions = {}, files: FileSystem = nodeFiles): void {
  guarded(path, 'creating the output directory', () => {
    if (!isDirectory(path, files)) {
      if (files.status(path) !== undefined)
        throw new UsageError('E_OUTPUT_NOT_DIRECTORY', `--out ${path}: expected a directory, found something else.`);
      createDirectory(path, files);
      return;
    }
    const content = files
      .list(path)
      .filter((name) => name !== LOCK && name !== `${LOCK}.reclaim` && !isTemporary(name));
    if (content.length === 0 || options.resume) return;
    if (!options.force) {
      throw new UsageError(
        'E_OUTPUT_EXISTS',
        `--out ${path}: the directory is not empty (${content.length === 1 ? content[0] : `${content[0]} and ${content.length - 1} more`}). Pass --resume to continue, or --force to overwrite it.`,
      );
    }
    for (const name of content) if (matches(name, options.owned ?? [])) files.remove(join(path, name));
  });
}

function isDirectory(path: string, files: FileSystem): boolean {
  const kind = files.status(path)?.kind;
  if (kind === 'link' && files === nodeFiles)
    return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return kind === 'directory';
}

function matches(name: string, patterns: readonly (string | RegExp)[]): boolean {
  return patterns.some((pattern) => (typeof pattern === 'string' ? pattern === name : pattern.test(name)));
}

// ---------------------------------------------------------------------------------------------------------------------
// The lock

const LOCK = '.tesserae.lock';
/** A lock file without readable content is being written, unless it is older than this. */
const UNREADABLE_LOCK_MS = 10_000;

interface LockHolder {
  pid: number;
  /**
   * Start time of the process in clock ticks since boot (Linux), otherwise 0. Distinguishes the holder from a process
   * that reuses its pid.
   */
  start: number;
  host: string;
}

/** A lock that is held until {@link OutputLock.release} is called or the process ends. */
export interface OutputLock {
  release(): void;
}

const held = new Set<string>();
let releasesOnExit = false;

/**
 * Locks the output directory for this process. The lock of a process that no longer exists is replaced.
 *
 * @throws {LockError} E_LOCKED while another process, or another writer in this process, holds it.
 */
export function acquireLock(directory: string): OutputLock {
  const path = lockOf(directory);
  guarded(path, 'locking', () => {
    refuseOtherKinds(directory, path);
    if (!createLock(path) && !reclaimLock(path)) throw lockedError(directory, readHolder(path));
  });
  held.add(path);
  if (!releasesOnExit) {
    process.on('exit', () => held.forEach((lock) => fs.rmSync(lock, { force: true })));
    releasesOnExit = true;
  }
  return {
    release() {
      if (held.delete(path)) fs.rmSync(path, { force: true });
    },
  };
}

/**
 * Runs `action` while this process holds a directory's lock. If it does not hold the lock yet, the lock is taken for
 * the duration of the call, and temporary files that a killed process left behind are removed.
 *
 * @throws {LockError} E_LOCKED while another process holds it.
 */
export function withLock<T>(directory: string, action: () => T): T {
  if (held.has(lockOf(directory))) return action();
  const lock = acquireLock(directory);
  try {
    sweepTemporaries(directory);
    return action();
  } finally {
    lock.release();
  }
}

/** Returns the path of the lock, which is the same however the directory is spelled. */
function lockOf(directory: string): string {
  return join(resolve(directory), LOCK);
}

/**
 * Rejects anything at the lock's path that is not a file: reading it might block forever, and it must not be removed.
 */
function refuseOtherKinds(directory: string, path: string): void {
  const kind = nodeFiles.status(path)?.kind;
  if (kind === undefined || kind === 'file') return;
  throw new LockError(
    'E_LOCKED',
    `${directory}: expected a lock file, found ${KIND_NAMES[kind]} in its place. Remove ${LOCK}.`,
  );
}

/** Errors of file systems without hard links: FAT, some network and FUSE mounts. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK', 'EXDEV']);

/** Creates the lock together with its content: linking a finished file fails if the name is taken. */
function createLock(path: string): boolean {
  const holder: LockHolder = { pid: process.pid, start: startOf(process.pid), host: hostname() };
  const temporary = temporaryName(path);
  fs.writeFileSync(temporary, formatJson(holder));
  try {
    fs.linkSync(temporary, path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (NO_LINKS.has(code)) return createLockInPlace(path, holder);
    // Another process that holds the lock may already have removed the temporary file.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/**
 * Creates the lock without hard links. It is empty for a moment, and other processes wait while it is being written.
 */
function createLockInPlace(path: string, holder: LockHolder): boolean {
  try {
    fs.writeFileSync(path, formatJson(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Replaces a stale lock. A guard file ensures that only one process at a time checks and replaces it, so two cannot
 * both succeed.
 */
function reclaimLock(path: string): boolean {
  const guard = `${path}.reclaim`;
  if (olderThan(guard, UNREADABLE_LOCK_MS)) fs.rmSync(guard, { force: true });
  try {
    fs.closeSync(fs.openSync(guard, 'wx'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    if (isLive(path)) return false;
    fs.rmSync(path, { force: true });
    return createLock(path);
  } finally {
    fs.rmSync(guard, { force: true });
  }
}

function isLive(path: string): boolean {
  const holder = readHolder(path);
  if (holder === undefined) return fs.existsSync(path) && !olderThan(path, UNREADABLE_LOCK_MS);
  if (holder.host !== hostname()) return true; // a process on another host cannot be checked
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  if (isZombie(holder.pid)) return false;
  return holder.start === 0 || holder.start === startOf(holder.pid);
}

function olderThan(path: string, milliseconds: number): boolean {
  const status = fs.statSync(path, { throwIfNoEntry: false });
  return status !== undefined && Date.now() - status.mtimeMs > milliseconds;
}

function readHolder(path: string): LockHolder | undefined {
  try {
    if (!fs.lstatSync(path).isFile()) return undefined;
    const { pid, start, host } = JSON.parse(fs.readFileSync(path, 'utf8')) as LockHolder;
    return Number.isInteger(pid) && pid > 0 ? { pid, start: Number(start), host: String(host) } : undefined;
  } catch {
    return undefined;
  }
}

/** Returns field 22 of /proc/<pid>/stat, the start time, or 0 if there is no /proc. */
function startOf(pid: number): number {
  return Number(statOf(pid)[19] ?? 0);
}

/**
 * Whether a process was killed but not yet reaped by its parent. Such a process still accepts signals but does nothing.
 */
function isZombie(pid: number): boolean {
  return statOf(pid)[0] === 'Z';
}

/**
 * Returns the fields of /proc/<pid>/stat from the third on, which follow the parenthesized command name. Empty if there
 * is no /proc.
 */
function statOf(pid: number): string[] {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/**
 * Opens an output directory for writing: {@link prepareOutput} under {@link acquireLock}, then {@link
 * sweepTemporaries}.
 *
 * @throws {LockError} E_LOCKED; it comes first, so that a second process learns about the first one rather than about
 *   its incomplete output.
 * @throws {UsageError} E_OUTPUT_EXISTS, E_OUTPUT_NOT_DIRECTORY.
 * @throws {IoError} E_IO, E_DISK_FULL.
 */
export function openOutput(path: string, options: OutputOptions = {}): OutputLock {
  if (!isDirectory(path, nodeFiles)) prepareOutput(path, options);
  const lock = acquireLock(path);
  try {
    prepareOutput(path, options);
    sweepTemporaries(path);
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

function lockedError(directory: string, holder: LockHolder | undefined): LockError {
  const who =
    holder === undefined
      ? 'another process'
      : holder.host === hostname()
        ? `process ${holder.pid}`
        : `process ${holder.pid} on ${holder.host}`;
  return new LockError(
    'E_LOCKED',
    `${directory}: in use, ${who} is writing to it. Wait for it to finish, or delete ${LOCK} if it no longer runs.`,
  );
}
