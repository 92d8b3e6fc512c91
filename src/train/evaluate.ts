// Measures models over a whole split.
import { evalBatches } from '../data/batches.js';
import type { BadSample, PixelCache } from '../data/batches.js';
import { compile, hostValues, randomKey, tf } from '../engine/index.js';
import { reconstruct } from '../codec/networks.js';
import { InputError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { flatCodes } from '../interfaces/index.js';
import type { Dataset, Split, TokenMapSpec } from '../interfaces/index.js';
import { CodebookMeter, empiricalBitsPerPixel, nominalBitsPerPixel } from '../metrics/codebook.js';
import type { CodebookUse } from '../metrics/codebook.js';
import { ReconstructionMeter } from '../metrics/reconstruction.js';
import type { ReconstructionQuality } from '../metrics/reconstruction.js';
import type { CodecFamily } from '../model/codec.js';
import type { PriorFamily } from '../model/prior.js';
import type { Params } from '../model/params.js';
import { sizeOf } from '../shape.js';
import type { ShardReader } from '../shards/reader.js';
import type { ConditionSource } from './conditions.js';
import { FrechetMeter } from '../features/extractor.js';
import type { FeatureExtractor, FeatureSource } from '../features/extractor.js';

export interface CodecEvaluation extends ReconstructionQuality {
  /** log2 K for every code, over the pixels of the codec's pictures. Absent for a codec without codes. */
  bitsPerPixel?: number;
  /** By the entropy of the codes' frequencies over the split. Absent for a codec without codes. */
  empiricalBitsPerPixel?: number;
  /** One a token map; none for a codec without codes. */
  maps: CodebookUse[];
  /** What the codec's family measures besides, means over pictures. */
  measures: Record<string, number>;
  /** Frechet distance between features of originals and of reconstructions, with a feature network; see {@link FrechetMeter}. */
  rfid?: number;
  features?: FeatureSource & { dimension: number };
  /** How often each code of each map occurs: [depth, K]. */
  counts: Float64Array[];
  /** The first pictures and their reconstructions, float32 [n, H, W, C]; at most 16. */
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

export interface CodecEvaluationOptions extends EvaluationOptions {
  /** Measures {@link CodecEvaluation.rfid} too. */
  features?: FeatureExtractor;
}

const EVALUATION_BATCH = 64;

/** Pixels reconstructed together: large pictures come in smaller batches. */
const BATCH_PIXELS = 2 ** 22;

/** One split, or both as one. */
export type Splits = Split | 'all';

const splitsOf = (splits: Splits): readonly Split[] => (splits === 'all' ? ['train', 'test'] : [splits]);

/**
 * Reconstructs every picture of a split and measures error and codebook use.
 *
 * @throws {InputError} E_DATA_EMPTY for a split without samples, E_DATA_ALL_BAD when none of them is usable. @throws as
 *   {@link evalBatches} and {@link FeatureExtractor.features}.
 */
export async function evaluateCodec<C>(
  family: CodecFamily<C>,
  config: C,
  params: Params,
  dataset: Dataset,
  split: Splits,
  options: CodecEvaluationOptions = {},
): Promise<CodecEvaluation> {
  const { height, width, channels, background, resize } = family.input(config);
  const { limit, signal, onBad, cache, onProgress, features } = options;
  const limited = (one: Split): number => Math.min(dataset.size(one), limit ?? Infinity);
  const total = splitsOf(split).reduce((n, one) => n + limited(one), 0);
  if (total === 0)
    throw new InputError(
      'E_DATA_EMPTY',
      `${dataset.source}: expected samples in the ${split} split, found none.${split === 'test' ? ' Measure the training samples with --split train.' : ''}`,
    );
  const rows = Math.max(1, Math.min(EVALUATION_BATCH, total, Math.floor(BATCH_PIXELS / (height * width))));
  const meters = new CodecMeters(family.maps(config), features);
  const measure = compile(
    (images: tf.Tensor4D, key: tf.Tensor1D) => ({
      ...reconstruct(family, config, params, images),
      measures: family.measures?.(params, images, key, config) ?? {},
    }),
    { name: `${family.name}_reconstruct` },
  );
  let before = 0;
  try {
    for (const one of splitsOf(split)) {
      const batches = evalBatches(dataset, one, {
        batchSize: rows,
        size: { width, height },
        channels,
        background,
        resize,
        pad: true,
        limit,
        signal,
        onBad,
        cache,
      });
      for await (const { step, pixels, count } of batches) {
        const inputs = [tf.tensor4d(pixels, [rows, height, width, channels]), randomKey(0, step)] as const;
        const result = await measure(...inputs);
        await meters.add(pixels, result, [count, height, width, channels]);
        tf.dispose([...inputs, result.output, ...result.maps, ...Object.values(result.measures)]);
        // Bad samples are missing from their batch, but done with.
        onProgress?.(before + Math.min((step + 1) * rows, limited(one)), total);
      }
      before += limited(one);
    }
  } finally {
    await measure.dispose();
  }
  if (meters.samples === 0)
    throw new InputError(
      'E_DATA_ALL_BAD',
      `${dataset.source}: expected usable pictures in the ${split} split, none of the ${total} is.`,
    );
  return meters.result({ width, height });
}

/** The figures that are logged during training; those of maps by name where there are several. */
export function loggedFigures({
  nmse,
  psnr,
  ssim,
  sharpness,
  measures,
  maps,
}: CodecEvaluation): Record<string, number> {
  const prefix = (map: CodebookUse): string => (maps.length > 1 ? `${map.name}.` : '');
  return Object.assign(
    { nmse, psnr, ssim, sharpness, ...measures },
    ...maps.map((map) => ({ [`${prefix(map)}usage`]: map.usage, [`${prefix(map)}perplexity`]: map.perplexity })),
  ) as Record<string, number>;
}

/** What {@link evaluateCodec} sums up batch by batch. */
class CodecMeters {
  samples = 0;
  private readonly quality = new ReconstructionMeter();
  private readonly codes: CodebookMeter[];
  private readonly frechet: FrechetMeter | undefined;
  private readonly sums: Record<string, number> = {};
  private readonly examples: [original: Float32Array, reconstruction: Float32Array][] = [];
  private shape: readonly [number, number, number] = [0, 0, 0];

  constructor(
    private readonly specs: readonly TokenMapSpec[],
    features: FeatureExtractor | undefined,
  ) {
    this.codes = specs.map((map) => new CodebookMeter(map));
    this.frechet = features && new FrechetMeter(features);
  }

  /** Rows of tensors from `count` on are padding. */
  async add(
    pixels: Float32Array,
    result: { maps: tf.Tensor[]; output: tf.Tensor; measures: Record<string, tf.Tensor1D> },
    [count, ...shape]: [number, number, number, number],
  ): Promise<void> {
    if (count === 0) return;
    const size = sizeOf(shape);
    const originals = pixels.subarray(0, count * size);
    const reconstructions = hostValues(result.output).subarray(0, count * size) as Float32Array;
    this.quality.add(originals, reconstructions, [count, ...shape]);
    result.maps.forEach((ids, i) =>
      this.codes[i]!.add(hostValues(ids).subarray(0, count * (ids.size / ids.shape[0]!))),
    );
    for (const [name, values] of Object.entries(result.measures))
      this.sums[name] = (this.sums[name] ?? 0) + sum(values, count);
    for (let i = 0; i < count && this.examples.length < EXAMPLES; i++) {
      this.examples.push([originals.slice(i * size, (i + 1) * size), reconstructions.slice(i * size, (i + 1) * size)]);
    }
    await this.frechet?.add(originals, reconstructions, [count, ...shape]);
    this.shape = shape;
    this.samples += count;
  }

  result(picture: { width: number; height: number }): CodecEvaluation {
    const maps = this.codes.map((one) => one.result());
    const rates =
      maps.length > 0
        ? {
            bitsPerPixel: nominalBitsPerPixel(this.specs, picture),
            empiricalBitsPerPixel: empiricalBitsPerPixel(maps, picture),
          }
        : {};
    const [originals, reconstructions] = ([0, 1] as const).map((side) =>
      joined(this.examples.map((pair) => pair[side])),
    ) as [Float32Array, Float32Array];
    return {
      ...this.quality.result(),
      ...rates,
      maps,
      measures: Object.fromEntries(Object.entries(this.sums).map(([name, total]) => [name, total / this.samples])),
      ...this.frechet?.result(),
      counts: this.codes.map(({ counts }) => counts),
      examples: { shape: [this.examples.length, ...this.shape], originals, reconstructions },
    };
  }
}

/** Pictures kept to be shown. */
const EXAMPLES = 16;

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
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
  if (total === 0)
    throw new InputError(
      'E_DATA_EMPTY',
      `${tokens.directory}: expected samples in the ${split} split, found none.${split === 'test' ? ' Measure the training samples with --split train.' : ''}`,
    );
  const rows = Math.min(EVALUATION_BATCH, total);
  const score = compile(
    (codes: tf.Tensor2D, condition: tf.Tensor2D) => family.score(params, { codes, condition }, config),
    { name: `${family.name}_score` },
  );
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
      const samples = tokens.readBatch(
        one,
        Array.from({ length: rows }, (_, i) => Math.min(first + i, limited(one) - 1)),
      );
      codesPerSample = samples[0]!.tokens.maps.reduce((n, map) => n + map.ids.length, 0);
      const codes = tf.tensor2d(flatCodes(samples), [rows, codesPerSample], 'int32');
      const condition = tf.tensor2d(
        Int32Array.from(samples.flatMap((sample) => [...conditions.of(sample)])),
        [rows, length],
        'int32',
      );
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
