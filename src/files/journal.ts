// The commit protocol for several files of a directory, which are replaced together: a journal lists the renames.
import { basename, join } from 'node:path';
import { CorruptError, UsageError } from '../errors.js';
import { formatJson } from '../json.js';
import { isPlainName } from '../names.js';
import { PendingFile, finalName, isTemporary, toBytes, writeFileAtomic } from './commit.js';
import { expectRegular, readJson } from './read.js';
import { guarded, nodeFiles } from './system.js';
import type { FileSystem } from './system.js';

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
