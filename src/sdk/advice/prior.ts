// Advice for a prior: looks at tokens, picks settings, and measures what to expect of a training with them.
import { expectOptions } from '../../arguments.js';
import { codeCount } from '../../interfaces/index.js';
import type { Conditioning, Split, TokenMapSpec } from '../../interfaces/index.js';
import { parseConfig } from '../../model/config.js';
import { priorFamily } from '../../registry.js';
import { ShardReader } from '../../shards/reader.js';
import { uniformMaps } from '../../shards/uniform.js';
import { PriorTrainingSchema } from '../../train/config.js';
import { priorPace } from '../../train/prior.js';
import { surveyTokens } from '../../train/survey.js';
import type { TokenSurvey } from '../../train/survey.js';
import type { PriorPreset } from '../presets.js';
import { settle } from '../prior-settings.js';
import { spreadIndices } from '../spread.js';
import { overridesOf } from '../train-options.js';
import type { TrainingOverrides, TrainPriorOptions } from '../train-options.js';
import type { Advice } from './advice.js';
import { reasonsAsked, stepsAsked } from './asked.js';
import { ContextModel } from './contexts.js';
import type { CodeSample } from './contexts.js';
import { priorError } from './laws.js';
import { choosePrior } from './prior-choice.js';
import { trainingSeconds } from './time.js';

export type PriorAdvice = Advice<PriorPreset>;

export interface AdvisePriorOptions
  extends TrainingOverrides, Pick<TrainPriorOptions, 'tokenizer' | 'conditioning' | 'tooLong' | 'onNote'> {
  /** Token shards written by `tokenize`. */
  tokens: string;
}

/** Codes that are counted in each split: a few seconds of work. */
const COUNTED: Record<Split, number> = { train: 800_000, test: 80_000 };

/**
 * Looks at tokens and picks the settings of a prior for them, as `trainPrior` does if no settings are named. Trains for a few seconds;
 * nothing is written. Equal tokens give equal settings on every machine, unless `minutes` is given.
 *
 * @throws {UsageError} for options, {CorruptError} for damaged shards.
 */
export async function advisePrior(options: AdvisePriorOptions): Promise<PriorAdvice> {
  expectOptions('advisePrior', options, {
    paths: ['tokens'],
    whole: { steps: [1], batchSize: [1] },
    choices: { conditioning: ['none', 'label', 'text'], tooLong: ['cut', 'refuse'] },
  });
  const tokens = await ShardReader.open(options.tokens);
  try {
    return await adviseOnTokens(tokens, await surveyTokens(tokens), options);
  } finally {
    await tokens.close();
  }
}

/** Advice for tokens that are open and examined. */
export async function adviseOnTokens(
  tokens: ShardReader,
  survey: TokenSurvey,
  options: AdvisePriorOptions,
): Promise<PriorAdvice> {
  const maps = await uniformMaps(tokens);
  const { settings, reasons, warnings } = choosePrior(survey, maps);
  const family = priorFamily(settings.prior);
  const preset: PriorPreset = { ...settings, config: { ...settings.config }, training: { ...settings.training } };
  const quiet = { ...options, out: '', onNote: undefined };
  const { config, text, conditioning } = settle({ family, options: quiet, preset, survey, maps });
  const written = { ...preset.training, ...overridesOf(options) };
  const training = parseConfig('training', PriorTrainingSchema, written);
  const pace = await priorPace({ family, config, training, tokens, seed: 0, text, tooLong: options.tooLong, out: '' });
  const steps = await stepsAsked(options, training, pace);
  const final = parseConfig('training', PriorTrainingSchema, { ...written, steps });
  const heldOut = tokens.size('test');
  return {
    settings: { ...preset, training: { ...written, steps } },
    reasons: reasonsAsked(reasons, settings.training, { steps, batchSize: training.batchSize }, 'samples'),
    warnings,
    seconds: trainingSeconds({
      pace,
      steps,
      heldOut,
      reading: 0,
      evalEvery: final.evalEvery,
      evalSamples: final.evalSamples,
      evaluated: Math.min(heldOut, final.evalSamples),
    }),
    error: {
      name: 'natsPerCode',
      value: priorError(countedNats(tokens, maps, conditioning, survey), {
        steps,
        learningRate: training.learningRate,
        vocabSize: Math.max(...maps.map((map) => map.vocabSize)),
      }),
    },
  };
}

/** Cross-entropy of a model of counts, in nats per code: of one map, or the mean over the codes of several. */
function countedNats(
  tokens: ShardReader,
  maps: readonly TokenMapSpec[],
  conditioning: Conditioning,
  survey: TokenSurvey,
): number {
  const length = maps.reduce((sum, map) => sum + codeCount(map), 0);
  // To counts, a caption is one more class.
  const numbers = new Map([...survey.captions.keys()].map((caption, i) => [caption, i]));
  const take = (split: Split): CodeSample[] => {
    const count = Math.min(tokens.size(split), Math.max(16, Math.floor(COUNTED[split] / length)));
    return tokens
      .readBatch(split, spreadIndices(tokens.size(split), count))
      .map(({ tokens: own, label, captions }) => ({
        tokens: own,
        label: conditioning === 'label' ? label : conditioning === 'text' ? numbers.get(captions[0] ?? '') : undefined,
      }));
  };
  const [train, test] = [take('train'), take('test')];
  // Without held-out samples, every fifth one is held out here.
  const [known, fresh] =
    test.length > 0 ? [train, test] : [train.filter((_, i) => i % 5 < 4), train.filter((_, i) => i % 5 === 4)];
  return maps.reduce((sum, map, i) => {
    const model = new ContextModel(map, i);
    model.learn(known);
    return sum + (model.nats(fresh.length > 0 ? fresh : known) * codeCount(map)) / length;
  }, 0);
}
