// Datasets of picture files: folders, and archives in which the files of a sample lie side by side (WebDataset).
import { dirname, relative, resolve, sep } from 'node:path';

import { InputError } from '../errors.js';
import type { Dataset } from '../interfaces/dataset.js';
import { PICTURE_EXTENSIONS } from '../media/sniff.js';
import { expectArchive, openArchive, type OpenArchive } from './archive.js';
import { FilePool } from './files.js';
import { listFolder } from './folder.js';
import { IndexedDataset, type DatasetOptions } from './indexed.js';
import type { Listing } from './listing.js';
import { extensionOf } from './names.js';
import { collectSamples, type PictureEntry } from './samples.js';
import { officialSplit, type OfficialSplit } from './split.js';
import { Tally } from './tally.js';

/**
 * Opens a folder of pictures, searched recursively; samples are sorted by path in code-unit order. Captions come from
 * `metadata.csv`, `.tsv`, `.jsonl` or `.parquet` (as in Hugging Face's imagefolder), else from a file of the picture's name
 * (`.txt`, `.caption`, `.json`), else from the class folder the picture lies in. Folders or pictures named train and test are
 * the split; what lies outside them is then left out.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_EMPTY, E_DATA_METADATA, E_DATA_TEXT, E_DATA_LABEL, E_DATA_LINK, E_DATA_ACCESS, E_DATA_DUPLICATE.
 * @throws {UsageError} E_DATA_CAPTIONS.
 */
export async function openFolder(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const tally = new Tally(options);
  const listing: Listing = { prefix: '', files: await listFolder(path, tally) };
  return openListings({ kind: 'folder', source: path, listings: [listing] }, options, tally);
}

/**
 * Opens one or more archives. A sample is its picture; files of its key beside it give captions (`.txt`, one a line), the
 * label (`.cls`) or both (`.json`). Keys of several archives are prefixed with the archive's name. Archives or folders inside
 * them that are named train and test are the split.
 *
 * @param beside files of the same folder that are no archives, for the account.
 * @throws {InputError} E_TAR_..., E_GZIP, and those of {@link openFolder}.
 */
export async function openWebDataset(
  paths: readonly string[],
  options: DatasetOptions = {},
  source: string = paths.join(', '),
  beside: readonly string[] = [],
): Promise<Dataset> {
  const tally = new Tally(options);
  tally.files += beside.length;
  for (const file of beside) {
    const isPicture = PICTURE_EXTENSIONS.has(extensionOf(file));
    tally.leftOut.add(`${isPicture ? 'pictures' : 'files'} beside the archives`, file, isPicture);
  }
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
    return await openListings({ kind: 'webdataset', source, listings, close }, options, tally);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Archives of one folder by their file's name, others by their path from a common folder. */
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

/** Names of archives. */
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
  const { entries, settle } = await collectSamples(listings, isArchive, options.captions, tally);
  const places = entries.map(({ file, archive, splitName }) => ({ path: file.path, archive, splitName }));
  const official = options.holdout === 0 ? undefined : officialSplit(places, options.splitBy);
  if (official) warnOfSplit(official, options, tally);
  else warnOfColumn(entries, options, tally);
  const placed = official ? withSides(entries, official, tally) : entries;
  // Folders of a split are no classes, whether it is used or not.
  const samples = withClasses(
    placed,
    isArchive,
    () => official?.depth ?? officialSplit(places, 'folder')?.depth,
    tally,
  );
  settle(samples);
  for (const { file } of samples) tally.usePicture(extensionOf(file.path));
  if (samples.length === 0) throw emptyError(source, listings, tally);
  return new IndexedDataset(
    {
      kind,
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

/** A holdout that the dataset's own split makes void. */
function warnOfSplit({ description }: OfficialSplit, { holdout }: DatasetOptions, tally: Tally): void {
  if (holdout !== undefined)
    tally.warnings.push(
      `--holdout ${holdout} is not used, because the dataset has a split of its own (${description}). Add --split-by hash to ignore that split.`,
    );
}

/** A split column whose values say nothing. */
function warnOfColumn(entries: readonly PictureEntry[], { holdout, splitBy }: DatasetOptions, tally: Tally): void {
  const names = new Set(entries.map(({ splitName }) => splitName).filter((name) => name !== undefined));
  if (names.size > 0 && holdout !== 0 && splitBy === undefined)
    tally.warnings.push(
      `The column split is not used: expected train and test (or validation), found ${[...names].slice(0, 5).join(', ')}${names.size > 5 ? ', ...' : ''}.`,
    );
}

function withSides(entries: readonly PictureEntry[], { sides, leftOut }: OfficialSplit, tally: Tally): PictureEntry[] {
  return entries.flatMap((entry, i) => {
    const split = sides[i];
    if (split) return [{ ...entry, split }];
    tally.leftOut.add(leftOut(i), entry.file.path, true);
    return [];
  });
}

/** Pictures outside of all class folders, as a share of all, up to which the folders still are classes. */
const STRAY_SHARE = 0.25;

/**
 * Takes the class of each picture from its first folder, that of the split not counted. Only where there are two folders or
 * more: a lone `images/` says nothing. Metadata make folders a matter of order, and so do captions and labels in an archive.
 */
function withClasses(
  entries: readonly PictureEntry[],
  isArchive: boolean,
  depthOfSplit: () => number | undefined,
  tally: Tally,
): readonly PictureEntry[] {
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
  // Nor is a folder around everything.
  let shared = 0;
  while (lists[0]?.[shared] !== undefined && lists.every((parts) => parts[shared] === lists[0]![shared])) shared++;
  const folders = lists.map((parts) => parts[shared]);
  const names = new Set(folders.filter((folder) => folder !== undefined));
  const strays = entries.filter((_, i) => folders[i] === undefined);
  if (names.size < 2) return entries;
  if (strays.length > STRAY_SHARE * entries.length) {
    tally.warnings.push(
      `The folders (${[...names].slice(0, 3).join(', ')}${names.size > 3 ? ', ...' : ''}) were not taken for classes, because ${strays.length} of ${entries.length} pictures lie in none of them.`,
    );
    return entries;
  }
  if (strays.length > 0)
    tally.warnings.push(
      `${strays.length} ${strays.length === 1 ? 'picture lies' : 'pictures lie'} outside of the class folders and ${strays.length === 1 ? 'has' : 'have'} no class: ${strays
        .slice(0, 3)
        .map(({ file }) => file.path)
        .join(', ')}${strays.length > 3 ? ', ...' : ''}.`,
    );
  return entries.map((entry, i) =>
    entry.label === undefined && folders[i] !== undefined ? { ...entry, label: folders[i] } : entry,
  );
}

function emptyError(source: string, listings: readonly Listing[], tally: Tally): InputError {
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
      `${source}: expected at least one usable picture, found none: ${tally.bad.length} ${tally.bad.length === 1 ? 'file is' : 'files are'} bad, the first: ${bad.error.slice(0, 200)}`,
    );
  const found = most
    ? `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${most[1]} of them ${most[0]}`
    : 'an empty folder';
  return new InputError(
    'E_DATA_EMPTY',
    `${source}: expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF pictures, found ${found}.${hintFor(most?.[0])}`,
  );
}

/** What to do with files that are often taken for pictures. */
function hintFor(extension: string | undefined): string {
  if (extension === '.zip' || extension === '.7z' || extension === '.rar') return ' Unpack them first.';
  if (extension === '.parquet' || extension === '.arrow')
    return ' Pictures inside tables are not read; save them as files.';
  return extension === '.gz' ? ' Pictures in IDX files are named like train-images-idx3-ubyte.gz.' : '';
}
