// Measures codecs over a whole split.
import { evalBatches } from '../data/batches.js';
import type { BadSample, Batch, SampleCache } from '../data/batches.js';
import { compile, hostValues, randomKey, tf } from '../engine/index.js';
import { reconstruct } from '../codec/networks.js';
import { InputError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import type { Dataset, Split } from '../interfaces/index.js';
import type { AnyMedium, QualityMeter } from '../media/medium.js';
import { fullMedium } from '../media/node.js';
import { CodebookMeter, empiricalBits, nominalBits } from '../metrics/codebook.js';
import type { CodebookUse } from '../metrics/codebook.js';
import { NmseMeter } from '../metrics/error.js';
import type { CodecFamily } from '../model/codec.js';
import type { Params } from '../model/params.js';
import { sizeOf } from '../shape.js';
import { FrechetMeter } from '../features/extractor.js';
import type { FeatureExtractor, FeatureSource } from '../features/extractor.js';
import { imageShape } from '../features/images.js';

/** Bits for each unit of the medium, such as a pixel. */
export interface Rate {
  /** Name of the rate, such as `bitsPerPixel`. */
  name: string;
  /** At fixed-length coding: log2 K bits for every code. */
  nominal: number;
  /** By the entropy of the codes' frequencies over the split. */
  empirical: number;
}

export interface CodecEvaluation {
  /** Number of samples measured. */
  samples: number;
  /** Mean squared error divided by the variance of the split, on the codec's unclipped output. */
  nmse: number;
  /** The figures of the codec's medium by name: `psnr`, `ssim` and `sharpness` of images. */
  quality: Record<string, number>;
  /** Absent for a codec without codes. */
  rate?: Rate;
  /** Codebook usage of each token map; empty for a codec without codes. */
  maps: CodebookUse[];
  /** Further measures of the codec's family, means over samples. */
  measures: Record<string, number>;
  /** Frechet distance between features of originals and of reconstructions, with a feature network; see {@link FrechetMeter}. */
  rfid?: number;
  features?: FeatureSource & { dimension: number };
  /** How often each code of each map occurs: [levels, K]. */
  counts: Float64Array[];
  /** The first samples and their reconstructions, float32 [n, ...axes, channels]; at most 16. */
  examples: { shape: number[]; originals: Float32Array; reconstructions: Float32Array };
}

/** What is shown in reports only. */
type Internal = 'counts' | 'examples';

/** The figures of an evaluation as plain JSON, without levels for quality and rate. */
export function figuresOf({
  samples,
  nmse,
  quality,
  rate,
  counts: _counts,
  examples: _examples,
  ...rest
}: Omit<CodecEvaluation, Internal> & Partial<Pick<CodecEvaluation, Internal>>): Record<string, unknown> {
  return { samples, nmse, ...quality, ...(rate && ratesByName(rate)), ...rest };
}

function ratesByName({ name, nominal, empirical }: Rate): Record<string, number> {
  return { [name]: nominal, [`empirical${name[0]!.toUpperCase()}${name.slice(1)}`]: empirical };
}

/** Options of every evaluation. */
export interface MeasuringOptions {
  /** Measures only the first samples of the split. */
  limit?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface EvaluationOptions extends MeasuringOptions {
  onBad?: (error: TesseraeError, sample: BadSample) => void;
  /** Decoded samples, kept between evaluations. */
  cache?: SampleCache;
}

export interface CodecEvaluationOptions extends EvaluationOptions {
  /** Measures {@link CodecEvaluation.rfid} too. */
  features?: FeatureExtractor;
}

export const EVALUATION_BATCH = 64;

/** Maximum number of positions that are reconstructed together: large samples come in smaller batches. */
const BATCH_POSITIONS = 2 ** 22;

/** One split, or both as one. */
export type Splits = Split | 'all';

export const splitsOf = (splits: Splits): readonly Split[] => (splits === 'all' ? ['train', 'test'] : [splits]);

/**
 * How many samples are measured, in each split and in total.
 *
 * @throws {InputError} E_DATA_EMPTY if there are none.
 */
export function extentOf(
  data: { size(split: Split): number },
  source: string,
  splits: Splits,
  limit = Infinity,
): { limited: (split: Split) => number; total: number } {
  const limited = (one: Split): number => Math.min(data.size(one), limit);
  const total = splitsOf(splits).reduce((n, one) => n + limited(one), 0);
  if (total > 0) return { limited, total };
  throw new InputError(
    'E_DATA_EMPTY',
    `${source}: expected samples in the ${splits} split, found none.${splits === 'test' ? ' Measure the training samples with --split train.' : ''}`,
  );
}

/**
 * Reconstructs every sample of a split, and measures the error and codebook usage.
 *
 * @throws {InputError} E_DATA_EMPTY for a split without samples, E_DATA_ALL_BAD when none of them is usable. @throws as
 *   {@link evalBatches} and {@link FeatureExtractor.features}.
 * @throws {UsageError} E_NOT_IMAGES for features of other samples than images.
 */
export async function evaluateCodec<C>(
  family: CodecFamily<C>,
  config: C,
  params: Params,
  dataset: Dataset,
  split: Splits,
  options: CodecEvaluationOptions = {},
): Promise<CodecEvaluation> {
  const medium = fullMedium(family.medium);
  const input = family.input(config);
  const itemShape = medium.itemShape(input);
  const { limit, signal, onBad, cache, onProgress, features } = options;
  if (features) imageShape('--features', [1, ...itemShape]);
  const { limited, total } = extentOf(dataset, dataset.source, split, limit);
  const positions = sizeOf(itemShape.slice(0, -1));
  const rows = Math.max(1, Math.min(EVALUATION_BATCH, total, Math.floor(BATCH_POSITIONS / positions)));
  const meters = new CodecMeters(family, config, medium, features);
  const measure = compile(
    (inputs: tf.Tensor, key: tf.Tensor1D) => ({
      ...reconstruct(family, config, params, inputs),
      measures: family.measures?.(params, inputs, key, config) ?? {},
    }),
    { name: `${family.name}_reconstruct` },
  );
  let before = 0;
  try {
    for (const one of splitsOf(split)) {
      const batches = evalBatches(dataset, one, {
        batchSize: rows,
        medium,
        input,
        pad: true,
        limit,
        signal,
        onBad,
        cache,
      });
      for await (const batch of batches) {
        const inputs = [tf.tensor(batch.values, [rows, ...itemShape]), randomKey(0, batch.step)] as const;
        const result = await measure(...inputs);
        await meters.add(batch, result);
        tf.dispose([...inputs, result.output, ...result.maps, ...Object.values(result.measures)]);
        // Bad samples are missing from their batch, but done with.
        onProgress?.(before + Math.min((batch.step + 1) * rows, limited(one)), total);
      }
      before += limited(one);
    }
  } finally {
    await measure.dispose();
  }
  if (meters.samples === 0)
    throw new InputError(
      'E_DATA_ALL_BAD',
      `${dataset.source}: expected usable ${medium.noun.many} in the ${split} split, found that all ${total} are bad.`,
    );
  return meters.result();
}

/** The figures that are logged during training; those of maps by name where there are several. */
export function loggedFigures({ nmse, quality, measures, maps }: CodecEvaluation): Record<string, number> {
  const prefix = (map: CodebookUse): string => (maps.length > 1 ? `${map.name}.` : '');
  return Object.assign(
    { nmse, ...quality, ...measures },
    ...maps.map((map) => ({ [`${prefix(map)}usage`]: map.usage, [`${prefix(map)}perplexity`]: map.perplexity })),
  ) as Record<string, number>;
}

/** Sums up the batches of {@link evaluateCodec}. */
class CodecMeters<C> {
  samples = 0;
  private readonly input: unknown;
  private readonly itemShape: number[];
  private readonly nmse = new NmseMeter();
  private readonly quality: QualityMeter;
  private readonly codes: CodebookMeter[];
  private readonly frechet: FrechetMeter | undefined;
  private readonly sums: Record<string, number> = {};
  private readonly examples: [original: Float32Array, reconstruction: Float32Array][] = [];

  constructor(
    private readonly family: CodecFamily<C>,
    private readonly config: C,
    private readonly medium: AnyMedium,
    features: FeatureExtractor | undefined,
  ) {
    this.input = family.input(config);
    this.itemShape = medium.itemShape(this.input);
    this.quality = medium.meter();
    this.codes = family.maps(config).map((map) => new CodebookMeter(map));
    this.frechet = features && new FrechetMeter(features);
  }

  /** Rows of tensors from `count` on are padding. */
  async add(
    { values, count }: Batch,
    result: { maps: tf.Tensor[]; output: tf.Tensor; measures: Record<string, tf.Tensor1D> },
  ): Promise<void> {
    if (count === 0) return;
    const shape = [count, ...this.itemShape];
    const size = sizeOf(this.itemShape);
    const originals = values.subarray(0, count * size);
    const reconstructions = hostValues(result.output).subarray(0, count * size) as Float32Array;
    this.nmse.add(originals, reconstructions);
    this.quality.add(originals, reconstructions, shape);
    result.maps.forEach((ids, i) => this.codes[i]!.add(hostValues(ids).subarray(0, count * (ids.size / ids.shape[0]))));
    for (const [name, each] of Object.entries(result.measures))
      this.sums[name] = (this.sums[name] ?? 0) + sum(each, count);
    for (let i = 0; i < count && this.examples.length < EXAMPLES; i++) {
      this.examples.push([originals.slice(i * size, (i + 1) * size), reconstructions.slice(i * size, (i + 1) * size)]);
    }
    await this.frechet?.add(originals, reconstructions, imageShape('--features', shape));
    this.samples += count;
  }

  result(): CodecEvaluation {
    const maps = this.codes.map((one) => one.result());
    return {
      samples: this.samples,
      nmse: this.nmse.result(),
      quality: { ...this.quality.result() },
      ...(maps.length > 0 && { rate: this.rate(maps) }),
      maps,
      measures: Object.fromEntries(Object.entries(this.sums).map(([name, total]) => [name, total / this.samples])),
      ...this.frechet?.result(),
      counts: this.codes.map(({ counts }) => counts),
      examples: {
        shape: [this.examples.length, ...this.itemShape],
        originals: joined(this.examples.map(([original]) => original)),
        reconstructions: joined(this.examples.map(([, reconstruction]) => reconstruction)),
      },
    };
  }

  private rate(maps: readonly CodebookUse[]): Rate {
    const { name, count } = this.medium.rate;
    const units = count(this.input);
    return {
      name,
      nominal: nominalBits(this.family.maps(this.config)) / units,
      empirical: empiricalBits(maps) / units,
    };
  }
}

/** Number of samples kept for reports. */
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

function sum(values: tf.Tensor, count: number): number {
  let total = 0;
  for (const value of hostValues(values).subarray(0, count)) total += value;
  return total;
}
