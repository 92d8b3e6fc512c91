// Opens model directories, and the copies of codecs that other directories contain.
import { join } from 'node:path';
import { expectPath } from '../arguments.js';
import { modelDirectory } from '../checkpoint/bundled.js';
import type { StoredModel } from '../checkpoint/card.js';
import { loadModel, readModelCard, saveModel } from '../checkpoint/model.js';
import { isModelDirectory } from '../checkpoint/model-directory.js';
import { CorruptError, UsageError } from '../errors.js';
import { expectCodec } from '../fingerprint.js';
import { nodeFiles } from '../files/system.js';
import type { AnyMedium } from '../media/medium.js';
import { fullMedium } from '../media/node.js';
import { codecFamily } from '../registry.js';
import { openCodec } from './codec.js';
import { opened } from './opened.js';
import { openPrior } from './prior.js';
import type { LoadedCodec, LoadOptions } from './codec.js';
import type { LoadedPrior } from './prior.js';
import type { Media } from '../interfaces/index.js';

/** Name of the folder with the copy of the codec that tokens and priors contain, so that they can be decoded on their own. */
export const CODEC_FOLDER = 'codec';

/**
 * Opens a codec.
 *
 * @param directory a model directory written by `train codec`, or tokens or a prior that contain their codec, or the name of a
 *   bundled model.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND, E_NO_CODEC, E_DATA_MEDIUM. @throws {CorruptError} for damaged files.
 */
export async function loadCodec<M extends Media = Media, I = unknown>(
  directory: string,
  options: LoadOptions<M, I> = {},
): Promise<LoadedCodec<M, I>> {
  const stored = loadCodecFiles(directory);
  return opened(openCodec(stored, options), stored, directory);
}

/** The files of a codec, or of the codec that a directory contains. */
export function loadCodecFiles(directory: string): StoredModel {
  return readCodec(directory, loadModel);
}

/** Reads a codec, or the codec that a directory contains. @throws {UsageError} E_NO_CODEC for a prior without a copy of its codec. */
function readCodec<T>(path: string, read: (path: string, options: { kind: 'codec' }) => T): T {
  expectPath('codec', path);
  const directory = modelDirectory(path);
  if (carriesCodec(directory)) return read(join(directory, CODEC_FOLDER), { kind: 'codec' });
  try {
    return read(directory, { kind: 'codec' });
  } catch (error) {
    throw error instanceof UsageError && error.code === 'E_MODEL_KIND' ? noCodec(directory) : error;
  }
}

/** Says that tokens or a prior have no copy of their codec. */
export const noCodec = (directory: string): UsageError =>
  new UsageError(
    'E_NO_CODEC',
    `${directory}: expected a copy of its codec in ${join(directory, CODEC_FOLDER)}, found none. Name the codec.`,
  );

/**
 * The medium of a codec, or of a directory that carries one, from its card alone.
 *
 * @throws as {@link loadCodec}.
 */
export function mediumOf(directory: string): AnyMedium {
  const { name } = readCodec(directory, readModelCard);
  return fullMedium(codecFamily(name).medium);
}

/** Puts a copy of a codec into a directory. */
export function carryCodec(directory: string, { card, tensors, extras }: StoredModel): void {
  const { format: _format, formatVersion: _version, fingerprint: _fingerprint, files: _files, ...rest } = card;
  saveModel(join(directory, CODEC_FOLDER), rest, tensors, extras);
}

/** The codec that a directory contains, if it does. */
export function carriedCodec(path: string): StoredModel | undefined {
  const directory = modelDirectory(path);
  return carriesCodec(directory) ? loadModel(join(directory, CODEC_FOLDER), { kind: 'codec' }) : undefined;
}

/**
 * Verifies the copy of a codec that tokens or a prior contain.
 *
 * @returns false without a copy.
 * @throws {CorruptError} for a damaged copy, E_CODEC_MISMATCH for another codec.
 */
export function verifyCarriedCodec(directory: string, fingerprint: string): boolean {
  const carried = carriedCodec(directory);
  if (!carried) return false;
  expectCodec(join(directory, CODEC_FOLDER), {
    expected: fingerprint,
    received: carried.card.fingerprint,
    remedy: 'Put the right codec there, or make the directory again.',
  });
  return true;
}

/**
 * Whether a directory contains a codec. False for a file, which `loadModel` refuses.
 *
 * @throws {CorruptError} E_MODEL_FILE for a link, which is not the copy that was made here.
 */
export function carriesCodec(directory: string): boolean {
  const path = join(directory, CODEC_FOLDER);
  if (nodeFiles.status(path)?.kind !== 'link') return isModelDirectory(path);
  throw new CorruptError('E_MODEL_FILE', `${path}: expected a directory, found a link. Put the codec itself there.`);
}

/**
 * Opens a prior.
 *
 * @param directory a model directory written by `train prior`, or the name of a bundled model.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND. @throws {CorruptError} for damaged files.
 */
export async function loadPrior(directory: string): Promise<LoadedPrior> {
  const stored = loadModel(directory, { kind: 'prior' });
  return opened(
    openPrior(stored, () => loadCodec(directory)),
    stored,
    directory,
  );
}
