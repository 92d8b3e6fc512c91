// IDX, the format of MNIST and similar datasets: a header with big-endian extents, followed by bytes. Source: LeCun,
// Cortes, Burges, "The MNIST database of handwritten digits", file formats.
import { constants, readSync } from 'node:fs';
import { access, open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { InputError, IoError } from '../errors.js';
import type { Dataset } from '../interfaces/dataset.js';
import type { Image } from '../interfaces/media.js';
import { readError, readExactly } from './files.js';
import { IdxDataset, type IdxPart } from './idx-dataset.js';
import type { DatasetOptions } from './indexed.js';
import { inflatedHead, InflatedFile } from './inflate.js';
import { namedSplit } from './split.js';
import { Tally } from './tally.js';
import { captionLines } from './text.js';

const IMAGES_NAME = /^(.*?)-?images[-.]idx([34])-ubyte(\.gz)?$/i;
const CLASSES_NAME = 'classes.txt';

/** Maximum size of a header in bytes: the magic number and at most four extents. */
const MAX_HEADER = 20;

interface Header {
  /** Number of items, followed by the extents of one item. */
  shape: number[];
  bytes: number;
}

/** Whether a folder contains MNIST-style files. */
export function isIdxFolder(names: readonly string[]): boolean {
  return names.some((name) => IMAGES_NAME.test(name));
}

/** Whether these are the first bytes of an IDX file of unsigned bytes. */
function isIdx(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && bytes[1] === 0 && bytes[2] === 8 && bytes[3]! >= 1 && bytes[3]! <= 4;
}

/**
 * Opens a folder of MNIST-style files (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, each with or
 * without `.gz`) or a single images file with its labels in the same folder. `t10k` or `test` is the held-out split if
 * `train` exists too. Class names come from the options, or from `classes.txt` in the folder (one per line); otherwise
 * they are the label numbers.
 *
 * Pixels stay on disk: a `.gz` is inflated once into a temporary file. With `skipBad`, files that cannot be used are
 * skipped and listed in the summary. If a labels file is skipped, its images file is skipped too, because the classes
 * of its images are unknown.
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
      if (official && !split) opening.leaveOut(name, official.leftOut(i, 'images'));
      else await opening.add(name, split);
    }
    const named = await opening.classNames();
    opening.recordRest(isFolder);
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

/** State while a folder is opened: the parts found so far, and which files have been recorded. */
class Opening {
  readonly parts: IdxPart[] = [];
  /** Files that are already in the tally, including bad ones. */
  private readonly recorded = new Set<string>();

  constructor(
    private readonly folder: string,
    private readonly names: readonly string[],
    readonly tally: Tally,
  ) {}

  leaveOut(name: string, reason: string): void {
    this.recorded.add(name);
    this.tally.leftOut.add(reason, name, true);
  }

  /** Opens an images file and its labels, if there are any. */
  async add(name: string, split: IdxPart['split']): Promise<void> {
    this.recorded.add(name);
    const file = await this.tally.attempt(name, () => PixelFile.open(join(this.folder, name)));
    if (!file) return;
    const labelsName = labelsNameOf(name, this.names);
    try {
      const labels =
        labelsName === undefined
          ? undefined
          : await this.readText(labelsName, () => readLabels(join(this.folder, labelsName), name, file.count));
      if (labelsName !== undefined && !labels) {
        this.leaveOut(name, 'image files whose labels file is bad');
        await file.close();
        return;
      }
      this.tally.useMedia('idx');
      this.parts.push(partOf(file, prefixOf(name) || basename(name), labels, split));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Returns the lines of classes.txt. */
  async classNames(): Promise<string[] | undefined> {
    const name = named(CLASSES_NAME, this.names);
    return name === undefined ? undefined : this.readText(name, () => readClasses(join(this.folder, name)));
  }

  /**
   * Completes the tally. In a folder, all remaining files count as skipped; next to a single file, other files are
   * ignored.
   */
  recordRest(isFolder: boolean): void {
    const { tally } = this;
    if (isFolder)
      for (const name of this.names) if (!this.recorded.has(name)) tally.leftOut.add('files that are not read', name);
    tally.files = isFolder ? this.names.length : this.recorded.size;
  }

  private async readText<T>(name: string, read: () => Promise<T>): Promise<T | undefined> {
    this.recorded.add(name);
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

/** Returns the images files of a folder. If a file exists with and without `.gz`, the uncompressed one is used. */
function imageFiles(names: readonly string[]): string[] {
  return names.filter(
    (name) => IMAGES_NAME.test(name) && !(isZipped(name) && named(name.slice(0, -3), names) !== undefined),
  );
}

const isZipped = (name: string): boolean => /\.gz$/i.test(name);

/** Finds a file name regardless of case, preferring an exact match. */
function named(wanted: string, names: readonly string[]): string | undefined {
  return names.includes(wanted) ? wanted : names.find((name) => name.toLowerCase() === wanted.toLowerCase());
}

/** Returns `train` for `train-images-idx3-ubyte.gz`. */
function prefixOf(name: string): string {
  return IMAGES_NAME.exec(name)?.[1] ?? '';
}

/** Returns the name of the labels file that belongs to an images file, with or without `.gz`. */
function labelsNameOf(images: string, names: readonly string[]): string | undefined {
  const plain = images
    .replace(/\.gz$/i, '')
    .replace(/images(?!.*images)/i, (word) => (word === word.toUpperCase() ? 'LABELS' : 'labels'))
    .replace(/(idx)[34]/i, '$11');
  return [plain, `${plain}.gz`]
    .map((candidate) => named(candidate, names))
    .find((name) => name !== undefined && name !== images);
}

/** Reads the labels of an images file, one byte each. */
async function readLabels(path: string, images: string, count: number): Promise<Uint8Array> {
  // One byte more than the largest header and the labels need.
  const size = count + MAX_HEADER + 1;
  const zipped = isZipped(path);
  const content = zipped ? await inflatedStart(path, size, 'E_IDX_LABELS') : await headOf(path, size);
  if (zipped && content.length === size)
    throw new InputError(
      'E_IDX_LABELS',
      `${path}: expected ${count} labels for ${images}, found more content than that in the gzip file.`,
    );
  const { shape, bytes: header } = parseHeader(content, path);
  if (shape.length !== 1)
    throw new InputError('E_IDX_LABELS', `${path}: expected labels [N], found extents [${shape.join(', ')}].`);
  if (shape[0] !== count || content.length !== header + count) {
    throw new InputError(
      'E_IDX_LABELS',
      `${path}: expected ${count} labels for ${images}, found ${shape[0]} in the header and ${content.length < size ? content.length - header : 'more'} in the file.`,
    );
  }
  return content.subarray(header);
}

/** Maximum size of a file of class names in bytes. Labels are bytes, so there are few classes. */
const MAX_CLASSES = 2 ** 20;

async function readClasses(path: string): Promise<string[]> {
  const bytes = await headOf(path, MAX_CLASSES + 1);
  if (bytes.length > MAX_CLASSES)
    throw new InputError(
      'E_IDX_CLASSES',
      `${path}: expected class names, one per line, found more than ${MAX_CLASSES} bytes.`,
    );
  const names = captionLines(bytes, path);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined)
    throw new InputError(
      'E_IDX_CLASSES',
      `${path}: expected distinct class names, one per line, found "${twice.slice(0, 80)}" twice.`,
    );
  return names;
}

/**
 * Checks that a path is a readable file (links are followed) and returns the size of its content and the space it takes
 * on disk. Anything that is not a file is never opened, because opening a pipe would block forever.
 *
 * @throws {InputError} E_IDX_FILE.
 */
async function examine(path: string): Promise<{ size: number; taken: number }> {
  try {
    const found = await stat(path);
    if (!found.isFile())
      throw new InputError(
        'E_IDX_FILE',
        `${path}: expected a file, found ${found.isDirectory() ? 'a folder' : 'a pipe, socket or device'}. Replace it by the file, or rename it.`,
      );
    await access(path, constants.R_OK);
    // Some file systems do not report the space that a file takes.
    return { size: found.size, taken: found.blocks > 0 ? found.blocks * 512 : found.size };
  } catch (error) {
    throw fileError(path, error);
  }
}

/** System errors that are the input's fault. */
const UNUSABLE = new Map([
  ['ENOENT', 'a dangling link'],
  ['ENOTDIR', 'a dangling link'],
  ['ELOOP', 'a link to itself'],
  ['EACCES', 'one without read permission'],
  ['EPERM', 'one without read permission'],
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

/** Returns the first bytes of a file. */
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

/** Returns the first bytes of a gzip file's content. */
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

/** Maximum number of images in a file: each costs time and a few bytes of memory, however small it is. */
const MAX_IMAGES = 10_000_000;
/**
 * Maximum number of images of any size. If there are more, each must have at least 64 pixels, so that the memory per
 * image stays small relative to it.
 */
const MAX_SMALL_IMAGES = 1_000_000;
/** Number of images that a gzip file may contain whatever its size. */
const MAX_ZIPPED_IMAGES = 100_000;

/**
 * Limits the number of images. Above the limits each image must take at least one byte on disk, as all but blank images
 * do. Otherwise a sparse file, or one of zeros, could announce millions of images at no cost.
 *
 * @throws {InputError} E_IDX_SIZE for more images than the file's bytes justify.
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
      `${path}: expected ${expected}, found ${count} of ${width}x${height}. Split the file, or reduce the number of images.`,
    );
  };
  if (count > MAX_IMAGES) fail(`at most ${MAX_IMAGES} images`);
  if (count > MAX_SMALL_IMAGES && width * height < 64)
    fail(`at most ${MAX_SMALL_IMAGES} images of fewer than 64 pixels`);
  const free = zipped ? MAX_ZIPPED_IMAGES : MAX_SMALL_IMAGES;
  if (count > Math.max(free, taken))
    fail(
      `at most ${Math.max(free, taken)} images in ${taken} bytes on disk (above ${free}, each must take at least one byte)`,
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
        `${path}: expected images [N, H, W] or [N, H, W, 3], found extents [${shape.join(', ')}].`,
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

  /**
   * Reads one image synchronously: a few hundred bytes from the page cache take less time than a turn of the event
   * loop.
   */
  read(index: number): Image {
    const pixels = new Uint8Array(this.itemBytes);
    const read = readSync(this.source.handle.fd, pixels, 0, pixels.length, this.header + index * pixels.length);
    if (read < pixels.length)
      throw new IoError('E_DATA_READ', `${this.path}#${index}: expected ${pixels.length} bytes, found ${read}.`);
    return { kind: 'image', ...this.size, pixels };
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

/** An open file of pixels. */
interface PixelSource {
  handle: FileHandle;
  size: number;
  close(): Promise<void>;
}

/** Deflate's best compression ratio. A file that announces more content is rejected before it is inflated. */
const BEST_RATIO = 1032;

function expectRoom(path: string, zipped: boolean, expected: number, size: number): void {
  const most = zipped ? size * BEST_RATIO : size;
  if (expected > most)
    throw new InputError(
      'E_IDX_SIZE',
      `${path}: expected ${expected} bytes of images, found ${zipped ? `${size} bytes of gzip, which can contain at most ${most}` : `${size}`}.`,
    );
}

async function openPlain(path: string): Promise<PixelSource> {
  const handle = await openFile(path);
  return { handle, size: (await handle.stat()).size, close: () => handle.close() };
}

/** Whether a file starts like an IDX file, with or without gzip. */
export async function looksLikeIdx(path: string): Promise<boolean> {
  const head = await headOf(path, 4);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return isIdx(head);
  return inflatedHead(path, 4).then(isIdx, () => false);
}
