// IDX, the format of MNIST and its kin: a header of big-endian extents, then bytes. Source: LeCun, Cortes, Burges, "The
// MNIST database of handwritten digits", file formats.
import { readSync } from 'node:fs';
import { open, readdir, readFile, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { InputError, IoError } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import { readError, readExactly } from './files.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';
import { inflatedHead, InflatedFile } from './inflate.js';
import { namedSplit } from './split.js';
import { Tally } from './tally.js';
import { captionLines } from './text.js';

const IMAGES_NAME = /^(.*?)-?images[-.]idx([34])-ubyte(\.gz)?$/i;
const LABELS_NAME = /labels[-.]idx1-ubyte(\.gz)?$/i;
const NO_CAPTIONS: readonly string[] = [];

/** Magic, then at most four extents. */
const MAX_HEADER = 20;

interface IdxEntry extends Entry {
  file: PixelFile;
  index: number;
}

interface Header {
  /** Number of items, then the extents of one. */
  shape: number[];
  bytes: number;
}

/** True for a folder that holds MNIST-style files. */
export function isIdxFolder(names: readonly string[]): boolean {
  return names.some((name) => IMAGES_NAME.test(name));
}

/** True for the first bytes of an IDX file of unsigned bytes. */
export function isIdx(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && bytes[1] === 0 && bytes[2] === 8 && bytes[3]! >= 1 && bytes[3]! <= 4;
}

/**
 * Opens a folder of MNIST-style files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, each `.gz` or not)
 * or one images file with its labels beside it. `t10k` or `test` is the held-out split when `train` is there too. Class
 * names come from the options, from `classes.txt` beside the files (one a line), else they are the digits of the labels.
 *
 * Pixels stay on disk: a `.gz` is inflated once into a temporary file.
 *
 * @throws {InputError} E_IDX_MAGIC, E_IDX_SIZE, E_IDX_LABELS, E_DATA_EMPTY, E_NOT_FOUND.
 */
export async function openIdx(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const names = (await readdir(folder)).sort();
  const images = isFolder ? imageFiles(names) : [basename(path)];
  const tally = new Tally(options);
  const official = options.splitBy === 'hash' || options.holdout === 0 ? undefined : namedSplit(images.map(prefixOf), 'files');
  const opened: PixelFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    const entries: IdxEntry[] = [];
    for (const [i, name] of images.entries()) {
      const side = official?.sides[i];
      if (official && !side) {
        tally.leftOut.add(official.leftOut(i), name, true);
        continue;
      }
      const file = await PixelFile.open(join(folder, name));
      opened.push(file);
      tally.usePicture('idx');
      const labels = await labelsOf(folder, name, names, file.count);
      if (labels) tally.texts++;
      const prefix = prefixOf(name) || basename(name);
      for (let at = 0; at < file.count; at++) entries.push(new LazyEntry(file, at, prefix, labels?.[at], side));
    }
    const named = await classNames(folder, names);
    if (named) tally.texts++;
    if (isFolder) accountFor(names, images, tally);
    else tally.files = tally.pictures + tally.texts;
    return new IndexedDataset(
      {
        kind: 'idx',
        source: path,
        entries,
        sourceOf: ({ file, index }) => `${file.path}#${index}`,
        read: async ({ file, index }) => file.read(index),
        close,
        tally,
        split: official?.description,
      },
      { ...options, classes: options.classes ?? named },
    );
  } catch (error) {
    await close();
    throw error;
  }
}

/** Every other file of the folder is left out. */
function accountFor(names: readonly string[], images: readonly string[], tally: Tally): void {
  tally.files = names.length;
  const others = names.filter((name) => !images.includes(name));
  // As many of them as gave labels or class names were used: those that have the names for it.
  const used = others.filter((name) => LABELS_NAME.test(name) || name === 'classes.txt').slice(0, tally.texts);
  for (const name of others) if (!used.includes(name)) tally.leftOut.add('files that are not read', name);
}

/** Computes its key, so that sixty thousand of them cost little. */
class LazyEntry implements IdxEntry {
  readonly captions = NO_CAPTIONS;

  constructor(
    readonly file: PixelFile,
    readonly index: number,
    private readonly prefix: string,
    readonly label: number | undefined,
    readonly split: Split | undefined,
  ) {}

  get key(): string {
    return `${this.prefix}-${String(this.index).padStart(6, '0')}`;
  }

  get bytes(): number {
    return this.file.itemBytes;
  }
}

/** Images files of a folder; of a file and its `.gz`, the plain one. */
function imageFiles(names: readonly string[]): string[] {
  return names.filter((name) => IMAGES_NAME.test(name) && !(name.endsWith('.gz') && names.includes(name.slice(0, -3))));
}

/** `train` of `train-images-idx3-ubyte.gz`. */
function prefixOf(name: string): string {
  return IMAGES_NAME.exec(name)?.[1] ?? '';
}

/** Labels of an images file, one byte each; undefined when there is no labels file. */
async function labelsOf(folder: string, images: string, names: readonly string[], count: number): Promise<Uint8Array | undefined> {
  const plain = images.replace('images', 'labels').replace(/idx[34]/, 'idx1').replace(/\.gz$/, '');
  const name = [plain, `${plain}.gz`].find((candidate) => candidate !== images && names.includes(candidate));
  if (name === undefined) return undefined;
  const path = join(folder, name);
  // One byte more than the largest header and the labels take.
  const size = count + MAX_HEADER + 1;
  const content = name.endsWith('.gz') ? await inflatedHead(path, size, 'E_IDX_LABELS') : await headOf(path, size);
  if (name.endsWith('.gz') && content.length === size) throw new InputError('E_IDX_LABELS', `${path}: expected ${count} labels for ${images}, found more bytes of gzip than they take.`);
  const { shape, bytes: header } = parseHeader(content, path);
  if (shape.length !== 1) throw new InputError('E_IDX_LABELS', `${path}: expected labels [N], found extents [${shape.join(', ')}].`);
  if (shape[0] !== count || content.length !== header + count) {
    throw new InputError('E_IDX_LABELS', `${path}: expected ${count} labels for ${images}, found ${shape[0]} announced and ${content.length < size ? content.length - header : 'more'} present.`);
  }
  return content.subarray(header);
}

/** The first bytes of a file. */
async function headOf(path: string, length: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    return await readExactly(handle, path, 0, Math.min(length, size));
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle.close();
  }
}

async function classNames(folder: string, names: readonly string[]): Promise<string[] | undefined> {
  if (!names.includes('classes.txt')) return undefined;
  return captionLines(await readFile(join(folder, 'classes.txt')), join(folder, 'classes.txt'));
}

/** @throws {InputError} E_IDX_MAGIC, E_IDX_SIZE. */
function parseHeader(bytes: Uint8Array, path: string): Header {
  if (!isIdx(bytes)) {
    const found = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new InputError('E_IDX_MAGIC', `${path}: expected an IDX file of unsigned bytes (00 00 08 ..), found ${found || 'nothing'}.`);
  }
  const rank = bytes[3]!;
  const header = 4 + 4 * rank;
  if (bytes.length < header) throw new InputError('E_IDX_SIZE', `${path}: expected a header of ${header} bytes, found ${bytes.length}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { shape: Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i)), bytes: header };
}

/** Pictures of any size that a file may hold; more must have 64 pixels each, so that what is kept of each stays small beside it. */
const MANY = 1_000_000;

/** The pixels of an images file, read one item at a time. */
class PixelFile {
  private constructor(
    readonly path: string,
    private readonly source: PixelSource,
    private readonly header: number,
    readonly count: number,
    private readonly size: { width: number; height: number; channels: 1 | 3 },
  ) {}

  static async open(path: string): Promise<PixelFile> {
    const zipped = path.endsWith('.gz');
    const { shape, bytes: header } = parseHeader(zipped ? await inflatedHead(path, MAX_HEADER, 'E_IDX_SIZE') : await headOf(path, MAX_HEADER), path);
    const [count = 0, height = 0, width = 0, channels = 1] = shape;
    if (shape.length < 3 || (channels !== 1 && channels !== 3) || width * height === 0 || width * height > 2 ** 26) {
      throw new InputError('E_IDX_SIZE', `${path}: expected pictures [N, H, W] or [N, H, W, 3], found extents [${shape.join(', ')}].`);
    }
    if (count > MANY && width * height < 64) throw new InputError('E_IDX_SIZE', `${path}: expected at most ${MANY} pictures of less than 64 pixels, found extents [${shape.join(', ')}].`);
    const expected = header + count * height * width * channels;
    await expectRoom(path, zipped, expected);
    const source = zipped ? await InflatedFile.open(path, expected, 'E_IDX_SIZE') : await openPlain(path);
    const file = new PixelFile(path, source, header, count, { width, height, channels });
    if (source.size === expected) return file;
    await file.close();
    const found = source.size > expected ? 'more' : `${source.size}`;
    throw new InputError('E_IDX_SIZE', `${path}: expected ${expected} bytes for [${shape.join(', ')}], found ${found}.`);
  }

  get itemBytes(): number {
    return this.size.width * this.size.height * this.size.channels;
  }

  /** A short synchronous read: a few hundred bytes from the page cache cost less than a turn of the event loop. */
  read(index: number): { bytes: Uint8Array; pixels: { width: number; height: number; channels: 1 | 3 } } {
    const bytes = new Uint8Array(this.itemBytes);
    const read = readSync(this.source.handle.fd, bytes, 0, bytes.length, this.header + index * bytes.length);
    if (read < bytes.length) throw new IoError('E_DATA_READ', `${this.path}#${index}: expected ${bytes.length} bytes, found ${read}.`);
    return { bytes, pixels: this.size };
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

/** A file of pixels, open. */
interface PixelSource {
  handle: FileHandle;
  size: number;
  close(): Promise<void>;
}

/** Deflate shrinks to a thousandth at best, so a file that announces more is refused before it is inflated. */
const BEST_RATIO = 1032;

async function expectRoom(path: string, zipped: boolean, expected: number): Promise<void> {
  const { size } = await stat(path);
  const most = zipped ? size * BEST_RATIO : size;
  if (expected > most) throw new InputError('E_IDX_SIZE', `${path}: expected ${expected} bytes of pictures, found ${zipped ? `${size} of gzip, which hold at most ${most}` : `${size}`}.`);
}

async function openPlain(path: string): Promise<PixelSource> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw readError(path, error);
  });
  return { handle, size: (await handle.stat()).size, close: () => handle.close() };
}

/** True when the file begins like an IDX file, inside gzip or not; false when it is anything else. */
export async function looksLikeIdx(path: string): Promise<boolean> {
  const head = await headOf(path, 4);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return isIdx(head);
  return inflatedHead(path, 4).then(isIdx, () => false);
}
