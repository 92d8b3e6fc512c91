// Batches of decoded samples. Training batches depend only on (seed, step), so a resumed run reads the same batches as
// an uninterrupted one. Decoding runs ahead of the consumer on libuv's threads.
import { AbortedError, InputError, UsageError, type TesseraeError } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import type { Media } from '../interfaces/media.js';
import type { AnyMedium } from '../media/medium.js';
import { permutation } from '../rng.js';
import { sizeOf } from '../shape.js';
import { augment, centerCrop, randomCrop, type AugmentKey, type AugmentOptions } from './augment.js';
import { mapLimit, PARALLEL } from './concurrency.js';
import { decodeSample } from './decode.js';

/** Decoded samples of one shape, ready for a codec. */
export interface Batch {
  /** Training step or, in an evaluation, number of the batch; starts at 0. */
  step: number;
  /** Number of samples in the batch. Further rows of `values` are padding (evaluation only). */
  count: number;
  keys: string[];
  /** float32 [B, ...axes, channels], about [-1, 1]. */
  values: Float32Array;
  captions: string[][];
  /** int32 [count]; -1 for a sample without a label. */
  labels: Int32Array;
  /** int32 [count]; index of each sample in its split. */
  indices: Int32Array;
}

/** A sample that could not be read or decoded. */
export interface BadSample {
  key: string;
  split: Split;
  index: number;
}

/** What the samples of a batch are brought to. */
export interface BatchInput {
  medium: AnyMedium;
  /**
   * What the codec sees, in the medium's terms. If samples keep their extent, a piece of its shape is cropped: at a random
   * position by seed and epoch for training, and at the center for evaluation.
   */
  input: unknown;
}

export interface BatchOptions extends BatchInput {
  batchSize: number;
  /** Number of batches prepared in advance. Default 2. */
  prefetch?: number;
  /**
   * Called once for each sample that cannot be used. The sample is skipped; in training, the next usable sample in
   * dataset order replaces it. Without this callback, the first bad sample ends the iteration with its error.
   */
  onBad?: (error: TesseraeError, sample: BadSample) => void;
  /** Cache of decoded samples, which iterations may share. Default: a cache of 256 MiB for this iteration. */
  cache?: SampleCache;
  signal?: AbortSignal;
}

export interface TrainBatchOptions extends BatchOptions {
  seed: number;
  /** First step to produce. Default 0. */
  startStep?: number;
  /** Default: no augmentation. */
  augment?: AugmentOptions;
  /** Default `train`. */
  split?: Split;
}

export interface EvalBatchOptions extends BatchOptions {
  /** Pads the last batch to `batchSize` rows with zeros, so that it fits a compiled graph. Default false. */
  pad?: boolean;
  /** Maximum number of samples. Default: all. */
  limit?: number;
}

/** Bytes of decoded samples that are kept by default. */
export const CACHE_BYTES = 256 * 2 ** 20;

/**
 * Caches decoded samples, up to a number of bytes. Nothing is evicted: every epoch reads every sample once, so eviction
 * would remove exactly what is needed next.
 */
export class SampleCache {
  private readonly samples = new Map<string, Media>();
  private used = 0;

  constructor(readonly maxBytes: number = CACHE_BYTES) {}

  get bytes(): number {
    return this.used;
  }

  get(key: string): Media | undefined {
    return this.samples.get(key);
  }

  add(key: string, media: Media, { medium, input }: BatchInput): void {
    const { data, shape } = medium.samplesOf(media);
    if (this.used + data.byteLength > this.maxBytes || this.samples.has(key)) return;
    // A view into a larger buffer would keep the whole buffer alive.
    const isView = data.byteLength < data.buffer.byteLength;
    this.samples.set(key, isView ? medium.create({ data: data.slice(), shape }, input, medium.info(media)) : media);
    this.used += data.byteLength;
  }
}

/**
 * Yields endless batches for training, from `startStep` on. Each epoch is a permutation determined by (seed, epoch).
 * Batches continue across the end of an epoch, so no batch is short and every sample is seen once per epoch.
 *
 * @throws {UsageError} E_DATA_OPTIONS.
 * @throws {InputError} E_DATA_EMPTY when the split has no samples, E_DATA_ALL_BAD when none of them is usable; without
 *   `onBad`, the error of the first bad sample.
 */
export function trainBatches(dataset: Dataset, options: TrainBatchOptions): AsyncGenerator<Batch, void, undefined> {
  const { batchSize, seed, startStep = 0, split = 'train' } = options;
  checkBatchOptions(options, dataset, split);
  const loader = new Loader(dataset, split, options);
  const order = new EpochOrder(dataset.size(split), seed);
  const produce = async (step: number): Promise<Batch> => {
    const places = Array.from({ length: batchSize }, (_, i) => order.at(step * batchSize + i));
    const rows = await mapLimit(places, PARALLEL, ({ index, epoch }) => loader.loadOrNext(index, epoch, seed));
    return loader.assemble(step, rows, batchSize);
  };
  return prefetched(startStep, Number.POSITIVE_INFINITY, produce, options);
}

/**
 * Yields every sample of a split once, in order. The last batch may be short, or padded with `pad`. Samples reported to
 * `onBad` are missing from their batch.
 *
 * @throws The errors of {@link trainBatches}, except that an empty split yields no batch.
 */
export function evalBatches(
  dataset: Dataset,
  split: Split,
  options: EvalBatchOptions,
): AsyncGenerator<Batch, void, undefined> {
  const { batchSize, pad = false, limit = Number.POSITIVE_INFINITY } = options;
  checkBatchOptions(options);
  const loader = new Loader(dataset, split, options);
  const size = Math.min(dataset.size(split), limit);
  const produce = async (step: number): Promise<Batch> => {
    const first = step * batchSize;
    const indices = Array.from({ length: Math.min(batchSize, size - first) }, (_, i) => first + i);
    const rows = await mapLimit(indices, PARALLEL, (index) => loader.load(index));
    const good = rows.filter((row) => row !== undefined);
    return loader.assemble(step, good, pad ? batchSize : good.length);
  };
  return prefetched(0, Math.ceil(size / batchSize), produce, options);
}

/** The order in which training visits samples. */
class EpochOrder {
  private readonly epochs = new Map<number, Uint32Array>();

  constructor(
    private readonly size: number,
    private readonly seed: number,
  ) {}

  at(position: number): { index: number; epoch: number } {
    const epoch = Math.floor(position / this.size);
    return { index: this.order(epoch)[position % this.size]!, epoch };
  }

  private order(epoch: number): Uint32Array {
    const known = this.epochs.get(epoch);
    if (known) return known;
    const order = permutation(this.size, this.seed, 'data/order', epoch);
    this.epochs.set(epoch, order);
    for (const old of this.epochs.keys()) if (old < epoch - 1) this.epochs.delete(old);
    return order;
  }
}

/** One decoded sample in the shape of the batch. */
interface Row {
  index: number;
  key: string;
  captions: string[];
  label?: number;
  media: Media;
}

/** Reads, decodes and caches the samples of a split. */
class Loader {
  private readonly cache: SampleCache;
  private readonly bad = new Set<number>();
  private readonly cachePrefix: string;
  /** Shape [...axes, channels] of a sample in the batch. */
  private readonly itemShape: number[];

  constructor(
    private readonly dataset: Dataset,
    private readonly split: Split,
    private readonly options: BatchOptions & { augment?: AugmentOptions },
  ) {
    const { medium, input, cache } = options;
    this.cache = cache ?? new SampleCache();
    this.itemShape = medium.itemShape(input);
    this.cachePrefix = JSON.stringify([dataset.fingerprint, split, medium.name, input]);
  }

  /**
   * Loads a sample, augmented if there is a key. Returns undefined if the sample is bad and was reported to `onBad`.
   */
  async load(index: number, key?: AugmentKey): Promise<Row | undefined> {
    if (this.bad.has(index)) return undefined;
    try {
      return {
        index,
        ...this.dataset.describe(this.split, index),
        media: this.framed(await this.decoded(index), key),
      };
    } catch (error) {
      this.report(error, index);
      return undefined;
    }
  }

  /** Loads an augmented sample, or the next usable one in dataset order if it is bad. */
  async loadOrNext(index: number, epoch: number, seed: number): Promise<Row> {
    const size = this.dataset.size(this.split);
    for (let tried = 0; tried < size; tried++) {
      const row = await this.load((index + tried) % size, { seed, epoch, index });
      if (row) return row;
    }
    throw new InputError(
      'E_DATA_ALL_BAD',
      `${this.dataset.source}: expected a usable sample in ${this.split}, found that all ${size} are bad.`,
    );
  }

  /** @param rows At most B samples; the rest of [B, ...axes, channels] stays zero. */
  assemble(step: number, rows: readonly Row[], batchSize: number): Batch {
    const { medium } = this.options;
    const length = sizeOf(this.itemShape);
    const values = new Float32Array(batchSize * length);
    rows.forEach(({ media }, i) => medium.toFloats(medium.samplesOf(media).data, values, i * length));
    return {
      step,
      count: rows.length,
      keys: rows.map((row) => row.key),
      values,
      captions: rows.map((row) => row.captions),
      labels: Int32Array.from(rows, (row) => row.label ?? -1),
      indices: Int32Array.from(rows, (row) => row.index),
    };
  }

  /** Brings a sample to the batch's shape, and augments it if there is a key. */
  private framed(media: Media, key: AugmentKey | undefined): Media {
    const { augment: how, medium, input } = this.options;
    const extent = this.itemShape.slice(0, -1);
    const isWhole = !medium.keepsExtent(input);
    if (!key) return isWhole ? media : centerCrop({ media, medium, input }, extent);
    const piece = isWhole ? media : randomCrop({ media, medium, input }, extent, key);
    return how ? augment({ media: piece, medium, input }, how, key) : piece;
  }

  private async decoded(index: number): Promise<Media> {
    const key = `${this.cachePrefix}${index}`;
    const known = this.cache.get(key);
    if (known) return known;
    const { medium, input } = this.options;
    const { media } = await decodeSample(await this.dataset.read(this.split, index), medium, input);
    this.cache.add(key, media, { medium, input });
    return media;
  }

  /** Reports or throws bad input. Anything else is a bug or a disk error and is always thrown. */
  private report(error: unknown, index: number): void {
    const { onBad } = this.options;
    if (!(error instanceof InputError)) throw error;
    if (!onBad)
      throw new InputError(error.code, `${error.detail} --skip-bad leaves such samples out.`, { cause: error });
    if (this.bad.has(index)) return;
    this.bad.add(index);
    onBad(error, { key: this.dataset.describe(this.split, index).key, split: this.split, index });
  }
}

/** Yields batches in order and produces up to `prefetch` of them in advance, one at a time. */
async function* prefetched(
  first: number,
  end: number,
  produce: (step: number) => Promise<Batch>,
  { prefetch = 2, signal }: BatchOptions,
): AsyncGenerator<Batch, void, undefined> {
  const queue: Array<Promise<Batch>> = [];
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;
  const start = (step: number): void => {
    const batch = last.then(() => {
      if (stopped) throw new Error('the consumer has left');
      return produce(step);
    });
    last = batch;
    // A failure is thrown when its batch is due, or never if the consumer stops earlier.
    batch.catch(() => undefined);
    queue.push(batch);
  };
  try {
    for (let step = first; step < end; step++) {
      for (let later = step + queue.length; later <= step + prefetch && later < end; later++) start(later);
      if (signal?.aborted) throw new AbortedError('E_ABORTED', 'reading data: stopped on request.');
      yield await queue.shift()!;
    }
  } finally {
    stopped = true;
    await Promise.allSettled(queue);
  }
}

function checkBatchOptions(
  options: BatchOptions & { startStep?: number },
  dataset?: Dataset,
  split: Split = 'train',
): void {
  const { batchSize, prefetch = 2, startStep = 0 } = options;
  const counts: Array<[string, number, number]> = [
    ['batchSize', batchSize, 1],
    ['prefetch', prefetch, 0],
    ['startStep', startStep, 0],
  ];
  for (const [name, value, least] of counts) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new UsageError(
        'E_DATA_OPTIONS',
        `${name}: expected a whole number of at least ${least}, received ${value}.`,
      );
    }
  }
  if (dataset && dataset.size(split) === 0) {
    throw new InputError('E_DATA_EMPTY', `${dataset.source}: expected samples in the ${split} split, found none.`);
  }
}
