// Measures models over a whole split.
import { evalBatches } from '../data/batches.js';
import type { BadSample, PixelCache } from '../data/batches.js';
import { compile, hostValues, tf } from '../engine/index.js';
import { InputError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { flatCodes } from '../interfaces/index.js';
import type { Dataset, Split } from '../interfaces/index.js';
import { CodebookMeter, empiricalBitsPerPixel, nominalBitsPerPixel } from '../metrics/codebook.js';
import type { CodebookUse } from '../metrics/codebook.js';
import { ReconstructionMeter } from '../metrics/reconstruction.js';
import type { CodecFamily, PriorFamily } from '../nn/family.js';
import type { Params } from '../nn/params.js';
import type { ShardReader } from '../shards/reader.js';
import type { ConditionSource } from './conditions.js';

export interface CodecEvaluation {
  samples: number;
  /** Mean squared error over the variance of the split. */
  nmse: number;
  /** dB, mean over pictures. */
  psnr: number;
  ssim: number;
  /** log2 K for every code. */
  bitsPerPixel: number;
  /** By the entropy of the codes' frequencies over the split. */
  empiricalBitsPerPixel: number;
  maps: CodebookUse[];
  /** How often each code of each map occurs. */
  counts: Float64Array[];
  /** The first pictures and their reconstructions, float32 [n, H, W, C]. */
  examples: { shape: [number, number, number, number]; originals: Float32Array; reconstructions: Float32Array };
}

export interface EvaluationOptions {
  /** Only the first samples of the split. */
  limit?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  onBad?: (error: TesseraeError, sample: BadSample) => void;
  /** Decoded pictures kept between evaluations. */
  cache?: PixelCache;
}

const EVALUATION_BATCH = 64;

/** One split, or both as one. */
export type Splits = Split | 'all';

const splitsOf = (splits: Splits): readonly Split[] => (splits === 'all' ? ['train', 'test'] : [splits]);

/**
 * Reconstructs every picture of a split and measures error and codebook use.
 *
 * @throws {InputError} E_DATA_EMPTY for a split without samples. @throws as {@link evalBatches}.
 */
export async function evaluateCodec<C>(family: CodecFamily<C>, config: C, params: Params, dataset: Dataset, split: Splits, options: EvaluationOptions = {}): Promise<CodecEvaluation> {
  const { height, width, channels, background, resize } = family.input(config);
  const limited = (one: Split): number => Math.min(dataset.size(one), options.limit ?? Infinity);
  const total = splitsOf(split).reduce((n, one) => n + limited(one), 0);
  if (total === 0) throw new InputError('E_DATA_EMPTY', `${dataset.source}: expected samples in the ${split} split, found none.`);
  const rows = Math.min(EVALUATION_BATCH, total);
  const reconstruct = compile((images: tf.Tensor4D) => family.reconstruct(params, images, config), { name: `${family.name}_reconstruct` });
  const meter = new ReconstructionMeter();
  const specs = family.maps(config);
  const meters = specs.map((map) => new CodebookMeter(map));
  let examples: CodecEvaluation['examples'] | undefined;
  let done = 0;
  for (const one of splitsOf(split)) {
    const batches = evalBatches(dataset, one, { batchSize: rows, size: { width, height }, channels, background, resize, pad: true, limit: options.limit, signal: options.signal, onBad: options.onBad, cache: options.cache });
    for await (const { pixels, count } of batches) {
      const images = tf.tensor4d(pixels, [rows, height, width, channels]);
      const result = await reconstruct(images);
      const used = count * height * width * channels;
      const reconstructions = hostValues(result.images).subarray(0, used) as Float32Array;
      meter.add(pixels.subarray(0, used), reconstructions, [count, height, width, channels]);
      result.maps.forEach((ids, i) => meters[i]!.add(hostValues(ids).subarray(0, count * (ids.size / rows))));
      examples ??= { shape: [count, height, width, channels], originals: pixels.slice(0, used), reconstructions: reconstructions.slice() };
      tf.dispose([images, result.images, ...result.maps]);
      options.onProgress?.((done += count), total);
    }
  }
  await reconstruct.dispose();
  const maps = meters.map((one) => one.result());
  return {
    ...meter.result(),
    bitsPerPixel: nominalBitsPerPixel(specs, { width, height }),
    empiricalBitsPerPixel: empiricalBitsPerPixel(maps, { width, height }),
    maps,
    counts: meters.map(({ counts }) => counts),
    examples: examples!,
  };
}

export interface PriorEvaluation {
  samples: number;
  /** Held-out cross-entropy, mean over codes. */
  natsPerCode: number;
  bitsPerCode: number;
  /** Fraction of codes that were the model's first choice. */
  accuracy: number;
}

/** Scores every token sample of a split under its own condition. @throws {InputError} E_DATA_EMPTY. */
export async function evaluatePrior<C>(
  family: PriorFamily<C>,
  config: C,
  params: Params,
  tokens: ShardReader,
  split: Splits,
  conditions: ConditionSource,
  options: Pick<EvaluationOptions, 'limit' | 'signal' | 'onProgress'> = {},
): Promise<PriorEvaluation> {
  const limited = (one: Split): number => Math.min(tokens.size(one), options.limit ?? Infinity);
  const total = splitsOf(split).reduce((n, one) => n + limited(one), 0);
  if (total === 0) throw new InputError('E_DATA_EMPTY', `${tokens.directory}: expected samples in the ${split} split, found none.`);
  const rows = Math.min(EVALUATION_BATCH, total);
  const score = compile((codes: tf.Tensor2D, condition: tf.Tensor2D) => family.score(params, { codes, condition }, config), { name: `${family.name}_score` });
  const length = family.conditionLength(config);
  let nats = 0;
  let hits = 0;
  let codesPerSample = 0;
  let done = 0;
  for (const one of splitsOf(split)) {
    for (let first = 0; first < limited(one); first += rows) {
      options.signal?.throwIfAborted();
      const count = Math.min(rows, limited(one) - first);
      // The last batch is filled up with repeats, which are not counted.
      const samples = tokens.readBatch(one, Array.from({ length: rows }, (_, i) => Math.min(first + i, limited(one) - 1)));
      codesPerSample = samples[0]!.tokens.maps.reduce((n, map) => n + map.ids.length, 0);
      const codes = tf.tensor2d(flatCodes(samples), [rows, codesPerSample], 'int32');
      const condition = tf.tensor2d(Int32Array.from(samples.flatMap((sample) => [...conditions.of(sample)])), [rows, length], 'int32');
      const result = await score(codes, condition);
      nats += sum(result.nats, count * codesPerSample);
      hits += sum(result.hits, count * codesPerSample);
      tf.dispose([codes, condition, result.nats, result.hits]);
      options.onProgress?.((done += count), total);
    }
  }
  await score.dispose();
  const codes = total * codesPerSample;
  return { samples: total, natsPerCode: nats / codes, bitsPerCode: nats / codes / Math.LN2, accuracy: hits / codes };
}

function sum(values: tf.Tensor, count: number): number {
  let total = 0;
  for (const value of hostValues(values).subarray(0, count)) total += value;
  return total;
}
