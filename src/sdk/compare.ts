// Compares several codecs on the same samples.
import { sep } from 'node:path';
import { SPLIT_CHOICES, expectOptions, shown } from '../arguments.js';
import { encoded } from '../codec/networks.js';
import type { StoredModel } from '../checkpoint/card.js';
import { compile, tf } from '../engine/index.js';
import { UsageError } from '../errors.js';
import { shortFingerprint } from '../fingerprint.js';
import type { Dataset, Media } from '../interfaces/index.js';
import { samplesFrom } from '../media/floats.js';
import { fullMedium } from '../media/node.js';
import type { AnyMedium } from '../media/medium.js';
import type { CodecFamily } from '../model/codec.js';
import { disposeParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { sizeOf } from '../shape.js';
import { evaluateCodec } from '../train/evaluate.js';
import type { CodecEvaluation, EvaluationOptions, Splits } from '../train/evaluate.js';
import type { FeatureExtractor } from '../features/extractor.js';
import { withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { evaluationOf, withFeatures } from './evaluate.js';
import type { FeatureNetworkOptions } from './evaluate.js';
import { codecOf, codecParams } from './codec.js';
import { codecFiles, expectModelSource, sourceName } from './sources.js';
import type { CodecSource } from './sources.js';

export interface CompareCodecsOptions extends EvaluationOptions, Omit<DataOptions, 'limit'>, FeatureNetworkOptions {
  /** At least two codecs: model directories or loaded codecs. */
  codecs: readonly CodecSource[];
  data: DataSource;
  /** Default `test`. */
  split?: Splits;
}

/** A codec's figures, measured on samples of its own shape. */
export interface ComparedCodec extends Omit<CodecEvaluation, 'counts' | 'examples'> {
  /** The end of its path that distinguishes it from the others. */
  name: string;
  path: string;
  family: string;
  fingerprint: string;
  /** Shape [...axes, channels] of the samples it sees. Error and rate refer to it. */
  shape: number[];
  /** Units of the rate in a sample, such as pixels. */
  units: number;
  /** Samples per second from float32 values in memory to codes (latents, without codes), in batches of up to 16, on this machine. */
  encodedPerSecond: number;
}

export interface CodecComparison {
  /** Source of the samples. */
  data: string;
  /** Name of the medium. */
  medium: string;
  split: Splits;
  codecs: ComparedCodec[];
  /** The same samples: the originals, then the reconstructions of each codec in order, all of the shape of the largest codec. */
  examples: { name: string; media: Media[] }[];
}

/**
 * Measures several codecs on the same split.
 *
 * Each codec sees the samples at its own shape, and its error and rate refer to that shape.
 *
 * @throws {UsageError} E_COMPARE for fewer than two codecs, the same one twice, or codecs of several media. @throws as `evaluateCodec`.
 */
export async function compareCodecs(options: CompareCodecsOptions): Promise<CodecComparison> {
  expectOptions('compareCodecs', options, { choices: { split: SPLIT_CHOICES } });
  const { codecs, split = 'test', onProgress, onBad } = options;
  const contestants = openContestants(codecs);
  const medium = mediumOf(contestants);
  const reported = new Set<string>();
  return withFeatures(options, (features) =>
    withDataset(options.data, { ...options, medium: medium.name }, async (dataset) => {
      const results: Result[] = [];
      for (const contestant of contestants) {
        const evaluation: EvaluationOptions = {
          ...evaluationOf(options),
          onProgress:
            onProgress && ((done, total) => onProgress(results.length * total + done, contestants.length * total)),
          // A sample that cannot be decoded is bad for every codec.
          onBad:
            onBad &&
            ((error, sample) => {
              const place = `${sample.split}/${sample.index}`;
              if (!reported.has(place)) onBad(error, sample);
              reported.add(place);
            }),
        };
        results.push(await measure(contestant, medium, dataset, split, evaluation, features));
      }
      return {
        data: dataset.source,
        medium: medium.name,
        split,
        codecs: results.map(({ compared }) => compared),
        examples: await examplesOf(contestants, medium, results),
      };
    }),
  );
}

/** The medium of all codecs. @throws {UsageError} E_COMPARE for codecs of several media. */
function mediumOf(contestants: readonly Contestant[]): AnyMedium {
  const [first] = contestants;
  const other = contestants.find(({ family }) => family.medium !== first?.family.medium);
  if (first && other)
    throw new UsageError(
      'E_COMPARE',
      `CODEC ${other.path}: expected a codec of the medium "${first.family.medium}" like ${first.path}, received one of "${other.family.medium}".`,
    );
  return fullMedium(first!.family.medium);
}

interface Result {
  compared: ComparedCodec;
  examples: CodecEvaluation['examples'];
}

interface Contestant extends StoredModel {
  name: string;
  path: string;
  family: CodecFamily;
  config: unknown;
}

function openContestants(sources: readonly CodecSource[]): Contestant[] {
  const count = Array.isArray(sources) ? sources.length : shown(sources);
  if (typeof count === 'string' || count < 2)
    throw new UsageError(
      'E_COMPARE',
      `CODEC: expected at least two codecs, received ${count}. For one there is "tesserae eval codec".`,
    );
  sources.forEach((source, i) => expectModelSource(`compareCodecs: codecs[${i}]`, source, 'codec'));
  const paths = sources.map(sourceName);
  const names = shortNames(paths);
  const contestants = sources.map((source, i): Contestant => {
    const stored = codecFiles(source);
    return { ...stored, ...codecOf(stored), name: names[i]!, path: paths[i]! };
  });
  contestants.forEach(({ card, path }, i) => {
    const twin = contestants.slice(0, i).find((earlier) => earlier.card.fingerprint === card.fingerprint);
    if (twin)
      throw new UsageError(
        'E_COMPARE',
        `CODEC ${path}: expected another codec than ${twin.path}, received the same (${shortFingerprint(card.fingerprint)}).`,
      );
  });
  return contestants;
}

/** Shortens paths to the last parts that distinguish them. */
export function shortNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) =>
    path.split(sep === '\\' ? /[\\/]/ : '/').filter((part) => part !== '' && part !== '.'),
  );
  const longest = Math.max(...parts.map(({ length }) => length));
  for (let count = 1; count <= longest; count++) {
    const names = parts.map((part) => part.slice(-count).join('/'));
    if (new Set(names).size === names.length && !names.includes('')) return names;
  }
  return [...paths];
}

async function measure(
  contestant: Contestant,
  medium: AnyMedium,
  dataset: Dataset,
  split: Splits,
  options: EvaluationOptions,
  features: FeatureExtractor | undefined,
): Promise<Result> {
  const { name, path, family, config, card } = contestant;
  const params = codecParams(path, contestant, contestant.tensors);
  try {
    const {
      counts: _counts,
      examples,
      ...evaluation
    } = await evaluateCodec(family, config, params, dataset, split, { ...options, features });
    const input = family.input(config);
    return {
      compared: {
        name,
        path,
        family: family.name,
        fingerprint: card.fingerprint,
        shape: medium.itemShape(input),
        units: medium.rate.count(input),
        ...evaluation,
        encodedPerSecond: await encodingRate(family, config, params, examples),
      },
      examples,
    };
  } finally {
    disposeParams(params);
  }
}

const RATE_SECONDS = 0.5;
/** About how many positions are encoded together. */
const RATE_POSITIONS = 2 ** 20;

/** Measures how many samples are encoded per second, after a first batch that compiles. */
async function encodingRate(
  family: CodecFamily,
  config: unknown,
  params: Params,
  { shape: [count = 0, ...shape], originals }: CodecEvaluation['examples'],
): Promise<number> {
  const rows = Math.max(1, Math.min(16, Math.floor(RATE_POSITIONS / sizeOf(shape.slice(0, -1)))));
  const size = sizeOf(shape);
  const values = new Float32Array(rows * size);
  for (let row = 0; row < rows; row++)
    values.set(originals.subarray((row % count) * size, ((row % count) + 1) * size), row * size);
  const encode = compile((inputs: tf.Tensor) => encoded(family, config, params, inputs), {
    name: `${family.name}_encode`,
    freeze: true,
  });
  const inputs = tf.tensor(values, [rows, ...shape]);
  try {
    tf.dispose(await encode(inputs));
    const start = performance.now();
    let batches = 0;
    let seconds = 0;
    while (seconds < RATE_SECONDS || batches < 2) {
      tf.dispose(await encode(inputs));
      batches++;
      seconds = (performance.now() - start) / 1000;
    }
    return (batches * rows) / seconds;
  } finally {
    inputs.dispose();
    await encode.dispose();
  }
}

/** Originals and reconstructions at the shape of the largest codec. */
async function examplesOf(
  contestants: readonly Contestant[],
  medium: AnyMedium,
  results: readonly Result[],
): Promise<CodecComparison['examples']> {
  const inputs = contestants.map(({ family, config }) => family.input(config));
  const areas = results.map(({ compared }) => sizeOf(compared.shape.slice(0, -1)));
  const largest = areas.indexOf(Math.max(...areas));
  const width = results[largest]!.compared.shape.at(-2)!;
  const shown = Math.min(
    Math.max(2, Math.min(MAX_SHOWN, Math.floor(ROW_POSITIONS / width))),
    ...results.map(({ examples }) => examples.shape[0]!),
  );
  const media = (i: number, side: 'originals' | 'reconstructions'): Media[] => {
    const { shape, ...values } = results[i]!.examples;
    return samplesFrom(medium, inputs[i], values[side], [shown, ...shape.slice(1)]);
  };
  const originals = media(largest, 'originals');
  const like = medium.inputLike(originals[0]);
  const reconstructions = await Promise.all(
    results.map(async ({ compared: { name } }, i) => {
      const own = media(i, 'reconstructions');
      return { name, media: await Promise.all(own.map((sample) => medium.fit(sample, like))) };
    }),
  );
  return [{ name: 'originals', media: originals }, ...reconstructions];
}

/** Maximum number of samples in a row: fewer of large ones, which would make the report heavy. */
const MAX_SHOWN = 8;
const ROW_POSITIONS = 2048;
