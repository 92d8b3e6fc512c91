// Evaluates codecs and priors in model directories.
import { SPLIT_CHOICES, expectOptions } from '../arguments.js';
import { UsageError } from '../errors.js';
import { axesText } from '../interfaces/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';
import type { FeatureScaling } from '../features/scaling.js';
import { disposeParams, importParams } from '../model/params.js';
import { Stages } from '../prior/stages.js';
import { priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { ConditionSource } from '../train/conditions.js';
import { evaluateCodec, figuresOf } from '../train/evaluate.js';
import { evaluatePrior } from '../train/evaluate-prior.js';
import type { PriorEvaluation } from '../train/evaluate-prior.js';
import type { CodecEvaluation, EvaluationOptions, Splits } from '../train/evaluate.js';
import { FeatureExtractor } from '../features/extractor.js';
import { dataOptionsFor, withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { codecOf, codecParams } from './codec.js';
import { codecOfPrior, storedTokenizer } from './prior.js';
import { codecFiles, expectModelSource, priorFiles, sourceName } from './sources.js';
import type { CodecSource, PriorSource } from './sources.js';

export { figuresOf };
export type { CodecEvaluation, PriorEvaluation };

/** A feature network for {@link CodecEvaluation.rfid}. */
export interface FeatureNetworkOptions {
  /** Path of an ONNX file with one input, float32 [B, 3, H, W]. Images are resized if H and W are fixed. */
  features?: string;
  /** The pixel values it was trained on: [-1, 1], [0, 1], [0, 255], or [0, 1] normalized by ImageNet's colors. Default `imagenet`. */
  featureScaling?: FeatureScaling;
  /** Name of its output, [B, D] or [B, D, h, w], which is averaged over space. Default: the first output. */
  featureOutput?: string;
}

export interface EvaluateCodecOptions extends EvaluationOptions, Omit<DataOptions, 'limit'>, FeatureNetworkOptions {
  codec: CodecSource;
  data: DataSource;
  /** Default `test`. */
  split?: Splits;
}

/**
 * Measures the error and codebook usage of a codec over a split, and with a feature network also the Frechet distance of its
 * reconstructions.
 *
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND, E_FEATURES, E_NOT_IMAGES, E_DATA_MEDIUM. @throws {InputError} for data or a network that
 *   cannot be used. @throws {CorruptError} for damaged files.
 */
export async function evaluateCodecOn(options: EvaluateCodecOptions): Promise<CodecEvaluation> {
  expectOptions('evaluateCodec', options, { choices: { split: SPLIT_CHOICES } });
  expectModelSource('evaluateCodec: codec', options.codec, 'codec');
  const stored = codecFiles(options.codec);
  const { family, config } = codecOf(stored);
  return withFeatures(options, (features) =>
    withDataset(options.data, dataOptionsFor(stored, options), async (dataset) => {
      const params = codecParams(sourceName(options.codec), { family, config }, stored.tensors);
      try {
        return await evaluateCodec(family, config, params, dataset, options.split ?? 'test', {
          ...evaluationOf(options),
          features,
        });
      } finally {
        disposeParams(params);
      }
    }),
  );
}

/** The options of the evaluation alone. */
export const evaluationOf = ({ limit, signal, onProgress, onBad, cache }: EvaluationOptions): EvaluationOptions => ({
  limit,
  signal,
  onProgress,
  onBad,
  cache,
});

/** Opens the feature network, if there is one, for as long as the work takes. */
export async function withFeatures<T>(
  { features, featureScaling, featureOutput }: FeatureNetworkOptions,
  work: (features: FeatureExtractor | undefined) => Promise<T>,
): Promise<T> {
  const extractor =
    features === undefined
      ? undefined
      : await FeatureExtractor.open(features, { scaling: featureScaling, output: featureOutput });
  try {
    return await work(extractor);
  } finally {
    await extractor?.dispose();
  }
}

export interface EvaluatePriorOptions extends EvaluationOptions {
  prior: PriorSource;
  tokens: string;
  /** Default `test`. */
  split?: Splits;
}

/**
 * Measures the cross-entropy of a prior over a split of tokens. Captions that are too long are cut, as in training.
 *
 * @throws {CorruptError} E_CODEC_MISMATCH for tokens of another codec.
 */
export async function evaluatePriorOn(options: EvaluatePriorOptions): Promise<PriorEvaluation> {
  expectOptions('evaluatePrior', options, { paths: ['tokens'], choices: { split: SPLIT_CHOICES } });
  expectModelSource('evaluatePrior: prior', options.prior, 'prior');
  const stored = priorFiles(options.prior);
  const { card, tensors } = stored;
  const family = priorFamily(card.name);
  const config = family.parseConfig(card.config);
  const tokens = await ShardReader.open(options.tokens, { codec: codecOfPrior(card) });
  const text = storedTokenizer(stored);
  const stages = Stages.of(family, config);
  const params = importParams(sourceName(options.prior), stages.params, tensors);
  try {
    await expectMaps(tokens, stages.maps);
    const condition = new ConditionSource(family.condition(config), { text, tooLong: 'cut', classes: tokens.classes });
    return await evaluatePrior({ stages, params, condition }, tokens, options.split ?? 'test', options);
  } finally {
    disposeParams(params);
    await tokens.close();
  }
}

/** @throws {UsageError} E_MIXED_SHAPES, E_PRIOR_MAPS unless the tokens have the maps that the prior was trained for. */
async function expectMaps(tokens: ShardReader, maps: readonly TokenMapSpec[]): Promise<void> {
  const text = (specs: readonly TokenMapSpec[]): string => specs.map(axesText).join(' and ');
  const found = await uniformMaps(tokens);
  if (text(found) !== text(maps))
    throw new UsageError(
      'E_PRIOR_MAPS',
      `${tokens.directory}: expected maps ${text(maps)}, which the prior was trained for, found ${text(found)}.`,
    );
}
