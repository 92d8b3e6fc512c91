// Files of one directory as they stood at one moment, beside a process that may be replacing them through
// `writeFilesAtomic`. A reader writes nothing: where a commit is under way, or was cut short, it reads each file under the
// temporary name that the journal gives, and leaves the renames to the next writer.
import { join } from 'node:path';
import { CorruptError, IoError, TesseraeError } from './errors.js';
import { KIND_NAMES, guarded, nodeFiles } from './files/system.js';
import { expectRegular, readFile, readFully } from './files/read.js';
import { finalName } from './files/commit.js';
import { readJournal } from './files/journal.js';
import type { FileStatus, FileSystem } from './files/system.js';

interface Held {
  /** Where it lies, for errors. */
  path: string;
  fd: number;
  size: number;
}

/** Names that are there but are no regular files. */
type Refused = Pick<Held, 'path'> & { kind: FileStatus['kind'] };

/** Open files of a directory that belong together; what replaces them later does not show. */
export class Snapshot {
  private readonly held = new Map<string, Held | Refused>();

  constructor(
    private readonly directory: string,
    private readonly files: FileSystem,
  ) {}

  /** Opens a file under its own name or, first, under the name it has until the commit is complete. */
  hold(name: string, temporary: string | undefined): void {
    const found = (temporary === undefined ? undefined : this.open(temporary)) ?? this.open(name);
    if (found) this.held.set(name, found);
  }

  /** Bytes of a file, `undefined` when it is missing. @throws {CorruptError} with `code` for a link, pipe or device. */
  size(name: string, code: string): number | undefined {
    const found = this.held.get(name);
    if (found === undefined) return undefined;
    if ('kind' in found)
      throw new CorruptError(
        code,
        `${found.path}: expected a regular file, found ${KIND_NAMES[found.kind]}. Put the file itself there.`,
      );
    return found.size;
  }

  /** The bytes of a file that {@link size} found, in their own memory. */
  read(name: string): Uint8Array<ArrayBuffer> {
    const { path, fd, size } = this.held.get(name) as Held;
    return guarded(path, 'reading', () => {
      const bytes = new Uint8Array(size);
      const count = readFully(fd, bytes, 0, this.files);
      return count === size ? bytes : bytes.slice(0, count);
    });
  }

  close(): void {
    for (const found of this.held.values()) if ('fd' in found) this.files.close(found.fd);
    this.held.clear();
  }

  private open(name: string): Held | Refused | undefined {
    const path = join(this.directory, name);
    return guarded(path, 'reading', () => {
      const status = this.files.status(path);
      if (status === undefined) return undefined;
      if (status.kind !== 'file') return { path, kind: status.kind };
      try {
        return { path, fd: this.files.open(path, 'r'), size: status.size };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // renamed just now
        throw error;
      }
    });
  }
}

const ATTEMPTS = 300;
const LONGEST_PAUSE_MS = 10;

/**
 * Opens `main` and the files it names as they stood at one moment, hands them over, closes them.
 *
 * @param main the file that is committed last and tells of the others.
 * @param others names of the others, from the bytes of `main`; not asked where `main` is missing.
 * @throws {IoError} E_BUSY when the files were replaced again and again meanwhile. @throws {CorruptError} E_JOURNAL, E_JSON.
 */
export function withSnapshot<T>(
  directory: string,
  main: string,
  others: (main: Snapshot) => readonly string[],
  action: (snapshot: Snapshot) => T,
  files: FileSystem = nodeFiles,
): T {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const snapshot = new Snapshot(directory, files);
    try {
      const before = momentOf(directory, main, files);
      const failure = attemptTo(() => open(snapshot, main, others, before.names));
      if (momentOf(directory, main, files).text === before.text) {
        if (failure) throw failure;
        return action(snapshot);
      }
    } finally {
      snapshot.close();
    }
    pause(Math.min(attempt, LONGEST_PAUSE_MS));
  }
  throw new IoError(
    'E_BUSY',
    `${directory}: expected files that stay for a moment, another process replaced them ${ATTEMPTS} times meanwhile. Wait for it.`,
  );
}

function open(
  snapshot: Snapshot,
  main: string,
  others: (main: Snapshot) => readonly string[],
  names: readonly string[],
): void {
  const temporaryOf = (name: string): string | undefined => names.find((temporary) => finalName(temporary) === name);
  snapshot.hold(main, temporaryOf(main));
  for (const name of others(snapshot)) snapshot.hold(name, temporaryOf(name));
}

function attemptTo(action: () => void): TesseraeError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof TesseraeError) return error;
    throw error;
  }
}

/**
 * What tells one commit from the next: the names in the journal, which are drawn at random, and which file `main` is. The
 * journal is looked at before `main`: a commit renames `main` last and removes its journal after that.
 */
function momentOf(directory: string, main: string, files: FileSystem): { names: readonly string[]; text: string } {
  const names = readJournal(directory, files) ?? [];
  const path = join(directory, main);
  const { size, modifiedMs, identity } = guarded(path, 'reading', () => files.status(path)) ?? {};
  // While a journal stands, its names tell all; `main` may be renamed meanwhile.
  return { names, text: JSON.stringify(names.length > 0 ? names : [size, modifiedMs, identity]) };
}

function pause(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** The whole of one file, when it is there, as {@link withSnapshot} finds it. */
export function readSnapshot(
  directory: string,
  name: string,
  limit: number,
  code: string,
  files: FileSystem = nodeFiles,
): Uint8Array<ArrayBuffer> | undefined {
  return withSnapshot(
    directory,
    name,
    () => [],
    (snapshot) => {
      const size = snapshot.size(name, code);
      if (size === undefined) return undefined;
      if (size > limit)
        throw new CorruptError(
          'E_FILE_TOO_LARGE',
          `${join(directory, name)}: expected at most ${limit} bytes, found ${size}.`,
        );
      return snapshot.read(name);
    },
    files,
  );
}

/** A file of one of our directories that is replaced on its own. @throws {CorruptError} with `code` for a link, pipe or device. */
export function readOwnFile(
  path: string,
  code: string,
  { limit, files = nodeFiles }: { limit?: number; files?: FileSystem } = {},
): Uint8Array<ArrayBuffer> {
  expectRegular(path, code, files);
  return readFile(path, { limit, files });
}
