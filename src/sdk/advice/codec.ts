// Advice for a codec: looks at images, picks settings, and measures what to expect of a training with them.
import { expectOptions } from '../../arguments.js';
import { memoryDataset } from '../../data/memory.js';
import type { DecodedSample } from '../../data/decode.js';
import { CACHE_BYTES } from '../../data/batches.js';
import type { Dataset, ImageInput, Split } from '../../interfaces/index.js';
import { fullMedium } from '../../media/node.js';
import { parseConfig } from '../../model/config.js';
import { codecFamily } from '../../registry.js';
import { codecPace } from '../../train/codec.js';
import { CodecTrainingSchema } from '../../train/config.js';
import { withDataset } from '../dataset.js';
import type { DataOptions, DataSource } from '../dataset.js';
import type { CodecPreset } from '../presets.js';
import { overridesOf } from '../train-options.js';
import type { TrainingOverrides } from '../train-options.js';
import type { Advice } from './advice.js';
import { reasonsAsked, stepsAsked } from './asked.js';
import { chooseCodec } from './codec-choice.js';
import { codecError } from './laws.js';
import { difficultyOf } from './patches.js';
import type { PixelBlock } from './patches.js';
import { decodeSpread, lookAt } from './pictures.js';
import { trainingSeconds } from './time.js';

export type CodecAdvice = Advice<CodecPreset>;

export interface AdviseCodecOptions extends DataOptions, TrainingOverrides {
  data: DataSource;
  onNote?: (text: string) => void;
  signal?: AbortSignal;
}

/** Number of samples that difficulty and time are measured on. */
const SAMPLED: Record<Split, number> = { train: 384, test: 128 };
/** With fewer held-out samples, some of the training samples are used in their place. */
const FEWEST_HELD_OUT = 16;

/**
 * Looks at images and picks the settings of a codec for them, as `trainCodec` does if no settings are named. Reads a sample of the images and
 * trains for a few seconds; nothing is written. Equal data give equal settings on every machine, unless `minutes` is given.
 *
 * @throws {UsageError} for options, E_DATA_MEDIUM for other media. @throws {InputError} for data.
 */
export async function adviseCodec(options: AdviseCodecOptions): Promise<CodecAdvice> {
  expectOptions('adviseCodec', options, { whole: { steps: [1], batchSize: [1] } });
  return withDataset(options.data, { ...options, medium: 'image' }, (dataset) => adviseOn(dataset, options));
}

async function adviseOn(dataset: Dataset, options: AdviseCodecOptions): Promise<CodecAdvice> {
  const { signal } = options;
  const { settings, reasons, warnings } = chooseCodec(await lookAt(dataset, signal));
  const input: ImageInput = settings.config;
  const start = performance.now();
  const samples = await samplesOf(dataset, input, signal);
  const decoding = (performance.now() - start) / 1000 / (samples.train.length + samples.test.length);
  const difficulty = await difficultyOf(blockOf(samples.train, input), blockOf(samples.test, input), {
    cell: settings.config.downsample,
    codes: settings.config.quantizer.codebookSize,
  });
  signal?.throwIfAborted();
  const family = codecFamily(settings.codec);
  const written = { ...settings.training, ...overridesOf(options) };
  const training = parseConfig('training', CodecTrainingSchema, written);
  const heldOut = dataset.size('test');
  const evaluated = heldOut > 0 ? Math.min(samples.test.length, training.evalSamples) : 0;
  const pace = await codecPace({
    family,
    config: family.parseConfig(settings.config),
    training,
    dataset: inMemory(samples, heldOut > 0),
    seed: 0,
    out: '',
    signal,
  });
  const evaluation = evaluated > 0 ? (pace.evaluation * Math.min(heldOut, training.evalSamples)) / evaluated : 0;
  const steps = await stepsAsked(options, training, { step: pace.step, evaluation });
  const pixels = input.height * input.width * input.channels;
  return {
    settings: { codec: settings.codec, config: { ...settings.config }, training: { ...written, steps } },
    reasons: reasonsAsked(reasons, settings.training, { steps, batchSize: training.batchSize }, 'images'),
    warnings,
    seconds: trainingSeconds({
      pace,
      evaluated,
      steps,
      heldOut,
      evalEvery: training.evalEvery,
      evalSamples: training.evalSamples,
      reading: decoding * decodings(dataset.size('train'), heldOut, steps * training.batchSize, CACHE_BYTES / pixels),
    }),
    error: {
      name: 'nmse',
      value: codecError(
        difficulty,
        { steps, learningRate: training.learningRate },
        input.channels === 1 ? 'gray' : 'color',
      ),
    },
  };
}

/** How often a training decodes a sample: each once, and those again that the cache cannot keep. */
function decodings(train: number, heldOut: number, drawn: number, cached: number): number {
  const once = Math.min(train, drawn);
  const lost = Math.max(0, 1 - cached / (train + heldOut));
  return once + heldOut + lost * Math.max(0, drawn - once);
}

async function samplesOf(
  dataset: Dataset,
  input: ImageInput,
  signal: AbortSignal | undefined,
): Promise<Record<Split, DecodedSample[]>> {
  const train = await decodeSpread(dataset, 'train', { count: SAMPLED.train, input, signal });
  if (dataset.size('test') >= FEWEST_HELD_OUT)
    return { train, test: await decodeSpread(dataset, 'test', { count: SAMPLED.test, input, signal }) };
  const isHeldOut = (i: number): boolean => i % 5 === 4;
  const test = train.filter((_, i) => isHeldOut(i));
  return test.length > 0 ? { train: train.filter((_, i) => !isHeldOut(i)), test } : { train, test: train };
}

function blockOf(samples: readonly DecodedSample[], { height, width, channels }: ImageInput): PixelBlock {
  const medium = fullMedium('image');
  const size = height * width * channels;
  const values = new Float32Array(samples.length * size);
  samples.forEach(({ media }, i) => medium.toFloats(medium.samplesOf(media).data, values, i * size));
  return { values, count: samples.length, height, width, channels };
}

/** The decoded samples as a dataset, in which the time of steps is that of the network. */
function inMemory({ train, test }: Record<Split, DecodedSample[]>, holdsOut: boolean): Dataset {
  const named = (samples: readonly DecodedSample[], split: Split) =>
    samples.map(({ media }, i) => ({ key: `${split}/${i}`, media, split }));
  return memoryDataset([...named(train, 'train'), ...(holdsOut ? named(test, 'test') : [])], { medium: 'image' });
}
