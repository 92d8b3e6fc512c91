// Output directories: made ready, held by one process at a time through a lock, swept of what a killed one left.
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
  /** Continue what is there. */
  resume?: boolean;
  /** Write over what is there. */
  force?: boolean;
  /** Names that `force` removes first. Anything else in the directory is never touched. */
  owned?: readonly (string | RegExp)[];
}

/**
 * Makes an output directory ready: creates it, or refuses one that is not empty unless told to resume or to force.
 * Temporaries and the lock do not count as content.
 *
 * @throws {UsageError} E_OUTPUT_EXISTS, E_OUTPUT_NOT_DIRECTORY. @throws {IoError} E_IO, E_DISK_FULL.
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
        `--out ${path}: expected a new or empty directory, found ${content.length} ${content.length === 1 ? 'entry' : 'entries'} (${content[0]}). Pass --resume to continue or --force to write over it.`,
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
/** A lock without readable content is being written, unless it is older than this. */
const UNREADABLE_LOCK_MS = 10_000;

interface LockHolder {
  pid: number;
  /** Start of the process in clock ticks since boot (Linux), else 0: tells a reused pid from the holder. */
  start: number;
  host: string;
}

/** Held until {@link OutputLock.release} or the end of the process. */
export interface OutputLock {
  release(): void;
}

const held = new Set<string>();
let releasesOnExit = false;

/**
 * Takes the output directory for this process. A lock whose process is gone is reclaimed.
 *
 * @throws {LockError} E_LOCKED while another process (or another writer of this one) holds it.
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
 * Runs `action` while this process holds a directory's lock: under the lock it has already, or under one taken for the
 * time, after sweeping what a killed process left.
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

/** One name however the directory is spelled. */
function lockOf(directory: string): string {
  return join(resolve(directory), LOCK);
}

/** What lies there in place of a lock is not ours to read, which may never end, or to remove. */
function refuseOtherKinds(directory: string, path: string): void {
  const kind = nodeFiles.status(path)?.kind;
  if (kind === undefined || kind === 'file') return;
  throw new LockError(
    'E_LOCKED',
    `${directory}: expected to be free, found ${KIND_NAMES[kind]} in place of the lock. Remove ${LOCK}.`,
  );
}

/** What file systems without hard links answer: FAT, some network and FUSE mounts. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK', 'EXDEV']);

/** The lock appears with its content or not at all: a link to a finished file fails where the name is taken. */
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
    // Gone already: the process that holds the lock sweeps temporaries.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/** Without links the lock is empty for a moment, which others take for one that is being written. */
function createLockInPlace(path: string, holder: LockHolder): boolean {
  try {
    fs.writeFileSync(path, formatJson(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Replaces a stale lock. The guard file lets one process at a time look and replace, so two cannot both win. */
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
  if (holder.host !== hostname()) return true; // cannot be asked from here
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

/** Field 22 of /proc/<pid>/stat; 0 where there is no /proc. */
function startOf(pid: number): number {
  return Number(statOf(pid)[19] ?? 0);
}

/** Killed, but not yet collected by its parent: it answers signals and does nothing. */
function isZombie(pid: number): boolean {
  return statOf(pid)[0] === 'Z';
}

/** The fields of /proc/<pid>/stat from the third on, counted after the parenthesized command name; none where there is no /proc. */
function statOf(pid: number): string[] {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/**
 * Opens an output directory for writing: {@link prepareOutput} under {@link acquireLock}, then {@link sweepTemporaries}.
 *
 * @throws {LockError} E_LOCKED first, so that a second process hears of the first and not of its half-made output.
 * @throws {UsageError} E_OUTPUT_EXISTS, E_OUTPUT_NOT_DIRECTORY. @throws {IoError} E_IO, E_DISK_FULL.
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
    `${directory}: expected to be free, ${who} is writing there. Wait for it, or delete ${LOCK} if it is gone.`,
  );
}
