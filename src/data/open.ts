// What people have on disk -> a Dataset.
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { InputError } from '../errors.js';
import type { Dataset, RawSample, Sample } from '../interfaces/dataset.js';
import { decodeWithOriginal, imageTo, type Decoded, type DecodeOptions } from '../media/image.js';
import { describeBytes } from '../media/sniff.js';
import { vary } from './augment.js';
import { readError } from './files.js';
import { openFolder } from './folder.js';
import { isIdxFolder, looksLikeIdx, openIdx } from './idx.js';
import { checkDatasetOptions, type DatasetOptions } from './indexed.js';
import { openWebDataset } from './webdataset.js';

/**
 * Opens a dataset, whatever kind it is: a folder of pictures, a WebDataset `.tar` (or a folder or list of them), or
 * MNIST-style IDX files. Names, captions and labels are read; media are not. See `openFolder`, `openWebDataset` and
 * `openIdx` for what each kind takes from where.
 *
 * Without a split of its own, a dataset holds out samples by a hash of their keys: adding or removing a sample moves no
 * other. Close it when done.
 *
 * @throws {InputError} E_NOT_FOUND, E_DATA_EMPTY, E_DATA_KIND and those of the kinds.
 * @throws {UsageError} E_DATA_OPTIONS.
 */
export async function openDataset(path: string | readonly string[], options: DatasetOptions = {}): Promise<Dataset> {
  checkDatasetOptions(options);
  if (typeof path !== 'string') return openTars(path, options);
  const found = await stat(path).catch((error: unknown) => {
    throw readError(path, error);
  });
  if (found.isDirectory()) return openDirectory(path, options);
  if (!found.isFile()) throw kindError(path, 'neither a file nor a folder');
  const head = await firstBytes(path);
  if (isTar(head)) return openWebDataset([path], options, path);
  if (await looksLikeIdx(path)) return openIdx(path, options);
  throw kindError(path, describeBytes(head));
}

async function openTars(paths: readonly string[], options: DatasetOptions): Promise<Dataset> {
  if (paths.length === 0) throw new InputError('E_DATA_EMPTY', 'openDataset: expected at least one archive, received an empty list.');
  for (const path of paths) {
    const head = await firstBytes(path);
    if (!isTar(head)) throw kindError(path, describeBytes(head));
  }
  return openWebDataset(paths, options);
}

async function openDirectory(path: string, options: DatasetOptions): Promise<Dataset> {
  const names = await readdir(path).catch((error: unknown) => {
    throw readError(path, error);
  });
  if (isIdxFolder(names)) return openIdx(path, options);
  const tars = names.filter((name) => name.toLowerCase().endsWith('.tar') && !name.startsWith('.')).sort();
  if (tars.length === 0) return openFolder(path, options);
  const paths = tars.map((name) => join(path, name));
  return openWebDataset(paths, options, path);
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw readError(path, error);
  });
  try {
    const head = new Uint8Array(512);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    return head.subarray(0, bytesRead);
  } catch (error) {
    throw readError(path, error);
  } finally {
    await handle.close();
  }
}

function isTar(head: Uint8Array): boolean {
  return head.length === 512 && Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar';
}

function kindError(path: string, found: string): InputError {
  return new InputError(
    'E_DATA_KIND',
    `${path}: expected a folder of pictures, an uncompressed .tar or MNIST-style IDX, found ${found}.`,
  );
}

/** A sample, and what its picture was before it was brought to another size. */
export type DecodedSample = Sample & Pick<Decoded, 'original'>;

/**
 * Decodes what a dataset read.
 *
 * @throws {InputError} E_IMAGE_... naming the sample's source.
 */
export async function decodeSample(raw: RawSample, options: DecodeOptions = {}): Promise<DecodedSample> {
  const { image: plain, original } = await decoded(raw, options);
  const { key, captions, label } = raw;
  const image = raw.variation ? vary(plain, raw.variation) : plain;
  return label === undefined ? { key, image, original, captions } : { key, image, original, captions, label };
}

async function decoded({ bytes, pixels, source }: RawSample, options: DecodeOptions): Promise<Decoded> {
  if (!pixels) return decodeWithOriginal(bytes, source, options);
  return { image: await imageTo({ kind: 'image', ...pixels, pixels: bytes }, options), original: { kind: 'image', ...pixels } };
}
