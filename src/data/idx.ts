// IDX, the format of MNIST and its kin: a header of big-endian extents, then bytes. Source: LeCun, Cortes, Burges, "The
// MNIST database of handwritten digits", file formats.
import { closeSync, createReadStream, openSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { createGunzip, gunzipSync } from 'node:zlib';

import { InputError, IoError, messageOf } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import { readError } from './files.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';
import { captionLines } from './labels.js';

const IMAGES_NAME = /^(.*?)-?images[-.]idx([34])-ubyte(\.gz)?$/;
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
  const sides = officialSides(images);
  const opened: PixelFile[] = [];
  try {
    const entries: IdxEntry[] = [];
    for (const name of images) {
      const side = sides?.get(name);
      if (sides && !side) continue;
      const file = await PixelFile.open(join(folder, name));
      opened.push(file);
      const labels = await labelsOf(folder, name, names, file.count);
      const prefix = prefixOf(name) || basename(name);
      for (let i = 0; i < file.count; i++) entries.push(new LazyEntry(file, i, prefix, labels?.[i], side));
    }
    const classes = options.classes ?? (await classNames(folder, names));
    return new IndexedDataset(
      {
        kind: 'idx',
        source: path,
        entries,
        sourceOf: ({ file, index }) => `${file.path}#${index}`,
        read: async ({ file, index }) => file.read(index),
        close: async () => opened.forEach((file) => file.close()),
      },
      { ...options, classes },
    );
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
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

function officialSides(images: readonly string[]): Map<string, Split> | undefined {
  const train = images.find((name) => prefixOf(name) === 'train');
  const test = images.find((name) => ['t10k', 'test', 'val', 'valid'].includes(prefixOf(name)));
  if (!train || !test) return undefined;
  return new Map([
    [train, 'train'],
    [test, 'test'],
  ]);
}

/** Labels of an images file, one byte each; undefined when there is no labels file. */
async function labelsOf(folder: string, images: string, names: readonly string[], count: number): Promise<Uint8Array | undefined> {
  const plain = images.replace('images', 'labels').replace(/idx[34]/, 'idx1').replace(/\.gz$/, '');
  const name = [plain, `${plain}.gz`].find((candidate) => candidate !== images && names.includes(candidate));
  if (name === undefined) return undefined;
  const path = join(folder, name);
  const bytes = await readFile(path);
  const content = name.endsWith('.gz') ? gunzipBounded(bytes, path, count + MAX_HEADER) : bytes;
  const { shape, bytes: header } = parseHeader(content, path);
  if (shape.length !== 1) throw new InputError('E_IDX_LABELS', `${path}: expected labels [N], found extents [${shape.join(', ')}].`);
  if (shape[0] !== count || content.length !== header + count) {
    throw new InputError(
      'E_IDX_LABELS',
      `${path}: expected ${count} labels for ${images}, found ${shape[0]} announced and ${content.length - header} present.`,
    );
  }
  return content.subarray(header);
}

function gunzipBounded(bytes: Uint8Array, path: string, limit: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    throw new InputError('E_IDX_LABELS', `${path}: expected at most ${limit} bytes of gzip, found otherwise (${messageOf(error)}).`, {
      cause: error,
    });
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

/** The pixels of an images file, read one item at a time. */
class PixelFile {
  private constructor(
    readonly path: string,
    private readonly descriptor: number,
    private readonly temporary: string | undefined,
    private readonly header: number,
    readonly count: number,
    private readonly size: { width: number; height: number; channels: 1 | 3 },
  ) {
    if (temporary) process.once('exit', this.remove);
  }

  static async open(path: string): Promise<PixelFile> {
    const zipped = path.endsWith('.gz');
    const { shape, bytes: header } = parseHeader(await firstBytes(path, zipped), path);
    const [count = 0, height = 0, width = 0, channels = 1] = shape;
    if (shape.length < 3 || (channels !== 1 && channels !== 3) || width * height === 0 || width * height > 2 ** 26) {
      throw new InputError('E_IDX_SIZE', `${path}: expected pictures [N, H, W] or [N, H, W, 3], found extents [${shape.join(', ')}].`);
    }
    const expected = header + count * height * width * channels;
    const { descriptor, temporary, size } = zipped ? await inflate(path, expected) : await openPlain(path);
    const file = new PixelFile(path, descriptor, temporary, header, count, { width, height, channels });
    if (size === expected) return file;
    file.close();
    const found = size > expected ? 'more' : `${size}`;
    throw new InputError('E_IDX_SIZE', `${path}: expected ${expected} bytes for [${shape.join(', ')}], found ${found}.`);
  }

  get itemBytes(): number {
    return this.size.width * this.size.height * this.size.channels;
  }

  /** A short synchronous read: a few hundred bytes from the page cache cost less than a turn of the event loop. */
  read(index: number): { bytes: Uint8Array; pixels: { width: number; height: number; channels: 1 | 3 } } {
    const bytes = new Uint8Array(this.itemBytes);
    const read = readSync(this.descriptor, bytes, 0, bytes.length, this.header + index * bytes.length);
    if (read < bytes.length) throw new IoError('E_DATA_READ', `${this.path}#${index}: expected ${bytes.length} bytes, found ${read}.`);
    return { bytes, pixels: this.size };
  }

  close(): void {
    closeSync(this.descriptor);
    this.remove();
    process.off('exit', this.remove);
  }

  private readonly remove = (): void => {
    if (this.temporary) rmSync(this.temporary, { force: true });
  };
}

async function firstBytes(path: string, zipped: boolean): Promise<Uint8Array> {
  const file = createReadStream(path, { end: zipped ? 65535 : MAX_HEADER - 1 });
  const stream = zipped ? file.pipe(createGunzip()) : file;
  file.on('error', (error) => stream.destroy(error));
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length >= MAX_HEADER) break;
    }
  } catch (error) {
    throw zipped ? gzipError(path, error) : readError(path, error);
  }
  return Buffer.concat(parts);
}

interface Opened {
  descriptor: number;
  temporary?: string;
  size: number;
}

async function openPlain(path: string): Promise<Opened> {
  return { descriptor: openSync(path, 'r'), size: (await stat(path)).size };
}

/**
 * Inflates a `.gz` into a temporary file, stopping one byte past the expected size. Where the system allows, the file has
 * no name any more when this returns, so nothing is left behind even by kill -9.
 */
async function inflate(path: string, expected: number): Promise<Opened> {
  const temporary = join(tmpdir(), `tesserae-${process.pid}-${randomBytes(6).toString('hex')}.idx`);
  const descriptor = openSync(temporary, 'wx+', 0o600);
  try {
    let size = 0;
    const source = createReadStream(path);
    const stream = source.pipe(createGunzip({ chunkSize: 1 << 18 }));
    source.on('error', (error) => stream.destroy(error));
    for await (const part of stream as AsyncIterable<Buffer>) {
      writeAll(descriptor, part, temporary);
      size += part.length;
      if (size > expected) break;
    }
    return { descriptor, temporary: unlinkOpen(temporary), size };
  } catch (error) {
    closeSync(descriptor);
    rmSync(temporary, { force: true });
    throw error instanceof IoError ? error : gzipError(path, error);
  }
}

/** Loops, because a full disk shows as a short write before it shows as an error. */
function writeAll(descriptor: number, bytes: Uint8Array, path: string): void {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
  } catch (error) {
    throw new IoError('E_DATA_TEMPORARY', `${path}: cannot be written (${messageOf(error)}). Free space or set TMPDIR.`, { cause: error });
  }
}

/** Removes the name of an open file; returns it where the system (Windows) refuses. */
function unlinkOpen(path: string): string | undefined {
  try {
    unlinkSync(path);
    return undefined;
  } catch {
    return path;
  }
}

function gzipError(path: string, error: unknown): InputError {
  return new InputError('E_IDX_SIZE', `${path}: expected a complete gzip file (${messageOf(error)}). Fetch it again.`, { cause: error });
}

/** True when the file begins like an IDX file, inside gzip or not; false when it is anything else. */
export async function looksLikeIdx(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  const head = Buffer.alloc(4);
  await handle.read(head, 0, 4, 0).finally(() => handle.close());
  if (head[0] !== 0x1f || head[1] !== 0x8b) return isIdx(head);
  return firstBytes(path, true).then(isIdx, () => false);
}
