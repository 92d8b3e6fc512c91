// Model directories to live models, and the copies of codecs that other directories carry.
import { join } from 'node:path';
import type { StoredModel } from '../checkpoint/card.js';
import { isModelDirectory, loadModel, saveModel } from '../checkpoint/model.js';
import { CorruptError } from '../errors.js';
import { nodeFiles } from '../files/system.js';
import type { OpenOptions } from '../codec/codec.js';
import { openCodec, openPrior } from './open.js';
import type { LoadedCodec, LoadedPrior } from './open.js';

/** A copy of the codec travels with tokens and priors under this name, so that they can be decoded on their own. */
export const CODEC_FOLDER = 'codec';

/**
 * Opens a codec.
 *
 * @param directory a model directory written by `train codec`, or tokens or a prior that carry their codec.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND. @throws {CorruptError} for damaged files.
 */
export async function loadCodec(directory: string, options: OpenOptions = {}): Promise<LoadedCodec> {
  return openCodec(loadCodecFiles(directory), options);
}

/** The files of a codec; a directory that carries a codec stands for it. */
export function loadCodecFiles(directory: string): StoredModel {
  return loadModel(carriesCodec(directory) ? join(directory, CODEC_FOLDER) : directory, { kind: 'codec' });
}

/** Puts a copy of a codec into a directory. */
export function carryCodec(directory: string, { card, tensors, extras }: StoredModel): void {
  const { format: _format, formatVersion: _version, fingerprint: _fingerprint, files: _files, ...rest } = card;
  saveModel(join(directory, CODEC_FOLDER), rest, tensors, extras);
}

/** The codec a directory carries, if it does. */
export function carriedCodec(directory: string): StoredModel | undefined {
  return carriesCodec(directory) ? loadModel(join(directory, CODEC_FOLDER), { kind: 'codec' }) : undefined;
}

/**
 * False for a file too, of which loadModel knows what to say.
 *
 * @throws {CorruptError} E_MODEL_FILE where a link leads to the codec: it is not the copy that was made here.
 */
function carriesCodec(directory: string): boolean {
  const path = join(directory, CODEC_FOLDER);
  if (nodeFiles.status(path)?.kind !== 'link') return isModelDirectory(path);
  throw new CorruptError('E_MODEL_FILE', `${path}: expected a directory, found a link. Put the codec itself there.`);
}

/**
 * Opens a prior.
 *
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND. @throws {CorruptError} for damaged files.
 */
export async function loadPrior(directory: string): Promise<LoadedPrior> {
  return openPrior(loadModel(directory, { kind: 'prior' }));
}
