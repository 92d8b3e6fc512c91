// A model directory: `model.json`, the card that says what the model is and how it was made, `model.safetensors` with
// the weights, and what else the model needs (`tokenizer.json`). Nothing in it is code. The card carries a hash over
// itself and one over each file, so that every byte of the directory's files is covered.
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError, UsageError } from '../errors.js';
import { KIND_NAMES, guarded, nodeFiles } from '../files/system.js';
import { createDirectory } from '../files/commit.js';
import { decodeUtf8, parseJson } from '../json.js';
import { hasJournal, sweepTemporaries, writeFilesAtomic } from '../files/journal.js';
import { isPlainName } from '../names.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import type { FileSystem } from '../files/system.js';
import { withLock } from '../output.js';
import { isAtLeast, sealJson, unsealJson } from '../sealed.js';
import { withSnapshot } from '../snapshot.js';
import type { Snapshot } from '../snapshot.js';
import { decodeSafetensors, encodeSafetensors, refuseForeignFormat } from './safetensors.js';
import { fingerprint } from './tensors.js';
import type { NamedTensors } from './tensors.js';

/**
 * Major and minor version of the model directory format. A newer major version is refused. 1.1: the card carries a sha256
 * over itself, and the fingerprint covers the files beside the weights.
 */
export const MODEL_FORMAT_VERSION = '1.1';

const CARD = 'model.json';
const WEIGHTS = 'model.safetensors';
const TOKENIZER = 'tokenizer.json';
const CARD_LIMIT = 64 * 2 ** 20;
const REMEDY = 'Copy the model again, or train it again.';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const fileSchema = z.strictObject({ bytes: z.int().nonnegative(), sha256: hash });

const cardSchema = z.strictObject({
  format: z.literal('tesserae-model'),
  formatVersion: z.string().regex(/^\d+\.\d+$/),
  kind: z.enum(['codec', 'prior']),
  name: z.string().min(1),
  config: z.record(z.string(), z.unknown()),
  fingerprint: hash,
  /** A prior's codec: its fingerprint and what a reader wants to know of it. */
  codec: z.looseObject({ fingerprint: hash }).optional(),
  conditioning: z.enum(['none', 'label', 'text']).optional(),
  maps: z
    .array(z.strictObject({ name: z.string(), shape: z.array(z.int()), vocabSize: z.int().positive() }))
    .optional(),
  classes: z.array(z.string()).optional(),
  training: z.record(z.string(), z.unknown()).optional(),
  metrics: z.record(z.string(), z.unknown()).optional(),
  files: z.record(z.string().refine(isPlainName, 'expected a plain file name'), fileSchema),
});

/** The card of a stored model, as `model.json` holds it. */
export type ModelCard = z.infer<typeof cardSchema>;

/** What the maker of a model says of it; the rest of the card is computed. */
export type NewModelCard = Omit<ModelCard, 'format' | 'formatVersion' | 'fingerprint' | 'files'>;

/** Files beside the weights, by plain name, e.g. `tokenizer.json`. */
export type Extras = Record<string, Uint8Array | string>;

export interface StoredModel {
  card: ModelCard;
  tensors: NamedTensors;
  extras: Record<string, Uint8Array>;
}

/**
 * Writes a model directory; an older model in it is replaced as one, other files are left alone.
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
  for (const name of Object.keys(extras)) {
    if (!isPlainName(name) || name === CARD || name === WEIGHTS)
      throw new UsageError(
        'E_MODEL_FILE',
        `saveModel: expected a plain file name other than ${CARD} and ${WEIGHTS}, received "${name}".`,
      );
  }
  const contents: Extras = {
    [WEIGHTS]: encodeSafetensors(tensors, { format: 'tesserae', kind: card.kind, name: card.name }),
    ...extras,
  };
  const listed = Object.fromEntries(
    Object.entries(contents).map(([name, content]) => [
      name,
      { bytes: Buffer.byteLength(content), sha256: sha256(content) },
    ]),
  );
  const complete = checkedCard({
    format: 'tesserae-model',
    formatVersion: MODEL_FORMAT_VERSION,
    ...card,
    fingerprint: fingerprint(card.config, tensors, extraHashes(listed)),
    files: listed,
  });
  createDirectory(directory, files);
  const write = (): void => {
    sweepTemporaries(directory, files);
    writeFilesAtomic(directory, { ...contents, [CARD]: sealJson(complete) }, files);
  };
  // Another file system is a test's, and has no other process.
  if (files === nodeFiles) withLock(directory, write);
  else write();
  return complete;
}

/** sha256 of the files beside the weights, by name. */
function extraHashes(listed: ModelCard['files']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(listed).flatMap(([name, { sha256 }]) => (name === WEIGHTS ? [] : [[name, sha256]])),
  );
}

function checkedCard(card: ModelCard): ModelCard {
  const result = cardSchema.safeParse(JSON.parse(JSON.stringify(card)));
  if (!result.success)
    throw new UsageError('E_MODEL_CARD', `saveModel: expected a model card, ${z.prettifyError(result.error)}.`);
  const lack = lackOf(result.data);
  if (lack)
    throw new UsageError('E_MODEL_CARD', `saveModel: expected ${lack} among the files of the card, received none.`);
  return result.data;
}

/** A file without which the model cannot be used, when the card lists none of that name. */
function lackOf({ kind, conditioning, files }: ModelCard): string | undefined {
  if (files[WEIGHTS] === undefined) return WEIGHTS;
  return kind === 'prior' && conditioning === 'text' && files[TOKENIZER] === undefined ? TOKENIZER : undefined;
}

interface LoadOptions {
  kind?: ModelCard['kind'];
  files?: FileSystem;
}

/** True for a directory that holds a model, be it one whose save was cut short after its bytes were durable. Links count, for the reader to refuse. */
export function isModelDirectory(directory: string, files: FileSystem = nodeFiles): boolean {
  return (
    guarded(directory, 'reading', () => files.status(join(directory, CARD)) !== undefined) ||
    hasJournal(directory, files)
  );
}

/** True for cards that carry a hash over themselves: of version 1.1 and later. */
export function isCardSealed({ formatVersion }: ModelCard): boolean {
  return isAtLeast(formatVersion, '1.1');
}

/**
 * Reads the card of a model directory without its weights. Writes nothing, and waits for no writer: beside one that is
 * saving, or after one that was cut short, it reads the model that is complete.
 *
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND. @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION.
 */
export function readModelCard(directory: string, options: LoadOptions = {}): ModelCard {
  const { files = nodeFiles } = options;
  expectDirectory(directory, files);
  return withSnapshot(
    directory,
    CARD,
    () => [],
    (snapshot) => cardIn(directory, snapshot, options),
    files,
  );
}

/** A file given for a directory is refused with the reason why. */
function expectDirectory(directory: string, files: FileSystem): void {
  const status = files.status(directory);
  if (status === undefined)
    throw new UsageError('E_NOT_FOUND', `${directory}: expected to exist, found nothing. Check the path.`);
  if (status.kind === 'file') refuseForeignFormat(directory, files);
  if (status.kind === 'file' || status.kind === 'other') throw notAModel(directory);
}

function notAModel(directory: string): UsageError {
  return new UsageError('E_NOT_A_MODEL', `${directory}: expected a model directory with ${CARD}, found none.`);
}

function cardIn(directory: string, snapshot: Snapshot, { kind }: LoadOptions): ModelCard {
  const path = join(directory, CARD);
  const size = snapshot.size(CARD, 'E_MODEL_CARD');
  if (size === undefined) throw notAModel(directory);
  if (size > CARD_LIMIT)
    throw new CorruptError('E_FILE_TOO_LARGE', `${path}: expected at most ${CARD_LIMIT} bytes, found ${size}.`);
  const card = parseCard(decodeUtf8(snapshot.read(CARD), path), path);
  if (kind !== undefined && card.kind !== kind)
    throw new UsageError('E_MODEL_KIND', `${directory}: expected a ${kind}, found a ${card.kind} ("${card.name}").`);
  return card;
}

function parseCard(text: string, path: string): ModelCard {
  const value = parseJson(text, path);
  refuseNewerVersion(path, value);
  const sealed = isAtLeast((value as { formatVersion?: unknown } | null)?.formatVersion, '1.1');
  const fields = unsealJson(text, value, { where: path, code: 'E_MODEL_CARD', sealed, remedy: REMEDY });
  const result = cardSchema.safeParse(fields);
  if (!result.success)
    throw new CorruptError('E_MODEL_CARD', `${path}: expected a model card, ${z.prettifyError(result.error)}.`);
  const lack = lackOf(result.data);
  if (lack) throw new CorruptError('E_MODEL_CARD', `${path}: expected ${lack} among its files, found none. ${REMEDY}`);
  return result.data;
}

function refuseNewerVersion(path: string, value: unknown): void {
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  const major = typeof version === 'string' ? Number.parseInt(version, 10) : Number.NaN;
  if (major > Number.parseInt(MODEL_FORMAT_VERSION, 10)) {
    throw new CorruptError(
      'E_MODEL_VERSION',
      `${path}: expected format ${MODEL_FORMAT_VERSION}, found ${String(version)}: needs a Tesserae that reads >= ${major}.0. Update Tesserae.`,
    );
  }
}

/**
 * Reads a model directory and verifies every byte of its files: the card by its own sha256 (which cards of format 1.0
 * lack), the others by those in the card, layout and finiteness of the weights, the fingerprint. Like
 * {@link readModelCard} it writes nothing.
 *
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION, E_MODEL_FILE, E_MODEL_FINGERPRINT, E_SAFETENSORS, E_TENSOR_NOT_FINITE.
 */
export function loadModel(directory: string, options: LoadOptions = {}): StoredModel {
  const { files = nodeFiles } = options;
  expectDirectory(directory, files);
  const others = (snapshot: Snapshot): string[] =>
    snapshot.size(CARD, 'E_MODEL_CARD') === undefined ? [] : Object.keys(cardIn(directory, snapshot, options).files);
  return withSnapshot(directory, CARD, others, (snapshot) => modelIn(directory, snapshot, options), files);
}

function modelIn(directory: string, snapshot: Snapshot, options: LoadOptions): StoredModel {
  const card = cardIn(directory, snapshot, options);
  const contents = Object.fromEntries(
    Object.entries(card.files).map(([name, listed]) => [name, listedContent(directory, name, listed, snapshot)]),
  );
  const { [WEIGHTS]: weights, ...extras } = contents;
  const path = join(directory, WEIGHTS);
  const { tensors } = decodeSafetensors(weights!, path, { finite: true });
  const found = fingerprint(card.config, tensors, isCardSealed(card) ? extraHashes(card.files) : {});
  if (found !== card.fingerprint) {
    throw new CorruptError(
      'E_MODEL_FINGERPRINT',
      `${path}: expected weights and config with fingerprint ${card.fingerprint}, found ${found}. Restore both files from one save.`,
    );
  }
  return { card, tensors, extras };
}

interface Listed {
  bytes: number;
  sha256: string;
}

function listedContent(directory: string, name: string, listed: Listed, snapshot: Snapshot): Uint8Array<ArrayBuffer> {
  const path = join(directory, name);
  expectSize(path, listed, snapshot.size(name, 'E_MODEL_FILE'));
  return verified(path, listed, snapshot.read(name));
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

function expectSize(path: string, listed: Listed, size: number | undefined): void {
  if (size === undefined)
    throw new CorruptError('E_MODEL_FILE', `${path}: expected the file that the directory lists, found nothing.`);
  if (size !== listed.bytes)
    throw new CorruptError('E_MODEL_FILE', `${path}: expected ${listed.bytes} bytes, found ${size}.`);
}

function verified(path: string, listed: Listed, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const found = sha256(bytes);
  if (found !== listed.sha256)
    throw new CorruptError(
      'E_MODEL_FILE',
      `${path}: expected sha256 ${listed.sha256}, found ${found}. The file is damaged; copy or train it again.`,
    );
  return bytes;
}
