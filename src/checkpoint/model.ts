// A model directory: `model.json`, the card that says what the model is and how it was made, `model.safetensors` with
// the weights, and what else the model needs (`tokenizer.json`). Nothing in it is code.
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError, UsageError } from '../errors.js';
import { completeCommit, createDirectory, formatJson, isPlainName, nodeFiles, readFile, readJson, sha256, writeFilesAtomic } from '../files.js';
import type { FileSystem } from '../files.js';
import { decodeSafetensors, encodeSafetensors, refuseForeignFormat } from './safetensors.js';
import { fingerprint } from './tensors.js';
import type { NamedTensors } from './tensors.js';

/** Major and minor version of the model directory format. A newer major version is refused. */
export const MODEL_FORMAT_VERSION = '1.0';

const CARD = 'model.json';
const WEIGHTS = 'model.safetensors';

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
  maps: z.array(z.strictObject({ name: z.string(), shape: z.array(z.int()), vocabSize: z.int().positive() })).optional(),
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
 * @throws {UsageError} E_TENSOR, E_MODEL_FILE, E_MODEL_CARD. @throws {IoError} E_DISK_FULL, E_IO.
 */
export function saveModel(directory: string, card: NewModelCard, tensors: NamedTensors, extras: Extras = {}, files: FileSystem = nodeFiles): ModelCard {
  const contents: Extras = { [WEIGHTS]: encodeSafetensors(tensors, { format: 'tesserae', kind: card.kind, name: card.name }) };
  for (const [name, content] of Object.entries(extras)) {
    if (!isPlainName(name) || name === CARD || name === WEIGHTS) throw new UsageError('E_MODEL_FILE', `saveModel: expected a plain file name other than ${CARD} and ${WEIGHTS}, received "${name}".`);
    contents[name] = content;
  }
  const complete = checkedCard({
    format: 'tesserae-model',
    formatVersion: MODEL_FORMAT_VERSION,
    ...card,
    fingerprint: fingerprint(card.config, tensors),
    files: Object.fromEntries(Object.entries(contents).map(([name, content]) => [name, { bytes: Buffer.byteLength(content), sha256: sha256(content) }])),
  });
  createDirectory(directory, files);
  writeFilesAtomic(directory, { ...contents, [CARD]: formatJson(complete) }, files);
  return complete;
}

function checkedCard(card: ModelCard): ModelCard {
  const result = cardSchema.safeParse(JSON.parse(JSON.stringify(card)));
  if (!result.success) throw new UsageError('E_MODEL_CARD', `saveModel: expected a model card, ${z.prettifyError(result.error)}.`);
  return result.data;
}

interface LoadOptions {
  kind?: ModelCard['kind'];
  files?: FileSystem;
}

/**
 * Reads the card of a model directory without its weights.
 *
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND. @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION.
 */
export function readModelCard(directory: string, { kind, files = nodeFiles }: LoadOptions = {}): ModelCard {
  const status = files.status(directory);
  if (status?.kind === 'file') refuseForeignFormat(directory, files);
  if (status !== undefined && status.kind !== 'file') completeCommit(directory, files);
  const path = join(directory, CARD);
  if (status !== undefined && (status.kind === 'file' || files.status(path) === undefined)) {
    throw new UsageError('E_NOT_A_MODEL', `${directory}: expected a model directory with ${CARD}, found none.`);
  }
  const value = readJson(path, files);
  refuseNewerVersion(path, value);
  const result = cardSchema.safeParse(value);
  if (!result.success) throw new CorruptError('E_MODEL_CARD', `${path}: expected a model card, ${z.prettifyError(result.error)}.`);
  const card = result.data;
  if (kind !== undefined && card.kind !== kind) throw new UsageError('E_MODEL_KIND', `${directory}: expected a ${kind}, found a ${card.kind} ("${card.name}").`);
  return card;
}

function refuseNewerVersion(path: string, value: unknown): void {
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion;
  const major = typeof version === 'string' ? Number.parseInt(version, 10) : Number.NaN;
  if (major > Number.parseInt(MODEL_FORMAT_VERSION, 10)) {
    throw new CorruptError('E_MODEL_VERSION', `${path}: expected format ${MODEL_FORMAT_VERSION}, found ${String(version)}: needs a Tesserae that reads >= ${major}.0. Update Tesserae.`);
  }
}

/**
 * Reads a model directory and verifies every byte of it: sha256 of each file, layout and finiteness of the weights, the
 * fingerprint over config and weights.
 *
 * @param options.kind refuse a model of the other kind.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_FORMAT, E_MODEL_KIND.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION, E_MODEL_FILE, E_MODEL_FINGERPRINT, E_SAFETENSORS, E_TENSOR_NOT_FINITE.
 */
export function loadModel(directory: string, options: LoadOptions = {}): StoredModel {
  const { files = nodeFiles } = options;
  const card = readModelCard(directory, options);
  if (card.files[WEIGHTS] === undefined) throw new CorruptError('E_MODEL_CARD', `${join(directory, CARD)}: expected ${WEIGHTS} among its files, found none.`);
  let weights: Uint8Array | undefined;
  const extras: Record<string, Uint8Array> = {};
  for (const name of Object.keys(card.files)) {
    const bytes = readListedFile(directory, name, card.files[name]!, files);
    if (name === WEIGHTS) weights = bytes;
    else extras[name] = bytes;
  }
  const path = join(directory, WEIGHTS);
  const { tensors } = decodeSafetensors(weights!, path, { finite: true });
  const found = fingerprint(card.config, tensors);
  if (found !== card.fingerprint) {
    throw new CorruptError('E_MODEL_FINGERPRINT', `${path}: expected weights and config with fingerprint ${card.fingerprint}, found ${found}. Restore both files from one save.`);
  }
  return { card, tensors, extras };
}

/** Reads a file that a card or manifest lists, and refuses links, other sizes and other contents. */
export function readListedFile(directory: string, name: string, listed: { bytes: number; sha256: string }, files: FileSystem): Uint8Array<ArrayBuffer> {
  const path = join(directory, name);
  const status = files.status(path);
  if (status === undefined) throw new CorruptError('E_MODEL_FILE', `${path}: expected the file that the directory lists, found nothing.`);
  if (status.kind !== 'file') throw new CorruptError('E_MODEL_FILE', `${path}: expected a regular file, found a ${status.kind}.`);
  if (status.size !== listed.bytes) throw new CorruptError('E_MODEL_FILE', `${path}: expected ${listed.bytes} bytes, found ${status.size}.`);
  const bytes = readFile(path, { files });
  const found = sha256(bytes);
  if (found !== listed.sha256) throw new CorruptError('E_MODEL_FILE', `${path}: expected sha256 ${listed.sha256}, found ${found}. The file is damaged; copy or train it again.`);
  return bytes;
}
