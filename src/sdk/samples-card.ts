// `samples.json`: how the samples of a folder were made. Other tools and the dataset reader ignore it.
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError } from '../errors.js';
import { canonicalJson, decodeUtf8, formatJson, parseJson } from '../json.js';
import { nodeFiles } from '../files/system.js';
import { sha256 } from '../hash.js';
import { writeFileAtomic } from '../files/commit.js';
import { readOwnFile } from '../snapshot.js';

export const SAMPLES_CARD = 'samples.json';
/** The name of cards of format 1.0, which knew images only. */
export const PICTURES_CARD = 'pictures.json';
const CARD_LIMIT = 16 * 2 ** 20;

const made = {
  command: z.enum(['generate', 'decode']),
  /** Fingerprints of what the samples were made with and from. */
  codec: z.string(),
  prior: z.string().optional(),
  tokens: z.string().optional(),
  prompts: z.array(z.string()).optional(),
  /** Sampling options. */
  sampling: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  /** sha256 over the rest as JSON with sorted keys. */
  fingerprint: z.string(),
};

const cardSchema = z.strictObject({
  format: z.literal('tesserae-samples'),
  version: z.literal('2.0'),
  /** Name of the medium. */
  medium: z.string(),
  /** Number of samples. */
  samples: z.int().nonnegative(),
  ...made,
});

const picturesSchema = z.strictObject({
  format: z.literal('tesserae-pictures'),
  version: z.literal('1.0'),
  pictures: z.int().nonnegative(),
  ...made,
});

export type SamplesCard = z.infer<typeof cardSchema>;

/** What is known of how the samples of a folder were made. */
export type SamplesMade = Omit<SamplesCard, 'format' | 'version' | 'fingerprint'>;

/** Writes the card of a folder of samples, as its last file. */
export function writeSamplesCard(directory: string, card: SamplesMade): void {
  const content = { format: 'tesserae-samples' as const, version: '2.0' as const, ...card };
  const complete = cardSchema.parse({ ...content, fingerprint: sha256(canonicalJson(content)) });
  writeFileAtomic(join(directory, SAMPLES_CARD), formatJson(complete));
}

export function hasSamplesCard(directory: string): boolean {
  return nameOf(directory) !== undefined;
}

function nameOf(directory: string): string | undefined {
  return [SAMPLES_CARD, PICTURES_CARD].find((name) => nodeFiles.status(join(directory, name)) !== undefined);
}

/**
 * Reads the card of a folder; cards of format 1.0 too.
 *
 * @throws {CorruptError} E_SAMPLES_CARD, also for a card that was changed.
 */
export function readSamplesCard(directory: string): SamplesCard {
  const path = join(directory, nameOf(directory) ?? SAMPLES_CARD);
  const refuse = (found: string, options?: ErrorOptions): never => {
    throw new CorruptError(
      'E_SAMPLES_CARD',
      `${path}: expected how these samples were made, ${found}. Delete it to inspect the folder as a dataset.`,
      options,
    );
  };
  const text = decodeUtf8(readOwnFile(path, 'E_SAMPLES_CARD', { limit: CARD_LIMIT }), path);
  const value = parseJson(text, path);
  const result = z.union([cardSchema, picturesSchema]).safeParse(value);
  if (!result.success) return refuse(z.prettifyError(result.error));
  const { fingerprint, ...content } = result.data;
  if (sha256(canonicalJson(content)) !== fingerprint || formatJson(value) !== text)
    return refuse('it was changed: its fingerprint stands for another text');
  if (result.data.format === 'tesserae-samples') return result.data;
  const { format: _format, version: _version, pictures, ...rest } = result.data;
  return { format: 'tesserae-samples', version: '2.0', medium: 'image', samples: pictures, ...rest };
}
