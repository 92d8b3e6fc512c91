// Decodes token shards into a folder that is a dataset again.
import { dirname, join } from 'node:path';
import { SPLIT_CHOICES, expectOptions } from '../arguments.js';
import { AbortedError, CorruptError } from '../errors.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import type { Split, TokenSample } from '../interfaces/index.js';
import { fullMedium } from '../media/node.js';
import { openOutput } from '../output.js';
import { ShardReader } from '../shards/reader.js';
import { carriesCodec, noCodec } from './models.js';
import type { LoadedCodec } from './codec.js';
import { PICTURES_CARD, SAMPLES_CARD, writeSamplesCard } from './samples-card.js';
import { expectModelSource, withCodec } from './sources.js';
import type { CodecSource } from './sources.js';

export interface DecodeTokensOptions {
  /** Directory of the token dataset. */
  tokens: string;
  /** Default: the codec that the tokens carry. */
  codec?: CodecSource;
  /** Folder for `<split>/<key>.png` (or the extension of another medium) and `<split>/metadata.jsonl` with captions and labels. */
  out: string;
  /** Default `all`. */
  split?: Split | 'all';
  /** Decodes only the first samples of each split. */
  limit?: number;
  force?: boolean;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface DecodedTokens {
  out: string;
  /** Number of samples written. */
  samples: number;
  /** Name of the medium. */
  medium: string;
  /** Fingerprint of the codec. */
  codec: string;
}

/** Number of samples decoded together. */
const BATCH = 64;

/**
 * Decodes a token dataset. Memory does not grow with the dataset.
 *
 * @throws {UsageError} E_NO_CODEC without a codec to decode with, E_OUTPUT_EXISTS. @throws {CorruptError} E_CODEC_MISMATCH for
 *   another codec, E_SAMPLE_KEY for a key that would leave the folder. @throws {AbortedError}, {IoError}, {LockError}.
 */
export async function decodeTokens(options: DecodeTokensOptions): Promise<DecodedTokens> {
  expectOptions('decodeTokens', options, {
    paths: ['tokens', 'out'],
    whole: { limit: [1] },
    choices: { split: SPLIT_CHOICES },
  });
  const { split = 'all', limit = Infinity, out } = options;
  if (options.codec !== undefined) expectModelSource('decodeTokens: codec', options.codec, 'codec');
  return withCodec(options.codec ?? carryingTokens(options.tokens), {}, async (codec) => {
    const reader = await ShardReader.open(options.tokens, { codec: codec.fingerprint });
    const splits = (split === 'all' ? (['train', 'test'] as const) : [split]).map((name) => ({
      name,
      size: Math.min(reader.size(name), limit),
    }));
    const total = splits.reduce((sum, { size }) => sum + size, 0);
    const lock = openOutput(out, { force: options.force, owned: ['train', 'test', SAMPLES_CARD, PICTURES_CARD] });
    try {
      let done = 0;
      for (const { name, size } of splits) {
        const rows: string[] = [];
        for (let first = 0; first < size; first += BATCH) {
          if (options.signal?.aborted)
            throw new AbortedError(
              'E_ABORTED',
              `decode: stopped after ${done} of ${total} samples, which are in ${out}.`,
            );
          const samples = reader.readBatch(
            name,
            Array.from({ length: Math.min(BATCH, size - first) }, (_, i) => first + i),
          );
          rows.push(...(await writeBatch(join(out, name), samples, codec, reader.classes)));
          done += samples.length;
          options.onProgress?.(done, total);
        }
        if (rows.length > 0) writeFileAtomic(join(out, name, 'metadata.jsonl'), rows.join(''));
      }
      writeSamplesCard(out, {
        command: 'decode',
        medium: codec.kind,
        samples: done,
        codec: codec.fingerprint,
        tokens: reader.fingerprint,
      });
      return { out, samples: done, medium: codec.kind, codec: codec.fingerprint };
    } finally {
      lock.release();
      await reader.close();
    }
  });
}

/** @throws {UsageError} E_NO_CODEC unless the tokens carry their codec. */
function carryingTokens(tokens: string): string {
  if (!carriesCodec(tokens)) throw noCodec(tokens);
  return tokens;
}

/** Writes the files of some samples. @returns a line of metadata.jsonl for each sample. */
async function writeBatch(
  folder: string,
  samples: readonly TokenSample[],
  codec: LoadedCodec,
  classes: readonly string[] | undefined,
): Promise<string[]> {
  const { encode, extension } = fullMedium(codec.kind).files;
  const media = await codec.decode(samples.map(({ tokens }) => tokens));
  const files = await Promise.all(media.map((one) => encode(one)));
  return samples.map(({ key, captions, label }, i) => {
    const name = `${safeKey(key)}.${extension}`;
    createDirectory(dirname(join(folder, name)));
    writeFileAtomic(join(folder, name), files[i]!);
    const text = captions.length > 1 ? captions : captions[0];
    return `${JSON.stringify({ file_name: name, text, label: label === undefined ? undefined : (classes?.[label] ?? label) })}\n`;
  });
}

/** Checks a key, which is a path inside its dataset: it may contain folders, but nothing that leads out of the dataset. */
export function safeKey(key: string): string {
  const isSafe =
    key.split('/').every((part) => part !== '' && part !== '.' && part !== '..') &&
    !/[\\\p{Cc}]/u.test(key) &&
    !/^[A-Za-z]:/.test(key);
  if (!isSafe)
    throw new CorruptError(
      'E_SAMPLE_KEY',
      `sample ${JSON.stringify(key)}: expected a key that names a file inside the output, received one that does not. Nothing was written for it.`,
    );
  return key;
}
