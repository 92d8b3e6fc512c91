// Opens any supported dataset on disk.
import { existsSync } from 'node:fs';
import { opendir, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { expectPath } from '../arguments.js';
import { InputError } from '../errors.js';
import { isGlob } from '../names.js';
import type { Dataset } from '../interfaces/dataset.js';
import { describeBytes } from '../media/image/sniff.js';
import { fullMedium, mediaWithFiles } from '../media/node.js';
import { isArchive } from './archive.js';
import { firstBytes, readError } from './files.js';
import { isIdxFolder, looksLikeIdx, openIdx } from './idx.js';
import { checkDatasetOptions, type DatasetOptions } from './indexed.js';
import { extensionOf } from './names.js';
import { ARCHIVE, openFolder, openWebDataset } from './media-files.js';

/**
 * Opens a dataset of any kind: a folder of images, a WebDataset `.tar` or `.tar.gz` (or a folder, list or glob of
 * them), or MNIST-style IDX files. Names, captions and labels are read; media are not. `openFolder`, `openWebDataset`
 * and `openIdx` document what each kind reads, and {@link Dataset.summary} lists what was skipped.
 *
 * If the dataset has no split of its own, samples are held out by a hash of their keys, so that adding or removing a
 * sample does not move any other. Close the dataset after use.
 *
 * @param path A path, or paths and globs of archives (`shards/train-*.tar`, `shards/train-{0000..0127}.tar`).
 * @throws {InputError} E_NOT_FOUND, E_DATA_EMPTY, E_DATA_KIND and the errors of each kind.
 * @throws {UsageError} E_DATA_OPTIONS, E_DATA_CAPTIONS.
 */
export async function openDataset(path: string | readonly string[], options: DatasetOptions = {}): Promise<Dataset> {
  checkDatasetOptions(options);
  const given = typeof path === 'string' ? [path] : path;
  if (!Array.isArray(given)) expectPath('openDataset', path);
  for (const one of given) expectPath('openDataset', one);
  const paths = (await Promise.all(given.map(expand))).flat();
  if (paths.length !== 1) return openArchives(paths, options);
  const [only] = paths as [string];
  const found = await stat(only).catch((error: unknown) => {
    throw readError(only, error);
  });
  if (found.isDirectory()) return openDirectory(only, options);
  if (!found.isFile()) throw kindError(only, 'neither a file nor a folder');
  if (await isArchive(only)) return openWebDataset([only], options, only);
  if (await looksLikeIdx(only)) return openIdx(only, options);
  throw kindError(only, describeBytes(await firstBytes(only)));
}

/** Expands a glob. A path that exists is never treated as a glob. */
async function expand(path: string): Promise<string[]> {
  if (existsSync(path) || !isGlob(path)) return [path];
  const { glob } = await import('tinyglobby');
  const found = await glob(expandRanges(path.replaceAll('\\', '/')), {
    absolute: path.startsWith('/'),
    onlyFiles: false,
    expandDirectories: false,
  });
  if (found.length === 0)
    throw new InputError('E_NOT_FOUND', `${path}: expected a glob that matches files, found no match. Check the path.`);
  const named = namedPaths(path);
  const missing = named?.filter((one) => !existsSync(one)) ?? [];
  if (missing.length > 0)
    throw new InputError(
      'E_NOT_FOUND',
      `${path}: expected ${named!.length} files, but ${missing.length} of them are missing, the first is ${missing[0]!}. Fetch them, or change the range.`,
    );
  return found.map((one) => one.replace(/\/$/, '')).sort();
}

/** Maximum number of names that a range may stand for. */
const MAX_RANGE = 100_000;

/** Replaces numeric ranges, as WebDataset uses them, by lists: `{08..10}` becomes `{08,09,10}`. */
function expandRanges(pattern: string): string {
  return pattern.replace(/\{(\d+)\.\.(\d+)\}/g, (range, from: string, to: string) => {
    const count = Number(to) - Number(from) + 1;
    if (!(count >= 1 && count <= MAX_RANGE)) return range;
    return `{${Array.from({ length: count }, (_, i) => String(Number(from) + i).padStart(from.length, '0')).join(',')}}`;
  });
}

/**
 * Returns the paths named by a pattern that consists of a single range, so that the missing files of an incomplete
 * download can be reported.
 */
function namedPaths(pattern: string): string[] | undefined {
  const range = /^([^*?{}[\]]*)\{([\d,]+)\}([^*?{}[\]]*)$/.exec(expandRanges(pattern));
  return range?.[2]!.split(',').map((number) => `${range[1]!}${number}${range[3]!}`);
}

async function openArchives(paths: readonly string[], options: DatasetOptions): Promise<Dataset> {
  if (paths.length === 0)
    throw new InputError('E_DATA_EMPTY', 'openDataset: expected at least one archive, received an empty list.');
  return openWebDataset([...new Set(paths)], options);
}

async function openDirectory(path: string, options: DatasetOptions): Promise<Dataset> {
  const items = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw readError(path, error);
  });
  if (isIdxFolder(items.map(({ name }) => name))) return openIdx(path, options);
  const isTop = items.some(isArchiveItem);
  const isMedia = mediaTest(options.medium);
  if (!isTop && items.some(({ name }) => isMedia(name))) return openFolder(path, options);
  const { archives, others } = await filesBelow(path, isTop, isMedia);
  return archives.length > 0 ? openWebDataset(archives, options, path, others) : openFolder(path, options);
}

/** Whether a folder entry is an archive. Links count, because their targets are checked when they are opened. */
function isArchiveItem(item: { name: string; isFile(): boolean; isSymbolicLink(): boolean }): boolean {
  return ARCHIVE.test(item.name) && !item.name.startsWith('.') && (item.isFile() || item.isSymbolicLink());
}

/** Returns a test for names of files of the medium, or of any medium if none is asked for. */
function mediaTest(medium: string | undefined): (name: string) => boolean {
  const media = medium === undefined ? mediaWithFiles() : [fullMedium(medium)];
  return (name) => media.some(({ files }) => files.extensions.has(extensionOf(name)));
}

/**
 * Lists the archives of a folder, sorted, and the names of all other files below it. At the top only the folder's own
 * archives count. Otherwise archives in all subfolders count, but none if there is a sample anywhere below.
 */
async function filesBelow(
  path: string,
  isTop: boolean,
  isMedia: (name: string) => boolean,
): Promise<{ archives: string[]; others: string[] }> {
  const archives: string[] = [];
  const others: string[] = [];
  try {
    for await (const item of await opendir(path, { recursive: true })) {
      const file = join(item.parentPath, item.name);
      if (!isTop && isMedia(item.name)) return { archives: [], others: [] };
      if (isArchiveItem(item) && (!isTop || item.parentPath === path)) archives.push(file);
      else if (!item.isDirectory()) others.push(relative(path, file));
    }
  } catch {
    if (!isTop) return { archives: [], others: [] }; // listing the folder reports subfolders that cannot be entered
  }
  return { archives: archives.sort(), others: others.sort() };
}

function kindError(path: string, found: string): InputError {
  return new InputError(
    'E_DATA_KIND',
    `${path}: expected a folder of images, a .tar or .tar.gz, or MNIST-style IDX, found ${found}.`,
  );
}
