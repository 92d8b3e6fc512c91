// Tokenizes a dataset: from media on disk to token shards.
import { expectOptions } from '../arguments.js';
import type { StoredModel } from '../checkpoint/card.js';
import { withVariants } from '../data/variants.js';
import { defaultThreads } from '../engine/index.js';
import { AbortedError, CorruptError, InputError, UsageError } from '../errors.js';
import type { Dataset, Split } from '../interfaces/index.js';
import { ShardWriter } from '../shards/writer.js';
import type { ShardManifest } from '../shards/format.js';
import type { SampleReject } from '../shards/rejects.js';
import { dataOptionsFor, sourceText, withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { openEncoderPool, takesAnyExtent } from './encoder-pool.js';
import type { EncoderPool } from './encoder-pool.js';
import { BATCH } from './encoder.js';
import type { Encoded } from './encoder.js';
import { SampleFeed } from './in-flight.js';
import { carryCodec, CODEC_FOLDER } from './models.js';
import { codecFiles, expectModelSource, sourceName } from './sources.js';
import type { CodecSource } from './sources.js';

export interface TokenizeOptions extends DataOptions {
  data: DataSource;
  codec: CodecSource;
  /** Directory of the token dataset. */
  out: string;
  /** Threads that decode and encode side by side; 0 or 1 works in this thread. The bytes written do not depend on it. Default: one for each core, at most 8. */
  workers?: number;
  /** Number of augmented variants of each training sample. The first is the unchanged sample. Needs `flip` or `crop`. Default 1. */
  variants?: number;
  /** Mirrors every second variant along its last axis: images left to right. Do not use it where direction matters, as in lettering. */
  flip?: boolean;
  /** Shifts variants by up to this many positions of the codec along each axis. */
  crop?: number;
  /** Seed of the random shifts. Default 0. */
  seed?: number;
  resume?: boolean;
  force?: boolean;
  /** Leaves out files that cannot be used and samples that cannot be decoded, and lists them in `rejects.jsonl`. Without it, the first one ends the job. */
  skipBad?: boolean;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  onReject?: (error: InputError, key: string) => void;
}

export interface TokenizeResult {
  /** Samples written. */
  samples: Record<Split, number>;
  rejected: number;
  out: string;
  manifest: ShardManifest;
}

const SPLITS = ['train', 'test'] as const;

/**
 * Tokenizes both splits of a dataset. The directory contains a copy of the codec, so that it can be decoded on its own.
 *
 * @throws {InputError} naming the first bad sample, unless `skipBad`; what was committed before it stays for `resume`.
 * @throws {AbortedError} E_ABORTED when the signal fires. @throws {UsageError} E_NO_CODES. @throws {CorruptError}, {IoError}, {LockError}.
 */
export async function tokenize(options: TokenizeOptions): Promise<TokenizeResult> {
  expectOptions('tokenize', options, {
    paths: ['out'],
    whole: {
      workers: [0, 256],
      variants: [1, 1e6],
      crop: [0, 1e6],
      seed: [0],
      limit: [1],
    },
  });
  expectModelSource('tokenize: codec', options.codec, 'codec');
  const stored = codecFiles(options.codec);
  if (stored.card.maps?.length === 0)
    throw new UsageError(
      'E_NO_CODES',
      `tokenize: ${sourceName(options.codec)}: expected a codec with codes, received ${stored.card.name}, whose latents are continuous. Train one with a quantizer.`,
    );
  // The workers load while the dataset is indexed.
  const pool = openEncoderPool(stored, options.workers ?? Math.min(8, defaultThreads()), options.signal);
  try {
    const { variants: count = 1, flip, crop, seed = 0 } = options;
    return await withDataset(options.data, dataOptionsFor(stored, options), (dataset) =>
      tokenizeDataset(withVariants(dataset, { count, flip, crop, seed }), stored, pool, options),
    );
  } finally {
    await pool.close();
  }
}

async function tokenizeDataset(
  dataset: Dataset,
  stored: StoredModel,
  pool: EncoderPool,
  options: TokenizeOptions,
): Promise<TokenizeResult> {
  const { fingerprint, name, config, maps } = stored.card;
  const card = {
    codec: { fingerprint, name, config },
    // Extents of -1 differ between samples.
    maps: takesAnyExtent(stored) ? maps!.map((map) => ({ ...map, grid: map.grid.map(() => -1) })) : maps!,
    classes: dataset.classes,
    source: sourceText(options.data),
    dataset: dataset.fingerprint,
  };
  const writer = await ShardWriter.open(options.out, card, {
    resume: options.resume,
    force: options.force,
    owned: [CODEC_FOLDER],
  });
  try {
    carryCodec(options.out, stored);
    return await new Tokenizing(dataset, pool, writer, options).run();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

class Tokenizing {
  private readonly total: number;
  private readonly feed: SampleFeed;
  private seen = 0;

  constructor(
    private readonly dataset: Dataset,
    private readonly pool: EncoderPool,
    private readonly writer: ShardWriter,
    private readonly options: TokenizeOptions,
  ) {
    this.total = dataset.size('train') + dataset.size('test');
    this.feed = new SampleFeed(dataset);
  }

  async run(): Promise<TokenizeResult> {
    await this.rejectFiles();
    for (const split of SPLITS) await this.split(split);
    const samples = { ...this.writer.done };
    return { samples, rejected: this.writer.rejected, out: this.options.out, manifest: await this.writer.close() };
  }

  /** Lists files that could not be used when the dataset was opened, before all samples. A resumed run has listed them already. */
  private async rejectFiles(): Promise<void> {
    const isBegun = this.writer.rejected > 0 || SPLITS.some((split) => this.writer.seen(split) > 0);
    if (!isBegun) for (const reject of this.dataset.summary?.bad ?? []) await this.writer.reject(reject);
  }

  /** Encodes a split from where an interrupted run stopped. Several batches are in progress at once, and are written in order. */
  private async split(split: Split): Promise<void> {
    const size = this.dataset.size(split);
    const start = this.writer.seen(split);
    if (start > size)
      throw new CorruptError(
        'E_SHARD_MISMATCH',
        `${this.options.out}: expected tokens of at most ${size} ${split} samples, found ${start}. Start again with --force.`,
      );
    this.seen += start;
    const queue: Promise<{ first: number; encoded: Encoded[] }>[] = [];
    // Batches begin at multiples of their size, so that a resumed run forms the same batches.
    let next = start - (start % BATCH);
    const schedule = (): void => {
      for (; queue.length < this.pool.depth && next < size; next += BATCH) {
        const job = this.encode(split, next, Math.min(BATCH, size - next));
        job.catch(() => undefined);
        queue.push(job);
      }
    };
    try {
      for (schedule(); queue.length > 0; schedule()) {
        const { first, encoded } = await queue.shift()!;
        await this.write(split, first, encoded, start);
        if (this.options.signal?.aborted)
          throw new AbortedError(
            'E_ABORTED',
            `tokenize: stopped after ${this.seen} of ${this.total} samples; whole parts are kept. Continue with --resume.`,
          );
      }
    } catch (error) {
      this.feed.stop();
      throw error;
    } finally {
      await Promise.allSettled(queue);
    }
  }

  private async encode(split: Split, first: number, count: number): Promise<{ first: number; encoded: Encoded[] }> {
    return { first, encoded: await this.pool.encode(this.feed.batch(split, first, count)) };
  }

  private async write(split: Split, first: number, encoded: readonly Encoded[], start: number): Promise<void> {
    for (const [i, one] of encoded.entries()) {
      const index = first + i;
      if (index < start) continue;
      if ('error' in one) await this.reject({ split, index, key: one.key, error: one.error.message }, one.error);
      else {
        const { captions, label } = this.dataset.describe(split, index);
        await this.writer.append(split, { key: one.key, tokens: one.tokens, captions, label });
      }
      this.seen++;
    }
    this.options.onProgress?.(this.seen, this.total);
  }

  private async reject(reject: SampleReject, error: InputError): Promise<void> {
    if (!this.options.skipBad) {
      throw new InputError(
        error.code,
        `${error.detail} Nothing past it was written; --skip-bad leaves such samples out, with --resume from here on.`,
        { cause: error },
      );
    }
    await this.writer.reject(reject);
    this.options.onReject?.(error, reject.key);
  }
}
