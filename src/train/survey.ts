// Examines tokens before a prior is trained on them.
import type { TokenSample } from '../interfaces/index.js';
import { CodebookMeter } from '../metrics/codebook.js';
import type { CodebookUse } from '../metrics/codebook.js';
import { formatCount } from '../report/format.js';
import type { ShardReader } from '../shards/reader.js';

/** A caption of a dataset. */
export interface CaptionUse {
  /** Number of samples of the training split that have it. */
  training: number;
  /** Number of samples of both splits that have it. */
  all: number;
  /** The first sample that has it. */
  key: string;
}

/** What tokens contain. */
export interface TokenSurvey {
  directory: string;
  samples: { train: number; test: number; all: number };
  /** Number of samples with a caption. */
  captioned: number;
  /** Distinct captions, in the order in which they occur. */
  captions: ReadonlyMap<string, CaptionUse>;
  /** Number of samples with a label. */
  labeled: number;
  /** Names of the classes that occur, in the order of their numbers. */
  classes: readonly string[];
  /** True if all samples of a class have the same captions, which then say no more than the class. */
  captionsRepeatClasses: boolean;
  /** True if every caption contains the name of its sample's class. */
  captionsNameClasses: boolean;
  maps: CodebookUse[];
}

/** Reads every sample once. */
export async function surveyTokens(tokens: ShardReader): Promise<TokenSurvey> {
  const captions = new Map<string, CaptionUse>();
  const meters = tokens.maps.map((map) => new CodebookMeter(map));
  const captionsOfClass = new Map<number, string>();
  let [captioned, labeled, repeats, named] = [0, 0, true, true];
  for (const split of ['train', 'test'] as const) {
    for await (const sample of tokens.stream(split)) {
      captioned += Number(sample.captions.length > 0);
      for (const caption of sample.captions) count(captions, caption, sample.key, split === 'train');
      sample.tokens.maps.forEach(({ ids }, i) => meters[i]!.add(ids));
      repeats = repeatsClass(captionsOfClass, sample) && repeats;
      named &&=
        sample.label !== undefined &&
        sample.captions.every((caption) => caption.includes(nameOf(tokens, sample.label!)));
      labeled += Number(sample.label !== undefined);
    }
  }
  const [train, test] = [tokens.size('train'), tokens.size('test')];
  const classes = [...captionsOfClass.keys()].sort((a, b) => a - b).map((label) => nameOf(tokens, label));
  return {
    directory: tokens.directory,
    samples: { train, test, all: train + test },
    captioned,
    captions,
    labeled,
    classes,
    captionsRepeatClasses: labeled > 0 && repeats,
    captionsNameClasses: labeled > 0 && named,
    maps: train + test > 0 ? meters.map((meter) => meter.result()) : [],
  };
}

const nameOf = ({ classes }: ShardReader, label: number): string => classes?.[label] ?? String(label);

function count(captions: Map<string, CaptionUse>, caption: string, key: string, isTraining: boolean): void {
  const use = captions.get(caption) ?? { training: 0, all: 0, key };
  use.all++;
  use.training += Number(isTraining);
  captions.set(caption, use);
}

/** Remembers the captions of a class. @returns whether this sample has no others. */
function repeatsClass(known: Map<number, string>, { label, captions }: TokenSample): boolean {
  if (label === undefined) return captions.length === 0;
  const own = JSON.stringify(captions);
  const before = known.get(label);
  if (before === undefined) known.set(label, own);
  return before === undefined || before === own;
}

const gridText = (grid: readonly number[]): string => grid.map((extent) => (extent < 0 ? '?' : extent)).join(' x ');

/** "tokens runs/tokens: 7,200 training and 800 held-out samples, 8,000 captioned (10 distinct captions), no labels; codes 8 x 8 of 512, 509 in use". */
export function surveyText(survey: TokenSurvey): string {
  const { samples, captioned, captions, labeled, classes, maps } = survey;
  const text =
    captioned > 0
      ? `${formatCount(captioned)} captioned (${formatCount(captions.size)} distinct captions)`
      : 'no captions';
  const labels = labeled > 0 ? `${formatCount(labeled)} labeled (${formatCount(classes.length)} classes)` : 'no labels';
  const codes = maps.map(
    ({ name, grid, levels, vocabSize, used }) =>
      `${name} ${gridText(grid)}${levels === 1 ? '' : ` x ${levels} levels`} of ${formatCount(vocabSize)}, ${formatCount(used)} in use`,
  );
  return `tokens ${survey.directory}: ${formatCount(samples.train)} training and ${formatCount(samples.test)} held-out samples, ${text}, ${labels}; ${codes.join('; ')}`;
}
