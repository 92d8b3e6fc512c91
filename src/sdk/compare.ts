// Several codecs on the same pictures.
import { sep } from 'node:path';
import { encoded } from '../codec/networks.js';
import type { StoredModel } from '../checkpoint/card.js';
import { compile, tf } from '../engine/index.js';
import { UsageError } from '../errors.js';
import type { Dataset, Image, ImageInput } from '../interfaces/index.js';
import { fromFloat32 } from '../media/image/pixels.js';
import { resizeImage } from '../media/image/fit.js';
import type { CodecFamily } from '../model/codec.js';
import { disposeParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { evaluateCodec } from '../train/evaluate.js';
import type { CodecEvaluation, EvaluationOptions, Splits } from '../train/evaluate.js';
import type { FeatureExtractor } from '../features/extractor.js';
import { withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { evaluationOf, withFeatures } from './evaluate.js';
import type { FeatureNetworkOptions } from './evaluate.js';
import { codecOf, codecParams } from './open.js';
import { loadCodecFiles } from './models.js';

export interface CompareCodecsOptions extends EvaluationOptions, Omit<DataOptions, 'limit'>, FeatureNetworkOptions {
  /** Model directories, at least two. */
  codecs: readonly string[];
  data: DataSource;
  /** Default `test`. */
  split?: Splits;
}

/** A codec's measures, at its own size of pictures. */
export interface ComparedCodec extends Omit<CodecEvaluation, 'counts' | 'examples'> {
  /** The end of its path that tells it from the others. */
  name: string;
  path: string;
  family: string;
  fingerprint: string;
  /** Size of the pictures it sees, which error and bits per pixel refer to. */
  input: Pick<ImageInput, 'width' | 'height' | 'channels'>;
  /** From float32 pictures in memory to codes (or latents, without codes), in batches of up to 16, on this machine. */
  encodedPicturesPerSecond: number;
}

export interface CodecComparison {
  /** Where the pictures come from. */
  data: string;
  split: Splits;
  codecs: ComparedCodec[];
  /** The same pictures, first as they are, then by each codec in order, all of one size: that of the largest codec. */
  pictures: { name: string; images: Image[] }[];
}

/**
 * Measures several codecs on the same split.
 *
 * Each sees the pictures at its own size: its error, PSNR and bits per pixel are those of that size.
 *
 * @throws {UsageError} E_COMPARE for fewer than two codecs, or the same one twice. @throws as `evaluateCodec`.
 */
export async function compareCodecs(options: CompareCodecsOptions): Promise<CodecComparison> {
  const { codecs, split = 'test', onProgress, onBad } = options;
  const contestants = openContestants(codecs);
  const reported = new Set<string>();
  return withFeatures(options, (features) =>
    withDataset(options.data, options, async (dataset) => {
      const results: { compared: ComparedCodec; examples: CodecEvaluation['examples'] }[] = [];
      for (const contestant of contestants) {
        const evaluation: EvaluationOptions = {
          ...evaluationOf(options),
          onProgress:
            onProgress && ((done, total) => onProgress(results.length * total + done, contestants.length * total)),
          // A picture that does not decode does so for no codec.
          onBad:
            onBad &&
            ((error, sample) => {
              const place = `${sample.split}/${sample.index}`;
              if (!reported.has(place)) onBad(error, sample);
              reported.add(place);
            }),
        };
        results.push(await measure(contestant, dataset, split, evaluation, features));
      }
      return {
        data: dataset.source,
        split,
        codecs: results.map(({ compared }) => compared),
        pictures: await picturesOf(contestants, results),
      };
    }),
  );
}

interface Contestant extends StoredModel {
  name: string;
  path: string;
  family: CodecFamily;
  config: unknown;
}

function openContestants(paths: readonly string[]): Contestant[] {
  if (paths.length < 2)
    throw new UsageError(
      'E_COMPARE',
      `CODEC: expected at least two codecs, received ${paths.length}. For one there is "tesserae eval codec".`,
    );
  const names = shortNames(paths);
  const contestants = paths.map((path, i): Contestant => {
    const stored = loadCodecFiles(path);
    return { ...stored, ...codecOf(stored), name: names[i]!, path };
  });
  contestants.forEach(({ card, path }, i) => {
    const twin = contestants.slice(0, i).find((earlier) => earlier.card.fingerprint === card.fingerprint);
    if (twin)
      throw new UsageError(
        'E_COMPARE',
        `CODEC ${path}: expected another codec than ${twin.path}, received the same (${card.fingerprint.slice(0, 12)}).`,
      );
  });
  return contestants;
}

/** As many last parts of each path as tell all of them apart. */
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
  dataset: Dataset,
  split: Splits,
  options: EvaluationOptions,
  features: FeatureExtractor | undefined,
) {
  const { name, path, family, config, card } = contestant;
  const params = codecParams(path, contestant, contestant.tensors);
  try {
    const {
      counts: _counts,
      examples,
      ...evaluation
    } = await evaluateCodec(family, config, params, dataset, split, { ...options, features });
    const { width, height, channels } = family.input(config);
    const encodedPicturesPerSecond = await encodingRate(family, config, params, examples);
    return {
      compared: {
        name,
        path,
        family: family.name,
        fingerprint: card.fingerprint,
        input: { width, height, channels },
        ...evaluation,
        encodedPicturesPerSecond,
      },
      examples,
    };
  } finally {
    disposeParams(params);
  }
}

const RATE_SECONDS = 0.5;
const RATE_PIXELS = 2 ** 20;

/** Pictures a second, after a first batch that compiles. */
async function encodingRate(
  family: CodecFamily,
  config: unknown,
  params: Params,
  { shape: [count, height, width, channels], originals }: CodecEvaluation['examples'],
): Promise<number> {
  const rows = Math.max(1, Math.min(16, Math.floor(RATE_PIXELS / (height * width))));
  const size = height * width * channels;
  const pixels = new Float32Array(rows * size);
  for (let row = 0; row < rows; row++)
    pixels.set(originals.subarray((row % count) * size, ((row % count) + 1) * size), row * size);
  const encode = compile((images: tf.Tensor4D) => encoded(family, config, params, images), {
    name: `${family.name}_encode`,
    freeze: true,
  });
  const images = tf.tensor4d(pixels, [rows, height, width, channels]);
  try {
    tf.dispose(await encode(images));
    const start = performance.now();
    let batches = 0;
    let seconds = 0;
    while (seconds < RATE_SECONDS || batches < 2) {
      tf.dispose(await encode(images));
      batches++;
      seconds = (performance.now() - start) / 1000;
    }
    return (batches * rows) / seconds;
  } finally {
    images.dispose();
    await encode.dispose();
  }
}

/** Originals and reconstructions at the size of the largest codec. */
async function picturesOf(
  contestants: readonly Contestant[],
  results: readonly { compared: ComparedCodec; examples: CodecEvaluation['examples'] }[],
): Promise<CodecComparison['pictures']> {
  const area = ({ compared: { input } }: (typeof results)[number]): number => input.width * input.height;
  const largest = results.reduce((best, one) => (area(one) > area(best) ? one : best));
  const { width, height } = largest.compared.input;
  const shown = Math.min(
    Math.max(2, Math.min(MAX_SHOWN, Math.floor(ROW_PIXELS / width))),
    ...results.map(({ examples }) => examples.shape[0]),
  );
  const images = ({ shape: [, ...size] }: CodecEvaluation['examples'], values: Float32Array): Image[] =>
    fromFloat32(values, [shown, ...size]);
  const reconstructions = await Promise.all(
    results.map(async ({ compared: { name }, examples }, i) => {
      const { background } = contestants[i]!.family.input(contestants[i]!.config);
      const resized = images(examples, examples.reconstructions).map((image) =>
        resizeImage(image, { width, height, resize: 'contain', background }),
      );
      return { name, images: await Promise.all(resized) };
    }),
  );
  return [{ name: 'originals', images: images(largest.examples, largest.examples.originals) }, ...reconstructions];
}

/** Pictures in a row: fewer of large ones, which would make the report heavy. */
const MAX_SHOWN = 8;
const ROW_PIXELS = 2048;
