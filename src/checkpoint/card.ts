// The files of a model as bytes: `model.json`, the card that says what the model is and how it was made, `model.safetensors`
// with the weights, and other files that the model needs (`tokenizer.json`, an ONNX network). None of them contains code. The
// card has a hash over itself and one over each file, so that every byte is verified.
import { z } from 'zod';
import { shown } from '../arguments.js';
import { CorruptError, UsageError } from '../errors.js';
import { sha256 } from '../hash.js';
import { withAxes } from '../interfaces/tokens.js';
import { decodeUtf8, parseJson } from '../json.js';
import { isPlainName } from '../names.js';
import { isAtLeast, sealJson, unsealJson } from '../sealed.js';
import { CARD } from './card-file.js';
import { areHalves } from './half.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';
import { fingerprint } from './tensors.js';
import type { NamedTensors } from './tensors.js';

/**
 * Major and minor version of the model directory format. A newer major version is refused. 1.1: the card has a
 * sha256 over itself, and the fingerprint covers the files besides the weights. 2.0: maps say their grid and levels;
 * cards of format 1 are read. 2.1: a prior may say how it samples best.
 */
const MODEL_FORMAT_VERSION = '2.1';

const WEIGHTS = 'model.safetensors';
const TOKENIZER = 'tokenizer.json';
const CARD_LIMIT = 64 * 2 ** 20;
const REMEDY = 'Copy the model again, or train it again.';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const fileSchema = z.strictObject({ bytes: z.int().nonnegative(), sha256: hash });

/** A token map. Cards of format 1 have a shape instead of grid and levels. */
export const TokenMapSpecSchema = z.preprocess(
  withAxes,
  z.strictObject({
    name: z.string(),
    grid: z.array(z.int()),
    levels: z.int().positive(),
    vocabSize: z.int().positive(),
  }),
);

/** How a prior samples best. */
export const SamplingDefaultsSchema = z.strictObject({
  temperature: z.number().min(0).optional(),
  topK: z.int().min(0).optional(),
  topP: z.number().positive().max(1).optional(),
  cfg: z.number().min(0).optional(),
});

const cardSchema = z.strictObject({
  format: z.literal('tesserae-model'),
  formatVersion: z.string().regex(/^\d+\.\d+$/),
  kind: z.enum(['codec', 'prior']),
  name: z.string().min(1),
  config: z.record(z.string(), z.unknown()),
  fingerprint: hash,
  /** A prior's codec: its fingerprint, name and config. */
  codec: z.looseObject({ fingerprint: hash }).optional(),
  conditioning: z.enum(['none', 'label', 'text']).optional(),
  maps: z.array(TokenMapSpecSchema).optional(),
  classes: z.array(z.string()).optional(),
  sampling: SamplingDefaultsSchema.optional(),
  training: z.record(z.string(), z.unknown()).optional(),
  metrics: z.record(z.string(), z.unknown()).optional(),
  files: z.record(z.string().refine(isPlainName, 'expected a plain file name'), fileSchema),
});

/** The card of a stored model, the content of `model.json`. */
export type ModelCard = z.infer<typeof cardSchema>;

/** The fields of a card that the caller gives. The others are computed. */
export type NewModelCard = Omit<ModelCard, 'format' | 'formatVersion' | 'fingerprint' | 'files'>;

/** Files beside the weights, by plain name, e.g. `tokenizer.json` or `encoder.onnx`. */
export type Extras = Record<string, Uint8Array | string>;

export interface StoredModel {
  card: ModelCard;
  tensors: NamedTensors;
  extras: Record<string, Uint8Array>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Writing

/**
 * Serializes a model.
 *
 * @param extras further files that the model needs. All of them are listed in the card and covered by the fingerprint.
 * @returns the complete card, and the files by name, the card last.
 * @throws {UsageError} E_TENSOR, E_MODEL_FILE, E_MODEL_CARD.
 */
export function packModel(
  card: NewModelCard,
  tensors: NamedTensors,
  extras: Extras = {},
): { card: ModelCard; files: Extras } {
  for (const name of Object.keys(extras)) {
    if (!isPlainName(name) || name === CARD || name === WEIGHTS)
      throw new UsageError(
        'E_MODEL_FILE',
        `saveModel: expected a plain file name other than ${CARD} and ${WEIGHTS}, received "${name}".`,
      );
  }
  const contents: Extras = {
    [WEIGHTS]: encodeSafetensors(
      tensors,
      { format: 'tesserae', kind: card.kind, name: card.name },
      { halves: areHalves(tensors) },
    ),
    ...extras,
  };
  const listed = Object.fromEntries(Object.entries(contents).map(([name, content]) => [name, listingOf(content)]));
  const complete = checkedCard({
    format: 'tesserae-model',
    formatVersion: MODEL_FORMAT_VERSION,
    ...card,
    fingerprint: fingerprint(card.config, tensors, extraHashes(listed)),
    files: listed,
  });
  return { card: complete, files: { ...contents, [CARD]: sealJson(complete) } };
}

/** Size and hash of a file, as a card or manifest lists it. */
export interface Listed {
  bytes: number;
  sha256: string;
}

function listingOf(content: Uint8Array | string): Listed {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return { bytes: bytes.length, sha256: sha256(bytes) };
}

/** sha256 of the files besides the weights, by name. */
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

/** The error for a file that the model needs and its card does not list. */
function lackOf({ kind, conditioning, files }: ModelCard): string | undefined {
  if (files[WEIGHTS] === undefined) return WEIGHTS;
  return kind === 'prior' && conditioning === 'text' && files[TOKENIZER] === undefined ? TOKENIZER : undefined;
}

/** Whether a card has a hash over itself, as all have since version 1.1. */
export function isCardSealed({ formatVersion }: ModelCard): boolean {
  return isAtLeast(formatVersion, '1.1');
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading

/** The files of one model, on a disk or in memory. */
export interface ModelSource {
  /** Names the model in errors. */
  where: string;
  /** Names one of its files in errors. */
  pathOf(name: string): string;
  /** Bytes of a file; undefined when there is none. */
  size(name: string): number | undefined;
  read(name: string): Uint8Array;
}

export interface ReadModelOptions {
  /** Refuses a model of the other kind. */
  kind?: ModelCard['kind'];
}

/**
 * Opens a model whose files are in memory, and verifies every byte of them like `loadModel` does for a directory.
 *
 * @param files by name: `model.json` and all files that it lists. Others are ignored. The tensors may share their
 * memory.
 * @param options.where names the model in errors. Default `model`.
 * @throws {UsageError} E_NOT_A_MODEL, E_MODEL_KIND.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION, E_MODEL_FILE, E_MODEL_FINGERPRINT, E_SAFETENSORS,
 * E_TENSOR_NOT_FINITE.
 */
export function openModelFiles(
  files: Readonly<Record<string, Uint8Array>>,
  { where = 'model', ...options }: ReadModelOptions & { where?: string } = {},
): StoredModel {
  return readModel(memorySource(files, where), options);
}

/** Files in memory, by name. @throws {UsageError} E_NOT_A_MODEL for files that are not bytes. */
export function memorySource(files: Readonly<Record<string, Uint8Array>>, where: string): ModelSource {
  const held = new Map(Object.entries(files ?? {}));
  for (const [name, bytes] of held)
    if (!(bytes instanceof Uint8Array))
      throw new UsageError(
        'E_NOT_A_MODEL',
        `${where}/${name}: expected its bytes in a Uint8Array, received ${shown(bytes)}. Read it as bytes, as fetchModel does.`,
      );
  return {
    where,
    pathOf: (name) => `${where}/${name}`,
    size: (name) => held.get(name)?.length,
    read: (name) => held.get(name)!,
  };
}

/**
 * The card of a model, verified by its own hash. @throws {UsageError} @throws {CorruptError} as {@link readModel} does.
 */
export function readCard(source: ModelSource, { kind }: ReadModelOptions = {}): ModelCard {
  const path = source.pathOf(CARD);
  const size = source.size(CARD);
  if (size === undefined) throw notAModel(source.where);
  if (size > CARD_LIMIT)
    throw new CorruptError('E_FILE_TOO_LARGE', `${path}: expected at most ${CARD_LIMIT} bytes, found ${size}.`);
  const card = parseCard(decodeUtf8(source.read(CARD), path), path);
  if (kind !== undefined && card.kind !== kind)
    throw new UsageError(
      'E_MODEL_KIND',
      `${source.where}: expected a ${kind}, found a ${card.kind} ("${card.name}"). Name a model directory of a ${kind}.`,
    );
  return card;
}

export function notAModel(where: string): UsageError {
  return new UsageError('E_NOT_A_MODEL', `${where}: expected a model directory with ${CARD}, found none.`);
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
 * A model with every byte of its files verified: the card by its own sha256 (which cards of format 1.0 lack), the
 * others by those in the card, layout and finiteness of the weights, the fingerprint.
 *
 * @throws {UsageError} E_NOT_A_MODEL, E_MODEL_KIND.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_VERSION, E_MODEL_FILE, E_MODEL_FINGERPRINT, E_SAFETENSORS,
 * E_TENSOR_NOT_FINITE.
 */
export function readModel(source: ModelSource, options: ReadModelOptions = {}): StoredModel {
  const card = readCard(source, options);
  const contents = Object.fromEntries(
    Object.entries(card.files).map(([name, listed]) => [name, listedContent(source, name, listed)]),
  );
  const { [WEIGHTS]: weights, ...extras } = contents;
  const path = source.pathOf(WEIGHTS);
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

function listedContent(source: ModelSource, name: string, listed: Listed): Uint8Array {
  const path = source.pathOf(name);
  expectSize(path, listed, source.size(name));
  return verified(path, listed, source.read(name));
}

/** @throws {CorruptError} E_MODEL_FILE unless a file has the size that a card or manifest lists. */
export function expectSize(path: string, listed: Listed, size: number | undefined): void {
  if (size === undefined)
    throw new CorruptError(
      'E_MODEL_FILE',
      `${path}: expected the file that the directory lists, found nothing. ${REMEDY}`,
    );
  if (size !== listed.bytes)
    throw new CorruptError('E_MODEL_FILE', `${path}: expected ${listed.bytes} bytes, found ${size}. ${REMEDY}`);
}

/**
 * Returns the bytes of a file that have the listed hash. @throws {CorruptError} E_MODEL_FILE when they have another.
 */
export function verified<T extends Uint8Array>(path: string, listed: Listed, bytes: T): T {
  const found = sha256(bytes);
  if (found !== listed.sha256)
    throw new CorruptError(
      'E_MODEL_FILE',
      `${path}: expected sha256 ${listed.sha256}, found ${found}. The file is damaged; copy or train it again.`,
    );
  return bytes;
}
