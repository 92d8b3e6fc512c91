// Decodes and encodes a batch of samples, in this thread or in a worker.
import { InputError } from '../errors.js';
import { decodeSample } from '../data/decode.js';
import type { DecodedSample } from '../data/decode.js';
import type { BatchInput } from '../data/batches.js';
import type { RawSample, Tokens } from '../interfaces/index.js';
import type { Fitted } from '../codec/encode.js';
import type { Piece } from './in-flight.js';

/** Number of samples encoded together. It is fixed, so that ids do not depend on how the work is distributed. */
export const BATCH = 64;

interface Bad {
  key: string;
  error: InputError;
}

/** The tokens of a sample, or the reason why it has none. */
export type Encoded = { key: string; tokens: Tokens } | Bad;

/** Decodes each sample to what the codec sees. Only unusable input is reported; anything else is thrown. */
export async function decodeBatch(
  { medium, input }: BatchInput,
  batch: readonly RawSample[],
): Promise<(DecodedSample | Bad)[]> {
  return Promise.all(
    batch.map(async (raw) => {
      try {
        return await decodeSample(raw, medium, input);
      } catch (error) {
        if (error instanceof InputError) return { key: raw.key, error };
        throw error;
      }
    }),
  );
}

/** Decodes pieces as they arrive. Each is released when it is decoded. */
export async function decodePieces(
  input: BatchInput,
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
): Promise<(DecodedSample | Bad)[]> {
  const parts: Promise<(DecodedSample | Bad)[]>[] = [];
  for await (const { samples, release } of pieces) {
    const part = decodeBatch(input, samples);
    part.then(release, release);
    parts.push(part);
  }
  return (await Promise.all(parts)).flat();
}

/** Encodes the samples that could be decoded. Tokens depend on the samples of the batch alone, not on the thread. */
export async function encodeBatch(
  decoded: readonly (DecodedSample | Bad)[],
  encode: (fitted: readonly Fitted[]) => Promise<Tokens[]>,
): Promise<Encoded[]> {
  const good = decoded.filter((one) => 'media' in one);
  // Short batches are filled up: a graph for another size would take longer to build than the copies take to encode.
  const filled =
    good.length > 0 ? Array.from({ length: BATCH }, (_, i) => fittedOf(good[Math.min(i, good.length - 1)]!)) : [];
  const tokens = await encode(filled);
  let next = 0;
  return decoded.map((one) => ('media' in one ? { key: one.key, tokens: tokens[next++]! } : one));
}

const fittedOf = ({ media, original }: DecodedSample): Fitted => ({ media, original });

/** Encodes samples that keep their extent, one after another. Two of them are in memory at a time. */
export async function encodeSingly(
  input: BatchInput,
  pieces: AsyncIterable<Piece> | Iterable<Piece>,
  encode: (fitted: readonly Fitted[]) => Promise<Tokens[]>,
): Promise<Encoded[]> {
  const encoded: Encoded[] = [];
  let ahead: Promise<(DecodedSample | Bad)[]> | undefined;
  const finish = async (decoding: typeof ahead): Promise<void> => {
    const [decoded] = (await decoding) ?? [];
    if (decoded === undefined) return;
    if (!('media' in decoded)) encoded.push(decoded);
    else encoded.push({ key: decoded.key, tokens: (await encode([fittedOf(decoded)]))[0]! });
  };
  for await (const { samples, release } of pieces) {
    for (const sample of samples) {
      const before = ahead;
      ahead = decodeBatch(input, [sample]);
      // A failure is reported in its turn.
      ahead.catch(() => undefined);
      await finish(before);
    }
    void ahead?.then(release, release);
  }
  await finish(ahead);
  return encoded;
}
