// Everything Tesserae puts on disk goes through here: one commit protocol (temporary name, fsync, rename, fsync of the
// directory), one translation of the operating system's refusals. The calls are synchronous: they are short
// beside the work they save, and a test can then stop them between any two.
import * as fs from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { CorruptError, IoError, TesseraeError, UsageError, messageOf } from './errors.js';

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

// ---------------------------------------------------------------------------------------------------------------------
// Refusals of the operating system

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

// ---------------------------------------------------------------------------------------------------------------------
// Reading

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
export function withFile<T>(path: string, files: FileSystem, action: (fd: number, size: number) => T): T {
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

/** What a path is, for the end of a sentence. */
export const KIND_NAMES: Readonly<Record<FileStatus['kind'], string>> = {
  file: 'a file',
  directory: 'a directory',
  link: 'a link',
  other: 'a pipe, socket or device',
};

/**
 * Refuses a path inside one of our directories that is there but is no regular file: links lead out of the directory, and
 * reading a pipe or device may never end. Call it before such a file is read.
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

/** sha256 of bytes or of UTF-8 text, hex. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

// ---------------------------------------------------------------------------------------------------------------------
// JSON

const JSON_LIMIT = 64 * 2 ** 20;
const JSON_DEPTH = 64;

/**
 * Reads a JSON file of at most 64 MiB, as strict as {@link parseJson}.
 *
 * @throws {CorruptError} E_JSON. @throws {UsageError} E_NOT_FOUND. @throws {IoError} E_IO.
 */
export function readJson(path: string, files: FileSystem = nodeFiles): unknown {
  return parseJson(decodeUtf8(readFile(path, { limit: JSON_LIMIT, files }), path), path);
}

/** @throws {CorruptError} E_JSON when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new CorruptError('E_JSON', `${where}: expected UTF-8 text, found other bytes.`, { cause: error });
  }
}

/**
 * Parses JSON and refuses what `JSON.parse` lets pass silently: duplicate keys, `__proto__` keys, nesting over 64.
 *
 * @throws {CorruptError} E_JSON naming `where`.
 */
export function parseJson(text: string, where: string): unknown {
  try {
    checkStructure(text, where);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    throw new CorruptError('E_JSON', `${where}: expected JSON, ${messageOf(error)}.`, { cause: error });
  }
}

/** One pass over the text before it is parsed; by hand, because a regular expression overflows on long strings. */
function checkStructure(text: string, where: string): void {
  const open: (Set<string> | null)[] = []; // one entry a level: the keys of an object, null for an array
  let string: [start: number, end: number] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      string = [i, endOfString(text, i)];
      i = string[1] - 1;
    } else if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === ':') addKey(open.at(-1), text.slice(...string), where);
    if (open.length > JSON_DEPTH)
      throw new CorruptError('E_JSON', `${where}: expected at most ${JSON_DEPTH} levels of nesting, found more.`);
  }
}

/** The offset after the string that starts at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const character = text[i];
    if (character === '"') return i + 1;
    if (character === '\\') i++;
  }
  return text.length;
}

function addKey(keys: Set<string> | null | undefined, literal: string, where: string): void {
  const key = JSON.parse(literal) as string;
  if (key === '__proto__') throw new CorruptError('E_JSON', `${where}: expected plain keys, found "__proto__".`);
  if (keys?.has(key)) throw new CorruptError('E_JSON', `${where}: expected each key once, found "${key}" twice.`);
  keys?.add(key);
}

/** JSON with keys sorted at every level and no spaces: equal values give equal text. Refuses what JSON cannot hold. */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new UsageError('E_JSON_NUMBER', `canonicalJson: expected finite numbers, received ${value}.`);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record)
    .filter((key) => record[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`).join(',')}}`;
}

/** JSON as Tesserae writes it to disk: two spaces, a final newline. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

// ---------------------------------------------------------------------------------------------------------------------
// The commit protocol

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

/** Writes all of `bytes`. `fs.writeSync` returns short on a full disk without throwing, hence the loop. */
export function writeFully(fd: number, bytes: Uint8Array, files: FileSystem = nodeFiles): void {
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

function toBytes(content: Uint8Array | string): Uint8Array {
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

/** A parent that is there and still knows no such name, as below /proc, refuses: nothing is missing that the user could name. */
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

/**
 * Fills a directory under a temporary name and renames it into place: after a crash it is there whole or not at all.
 *
 * @param fill writes files into the directory it is given, with {@link writeFileAtomic} or {@link PendingFile}.
 * @throws {IoError} E_DISK_FULL, E_IO. @throws {UsageError} E_OUTPUT_EXISTS when `path` exists.
 */
export function writeDirectoryAtomic(
  path: string,
  fill: (directory: string) => void,
  files: FileSystem = nodeFiles,
): void {
  if (files.status(path) !== undefined)
    throw new UsageError('E_OUTPUT_EXISTS', `${path}: expected nothing there, found a file or directory.`);
  const temporary = temporaryName(path);
  try {
    files.makeDirectory(temporary);
    fill(temporary);
    files.fsyncDirectory(temporary);
    files.rename(temporary, path);
    files.fsyncDirectory(dirname(path));
  } catch (error) {
    removeQuietly(temporary, files);
    throw fileError(error, path, 'writing');
  }
}

function removeQuietly(path: string, files: FileSystem): void {
  try {
    files.remove(path);
  } catch {
    // the next sweepTemporaries takes it
  }
}

const JOURNAL = '.commit.json';

/**
 * Replaces several files of a directory as one: after a crash at any moment {@link completeCommit} finds all old or all
 * new. All bytes are durable under temporary names first; then a journal of renames is committed, then carried out.
 * Call it while holding the directory's lock; readers beside it use `withSnapshot`.
 *
 * @param contents file name to content.
 */
export function writeFilesAtomic(
  directory: string,
  contents: Readonly<Record<string, Uint8Array | string>>,
  files: FileSystem = nodeFiles,
): void {
  completeCommit(directory, files);
  const pending: PendingFile[] = [];
  try {
    for (const [name, content] of Object.entries(contents)) {
      const file = new PendingFile(join(directory, name), files);
      pending.push(file);
      file.write(toBytes(content));
      file.seal();
    }
    guarded(directory, 'writing', () => files.fsyncDirectory(directory));
    writeFileAtomic(join(directory, JOURNAL), formatJson(pending.map((file) => basename(file.temporary))), files);
  } catch (error) {
    if (!journalExists(directory, files)) for (const file of pending) file.discard();
    throw error;
  }
  completeCommit(directory, files);
}

function journalExists(directory: string, files: FileSystem): boolean {
  try {
    return files.status(join(directory, JOURNAL)) !== undefined;
  } catch {
    return true; // unknown: keep what it may name
  }
}

/**
 * Carries out the renames of a {@link writeFilesAtomic} that was cut short. Without one it does nothing.
 * Call it while holding the directory's lock: to another process it would pull files from under a commit under way.
 */
export function completeCommit(directory: string, files: FileSystem = nodeFiles): void {
  guarded(directory, 'completing the last save', () => {
    const names = readJournal(directory, files);
    if (names === undefined) return;
    for (const name of names) {
      const temporary = join(directory, name);
      if (files.status(temporary) !== undefined) files.rename(temporary, join(directory, finalName(name)));
    }
    files.fsyncDirectory(directory);
    files.remove(join(directory, JOURNAL));
    files.fsyncDirectory(directory);
  });
}

/** True for a directory in which a {@link writeFilesAtomic} is under way or was cut short. */
export function hasJournal(directory: string, files: FileSystem = nodeFiles): boolean {
  return guarded(directory, 'reading', () => files.status(join(directory, JOURNAL)) !== undefined);
}

/**
 * The temporary names that a commit under way, or one cut short, is renaming; `undefined` without one.
 *
 * @throws {CorruptError} E_JOURNAL, E_JSON for a journal that is damaged.
 */
export function readJournal(directory: string, files: FileSystem = nodeFiles): string[] | undefined {
  const path = join(directory, JOURNAL);
  expectRegular(path, 'E_JOURNAL', files);
  let names: unknown;
  try {
    if (!hasJournal(directory, files)) return undefined;
    names = readJson(path, files);
  } catch (error) {
    if (error instanceof UsageError && error.code === 'E_NOT_FOUND') return undefined; // completed just now
    throw error;
  }
  const valid =
    Array.isArray(names) && names.every((name) => typeof name === 'string' && isTemporary(name) && isPlainName(name));
  if (!valid)
    throw new CorruptError(
      'E_JOURNAL',
      `${path}: expected a list of temporary names, found something else. Delete it.`,
    );
  return names as string[];
}

/** True for a path that may stand for several. */
export function isGlob(path: string): boolean {
  return /[*?{]|\[[^\]]+\]/.test(path);
}

/** The name that a file under a temporary name will have. */
export function finalName(temporary: string): string {
  return temporary.replace(TEMPORARY, '');
}

/** True for a name that stays in its directory: letters, digits, `.`, `_`, `-`, not starting with a dot or a dash. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(name);
}

/**
 * Removes what earlier runs left under temporary names, after completing a commit that was cut short.
 * Call it while holding the directory's lock. Returns the names removed.
 */
export function sweepTemporaries(directory: string, files: FileSystem = nodeFiles): string[] {
  completeCommit(directory, files);
  return guarded(directory, 'sweeping temporaries', () => {
    const names = files.list(directory).filter(isTemporary);
    for (const name of names) files.remove(join(directory, name));
    return names;
  });
}
