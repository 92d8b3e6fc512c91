// Which settings of a prior suit which tokens. Equal tokens give equal settings on every machine, so that a run can be repeated.
import { codeCount } from '../../interfaces/index.js';
import type { TokenMapSpec } from '../../interfaces/index.js';
import { formatCount } from '../../report/format.js';
import type { TokenSurvey } from '../../train/survey.js';

export interface PriorChoice {
  settings: { prior: string; config: GptSize; text: { vocabSize: number }; training: PriorTrainingSettings };
  reasons: string[];
  warnings: string[];
}

/** Size of the prior `gpt`. */
export interface GptSize {
  nLayer: number;
  nHead: number;
  nEmbd: number;
}

export interface PriorTrainingSettings {
  steps: number;
  batchSize: number;
  learningRate: number;
  warmupSteps: number;
  finalFraction: number;
  weightDecay: number;
  averageDecay: number;
}

/** As large as what trains in minutes on a CPU can be: that of the preset `small`. */
const SMALL: GptSize = { nLayer: 4, nHead: 4, nEmbd: 128 };
/** For fewer codes than this, even less can be learned without memorizing. */
const TINY: GptSize = { nLayer: 2, nHead: 4, nEmbd: 96 };
const FEW_CODES = 50_000;

const MOST_STEPS = 3000;
const FEWEST_STEPS = 200;
/** After this many passes over the samples, a prior memorizes them. */
const MOST_EPOCHS = 30;
/** Multiplications and additions of a training: about ten minutes on two cores of a CPU. */
const WORK = 3.5e13;
/** Number of samples below which a prior memorizes them. */
const FEW = 1000;

/** Picks the settings of a prior. */
export function choosePrior(survey: TokenSurvey, maps: readonly TokenMapSpec[]): PriorChoice {
  const samples = survey.samples.train;
  const length = maps.reduce((sum, map) => sum + codeCount(map), 0);
  const vocabulary = Math.max(...maps.map(({ vocabSize }) => vocabSize));
  const config = samples * length < FEW_CODES ? TINY : SMALL;
  const batchSize = length > 512 ? 8 : length > 128 ? 16 : 32;
  const epochs = (MOST_EPOCHS * samples) / batchSize;
  const affordable = WORK / stepWork(config, length, vocabulary, batchSize);
  const hundreds = (steps: number): number => 100 * Math.round(steps / 100);
  const steps = Math.max(FEWEST_STEPS, Math.min(MOST_STEPS, hundreds(epochs), hundreds(affordable)));
  const [map] = maps;
  const limit =
    steps < Math.min(MOST_STEPS, hundreds(epochs))
      ? ', which is minutes on a CPU'
      : steps < MOST_STEPS
        ? `, about ${MOST_EPOCHS} passes over them`
        : '';
  return {
    settings: {
      prior: 'gpt',
      config: { ...config },
      text: { vocabSize: survey.captions.size < 100 ? 512 : 2048 },
      training: {
        steps,
        batchSize,
        learningRate: 2e-3,
        warmupSteps: Math.min(100, Math.ceil(steps / 10)),
        finalFraction: 0.02,
        weightDecay: 0.01,
        averageDecay: 0.99,
      },
    },
    reasons: [
      `${formatCount(samples)} training samples of ${map?.grid.join('x') ?? 0}${maps.length > 1 ? ' and more' : ''} = ${formatCount(length)} codes, from a vocabulary of ${formatCount(vocabulary)}, together ${formatCount(samples * length)} codes, so ${config.nLayer} layers of ${config.nEmbd} channels`,
      `${formatCount(steps)} steps of ${batchSize} samples${limit}`,
    ],
    warnings:
      samples < FEW
        ? [
            `${formatCount(samples)} training samples are few: new samples will be vague or repeat these. Remedy: more samples, or "tokenize --variants 8 --flip --crop 2".`,
          ]
        : [],
  };
}

/** Multiplications and additions of a training step: six for each weight and position, and attention. */
function stepWork({ nLayer, nEmbd }: GptSize, length: number, vocabulary: number, batch: number): number {
  const weights = 12 * nLayer * nEmbd ** 2 + nEmbd * vocabulary;
  return 6 * batch * length * (weights + 2 * nLayer * length * nEmbd);
}
