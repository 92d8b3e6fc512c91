// What shards say of themselves: the card shared by all parts, headers, footers and the manifest. FORMAT.md is the
// specification; this file is its types and checks.
import { z } from 'zod';
import { CorruptError, UsageError } from '../errors.js';
import { codeCount } from '../interfaces/tokens.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';
import type { Split } from '../interfaces/dataset.js';

/** Major and minor version of the shard format. Another major version is refused. 2.0: maps say their grid and levels. */
export const SHARD_FORMAT_VERSION = '2.0';

export const MANIFEST = 'manifest.json';
export const REJECTS = 'rejects.jsonl';
export const SPLITS: readonly Split[] = ['train', 'test'];

export const LIMITS = {
  /** Bytes of a part: offsets are uint32. */
  partBytes: 2 ** 32 - 1,
  /** Bytes of a header: codec card and class names. */
  headerBytes: 16 * 2 ** 20,
  /** Bytes of one sample's payload. */
  payloadBytes: 64 * 2 ** 20,
  partSamples: 2 ** 22,
  /** Codes of one map. */
  mapCodes: 2 ** 24,
  vocabSize: 2 ** 22,
} as const;

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hexadecimal digits');
const splitSchema = z.enum(['train', 'test']);
const dimension = z
  .int()
  .min(-1)
  .max(LIMITS.mapCodes)
  .refine((dim) => dim !== 0, 'expected -1 or a positive extent');

const mapSchema = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(64)
      .refine((name) => name !== '__proto__'),
    grid: z.array(dimension).max(8),
    levels: z.int().min(1).max(1024),
    vocabSize: z.int().min(1).max(LIMITS.vocabSize),
    dtype: z.enum(['uint16', 'uint32']),
  })
  .refine((map) => map.dtype === dtypeOf(map.vocabSize), 'expected uint16 up to a vocabulary of 65536, uint32 above')
  .refine(({ grid, levels }) => Math.abs(codeCount({ grid, levels })) <= LIMITS.mapCodes, 'expected fewer codes');

/** What all parts of a dataset share. */
const cardShape = {
  codec: z.strictObject({ fingerprint: hash, name: z.string(), config: z.record(z.string(), z.unknown()) }),
  maps: z
    .array(mapSchema)
    .min(1)
    .max(64)
    .refine((maps) => new Set(maps.map((map) => map.name)).size === maps.length, 'expected each map name once'),
  classes: z.array(z.string()).optional(),
  source: z.string(),
  dataset: z.string(),
  shardSamples: z.int().min(1).max(LIMITS.partSamples),
  shardBytes: z.int().min(1).max(LIMITS.partBytes),
};

/** The first `count` lines of rejects.jsonl, with their line ends, and the sha256 of these bytes. */
const rejectsSchema = z.strictObject({ count: z.int().nonnegative(), sha256: hash });

const versionSchema = z.string().regex(/^\d+\.\d+$/);

const headerSchema = z.strictObject({
  format: z.literal('tesserae-shard'),
  version: versionSchema,
  part: z.int().nonnegative(),
  split: splitSchema,
  ...cardShape,
  crc32: z.int().nonnegative(),
});

const footerSchema = z.strictObject({
  part: z.int().nonnegative(),
  split: splitSchema,
  samples: z.int().min(1).max(LIMITS.partSamples),
  offsets: z.instanceof(Uint8Array),
  /** Parts of version 1.0 lack it; their header says the version. */
  rejects: rejectsSchema.optional(),
  start: z.int().nonnegative(),
  crc32: z.int().nonnegative(),
});

const partSchema = z.strictObject({
  file: z.string().regex(/^part-\d{5}\.msgpack$/, 'expected a name like part-00000.msgpack'),
  split: splitSchema,
  samples: z.int().positive(),
  bytes: z.int().positive(),
  sha256: hash,
});

const manifestSchema = z.strictObject({
  format: z.literal('tesserae-tokens'),
  version: versionSchema,
  ...cardShape,
  counts: z.strictObject({ train: z.int().nonnegative(), test: z.int().nonnegative() }),
  rejects: rejectsSchema,
  parts: z.array(partSchema).max(100_000),
  fingerprint: hash,
});

export type ShardMapSpec = z.infer<typeof mapSchema>;
export type ShardHeader = z.infer<typeof headerSchema>;
export type ShardFooter = z.infer<typeof footerSchema>;
export type ManifestPart = z.infer<typeof partSchema>;
export type RejectsMark = z.infer<typeof rejectsSchema>;
/** `manifest.json`: what the dataset is, and each part with its size and sha256. */
export type ShardManifest = z.infer<typeof manifestSchema>;

/** What a dataset of tokens is, as its maker says it. */
export interface ShardCard {
  codec: { fingerprint: string; name: string; config: Record<string, unknown> };
  /** An extent of -1 admits any: sounds of different lengths. */
  maps: readonly TokenMapSpec[];
  classes?: readonly string[];
  /** Where the media came from, in words or as a path. */
  source: string;
  /** Fingerprint of the dataset the media came from. */
  dataset: string;
}

/** The card with every default filled in, as it stands in headers and manifest. */
export type FullCard = Pick<
  ShardHeader,
  'codec' | 'maps' | 'classes' | 'source' | 'dataset' | 'shardSamples' | 'shardBytes'
>;

/** The element type of a map's ids on disk. */
export function dtypeOf(vocabSize: number): 'uint16' | 'uint32' {
  return vocabSize <= 65536 ? 'uint16' : 'uint32';
}

/** `part-00012.msgpack`. */
export function partName(part: number): string {
  return `part-${String(part).padStart(5, '0')}.msgpack`;
}

/** The number in a part's name, or `undefined` for another name. */
export function partNumber(name: string): number | undefined {
  const digits = /^part-(\d{5})\.msgpack$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Completes and checks a card before anything is written.
 *
 * @throws {UsageError} E_SHARD_CARD with the field that is wrong.
 */
export function fullCard(card: ShardCard, shardSamples: number, shardBytes: number): FullCard {
  const maps = card.maps.map(({ name, grid, levels, vocabSize }) => ({
    name,
    grid: [...grid],
    levels,
    vocabSize,
    dtype: dtypeOf(vocabSize),
  }));
  const { codec, source, dataset } = card;
  const classes = card.classes === undefined ? {} : { classes: [...card.classes] };
  const plain: unknown = JSON.parse(
    JSON.stringify({ codec, maps, ...classes, source, dataset, shardSamples, shardBytes }),
  );
  const result = z.strictObject(cardShape).safeParse(plain);
  if (!result.success)
    throw new UsageError('E_SHARD_CARD', `ShardWriter: expected a valid card, ${z.prettifyError(result.error)}.`);
  return result.data;
}

/** The shared fields of a header or manifest. */
export function cardOf(holder: FullCard): FullCard {
  const { codec, maps, classes, source, dataset, shardSamples, shardBytes } = holder;
  return { codec, maps, ...(classes === undefined ? {} : { classes }), source, dataset, shardSamples, shardBytes };
}

/** @throws {CorruptError} E_SHARD_HEADER, E_SHARD_VERSION. */
export function checkHeader(value: unknown, where: string): ShardHeader {
  refuseOtherVersion(value, where);
  return checked(headerSchema, value, 'E_SHARD_HEADER', `${where}: expected a shard header`);
}

/** @throws {CorruptError} E_SHARD_FOOTER. */
export function checkFooter(value: unknown, where: string): ShardFooter {
  return checked(footerSchema, value, 'E_SHARD_FOOTER', `${where}: expected a shard footer`);
}

/** @throws {CorruptError} E_MANIFEST, E_SHARD_VERSION. */
export function checkManifest(value: unknown, where: string): ShardManifest {
  refuseOtherVersion(value, where);
  return checked(manifestSchema, value, 'E_MANIFEST', `${where}: expected a token dataset's manifest`);
}

function checked<T>(schema: z.ZodType<T>, value: unknown, code: string, expectation: string): T {
  const result = schema.safeParse(value);
  if (!result.success) throw new CorruptError(code, `${expectation}, ${z.prettifyError(result.error)}.`);
  return result.data;
}

const MAJOR = Number.parseInt(SHARD_FORMAT_VERSION, 10);

/** Tokens of version 1 do not say which axes they have. Their codec, which lies beside them, makes them anew. */
function refuseOtherVersion(value: unknown, where: string): void {
  const { version, source } = (value ?? {}) as { version?: unknown; source?: unknown };
  const major = typeof version === 'string' ? Number.parseInt(version, 10) : Number.NaN;
  const found = `${where}: expected format ${SHARD_FORMAT_VERSION}, found ${String(version)}`;
  if (major > MAJOR)
    throw new CorruptError(
      'E_SHARD_VERSION',
      `${found}, which needs a Tesserae that reads format ${major}. Update Tesserae.`,
    );
  if (major < MAJOR)
    throw new CorruptError(
      'E_SHARD_VERSION',
      `${found}, whose maps do not say their axes. Tokenize again: tesserae tokenize --data ${typeof source === 'string' ? source : 'DATA'} --codec CODEC --out NEW (a copy of the codec is in the folder "codec" beside the shards).`,
    );
}
