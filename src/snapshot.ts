// Consistent reads of several files in one directory while another process may be replacing them with
// `writeFilesAtomic`. Readers never write: if a commit is in progress or was interrupted, they read each file under the
// temporary name given by the journal, and leave the renaming to the next writer.
import { join } from 'node:path';
import { CorruptError, IoError, TesseraeError } from './errors.js';
import { KIND_NAMES, guarded, nodeFiles } from './files/system.js';
import { expectRegular, readFile, readFully } from './files/read.js';
import { finalName } from './files/commit.js';
import { readJournal } from './files/journal.js';
import type { FileStatus, FileSystem } from './files/system.js';

interface Held {
  /** Path of the file, for errors. */
  path: string;
  fd: number;
  size: number;
}

/** Names that exist but are not regular files. */
type Refused = Pick<Held, 'path'> & { kind: FileStatus['kind'] };

/** Open files of a directory that belong together. Later replacements do not affect them. */
export class Snapshot {
  private readonly held = new Map<string, Held | Refused>();

  constructor(
    private readonly directory: string,
    private readonly files: FileSystem,
  ) {}

  /** Opens a file under its temporary name, if a commit is incomplete, or else under its own name. */
  hold(name: string, temporary: string | undefined): void {
    const found = (temporary === undefined ? undefined : this.open(temporary)) ?? this.open(name);
    if (found) this.held.set(name, found);
  }

  /**
   * Returns the size of a file, or `undefined` if it is missing.
   *
   * @throws {CorruptError} with `code` for a link, pipe or device.
   */
  size(name: string, code: string): number | undefined {
    const found = this.held.get(name);
    if (found === undefined) return undefined;
    if ('kind' in found)
      throw new CorruptError(
        code,
        `${found.path}: expected a regular file, found ${KIND_NAMES[found.kind]}. Replace it by the file itself.`,
      );
    return found.size;
  }

  /** Returns a copy of the bytes of a file that {@link size} found. */
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
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // just renamed
        throw error;
      }
    });
  }
}

const ATTEMPTS = 300;
const LONGEST_PAUSE_MS = 10;

/**
 * Opens `main` and the files that it names, all from the same commit, passes them to `action` and closes them.
 *
 * @param main The file that is committed last and names the others.
 * @param others Returns the names of the other files, given `main`. Not called if `main` is missing.
 * @throws {IoError} E_BUSY when the files keep being replaced.
 * @throws {CorruptError} E_JOURNAL, E_JSON.
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
    `${directory}: expected stable files, but another process replaced them ${ATTEMPTS} times. Wait until it has finished.`,
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
 * Returns what distinguishes one commit from the next: the names in the journal, which are random, and the identity of
 * `main`. The journal is read before `main`, because a commit renames `main` last and removes its journal afterwards.
 */
function momentOf(directory: string, main: string, files: FileSystem): { names: readonly string[]; text: string } {
  const names = readJournal(directory, files) ?? [];
  const path = join(directory, main);
  const { size, modifiedMs, identity } = guarded(path, 'reading', () => files.status(path)) ?? {};
  // While there is a journal, its names identify the commit; `main` may be renamed in the meantime.
  return { names, text: JSON.stringify(names.length > 0 ? names : [size, modifiedMs, identity]) };
}

function pause(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** Reads a file that is replaced on its own. @throws {CorruptError} with `code` for a link, pipe or device. */
export function readOwnFile(
  path: string,
  code: string,
  { limit, files = nodeFiles }: { limit?: number; files?: FileSystem } = {},
): Uint8Array<ArrayBuffer> {
  expectRegular(path, code, files);
  return readFile(path, { limit, files });
}
