// `pictures.json`: how the pictures of a folder were made. Other tools, and the dataset reader, pass over it.
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError } from '../errors.js';
import { canonicalJson, decodeUtf8, formatJson, parseJson } from '../json.js';
import { nodeFiles } from '../files/system.js';
import { sha256 } from '../hash.js';
import { writeFileAtomic } from '../files/commit.js';
import { readOwnFile } from '../snapshot.js';

export const PICTURES_CARD = 'pictures.json';
const CARD_LIMIT = 16 * 2 ** 20;

const cardSchema = z.strictObject({
  format: z.literal('tesserae-pictures'),
  version: z.literal('1.0'),
  command: z.enum(['generate', 'decode']),
  pictures: z.int().nonnegative(),
  /** Fingerprints of what they were made with and from. */
  codec: z.string(),
  prior: z.string().optional(),
  tokens: z.string().optional(),
  prompts: z.array(z.string()).optional(),
  /** Settings of the draw. */
  sampling: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  /** sha256 over the rest as JSON with sorted keys. */
  fingerprint: z.string(),
});

export type PicturesCard = z.infer<typeof cardSchema>;

/** Writes the card of a folder of pictures, its last file. */
export function writePicturesCard(
  directory: string,
  made: Omit<PicturesCard, 'format' | 'version' | 'fingerprint'>,
): void {
  const card = { format: 'tesserae-pictures' as const, version: '1.0' as const, ...made };
  const complete = cardSchema.parse({ ...card, fingerprint: sha256(canonicalJson(card)) });
  writeFileAtomic(join(directory, PICTURES_CARD), formatJson(complete));
}

export function hasPicturesCard(directory: string): boolean {
  return nodeFiles.status(join(directory, PICTURES_CARD)) !== undefined;
}

/** @throws {CorruptError} E_PICTURES_CARD, also for one that was changed. */
export function readPicturesCard(directory: string): PicturesCard {
  const path = join(directory, PICTURES_CARD);
  const refuse = (found: string, options?: ErrorOptions): never => {
    throw new CorruptError(
      'E_PICTURES_CARD',
      `${path}: expected how these pictures were made, ${found}. Delete it to inspect the folder as a dataset.`,
      options,
    );
  };
  const text = decodeUtf8(readOwnFile(path, 'E_PICTURES_CARD', { limit: CARD_LIMIT }), path);
  const value = parseJson(text, path);
  const result = cardSchema.safeParse(value);
  if (!result.success) return refuse(z.prettifyError(result.error));
  const { fingerprint, ...made } = result.data;
  if (sha256(canonicalJson(made)) !== fingerprint || formatJson(value) !== text)
    return refuse('it was changed: its fingerprint stands for another text');
  return result.data;
}
