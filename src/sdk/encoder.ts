// Decoding and encoding of a batch of samples, in this thread or in a worker's.
import { InputError } from '../errors.js';
import { decodeSample } from '../data/open.js';
import type { Image, RawSample, Tokenizer, Tokens } from '../interfaces/index.js';

/** Samples encoded together. Fixed, so that ids do not depend on how the work is shared out. */
export const BATCH = 64;

/** A sample's tokens, or why it has none. */
export type Encoded = { key: string; tokens: Tokens } | { key: string; error: InputError };

/** Decodes each sample at its own size. Only unusable input is reported; anything else is thrown. */
export async function decodeBatch(batch: readonly RawSample[]): Promise<({ image: Image } | { error: InputError })[]> {
  return Promise.all(
    batch.map(async (raw) => {
      try {
        return { image: (await decodeSample(raw)).image };
      } catch (error) {
        if (error instanceof InputError) return { error };
        throw error;
      }
    }),
  );
}

/** Encodes what decoded. Tokens depend on the batch's samples alone, not on who encodes it. */
export async function encodeBatch(codec: Tokenizer, batch: readonly RawSample[], decoded: Awaited<ReturnType<typeof decodeBatch>>): Promise<Encoded[]> {
  const images = decoded.flatMap((one) => ('image' in one ? [one.image] : []));
  // Short batches are filled up: a graph for another size would take longer to build than the copies take to encode.
  const filled = images.length > 0 ? Array.from({ length: BATCH }, (_, i) => images[Math.min(i, images.length - 1)]!) : [];
  const tokens = await codec.encode(filled);
  let next = 0;
  return decoded.map((one, i) => ('image' in one ? { key: batch[i]!.key, tokens: tokens[next++]! } : { key: batch[i]!.key, error: one.error }));
}
