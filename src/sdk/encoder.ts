// Decoding and encoding of a batch of samples, in this thread or in a worker's.
import { InputError } from '../errors.js';
import { decodeSample } from '../data/open.js';
import type { Image, RawSample, Tokenizer, Tokens } from '../interfaces/index.js';

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
  const tokens = images.length > 0 ? await codec.encode(images) : [];
  let next = 0;
  return decoded.map((one, i) => ('image' in one ? { key: batch[i]!.key, tokens: tokens[next++]! } : { key: batch[i]!.key, error: one.error }));
}
