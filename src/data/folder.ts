// A folder of pictures, with captions from whatever lies beside them.
import type { Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { parse } from 'csv-parse/sync';

import { InputError, messageOf } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import { mapLimit } from './concurrency.js';
import { readError } from './files.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';
import { captionLines, describeRow, utf8, type Described } from './labels.js';
import { officialSplit } from './split.js';
import { jsonObject } from './webdataset.js';

const PICTURE = /\.(png|jpe?g|webp)$/i;
const METADATA = ['metadata.csv', 'metadata.jsonl'];

/** Files read or examined at once while opening. */
const AT_ONCE = 16;

interface FileEntry extends Entry {
  path: string;
}

/**
 * Opens a folder, searched recursively; samples are sorted by path in code-unit order. Captions come from
 * `metadata.csv` or `metadata.jsonl` (as in Hugging Face's imagefolder), else from a `.txt` of the picture's name, else
 * from the class subfolder the picture lies in. Top folders `train` and `test` (`val`, `valid`, `validation`) are the
 * split when both are present; what lies outside them is then left out.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_EMPTY, E_DATA_METADATA, E_DATA_TEXT, E_DATA_LABEL.
 */
export async function openFolder(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const files = (await listFiles(path)).sort();
  const split = officialSplit(files.map((file) => file.slice(0, Math.max(0, file.indexOf('/')))));
  const pictures = files.filter((file) => PICTURE.test(file) && (!split || sideOf(file, split)));
  if (pictures.length === 0) throw emptyError(path, files);
  const metadata = await readMetadata(path, files);
  const texts = new Set(files.filter((file) => file.endsWith('.txt')));
  const keys = keysOf(pictures);
  const classOf = metadata.size === 0 ? classFolders(pictures, split) : () => undefined;
  const entries = await mapLimit(pictures, AT_ONCE, async (file, i): Promise<FileEntry> => {
    const row = metadata.get(file);
    return {
      key: keys[i]!,
      captions: row?.captions.length ? row.captions : await readCaptions(path, file, texts),
      label: row?.label ?? classOf(file),
      bytes: (await statOf(join(path, file))).size,
      split: split && sideOf(file, split),
      path: join(path, file),
    };
  });
  return new IndexedDataset({ kind: 'folder', source: path, entries, sourceOf: (entry) => entry.path, read: readEntry }, options);
}

async function readEntry(entry: FileEntry): Promise<{ bytes: Uint8Array }> {
  return { bytes: await readBytes(entry.path) };
}

async function readBytes(path: string): Promise<Uint8Array> {
  return readFile(path).catch((error: unknown) => {
    throw readError(path, error);
  });
}

async function statOf(path: string): Promise<Stats> {
  return stat(path).catch((error: unknown) => {
    throw readError(path, error);
  });
}

/** Paths of all files below `root`, relative, with `/`. Links are followed, each folder is entered once. */
async function listFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  const entered = new Set<string>();
  const enter = async (folder: string): Promise<void> => {
    const path = join(root, folder);
    const real = await realpath(path);
    if (entered.has(real)) return;
    entered.add(real);
    const items = await readdir(path, { withFileTypes: true });
    for (const item of items.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (item.name.startsWith('.') || item.name === '__MACOSX') continue;
      const relative = folder ? `${folder}/${item.name}` : item.name;
      const kind = item.isSymbolicLink() ? await stat(join(root, relative)) : item;
      if (kind.isDirectory()) await enter(relative);
      else if (kind.isFile()) files.push(relative);
    }
  };
  await enter('').catch((error: unknown) => {
    throw readError(root, error);
  });
  return files;
}

function sideOf(file: string, split: Record<Split, string>): Split | undefined {
  if (file.startsWith(`${split.train}/`)) return 'train';
  return file.startsWith(`${split.test}/`) ? 'test' : undefined;
}

/** Paths without extension; with it where `a.png` and `a.jpg` would share a key. */
function keysOf(pictures: readonly string[]): string[] {
  const stems = pictures.map(stemOf);
  const count = new Map<string, number>();
  for (const stem of stems) count.set(stem, (count.get(stem) ?? 0) + 1);
  return stems.map((stem, i) => (count.get(stem) === 1 ? stem : pictures[i]!));
}

function stemOf(file: string): string {
  return file.replace(PICTURE, '');
}

async function readCaptions(root: string, file: string, texts: ReadonlySet<string>): Promise<string[]> {
  const text = `${stemOf(file)}.txt`;
  return texts.has(text) ? captionLines(await readBytes(join(root, text)), join(root, text)) : [];
}

/**
 * The class of a picture: its first folder inside the split. Only where every picture lies in a folder and there are two
 * folders or more; a lone `images/` says nothing.
 */
function classFolders(pictures: readonly string[], split?: Record<Split, string>): (file: string) => string | undefined {
  const folderOf = (file: string): string | undefined => {
    const parts = file.split('/').slice(split ? 1 : 0, -1);
    return parts[0];
  };
  const folders = new Set(pictures.map(folderOf));
  return folders.size >= 2 && !folders.has(undefined) ? folderOf : () => undefined;
}

/** Rows of every `metadata.csv` and `metadata.jsonl`, by the path of the picture they describe. */
async function readMetadata(root: string, files: readonly string[]): Promise<Map<string, Described>> {
  const present = new Set(files);
  const rows = new Map<string, Described>();
  for (const file of files) {
    const name = file.slice(file.lastIndexOf('/') + 1);
    if (!METADATA.includes(name)) continue;
    const where = join(root, file);
    const folder = file.slice(0, file.length - name.length);
    const text = utf8(await readBytes(where), where);
    const table = name.endsWith('.csv') ? csvRows(text, where) : jsonlRows(text, where);
    for (const [row, at] of table) {
      const picture = folder + pictureOf(row, at);
      if (!present.has(picture)) throw metadataError(at, `a file_name below its folder, found "${picture}", which is not there`);
      if (rows.has(picture)) throw metadataError(at, `one row a picture, found a second for "${picture}"`);
      rows.set(picture, describeRow(row, at));
    }
  }
  return rows;
}

type Row = [row: Record<string, unknown>, where: string];

function csvRows(text: string, where: string): Row[] {
  try {
    const rows = parse<Record<string, string>>(text, { columns: true, bom: true, skip_empty_lines: true, trim: true });
    return rows.map((row, i): Row => [row, `${where}#${i + 1}`]);
  } catch (error) {
    throw new InputError('E_DATA_METADATA', `${where}: expected comma-separated values (${messageOf(error)}).`, { cause: error });
  }
}

function jsonlRows(text: string, where: string): Row[] {
  const lines = text.split('\n').map((line, i): [string, string] => [line.trim(), `${where}#${i + 1}`]);
  return lines.filter(([line]) => line !== '').map(([line, at]): Row => [jsonObject(line, at), at]);
}

function pictureOf(row: Readonly<Record<string, unknown>>, where: string): string {
  const name = Object.hasOwn(row, 'file_name') ? row['file_name'] : undefined;
  if (typeof name !== 'string' || name === '') throw metadataError(where, 'a column file_name, found none');
  return name.replaceAll('\\', '/').replace(/^(\.\/)+/, '');
}

function metadataError(where: string, expected: string): InputError {
  return new InputError('E_DATA_METADATA', `${where}: expected ${expected}.`);
}

function emptyError(path: string, files: readonly string[]): InputError {
  const others = new Map<string, number>();
  for (const file of files) {
    const extension = /\.[^./]+$/.exec(file)?.[0].toLowerCase() ?? 'other';
    others.set(extension, (others.get(extension) ?? 0) + 1);
  }
  const most = [...others].sort((a, b) => b[1] - a[1])[0];
  const found = most ? `${files.length} files, ${most[1]} of them ${most[0]}` : 'an empty folder';
  return new InputError('E_DATA_EMPTY', `${path}: expected PNG, JPEG or WebP pictures, found ${found}.`);
}
