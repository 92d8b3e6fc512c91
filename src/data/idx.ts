// IDX, the format of MNIST and its kin: a header of big-endian extents, then bytes. Source: LeCun, Cortes, Burges, "The
// MNIST database of handwritten digits", file formats.
import { constants, readSync } from 'node:fs';
import { access, open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { InputError, IoError } from '../errors.js';
import type { Dataset } from '../interfaces/dataset.js';
import { readError, readExactly } from './files.js';
import { IdxDataset, type IdxPart } from './idx-dataset.js';
import type { DatasetOptions } from './indexed.js';
import { inflatedHead, InflatedFile } from './inflate.js';
import { namedSplit } from './split.js';
import { Tally } from './tally.js';
import { captionLines } from './text.js';

const IMAGES_NAME = /^(.*?)-?images[-.]idx([34])-ubyte(\.gz)?$/i;
const CLASSES_NAME = 'classes.txt';

/** Magic, then at most four extents. */
const MAX_HEADER = 20;

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
 * Pixels stay on disk: a `.gz` is inflated once into a temporary file. With `skipBad`, files that cannot be used are left
 * out and told in the summary; with a labels file goes its images file, as nothing says which classes its pictures have.
 *
 * @throws {InputError} E_IDX_MAGIC, E_IDX_SIZE, E_IDX_LABELS, E_IDX_CLASSES, E_IDX_FILE, E_DATA_EMPTY, E_NOT_FOUND.
 */
export async function openIdx(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(folder, error);
  });
  const opening = new Opening(folder, names.sort(), new Tally(options));
  const images = isFolder ? imageFiles(names) : [basename(path)];
  const official =
    options.splitBy === 'hash' || options.holdout === 0 ? undefined : namedSplit(images.map(prefixOf), 'files');
  try {
    for (const [i, name] of images.entries()) {
      const split = official?.sides[i];
      if (official && !split) opening.leaveOut(name, official.leftOut(i));
      else await opening.add(name, split);
    }
    const named = await opening.classNames();
    opening.account(isFolder);
    const { parts, tally } = opening;
    return new IdxDataset(
      { source: path, parts, tally, split: official?.description },
      { ...options, classes: options.classes ?? named },
    );
  } catch (error) {
    await Promise.all(opening.parts.map((part) => part.close()));
    throw error;
  }
}

/** One opening: what is read of a folder, and what becomes of each of its files. */
class Opening {
  readonly parts: IdxPart[] = [];
  /** Files that the account already has, bad ones included. */
  private readonly told = new Set<string>();

  constructor(
    private readonly folder: string,
    private readonly names: readonly string[],
    readonly tally: Tally,
  ) {}

  leaveOut(name: string, reason: string): void {
    this.told.add(name);
    this.tally.leftOut.add(reason, name, true);
  }

  /** Opens an images file, and its labels where there are any. */
  async add(name: string, split: IdxPart['split']): Promise<void> {
    this.told.add(name);
    const file = await this.tally.attempt(name, () => PixelFile.open(join(this.folder, name)));
    if (!file) return;
    const labelsName = labelsNameOf(name, this.names);
    try {
      const labels =
        labelsName === undefined
          ? undefined
          : await this.readText(labelsName, () => readLabels(join(this.folder, labelsName), name, file.count));
      if (labelsName !== undefined && !labels) {
        this.leaveOut(name, 'images files whose labels file is bad');
        await file.close();
        return;
      }
      this.tally.usePicture('idx');
      this.parts.push(partOf(file, prefixOf(name) || basename(name), labels, split));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The lines of classes.txt. */
  async classNames(): Promise<string[] | undefined> {
    const name = named(CLASSES_NAME, this.names);
    return name === undefined ? undefined : this.readText(name, () => readClasses(join(this.folder, name)));
  }

  /** Of a folder every other file is left out; beside a file, others are nobody's business. */
  account(isFolder: boolean): void {
    const { tally } = this;
    if (isFolder)
      for (const name of this.names) if (!this.told.has(name)) tally.leftOut.add('files that are not read', name);
    tally.files = isFolder ? this.names.length : this.told.size;
  }

  private async readText<T>(name: string, read: () => Promise<T>): Promise<T | undefined> {
    this.told.add(name);
    const found = await this.tally.attempt(name, read);
    if (found !== undefined) this.tally.texts++;
    return found;
  }
}

function partOf(file: PixelFile, prefix: string, labels: Uint8Array | undefined, split: IdxPart['split']): IdxPart {
  const { path, count, itemBytes } = file;
  return {
    path,
    prefix,
    count,
    itemBytes,
    labels,
    split,
    read: (index) => file.read(index),
    close: () => file.close(),
  };
}

/** Images files of a folder; of a file and its `.gz`, the plain one. */
function imageFiles(names: readonly string[]): string[] {
  return names.filter(
    (name) => IMAGES_NAME.test(name) && !(isZipped(name) && named(name.slice(0, -3), names) !== undefined),
  );
}

const isZipped = (name: string): boolean => /\.gz$/i.test(name);

/** The file of a name in any case, that in the very case first. */
function named(wanted: string, names: readonly string[]): string | undefined {
  return names.includes(wanted) ? wanted : names.find((name) => name.toLowerCase() === wanted.toLowerCase());
}

/** `train` of `train-images-idx3-ubyte.gz`. */
function prefixOf(name: string): string {
  return IMAGES_NAME.exec(name)?.[1] ?? '';
}

/** The labels file beside an images file, plain or zipped. */
function labelsNameOf(images: string, names: readonly string[]): string | undefined {
  const plain = images
    .replace(/\.gz$/i, '')
    .replace(/images(?!.*images)/i, (word) => (word === word.toUpperCase() ? 'LABELS' : 'labels'))
    .replace(/(idx)[34]/i, '$11');
  return [plain, `${plain}.gz`]
    .map((candidate) => named(candidate, names))
    .find((name) => name !== undefined && name !== images);
}

/** Labels of an images file, one byte each. */
async function readLabels(path: string, images: string, count: number): Promise<Uint8Array> {
  // One byte more than the largest header and the labels take.
  const size = count + MAX_HEADER + 1;
  const zipped = isZipped(path);
  const content = zipped ? await inflatedStart(path, size, 'E_IDX_LABELS') : await headOf(path, size);
  if (zipped && content.length === size)
    throw new InputError(
      'E_IDX_LABELS',
      `${path}: expected ${count} labels for ${images}, found more bytes of gzip than they take.`,
    );
  const { shape, bytes: header } = parseHeader(content, path);
  if (shape.length !== 1)
    throw new InputError('E_IDX_LABELS', `${path}: expected labels [N], found extents [${shape.join(', ')}].`);
  if (shape[0] !== count || content.length !== header + count) {
    throw new InputError(
      'E_IDX_LABELS',
      `${path}: expected ${count} labels for ${images}, found ${shape[0]} announced and ${content.length < size ? content.length - header : 'more'} present.`,
    );
  }
  return content.subarray(header);
}

/** Bytes of a file of class names; labels are bytes, so there are few of them. */
const MAX_CLASSES = 2 ** 20;

async function readClasses(path: string): Promise<string[]> {
  const bytes = await headOf(path, MAX_CLASSES + 1);
  if (bytes.length > MAX_CLASSES)
    throw new InputError(
      'E_IDX_CLASSES',
      `${path}: expected names of classes, one a line, found more than ${MAX_CLASSES} bytes.`,
    );
  const names = captionLines(bytes, path);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    throw new InputError(
      'E_IDX_CLASSES',
      `${path}: expected distinct names of classes, one a line, found "${twice.slice(0, 80)}" twice.`,
    );
  return names;
}

/**
 * The sizes of a file, links followed, that can be read: of its content, and taken on disk. Anything else is never opened: opening a pipe waits for ever.
 *
 * @throws {InputError} E_IDX_FILE.
 */
async function examine(path: string): Promise<{ size: number; taken: number }> {
  try {
    const found = await stat(path);
    if (!found.isFile())
      throw new InputError(
        'E_IDX_FILE',
        `${path}: expected a file, found ${found.isDirectory() ? 'a folder' : 'a pipe, socket or device'}. Put the file there, or take the name away.`,
      );
    await access(path, constants.R_OK);
    // Some file systems do not say what a file takes.
    return { size: found.size, taken: found.blocks > 0 ? found.blocks * 512 : found.size };
  } catch (error) {
    throw fileError(path, error);
  }
}

/** What the system says of a path that is the input's fault. */
const UNUSABLE = new Map([
  ['ENOENT', 'a link to nothing'],
  ['ENOTDIR', 'a link to nothing'],
  ['ELOOP', 'a link to itself'],
  ['EACCES', 'one that must not be read'],
  ['EPERM', 'one that must not be read'],
]);

function fileError(path: string, error: unknown): Error {
  const found = UNUSABLE.get((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  return found === undefined
    ? readError(path, error)
    : new InputError(
        'E_IDX_FILE',
        `${path}: expected a file that can be read, found ${found}. Put the file there, or change its permissions.`,
        { cause: error },
      );
}

/** The first bytes of a file. */
async function headOf(path: string, length: number): Promise<Uint8Array> {
  const { size } = await examine(path);
  const handle = await openFile(path);
  try {
    return await readExactly(handle, path, 0, Math.min(length, size));
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle.close();
  }
}

/** The first bytes of a zipped file's content. */
async function inflatedStart(path: string, length: number, code: string): Promise<Uint8Array> {
  await examine(path);
  return inflatedHead(path, length, code);
}

function openFile(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: unknown) => {
    throw fileError(path, error);
  });
}

/** @throws {InputError} E_IDX_MAGIC, E_IDX_SIZE. */
function parseHeader(bytes: Uint8Array, path: string): Header {
  if (!isIdx(bytes)) {
    const found = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    throw new InputError(
      'E_IDX_MAGIC',
      `${path}: expected an IDX file of unsigned bytes (00 00 08 ..), found ${found || 'nothing'}.`,
    );
  }
  const rank = bytes[3]!;
  const header = 4 + 4 * rank;
  if (bytes.length < header)
    throw new InputError('E_IDX_SIZE', `${path}: expected a header of ${header} bytes, found ${bytes.length}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { shape: Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i)), bytes: header };
}

/** Pictures that a file may hold: each costs time and a few bytes of memory, however small it is. */
const MOST = 10_000_000;
/** Pictures of any size; more must have 64 pixels each, so that what is kept of each stays small beside it. */
const MANY = 1_000_000;
/** Pictures that a zipped file may hold whatever its size. */
const MANY_ZIPPED = 100_000;

/**
 * More pictures than that must take a byte each on disk, as all but blank ones do: a file of holes or of zeros announces
 * millions for nothing.
 *
 * @throws {InputError} E_IDX_SIZE for more pictures than are worth their bytes.
 */
function refuseTooMany(
  path: string,
  [count = 0, height = 0, width = 0]: readonly number[],
  zipped: boolean,
  taken: number,
): void {
  const fail = (expected: string): never => {
    throw new InputError(
      'E_IDX_SIZE',
      `${path}: expected ${expected}, found ${count} of ${width}x${height}. Split the file, or make it of fewer pictures.`,
    );
  };
  if (count > MOST) fail(`at most ${MOST} pictures`);
  if (count > MANY && width * height < 64) fail(`at most ${MANY} pictures of less than 64 pixels`);
  const free = zipped ? MANY_ZIPPED : MANY;
  if (count > Math.max(free, taken))
    fail(
      `at most ${Math.max(free, taken)} pictures in ${taken} bytes on disk (more than ${free} must take a byte each)`,
    );
}

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
    const zipped = isZipped(path);
    const { size, taken } = await examine(path);
    const { shape, bytes: header } = parseHeader(
      zipped ? await inflatedHead(path, MAX_HEADER, 'E_IDX_SIZE') : await headOf(path, MAX_HEADER),
      path,
    );
    const [count = 0, height = 0, width = 0, channels = 1] = shape;
    if (shape.length < 3 || (channels !== 1 && channels !== 3) || width * height === 0 || width * height > 2 ** 26) {
      throw new InputError(
        'E_IDX_SIZE',
        `${path}: expected pictures [N, H, W] or [N, H, W, 3], found extents [${shape.join(', ')}].`,
      );
    }
    refuseTooMany(path, shape, zipped, zipped ? size : taken);
    const expected = header + count * height * width * channels;
    expectRoom(path, zipped, expected, size);
    const source = zipped ? await InflatedFile.open(path, expected, 'E_IDX_SIZE') : await openPlain(path);
    const file = new PixelFile(path, source, header, count, { width, height, channels });
    if (source.size === expected) return file;
    await file.close();
    const found = source.size > expected ? 'more' : `${source.size}`;
    throw new InputError(
      'E_IDX_SIZE',
      `${path}: expected ${expected} bytes for [${shape.join(', ')}], found ${found}.`,
    );
  }

  get itemBytes(): number {
    return this.size.width * this.size.height * this.size.channels;
  }

  /** A short synchronous read: a few hundred bytes from the page cache cost less than a turn of the event loop. */
  read(index: number): { bytes: Uint8Array; pixels: { width: number; height: number; channels: 1 | 3 } } {
    const bytes = new Uint8Array(this.itemBytes);
    const read = readSync(this.source.handle.fd, bytes, 0, bytes.length, this.header + index * bytes.length);
    if (read < bytes.length)
      throw new IoError('E_DATA_READ', `${this.path}#${index}: expected ${bytes.length} bytes, found ${read}.`);
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

function expectRoom(path: string, zipped: boolean, expected: number, size: number): void {
  const most = zipped ? size * BEST_RATIO : size;
  if (expected > most)
    throw new InputError(
      'E_IDX_SIZE',
      `${path}: expected ${expected} bytes of pictures, found ${zipped ? `${size} of gzip, which hold at most ${most}` : `${size}`}.`,
    );
}

async function openPlain(path: string): Promise<PixelSource> {
  const handle = await openFile(path);
  return { handle, size: (await handle.stat()).size, close: () => handle.close() };
}

/** True when the file begins like an IDX file, inside gzip or not; false when it is anything else. */
export async function looksLikeIdx(path: string): Promise<boolean> {
  const head = await headOf(path, 4);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return isIdx(head);
  return inflatedHead(path, 4).then(isIdx, () => false);
}
