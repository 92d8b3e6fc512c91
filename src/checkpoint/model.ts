// Model directories: the files of a model (see card.ts) on a disk. They are replaced together, and read as of one moment.
import { join } from 'node:path';
import { expectPath } from '../arguments.js';
import { CorruptError, UsageError } from '../errors.js';
import { createDirectory } from '../files/commit.js';
import { sweepTemporaries, writeFilesAtomic } from '../files/journal.js';
import { readFile } from '../files/read.js';
import { KIND_NAMES, nodeFiles } from '../files/system.js';
import type { FileSystem } from '../files/system.js';
import { withLock } from '../output.js';
import { withSnapshot } from '../snapshot.js';
import type { Snapshot } from '../snapshot.js';
import { bundledRemedy, modelDirectory } from './bundled.js';
import { CARD } from './card-file.js';
import { expectSize, notAModel, packModel, readCard, readModel, verified } from './card.js';
import type { Extras, Listed, ModelCard, ModelSource, NewModelCard, ReadModelOptions, StoredModel } from './card.js';
import { refuseForeignFormat } from './foreign-format.js';
import type { NamedTensors } from './tensors.js';

/**
 * Writes a model directory. An older model in it is replaced as a whole; other files are not touched.
 *
 * @returns the card as written, with its fingerprint.
 * @throws {UsageError} E_TENSOR, E_MODEL_FILE, E_MODEL_CARD. @throws {LockError} E_LOCKED while another process writes there.
 * @throws {IoError} E_DISK_FULL, E_IO.
 */
export function saveModel(
  directory: string,
  card: NewModelCard,
  tensors: NamedTensors,
  extras: Extras = {},
  files: FileSystem = nodeFiles,
): ModelCard {
  const packed = packModel(card, tensors, extras);
  createDirectory(directory, files);
  const write = (): void => {
    sweepTemporaries(directory, files);
    writeFilesAtomic(directory, packed.files, files);
  };
  // Other file systems are those of tests, which have no other process.
  if (files === nodeFiles) withLock(directory, write);
  else write();
  return packed.card;
}

interface LoadOptions extends ReadModelOptions {
  files?: FileSystem;
}

/**
 * Reads the card of a model directory without its weights. It writes nothing and does not wait for a writer: during a save, or
 * after one that was interrupted, it reads the complete model.
 *
 * @param path a directory, or the name of a bundled model.
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND. @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION.
 */
export function readModelCard(path: string, options: LoadOptions = {}): ModelCard {
  expectPath('readModelCard', path);
  const directory = modelDirectory(path);
  const { files = nodeFiles } = options;
  expectDirectory(directory, files);
  return withSnapshot(
    directory,
    CARD,
    () => [],
    (snapshot) => readCard(sourceOf(directory, snapshot), options),
    files,
  );
}

/** Refuses a file in place of a directory, with the reason. */
function expectDirectory(directory: string, files: FileSystem): void {
  const status = files.status(directory);
  if (status === undefined)
    throw new UsageError('E_NOT_FOUND', `${directory}: expected a model, found nothing. ${bundledRemedy()}`);
  if (status.kind === 'file') refuseForeignFormat(directory, files);
  if (status.kind === 'file' || status.kind === 'other') throw notAModel(directory);
}

/** The files of a directory in a snapshot. Links, pipes and devices are refused. */
function sourceOf(directory: string, snapshot: Snapshot): ModelSource {
  return {
    where: directory,
    pathOf: (name) => join(directory, name),
    size: (name) => snapshot.size(name, name === CARD ? 'E_MODEL_CARD' : 'E_MODEL_FILE'),
    read: (name) => snapshot.read(name),
  };
}

/**
 * Reads a model directory and verifies every byte of its files: the card by its own sha256 (which cards of format 1.0
 * lack), the others by those in the card, layout and finiteness of the weights, the fingerprint. Like
 * {@link readModelCard} it writes nothing.
 *
 * @param path a directory, or the name of a bundled model.
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION, E_MODEL_FILE, E_MODEL_FINGERPRINT, E_SAFETENSORS, E_TENSOR_NOT_FINITE.
 */
export function loadModel(path: string, options: LoadOptions = {}): StoredModel {
  expectPath('loadModel', path);
  const directory = modelDirectory(path);
  const { files = nodeFiles } = options;
  expectDirectory(directory, files);
  const others = (snapshot: Snapshot): string[] =>
    snapshot.size(CARD, 'E_MODEL_CARD') === undefined
      ? []
      : Object.keys(readCard(sourceOf(directory, snapshot), options).files);
  return withSnapshot(directory, CARD, others, (snapshot) => readModel(sourceOf(directory, snapshot), options), files);
}

/** Reads a file that a card or manifest lists, and refuses links, other sizes and other contents. */
export function readListedFile(
  directory: string,
  name: string,
  listed: Listed,
  files: FileSystem,
): Uint8Array<ArrayBuffer> {
  const path = join(directory, name);
  const status = files.status(path);
  if (status !== undefined && status.kind !== 'file')
    throw new CorruptError('E_MODEL_FILE', `${path}: expected a regular file, found ${KIND_NAMES[status.kind]}.`);
  expectSize(path, listed, status?.size);
  return verified(path, listed, readFile(path, { files }));
}
