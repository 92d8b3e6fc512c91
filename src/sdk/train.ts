// The training jobs: from data on disk to a model directory.
import { expectOptions } from '../arguments.js';
import type { ModelCard } from '../checkpoint/card.js';
import { loadModel } from '../checkpoint/model.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { UsageError } from '../errors.js';
import { parseConfig } from '../model/config.js';
import { Stages } from '../prior/stages.js';
import { codecFamily, priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { codecPace, trainCodec as runCodec } from '../train/codec.js';
import { CodecTrainingSchema, PriorTrainingSchema } from '../train/config.js';
import { tokenConcerns } from '../train/conditioning.js';
import type { Pace } from '../train/loop.js';
import { priorPace, trainPrior as runPrior } from '../train/prior.js';
import { surveyText, surveyTokens } from '../train/survey.js';
import { splittingOf, withDataset } from './dataset.js';
import { carriedCodec, carryCodec, loadCodecFiles } from './models.js';
import { openCodec } from './codec.js';
import { stepsIn } from './minutes.js';
import { LoadedPrior } from './prior.js';
import type { LoadedCodec } from './codec.js';
import { adviseCodec } from './advice/codec.js';
import { advisedPlan, knownPlan } from './advice/plan.js';
import type { Plan } from './advice/plan.js';
import { adviseOnTokens } from './advice/prior.js';
import { codecPreset, parseCodecPreset, parsePriorPreset, priorPreset } from './presets.js';
import type { CodecPreset, PriorPreset } from './presets.js';
import { expectWeights, parsed, startOf } from './from.js';
import { drawSamples } from './report-samples.js';
import { goOn, knownWords, settle } from './prior-settings.js';
import { overridesOf } from './train-options.js';
import type { TrainCodecOptions, TrainOptions, TrainPriorOptions } from './train-options.js';

/**
 * Trains a codec and writes its model directory, with checkpoints, metrics and a report.
 *
 * @returns the model's card. Its `metrics` are those of the whole held-out split.
 * @throws {UsageError} for settings, {InputError} for data, {CorruptError} or {EngineError} for a feature network, {DivergedError}, {AbortedError}, {IoError}, {LockError}.
 */
export async function trainCodec(options: TrainCodecOptions): Promise<ModelCard> {
  expectOptions('trainCodec', options, { paths: ['out'], whole: { seed: [0] } });
  const known = knownPlan(options, codecPreset, parseCodecPreset);
  if (known) return trainCodecAs(options, known);
  return withDataset(options.data, { ...options, medium: 'image' }, async (dataset) => {
    const on = { ...options, data: dataset, onSummary: undefined };
    const plan = advisedPlan(await adviseCodec(on), options);
    return trainCodecAs({ ...on, minutes: undefined }, plan);
  });
}

async function trainCodecAs(options: TrainCodecOptions, { preset, advice }: Plan<CodecPreset>): Promise<ModelCard> {
  const source = options.from === undefined ? undefined : loadCodecFiles(options.from);
  const { name, config: settings } = startOf(options, source, { name: preset.codec, config: preset.config });
  const family = codecFamily(name);
  const config = parsed(options, () => family.parseConfig(settings));
  if (source) expectWeights(options.from!, { ...family.trainable(config), ...family.state(config) }, source);
  const written = { ...preset.training, ...overridesOf(options), ...perceptualOf(options, preset) };
  const training = parsed(options, () => parseConfig('training', CodecTrainingSchema, written));
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
      advice,
    };
    const steps = await plannedSteps(options, training, (quiet) => codecPace({ ...run, ...quiet }));
    return runCodec({ ...run, training: { ...training, steps } });
  });
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
    whole: { seed: [0] },
    choices: { conditioning: ['none', 'label', 'text'], tooLong: ['cut', 'refuse'] },
  });
  const source = options.from === undefined ? undefined : loadModel(options.from, { kind: 'prior' });
  const prepare = ({ preset, advice }: Plan<PriorPreset>) => {
    const start = startOf(options, source, { name: preset.prior, config: preset.config });
    const written = { ...preset.training, ...overridesOf(options) };
    const training = parsed(options, () => parseConfig('training', PriorTrainingSchema, written));
    return { preset, advice, start, family: priorFamily(start.name), written, training };
  };
  const known = knownPlan(options, priorPreset, parsePriorPreset);
  // Prepared before the tokens are read, so that wrong settings do not take long to be refused.
  const early = known && prepare(known);
  const tokens = await ShardReader.open(options.tokens);
  let decoder: LoadedCodec | undefined;
  try {
    const survey = await surveyTokens(tokens);
    options.onNote?.(surveyText(survey));
    const maps = await uniformMaps(tokens);
    const { preset, advice, start, family, written, training } =
      early ?? prepare(advisedPlan(await adviseOnTokens(tokens, survey, options), options));
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
      sampling: preset.sampling ?? source?.card.sampling,
      concerns: tokenConcerns(survey, conditioning),
      advice,
      sample:
        decoder &&
        (async (card: ModelCard, tensors: NamedTensors) =>
          drawSamples(new LoadedPrior(card, tensors, text), decoder!, tokens, [...survey.captions.keys()])),
    };
    // Advice has turned minutes into steps.
    const timed = early ? options : { ...options, minutes: undefined };
    const steps = await plannedSteps(timed, training, (quiet) => priorPace({ ...run, ...quiet }));
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

export type { CodecPreset, PriorPreset };
