// `pictures.json`: how the pictures of a folder were made. Other tools, and the dataset reader, pass over it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CorruptError } from '../errors.js';
import { canonicalJson, formatJson, readJson, sha256, writeFileAtomic } from '../files.js';

export const PICTURES_CARD = 'pictures.json';

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
export function writePicturesCard(directory: string, made: Omit<PicturesCard, 'format' | 'version' | 'fingerprint'>): void {
  const card = { format: 'tesserae-pictures' as const, version: '1.0' as const, ...made };
  const complete = cardSchema.parse({ ...card, fingerprint: sha256(canonicalJson(card)) });
  writeFileAtomic(join(directory, PICTURES_CARD), formatJson(complete));
}

export function hasPicturesCard(directory: string): boolean {
  return existsSync(join(directory, PICTURES_CARD));
}

/** @throws {CorruptError} E_PICTURES_CARD. */
export function readPicturesCard(directory: string): PicturesCard {
  const path = join(directory, PICTURES_CARD);
  const result = cardSchema.safeParse(readJson(path));
  if (!result.success) throw new CorruptError('E_PICTURES_CARD', `${path}: expected how these pictures were made, ${z.prettifyError(result.error)}. Delete it to inspect the folder as a dataset.`);
  return result.data;
}
