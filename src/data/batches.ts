// Batches of decoded images. Training batches depend only on (seed, step), so a resumed run reads the same batches as
// an uninterrupted one. Decoding runs ahead of the consumer on libuv's threads.
import { AbortedError, InputError, UsageError, type TesseraeError } from '../errors.js';
import type { Dataset, Split } from '../interfaces/dataset.js';
import type { Image, ImageInput } from '../interfaces/media.js';
import { pixelsToFloat32 } from '../media/image/pixels.js';
import { type DecodeOptions } from '../media/image/fit.js';
import { permutation } from '../rng.js';
import { augment, centerCrop, randomCrop, type AugmentKey, type AugmentOptions } from './augment.js';
import { mapLimit, PARALLEL } from './concurrency.js';
import { decodeSample } from './decode.js';

/** Decoded images of one size, ready for a codec. */
export interface Batch {
  /** Training step or, in an evaluation, number of the batch; starts at 0. */
  step: number;
  /** Number of samples in the batch. Further rows of `pixels` are padding (evaluation only). */
  count: number;
  keys: string[];
  /** float32 [B, H, W, C] in [-1, 1]. */
  pixels: Float32Array;
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

export interface BatchOptions extends Omit<DecodeOptions, 'size' | 'resize'> {
  batchSize: number;
  /** Size of every image in the batch. */
  size: { width: number; height: number };
  /**
   * How images of other sizes are resized. Default `cover`. With `none`, a piece of that size is cropped: at a random
   * position by seed and epoch for training, and at the center for evaluation.
   */
  resize?: ImageInput['resize'];
  /** Number of batches prepared in advance. Default 2. */
  prefetch?: number;
  /**
   * Called once for each sample that cannot be used. The sample is skipped; in training, the next usable sample in
   * dataset order replaces it. Without this callback, the first bad sample ends the iteration with its error.
   */
  onBad?: (error: TesseraeError, sample: BadSample) => void;
  /** Cache of decoded images, which iterations may share. Default: a cache of 256 MiB for this iteration. */
  cache?: PixelCache;
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

export const DEFAULT_CACHE_BYTES = 256 * 2 ** 20;

/**
 * Caches decoded pixels by sample, up to a number of bytes. Nothing is evicted: every epoch reads every sample once, so
 * eviction would remove exactly what is needed next.
 */
export class PixelCache {
  private readonly images = new Map<string, Image>();
  private used = 0;

  constructor(readonly maxBytes: number = DEFAULT_CACHE_BYTES) {}

  get bytes(): number {
    return this.used;
  }

  get(key: string): Image | undefined {
    return this.images.get(key);
  }

  add(key: string, image: Image): void {
    const { pixels } = image;
    if (this.used + pixels.length > this.maxBytes || this.images.has(key)) return;
    // A view into a larger buffer would keep the whole buffer alive.
    this.images.set(
      key,
      pixels.byteLength < pixels.buffer.byteLength ? { ...image, pixels: Uint8Array.from(pixels) } : image,
    );
    this.used += pixels.length;
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

/** One decoded sample at the batch's image size. */
interface Row {
  index: number;
  key: string;
  captions: string[];
  label?: number;
  pixels: Uint8Array;
}

/** Reads, decodes and caches the samples of a split. */
class Loader {
  private readonly cache: PixelCache;
  private readonly bad = new Set<number>();
  private readonly cachePrefix: string;

  constructor(
    private readonly dataset: Dataset,
    private readonly split: Split,
    private readonly options: BatchOptions & { augment?: AugmentOptions },
  ) {
    this.cache = options.cache ?? new PixelCache();
    const { size, channels = 3, background, resize, kernel, maxPixels } = options;
    this.cachePrefix = JSON.stringify([
      dataset.fingerprint,
      split,
      size.width,
      size.height,
      channels,
      background,
      resize,
      kernel,
      maxPixels,
    ]);
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
        pixels: this.framed(await this.image(index), key).pixels,
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

  /** @param rows At most B samples; the rest of [B, H, W, C] stays zero. */
  assemble(step: number, rows: readonly Row[], batchSize: number): Batch {
    const { size, channels = 3 } = this.options;
    const length = size.height * size.width * channels;
    const pixels = new Float32Array(batchSize * length);
    rows.forEach((row, i) => pixelsToFloat32(row.pixels, pixels, i * length));
    return {
      step,
      count: rows.length,
      keys: rows.map((row) => row.key),
      pixels,
      captions: rows.map((row) => row.captions),
      labels: Int32Array.from(rows, (row) => row.label ?? -1),
      indices: Int32Array.from(rows, (row) => row.index),
    };
  }

  /** Brings an image to the batch's size, and augments it if there is a key. */
  private framed(image: Image, key: AugmentKey | undefined): Image {
    const { augment: how, resize, size } = this.options;
    if (!key) return resize === 'none' ? centerCrop(image, size) : image;
    const cut = resize === 'none' ? randomCrop(image, size, key) : image;
    return how ? augment(cut, how, key) : cut;
  }

  private async image(index: number): Promise<Image> {
    const key = `${this.cachePrefix}${index}`;
    const known = this.cache.get(key);
    if (known) return known;
    const { resize, size, ...options } = this.options;
    const { image } = await decodeSample(
      await this.dataset.read(this.split, index),
      resize === 'none' ? options : { ...options, size, resize },
    );
    this.cache.add(key, image);
    return image;
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
