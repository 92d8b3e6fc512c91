// Datasets of media files: folders, and archives in which the files of a sample are adjacent (WebDataset).
import { dirname, relative, resolve, sep } from 'node:path';

import { InputError } from '../errors.js';
import type { Dataset } from '../interfaces/dataset.js';
import { fullMedium, mediaWithFiles } from '../media/node.js';
import type { AnyMedium } from '../media/medium.js';
import { expectArchive, openArchive, type OpenArchive } from './archive.js';
import { FilePool } from './files.js';
import { listFolder } from './folder.js';
import { IndexedDataset, type DatasetOptions } from './indexed.js';
import type { Listing } from './listing.js';
import { extensionOf } from './names.js';
import { collectSamples, type MediaEntry } from './samples.js';
import { officialSplit, type OfficialSplit } from './split.js';
import { Tally } from './tally.js';

/**
 * Opens a folder of images, searched recursively. Samples are sorted by path in code-unit order. Captions come from
 * `metadata.csv`, `.tsv`, `.jsonl` or `.parquet` (as in Hugging Face's imagefolder), otherwise from a file with the
 * image's name (`.txt`, `.caption`, `.json`), otherwise from the class folder that contains the image. Folders or
 * images named train and test define the split; images outside of them are then skipped.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_EMPTY, E_DATA_METADATA, E_DATA_TEXT, E_DATA_LABEL, E_DATA_LINK,
 *   E_DATA_ACCESS, E_DATA_DUPLICATE.
 * @throws {UsageError} E_DATA_CAPTIONS.
 */
export async function openFolder(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const tally = new Tally(options);
  const listing: Listing = { prefix: '', files: await listFolder(path, tally) };
  tally.medium = mediumOf([listing], options.medium);
  return openListings({ kind: 'folder', source: path, listings: [listing] }, options, tally);
}

/**
 * Opens one or more archives. A sample is an image; files with the same key contain its captions (`.txt`, one per
 * line), its label (`.cls`) or both (`.json`). If there are several archives, keys are prefixed with the archive's
 * name. Archives named train and test, or folders of these names inside them, define the split.
 *
 * @param beside Other files in the same folder that are not archives, for the summary.
 * @throws {InputError} E_TAR_..., E_GZIP, and the errors of {@link openFolder}.
 */
export async function openWebDataset(
  paths: readonly string[],
  options: DatasetOptions = {},
  source: string = paths.join(', '),
  beside: readonly string[] = [],
): Promise<Dataset> {
  const tally = new Tally(options);
  const pool = new FilePool();
  const archives: OpenArchive[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([pool.close(), ...archives.map((archive) => archive.close())]);
  };
  try {
    const names = archiveNames(paths);
    const listings: Listing[] = [];
    for (const [i, path] of paths.entries()) {
      const archive = await tally.attempt(path, async () => {
        await expectArchive(path, paths.length > 1);
        return openArchive(path, pool, tally);
      });
      if (!archive) {
        tally.files++;
        continue;
      }
      archives.push(archive);
      listings.push({ prefix: paths.length > 1 ? `${names[i]!}/` : '', archive: names[i]!, files: archive.files });
    }
    tally.medium = mediumOf(listings, options.medium);
    leaveOutFiles(beside, tally);
    return await openListings({ kind: 'webdataset', source, listings, close }, options, tally);
  } catch (error) {
    await close();
    throw error;
  }
}

/** The medium that is asked for, or else the one with the most files. */
function mediumOf(listings: readonly Listing[], wanted: string | undefined): AnyMedium {
  if (wanted !== undefined) return fullMedium(wanted);
  const extensions = listings.flatMap(({ files }) => files.map(({ path }) => extensionOf(path)));
  const counted = mediaWithFiles().map((medium) => ({
    medium,
    count: extensions.filter((extension) => medium.files.extensions.has(extension)).length,
  }));
  return counted.reduce((most, one) => (one.count > most.count ? one : most)).medium;
}

/** Adds files that are not in any of the archives to the tally. */
function leaveOutFiles(beside: readonly string[], tally: Tally): void {
  const { files, noun } = tally.medium;
  tally.files += beside.length;
  for (const file of beside) {
    const isMedia = files.extensions.has(extensionOf(file));
    tally.leftOut.add(`${isMedia ? noun.many : 'files'} next to the archives`, file, isMedia);
  }
}

/** Names the archives: those in one folder by file name, others by their path relative to a common folder. */
function archiveNames(paths: readonly string[]): string[] {
  const common = paths
    .map((path) => dirname(resolve(path)))
    .reduce((one, other) => {
      let folder = one;
      while (relative(folder, other).startsWith('..')) folder = dirname(folder);
      return folder;
    });
  const names = paths.map((path) => relative(common, resolve(path)).split(sep).join('/'));
  const plain = names.map((name) => name.replace(ARCHIVE, ''));
  return plain.map((name, i) => (plain.indexOf(name) === plain.lastIndexOf(name) ? name : names[i]!));
}

/** Matches names of archives. */
export const ARCHIVE = /\.(tar|tgz|tar\.gz)$/i;

interface Opened {
  kind: 'folder' | 'webdataset';
  source: string;
  listings: readonly Listing[];
  close?(): Promise<void>;
}

async function openListings(
  { kind, source, listings, close }: Opened,
  options: DatasetOptions,
  tally: Tally,
): Promise<Dataset> {
  const isArchive = kind === 'webdataset';
  const { noun } = tally.medium;
  const { entries, updateTally } = await collectSamples(listings, isArchive, options.captions, tally);
  const places = entries.map(({ file, archive, splitName }) => ({ path: file.path, archive, splitName }));
  const official = options.holdout === 0 ? undefined : officialSplit(places, noun.many, options.splitBy);
  if (official) warnOfSplit(official, options, tally);
  else warnOfColumn(entries, options, tally);
  const placed = official ? withSides(entries, official, tally) : entries;
  // Folders that define a split are not classes, whether the split is used or not.
  const samples = withClasses(
    placed,
    isArchive,
    () => official?.depth ?? officialSplit(places, noun.many, 'folder')?.depth,
    tally,
  );
  updateTally(samples);
  for (const { file } of samples) tally.useMedia(extensionOf(file.path));
  if (samples.length === 0) throw emptyError(source, listings, tally);
  return new IndexedDataset(
    {
      kind,
      medium: tally.medium.name,
      source,
      entries: samples,
      sourceOf: ({ file }) => file.where,
      read: async ({ file }) => ({ bytes: await file.read() }),
      close,
      tally,
      split: official?.description,
    },
    options,
  );
}

/** Warns if the dataset's own split overrides the requested holdout. */
function warnOfSplit({ description }: OfficialSplit, { holdout }: DatasetOptions, tally: Tally): void {
  if (holdout !== undefined)
    tally.warnings.push(
      `--holdout ${holdout} is not used, because the dataset has a split of its own (${description}). Add --split-by hash to ignore that split.`,
    );
}

/** Warns if a split column has values that are not recognized. */
function warnOfColumn(entries: readonly MediaEntry[], { holdout, splitBy }: DatasetOptions, tally: Tally): void {
  const names = new Set(entries.map(({ splitName }) => splitName).filter((name) => name !== undefined));
  if (names.size > 0 && holdout !== 0 && splitBy === undefined)
    tally.warnings.push(
      `The column split is not used: expected train and test (or validation), found ${[...names].slice(0, 5).join(', ')}${names.size > 5 ? ', ...' : ''}.`,
    );
}

function withSides(entries: readonly MediaEntry[], { sides, leftOut }: OfficialSplit, tally: Tally): MediaEntry[] {
  return entries.flatMap((entry, i) => {
    const split = sides[i];
    if (split) return [{ ...entry, split }];
    tally.leftOut.add(leftOut(i, tally.medium.noun.many), entry.file.path, true);
    return [];
  });
}

/** Maximum fraction of images outside of all class folders for which folders still count as classes. */
const STRAY_SHARE = 0.25;

/**
 * Uses the first folder of each image's path, other than the split's, as its class, provided there are at least two
 * such folders: a single `images/` carries no information. If there is metadata, or if an archive has captions or
 * labels, folders are not classes.
 */
function withClasses(
  entries: readonly MediaEntry[],
  isArchive: boolean,
  depthOfSplit: () => number | undefined,
  tally: Tally,
): readonly MediaEntry[] {
  if (
    entries.some(({ hasRow, captions, label }) => hasRow || (isArchive && (captions.length > 0 || label !== undefined)))
  )
    return entries;
  const splitDepth = depthOfSplit();
  const lists = entries.map(({ file }) =>
    file.path
      .split('/')
      .slice(0, -1)
      .filter((_, depth) => depth !== splitDepth),
  );
  // A folder that contains all images is not a class either.
  let shared = 0;
  while (lists[0]?.[shared] !== undefined && lists.every((parts) => parts[shared] === lists[0]![shared])) shared++;
  const folders = lists.map((parts) => parts[shared]);
  const names = new Set(folders.filter((folder) => folder !== undefined));
  const strays = entries.filter((_, i) => folders[i] === undefined);
  if (names.size < 2) return entries;
  if (strays.length > STRAY_SHARE * entries.length) {
    tally.warnings.push(
      `The folders (${[...names].slice(0, 3).join(', ')}${names.size > 3 ? ', ...' : ''}) were not used as classes, because ${strays.length} of ${entries.length} ${tally.medium.noun.many} are in none of them.`,
    );
    return entries;
  }
  if (strays.length > 0)
    tally.warnings.push(
      `${strays.length} ${strays.length === 1 ? `${tally.medium.noun.one} is` : `${tally.medium.noun.many} are`} outside the class folders and ${strays.length === 1 ? 'has' : 'have'} no class: ${strays
        .slice(0, 3)
        .map(({ file }) => file.path)
        .join(', ')}${strays.length > 3 ? ', ...' : ''}.`,
    );
  return entries.map((entry, i) =>
    entry.label === undefined && folders[i] !== undefined ? { ...entry, label: folders[i] } : entry,
  );
}

function emptyError(source: string, listings: readonly Listing[], tally: Tally): InputError {
  const {
    noun,
    files: { formats },
  } = tally.medium;
  const files = listings.flatMap((listing) => listing.files);
  const others = new Map<string, number>();
  for (const { path } of files) {
    const extension = extensionOf(path);
    const name = extension === '' ? 'other' : `.${extension}`;
    others.set(name, (others.get(name) ?? 0) + 1);
  }
  const most = [...others].sort((a, b) => b[1] - a[1])[0];
  const bad = tally.bad[0];
  if (bad)
    return new InputError(
      'E_DATA_EMPTY',
      `${source}: expected at least one usable ${noun.one}, found none: ${tally.bad.length} ${tally.bad.length === 1 ? 'file is' : 'files are'} bad, the first: ${bad.error.slice(0, 200)}`,
    );
  const found = most
    ? `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${most[1]} of them ${most[0]}`
    : 'an empty folder';
  return new InputError(
    'E_DATA_EMPTY',
    `${source}: expected ${formats} ${noun.many}, found ${found}.${hintFor(most?.[0])}`,
  );
}

/** Returns a hint for files that are often mistaken for images. */
function hintFor(extension: string | undefined): string {
  if (extension === '.zip' || extension === '.7z' || extension === '.rar') return ' Unpack them first.';
  if (extension === '.parquet' || extension === '.arrow')
    return ' Images inside tables are not read; save them as files.';
  return extension === '.gz' ? ' Images in IDX files are named like train-images-idx3-ubyte.gz.' : '';
}
