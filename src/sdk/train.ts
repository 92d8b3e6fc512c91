// The training jobs: from data on disk to a model directory.
import { expectOptions } from '../arguments.js';
import type { ModelCard, StoredModel } from '../checkpoint/card.js';
import { loadModel } from '../checkpoint/model.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import type { BadSample } from '../data/batches.js';
import { UsageError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { readFile } from '../files/read.js';
import { specOf } from '../interfaces/index.js';
import type { Conditioning, Prompt, TokenMapSpec } from '../interfaces/index.js';
import { fullMedium } from '../media/node.js';
import { differences, sameJson } from '../json.js';
import { parseConfig } from '../model/config.js';
import type { ParamSpecs } from '../model/params.js';
import type { PriorFamily } from '../model/prior.js';
import { excerpt, listNames } from '../names.js';
import { Stages } from '../prior/stages.js';
import type { FeatureScaling } from '../features/scaling.js';
import { codecFamily, priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { trainBpe } from '../text/bpe.js';
import { loadTextTokenizer } from '../text/tokenizer.js';
import { parseWords, wordsIn } from '../text/words.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { captionLengths, cutText, refuseTooLong } from '../train/captions.js';
import { codecPace, trainCodec as runCodec } from '../train/codec.js';
import { CodecTrainingSchema, PriorTrainingSchema } from '../train/config.js';
import { chooseConditioning, tokenConcerns } from '../train/conditioning.js';
import type { TooLong } from '../train/conditions.js';
import type { LoopOptions, Pace } from '../train/loop.js';
import { priorPace, trainPrior as runPrior } from '../train/prior.js';
import type { DrawnSamples } from '../train/report.js';
import { surveyText, surveyTokens } from '../train/survey.js';
import type { TokenSurvey } from '../train/survey.js';
import type { KeepRule } from '../train/watch.js';
import { splittingOf, withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { carriedCodec, carryCodec, loadCodecFiles } from './models.js';
import { openCodec } from './codec.js';
import { stepsIn } from './minutes.js';
import { LoadedPrior, storedTokenizer } from './prior.js';
import type { LoadedCodec } from './codec.js';
import { codecPreset, MAX_TEXT_LENGTH, priorPreset } from './presets.js';
import type { CodecPreset, PriorPreset } from './presets.js';

/** Settings of both jobs. They override the preset. */
export interface TrainOptions extends LoopOptions {
  /** Name of a preset that ships with the package. Default `default`. */
  preset?: string;
  /** Path of a JSON file in the form of a preset, which is used instead of one. */
  config?: string;
  /**
   * Model directory of a trained model, whose weights the run starts with. Its settings are used, unless a preset or a config of the
   * same network is named. A prior also keeps its text tokenizer.
   */
  from?: string;
  /** Default 0. */
  seed?: number;
  steps?: number;
  /** Minutes to train, in place of `steps`: a few seconds of training on this machine tell how many steps fit into them. */
  minutes?: number;
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
  const source = options.from === undefined ? undefined : loadCodecFiles(options.from);
  const preset = codecPreset(options);
  const { name, config: settings } = startOf(options, source, { name: preset.codec, config: preset.config });
  const family = codecFamily(name);
  const config = family.parseConfig(settings);
  if (source) expectWeights(options.from!, { ...family.trainable(config), ...family.state(config) }, source);
  const training = parseConfig('training', CodecTrainingSchema, {
    ...preset.training,
    ...overridesOf(options),
    ...perceptualOf(options, preset),
  });
  return withDataset(options.data, { ...options, medium: family.medium }, async (dataset) => {
    const run = {
      ...options,
      from: source && { fingerprint: source.card.fingerprint, tensors: source.tensors },
      family,
      config,
      training,
      dataset,
      seed: options.seed ?? 0,
      splitting: splittingOf(options),
    };
    const steps = await plannedSteps(options, training, (quiet) => codecPace({ ...run, ...quiet }));
    return runCodec({ ...run, training: { ...training, steps } });
  });
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
  const source = options.from === undefined ? undefined : loadModel(options.from, { kind: 'prior' });
  const preset = priorPreset(options);
  const start = startOf(options, source, { name: preset.prior, config: preset.config });
  const family = priorFamily(start.name);
  const written = { ...preset.training, ...overridesOf(options) };
  const training = parseConfig('training', PriorTrainingSchema, written);
  const tokens = await ShardReader.open(options.tokens);
  let decoder: LoadedCodec | undefined;
  try {
    const survey = await surveyTokens(tokens);
    options.onNote?.(surveyText(survey));
    const maps = await uniformMaps(tokens);
    const { config, text, conditioning } = source
      ? goOn(source, start.config, { options, tokens, survey, maps })
      : settle({ family, options, preset, survey, maps });
    if (source) expectWeights(options.from!, Stages.of(family, config).params, source);
    const codec = carriedCodec(options.tokens);
    if (!codec)
      options.onNote?.(
        `warning: ${options.tokens} has no copy of its codec, so ${options.out} will have none. Remedy: generate with --codec.`,
      );
    // Opened before training, so that a codec that cannot be opened does not waste the work.
    decoder = codec && openCodec(codec);
    const run = {
      ...options,
      family,
      config,
      training,
      tokens,
      seed: options.seed ?? 0,
      from: source && { fingerprint: source.card.fingerprint, tensors: source.tensors },
      text,
      words: text && knownWords(survey, source),
      concerns: tokenConcerns(survey, conditioning),
      sample:
        decoder &&
        (async (card: ModelCard, tensors: NamedTensors) =>
          drawSamples(new LoadedPrior(card, tensors, text), decoder!, [...survey.captions.keys()])),
    };
    const steps = await plannedSteps(options, training, (quiet) => priorPace({ ...run, ...quiet }));
    const card = await runPrior({
      ...run,
      training:
        steps === training.steps ? training : parseConfig('training', PriorTrainingSchema, { ...written, steps }),
    });
    if (codec) carryCodec(options.out, codec);
    return card;
  } finally {
    decoder?.dispose();
    await tokens.close();
  }
}

/** The number of steps of a run: that of the settings, or what fits into the minutes that are asked for. */
async function plannedSteps(
  { minutes, steps, out, resume, onNote }: TrainOptions,
  training: { steps: number; evalEvery: number },
  measure: (quiet: { onNote: undefined }) => Promise<Pace>,
): Promise<number> {
  if (minutes === undefined) return training.steps;
  if (steps !== undefined) throw new UsageError('E_OPTIONS', 'steps and minutes: expected one of them, received both.');
  return stepsIn({
    minutes,
    out,
    resume,
    onNote,
    evalEvery: training.evalEvery,
    measure: () => measure({ onNote: undefined }),
  });
}

/** The family and the settings that a run has: those of the model that it starts from, unless others are named. */
function startOf(
  { from, preset, config }: TrainOptions,
  source: StoredModel | undefined,
  named: { name: string; config: Record<string, unknown> },
): { name: string; config: Record<string, unknown> } {
  if (!source) return named;
  const { name, config: own } = source.card;
  if (preset === undefined && config === undefined) return { name, config: own };
  if (named.name !== name)
    throw new UsageError(
      'E_FROM',
      `--from ${from}: expected a model of ${named.name}, which the settings name, found ${name}. Leave out the settings to use those of the model.`,
    );
  return { name, config: { ...own, ...named.config } };
}

/** @throws {UsageError} E_FROM unless the weights of a model are those that the settings ask for, in names and shapes. */
function expectWeights(from: string, specs: ParamSpecs, { tensors }: StoredModel): void {
  for (const name of new Set([...Object.keys(specs), ...Object.keys(tensors)])) {
    const [wanted, found] = [specs[name]?.shape, tensors[name]?.shape].map((shape) =>
      shape === undefined ? 'none' : `[${shape.join(', ')}]`,
    );
    if (wanted !== found)
      throw new UsageError(
        'E_FROM',
        `--from ${from}: expected weights "${name}" of shape ${wanted}, as the settings say, found ${found}. Only settings that leave the weights alone can change, such as the size of images; train from scratch for others.`,
      );
  }
}

/** What a prior is trained with. */
interface PriorSettings {
  config: unknown;
  conditioning: Conditioning;
  text?: TextTokenizer;
}

interface PriorPlan {
  options: TrainPriorOptions;
  survey: TokenSurvey;
  maps: readonly TokenMapSpec[];
}

/** The settings of a new prior: those of the preset, and what follows from the tokens. */
function settle({
  family,
  options,
  preset,
  survey,
  maps,
}: PriorPlan & { family: PriorFamily; preset: PriorPreset }): PriorSettings {
  const { conditioning, reason } = chooseConditioning(survey, wishOf(options, preset), family);
  options.onNote?.(`conditioning: ${conditioning}, ${reason}`);
  const text = conditioning === 'text' ? textTokenizer(options, preset, survey) : undefined;
  const fields = { ...conditionConfig(survey, conditioning, text, preset, options), ...family.mapFields(maps) };
  refuseOtherFields(preset.config, fields);
  return { config: family.parseConfig({ ...preset.config, ...fields }), text, conditioning };
}

/**
 * The settings of a prior that starts from another one, which it shares.
 *
 * @throws {UsageError} E_FROM for tokens or options that the other prior cannot take.
 */
function goOn(
  source: StoredModel,
  settings: Record<string, unknown>,
  { options, tokens, survey, maps }: PriorPlan & { tokens: ShardReader },
): PriorSettings {
  const { card } = source;
  const family = priorFamily(card.name);
  const config = family.parseConfig(settings);
  const { conditioning, classes } = family.condition(config);
  const refuse = (what: string, expected: string, received: string): never => {
    throw new UsageError(
      'E_FROM',
      `--from ${options.from}: expected ${what} ${expected}, received ${received}. Train from scratch for others.`,
    );
  };
  const [different] = differences(family.maps(config).map(specOf), maps.map(specOf));
  if (different !== undefined)
    refuse(
      'tokens with the maps of the model,',
      different.trim().split(', not ')[0]!,
      different.trim().split(', not ')[1] ?? 'others',
    );
  if (options.conditioning !== undefined && options.conditioning !== conditioning)
    refuse('the conditioning', conditioning, options.conditioning);
  if (options.tokenizer !== undefined) refuse('no', '--tokenizer, because the model has its own', options.tokenizer);
  if (conditioning === 'label' && !sameJson(classes, survey.classes))
    refuse('tokens with the classes', listNames(classes ?? []), listNames(survey.classes) || 'none');
  if (conditioning === 'text' && survey.captioned === 0) refuse('tokens with', 'captions', 'none');
  options.onNote?.(`conditioning: ${conditioning}, as that of ${options.from}`);
  if (card.codec?.fingerprint !== tokens.codec.fingerprint)
    options.onNote?.(
      `warning: ${options.from} was trained on codes of another codec, whose meaning the prior has to learn anew. Remedy: start from a prior for this codec.`,
    );
  return { config, text: storedTokenizer(source), conditioning };
}

/** The words of the training captions, and of the captions of a model that the run starts from. */
function knownWords({ captions }: TokenSurvey, source: StoredModel | undefined): string[] | undefined {
  const own = wordsIn(
    [...captions].flatMap(([caption, { training }]) => (training > 0 ? [[caption, training] as const] : [])),
  );
  const before = source && parseWords(source.extras['words.json']);
  return own && before ? [...new Set([...own, ...before])] : own;
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
