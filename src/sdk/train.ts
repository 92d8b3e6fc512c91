// The training jobs: from data on disk to a model directory.
import { expectOptions } from '../arguments.js';
import type { ModelCard } from '../checkpoint/card.js';
import type { BadSample } from '../data/batches.js';
import { UsageError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { readFile } from '../files/read.js';
import type { Conditioning, Prompt } from '../interfaces/index.js';
import { fullMedium } from '../media/node.js';
import { sameJson } from '../json.js';
import { parseConfig } from '../model/config.js';
import { excerpt } from '../names.js';
import type { FeatureScaling } from '../features/scaling.js';
import { codecFamily, priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { trainBpe } from '../text/bpe.js';
import { loadTextTokenizer } from '../text/tokenizer.js';
import { wordsIn } from '../text/words.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { captionLengths, cutText, refuseTooLong } from '../train/captions.js';
import { trainCodec as runCodec } from '../train/codec.js';
import { CodecTrainingSchema, PriorTrainingSchema } from '../train/config.js';
import { chooseConditioning, tokenConcerns } from '../train/conditioning.js';
import type { TooLong } from '../train/conditions.js';
import type { LoopOptions } from '../train/loop.js';
import { trainPrior as runPrior } from '../train/prior.js';
import type { DrawnSamples } from '../train/report.js';
import { surveyText, surveyTokens } from '../train/survey.js';
import type { TokenSurvey } from '../train/survey.js';
import type { KeepRule } from '../train/watch.js';
import { splittingOf, withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { carriedCodec, carryCodec } from './models.js';
import { openCodec } from './codec.js';
import { LoadedPrior } from './prior.js';
import type { LoadedCodec } from './codec.js';
import { codecPreset, MAX_TEXT_LENGTH, priorPreset } from './presets.js';
import type { CodecPreset, PriorPreset } from './presets.js';

/** Settings of both jobs. They override the preset. */
export interface TrainOptions extends LoopOptions {
  /** Name of a preset that ships with the package. Default `default`. */
  preset?: string;
  /** Path of a JSON file in the form of a preset, which is used instead of one. */
  config?: string;
  /** Default 0. */
  seed?: number;
  steps?: number;
  batchSize?: number;
  learningRate?: number;
  /** Which weights become the model: those with the best held-out figure, or the last ones. Default: that of the preset, otherwise `best`. */
  keep?: KeepRule;
  /** Number of evaluations without a better held-out figure after which training stops; 0 never stops. Default: that of the preset, otherwise 10 for priors and 0 for codecs. */
  patience?: number;
}

export interface TrainCodecOptions extends TrainOptions, DataOptions {
  data: DataSource;
  /** Path of an ONNX network, images [B, 3, H, W] to feature maps. The distance of all its outputs is added to the loss. */
  features?: string;
  /** The pixel values it was trained on. Default: that of the preset, otherwise `imagenet`. */
  featureScaling?: FeatureScaling;
  onBad?: (error: TesseraeError, sample: BadSample) => void;
}

/**
 * Trains a codec and writes its model directory, with checkpoints, metrics and a report.
 *
 * @returns the model's card. Its `metrics` are those of the whole held-out split.
 * @throws {UsageError} for settings, {InputError} for data, {CorruptError} or {EngineError} for a feature network, {DivergedError}, {AbortedError}, {IoError}, {LockError}.
 */
export async function trainCodec(options: TrainCodecOptions): Promise<ModelCard> {
  expectOptions('trainCodec', options, { paths: ['out'], whole: { seed: [0, Number.MAX_SAFE_INTEGER] } });
  const preset = codecPreset(options);
  const family = codecFamily(preset.codec);
  const config = family.parseConfig(preset.config);
  const training = parseConfig('training', CodecTrainingSchema, {
    ...preset.training,
    ...overridesOf(options),
    ...perceptualOf(options, preset),
  });
  return withDataset(options.data, { ...options, medium: family.medium }, (dataset) =>
    runCodec({
      ...options,
      family,
      config,
      training,
      dataset,
      seed: options.seed ?? 0,
      splitting: splittingOf(options),
    }),
  );
}

export interface TrainPriorOptions extends TrainOptions {
  /** Token shards written by `tokenize`. */
  tokens: string;
  /** Path of a Hugging Face `tokenizer.json` for the captions. Default: a tokenizer is trained on them. */
  tokenizer?: string;
  /** What to condition on. Default: text if captions say more than class names, otherwise classes if there are any, otherwise nothing. `onNote` receives the reason. */
  conditioning?: Conditioning;
  /** What to do with captions longer than the prior's text: train on their beginning, or stop with an error. Default `cut`; `onNote` receives their number. */
  tooLong?: TooLong;
}

/**
 * Trains a prior and writes its model directory, with checkpoints, metrics and a report.
 *
 * @returns the model's card. Its `metrics` are those of the whole held-out split.
 * @throws {UsageError} for settings, {CorruptError} for damaged shards, {DivergedError}, {AbortedError}, {IoError}, {LockError}.
 */
export async function trainPrior(options: TrainPriorOptions): Promise<ModelCard> {
  expectOptions('trainPrior', options, {
    paths: ['tokens', 'out'],
    whole: { seed: [0, Number.MAX_SAFE_INTEGER] },
    choices: { conditioning: ['none', 'label', 'text'], tooLong: ['cut', 'refuse'] },
  });
  const preset = priorPreset(options);
  const family = priorFamily(preset.prior);
  const training = parseConfig('training', PriorTrainingSchema, { ...preset.training, ...overridesOf(options) });
  const tokens = await ShardReader.open(options.tokens);
  let decoder: LoadedCodec | undefined;
  try {
    const survey = await surveyTokens(tokens);
    options.onNote?.(surveyText(survey));
    const { conditioning, reason } = chooseConditioning(survey, wishOf(options, preset), family);
    options.onNote?.(`conditioning: ${conditioning}, ${reason}`);
    const text = conditioning === 'text' ? textTokenizer(options, preset, survey) : undefined;
    const fields = {
      ...conditionConfig(survey, conditioning, text, preset, options),
      ...family.mapFields(await uniformMaps(tokens)),
    };
    refuseOtherFields(preset.config, fields);
    const config = family.parseConfig({ ...preset.config, ...fields });
    const codec = carriedCodec(options.tokens);
    if (!codec)
      options.onNote?.(
        `warning: ${options.tokens} has no copy of its codec, so ${options.out} will have none. Remedy: generate with --codec.`,
      );
    // Opened before training, so that a codec that cannot be opened does not waste the work.
    decoder = codec && openCodec(codec);
    const card = await runPrior({
      ...options,
      family,
      config,
      training,
      tokens,
      seed: options.seed ?? 0,
      text,
      words:
        text &&
        wordsIn(
          [...survey.captions].flatMap(([caption, { training }]) =>
            training > 0 ? [[caption, training] as const] : [],
          ),
        ),
      concerns: tokenConcerns(survey, conditioning),
      sample:
        decoder &&
        (async (card, tensors) =>
          drawSamples(new LoadedPrior(card, tensors, text), decoder!, [...survey.captions.keys()])),
    });
    if (codec) carryCodec(options.out, codec);
    return card;
  } finally {
    decoder?.dispose();
    await tokens.close();
  }
}

/** The conditioning that is asked for, by an option or by the settings. */
function wishOf({ conditioning: wish }: TrainPriorOptions, { config }: PriorPreset): Conditioning | undefined {
  const set = config['conditioning'] as Conditioning | undefined;
  if (wish !== undefined && set !== undefined && wish !== set)
    throw new UsageError(
      'E_CONFIG',
      `--conditioning ${wish}: expected ${JSON.stringify(set)}, which the settings say in config.conditioning. Leave out one of them.`,
    );
  return wish ?? set;
}

/** Refuses settings of what follows from the tokens. */
function refuseOtherFields(config: Record<string, unknown>, fields: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(fields))
    if (name in config && !sameJson(config[name], value))
      throw new UsageError(
        'E_CONFIG',
        `config.${name}: expected none, because the tokens say ${excerpt(JSON.stringify(value))}, received ${excerpt(JSON.stringify(config[name]))}. Leave it out of the settings.`,
      );
}

/** The settings of the perceptual term, which a network turns on. */
function perceptualOf(
  { features, featureScaling }: TrainCodecOptions,
  { training }: CodecPreset,
): { perceptual?: unknown } {
  if (features === undefined) return {};
  return {
    perceptual: {
      ...(training['perceptual'] as object | undefined),
      ...(featureScaling && { scaling: featureScaling }),
    },
  };
}

function overridesOf({ steps, batchSize, learningRate, keep, patience }: TrainOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries({ steps, batchSize, learningRate, keep, patience }).filter(([, value]) => value !== undefined),
  );
}

/** The given tokenizer, or one trained on the captions of the training split. */
function textTokenizer(options: TrainPriorOptions, preset: PriorPreset, survey: TokenSurvey): TextTokenizer {
  if (options.tokenizer !== undefined) return loadTextTokenizer(new TextDecoder().decode(readFile(options.tokenizer)));
  return trainBpe(repeated(survey), { vocabSize: preset.text.vocabSize, lowercase: true });
}

function* repeated({ captions }: TokenSurvey): Generator<string> {
  for (const [caption, { training }] of captions) for (let i = 0; i < training; i++) yield caption;
}

function conditionConfig(
  survey: TokenSurvey,
  conditioning: Conditioning,
  text: TextTokenizer | undefined,
  preset: PriorPreset,
  options: TrainPriorOptions,
): Record<string, unknown> {
  if (conditioning === 'none') return { conditioning };
  if (conditioning === 'label') return { conditioning, classes: [...survey.classes] };
  return { conditioning, text: { vocabSize: text!.vocabSize, length: textLength(survey, text!, preset, options) } };
}

/** Number of text tokens of the prior's condition: that of the settings, otherwise what the captions need. Reports captions that are cut. */
function textLength(
  survey: TokenSurvey,
  text: TextTokenizer,
  preset: PriorPreset,
  { tooLong, onNote }: TrainPriorOptions,
): number {
  const lengths = captionLengths(survey, text);
  if (tooLong === 'refuse') {
    const length = preset.text.length ?? Math.max(1, Math.min(lengths.longest, MAX_TEXT_LENGTH));
    refuseTooLong(lengths, length);
    return length;
  }
  const length = preset.text.length ?? lengths.fitted(MAX_TEXT_LENGTH);
  if (lengths.longest > length)
    onNote?.(
      `warning: ${cutText(lengths, length)}. Set text.length in the settings for more, or --too-long refuse to stop instead.`,
    );
  return length;
}

/** Number of samples in a prior's report. */
const REPORTED = 24;

/** Draws samples for a prior's report, one each for some of the prompts it knows. */
async function drawSamples(prior: LoadedPrior, codec: LoadedCodec, captions: readonly string[]): Promise<DrawnSamples> {
  const known = prior.conditioning === 'text' ? captions : (prior.classes ?? []);
  const count = Math.min(REPORTED, known.length);
  const spread = Array.from({ length: count }, (_, i) => known[Math.floor((i * known.length) / count)]!);
  const prompts: Prompt[] = spread.length > 0 ? spread : Array.from({ length: REPORTED }, () => null);
  try {
    const tokens = await prior.generate(prompts, { seed: 0, tooLong: 'cut' });
    return {
      medium: fullMedium(codec.kind),
      media: await codec.decode(tokens),
      prompts: prompts.map((prompt) => String(prompt ?? '')),
    };
  } finally {
    prior.dispose();
  }
}

export type { CodecPreset, PriorPreset };
