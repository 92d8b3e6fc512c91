// Tokens looked through once before a prior is trained on them: what they hold, and what the prior is to be conditioned on.
import { UsageError } from '../errors.js';
import type { Conditioning, TokenSample } from '../interfaces/index.js';
import { CodebookMeter } from '../metrics/codebook.js';
import type { CodebookUse } from '../metrics/codebook.js';
import { excerpt, listNames } from '../names.js';
import { formatCount } from '../report/format.js';
import type { ShardReader } from '../shards/reader.js';
import { collapseText } from './concerns.js';

/** A caption of a dataset. */
export interface CaptionUse {
  /** Samples of the training split that have it. */
  training: number;
  /** Samples of both splits. */
  all: number;
  /** The first sample that has it. */
  key: string;
}

/** What tokens hold. */
export interface TokenSurvey {
  directory: string;
  samples: { train: number; test: number; all: number };
  /** Samples with a caption. */
  captioned: number;
  /** Different captions, in the order in which they occur. */
  captions: ReadonlyMap<string, CaptionUse>;
  /** Samples with a label. */
  labeled: number;
  /** Names of the classes that occur, in the order of their numbers. */
  classes: readonly string[];
  /** All samples of a class have the same captions, so these say no more than the class. */
  captionsRepeatClasses: boolean;
  maps: CodebookUse[];
}

/** Reads every sample once. */
export async function surveyTokens(tokens: ShardReader): Promise<TokenSurvey> {
  const captions = new Map<string, CaptionUse>();
  const meters = tokens.maps.map((map) => new CodebookMeter(map));
  const captionsOfClass = new Map<number, string>();
  let [captioned, labeled, repeats] = [0, 0, true];
  for (const split of ['train', 'test'] as const) {
    for await (const sample of tokens.stream(split)) {
      captioned += Number(sample.captions.length > 0);
      for (const caption of sample.captions) count(captions, caption, sample.key, split === 'train');
      sample.tokens.maps.forEach(({ ids }, i) => meters[i]!.add(ids));
      repeats &&= repeatsClass(captionsOfClass, sample);
      labeled += Number(sample.label !== undefined);
    }
  }
  const [train, test] = [tokens.size('train'), tokens.size('test')];
  const classes = [...captionsOfClass.keys()].sort((a, b) => a - b).map((label) => tokens.classes?.[label] ?? String(label));
  return { directory: tokens.directory, samples: { train, test, all: train + test }, captioned, captions, labeled, classes, captionsRepeatClasses: labeled > 0 && repeats, maps: train + test > 0 ? meters.map((meter) => meter.result()) : [] };
}

function count(captions: Map<string, CaptionUse>, caption: string, key: string, isTraining: boolean): void {
  const use = captions.get(caption) ?? { training: 0, all: 0, key };
  use.all++;
  use.training += Number(isTraining);
  captions.set(caption, use);
}

/** Remembers a class's captions. @returns whether this sample has no others. */
function repeatsClass(known: Map<number, string>, { label, captions }: TokenSample): boolean {
  if (label === undefined) return captions.length === 0;
  const own = JSON.stringify(captions);
  const before = known.get(label);
  if (before === undefined) known.set(label, own);
  return before === undefined || before === own;
}

/** With more classes than this share of the labeled samples, a label says which sample it is, not of which kind. */
export const ID_SHARE = 0.5;

const labelsAreIds = ({ classes, labeled }: TokenSurvey): boolean => classes.length > ID_SHARE * labeled;

const of = (some: number, { samples }: TokenSurvey): string => `${formatCount(some)} of ${formatCount(samples.all)} samples`;

/** "7,200 training and 800 held-out samples, 8,000 captioned (10 distinct captions), no labels; codes 8 x 8 of 512, 509 in use". */
export function surveyText(survey: TokenSurvey): string {
  const { samples, captioned, captions, labeled, classes, maps } = survey;
  const text = captioned > 0 ? `${formatCount(captioned)} captioned (${formatCount(captions.size)} distinct captions)` : 'no captions';
  const labels = labeled > 0 ? `${formatCount(labeled)} labeled (${formatCount(classes.length)} classes)` : 'no labels';
  const codes = maps.map(({ name, shape, vocabSize, used }) => `${name} ${shape.map((extent) => (extent < 0 ? '?' : extent)).join(' x ')} of ${formatCount(vocabSize)}, ${formatCount(used)} in use`);
  return `${survey.directory}: ${formatCount(samples.train)} training and ${formatCount(samples.test)} held-out samples, ${text}, ${labels}; ${codes.join('; ')}`;
}

/** What to condition on, and why. */
export interface ConditioningChoice {
  conditioning: Conditioning;
  /** "because ...", or "10 classes, because ...". */
  reason: string;
}

/**
 * What a prior is conditioned on: what was asked for, else captions where they say more than the labels, else labels
 * where they are classes, else nothing.
 *
 * @throws {UsageError} E_NO_CAPTIONS, E_NO_CLASSES, E_LABEL_IDS for a wish that the tokens cannot fulfil.
 */
export function chooseConditioning(survey: TokenSurvey, wish: Conditioning | undefined): ConditioningChoice {
  if (wish === undefined) return defaultConditioning(survey);
  const { captioned, captions, labeled, classes } = survey;
  const where = `--conditioning ${wish}`;
  if (wish === 'text') {
    if (captioned === 0) throw new UsageError('E_NO_CAPTIONS', `${where}: expected captions in ${survey.directory}, found none. Tokenize a dataset with captions.`);
    return { conditioning: wish, reason: `as ${where} asks; ${of(captioned, survey)} have captions (${formatCount(captions.size)} distinct)` };
  }
  if (wish === 'none') return { conditioning: wish, reason: `as ${where} asks` };
  if (labeled === 0) throw new UsageError('E_NO_CLASSES', `${where}: expected classes in ${survey.directory}, found none. Tokenize a dataset with labels.`);
  if (labelsAreIds(survey)) throw new UsageError('E_LABEL_IDS', `${where}: expected classes of several samples each in ${survey.directory}, found ${formatCount(classes.length)} labels among ${formatCount(labeled)} samples (${listNames(classes, 3)}), which are ids. Use --conditioning ${captioned > 0 ? 'text' : 'none'}, or tokenize with labels that repeat.`);
  return { conditioning: wish, reason: `${formatCount(classes.length)} classes, as ${where} asks` };
}

function defaultConditioning(survey: TokenSurvey): ConditioningChoice {
  const { captioned, captions, labeled, classes, captionsRepeatClasses } = survey;
  const captionsText = `${of(captioned, survey)} have captions (${formatCount(captions.size)} distinct)`;
  const idsText = `the labels are ids (${formatCount(classes.length)} values among ${formatCount(labeled)} samples)`;
  const text = (besides: string): ConditioningChoice => ({ conditioning: 'text', reason: `because ${captionsText}${besides}` });
  const none = (reason: string): ConditioningChoice => ({ conditioning: 'none', reason: `because ${reason}` });
  if (labeled === 0) return captioned > 0 ? text('') : none('no sample has a caption or a label');
  if (labelsAreIds(survey)) {
    if (captioned === 0) return none(`no sample has a caption, and ${idsText}`);
    // Names of single things are words all the same; "a photo of a 10133" is not.
    if (captionsRepeatClasses && classes.every((name) => /^\d+$/.test(name))) return none(`${idsText}, and the captions only repeat them`);
    return text(`, and ${idsText}`);
  }
  if (captioned > 0 && !captionsRepeatClasses && captions.size > classes.length) return text(`, which say more than the ${formatCount(classes.length)} classes`);
  const besides = captioned === 0 ? 'no sample has a caption' : 'the captions only repeat the class names';
  return { conditioning: 'label', reason: `${formatCount(classes.length)} classes, because ${of(labeled, survey)} have labels and ${besides}` };
}

/** What of the tokens spoils a prior of this conditioning. */
export function tokenConcerns(survey: TokenSurvey, conditioning: Conditioning): string[] {
  const { captioned, labeled, samples, maps } = survey;
  const having = { text: captioned, label: labeled, none: samples.all }[conditioning];
  const what = conditioning === 'text' ? 'captions' : 'labels';
  const few = having < samples.all / 2 ? [`${of(having, survey)} have ${what}; the others are trained unconditionally. Remedy: ${what} for more of them.`] : [];
  const collapsed = maps.flatMap((map) => collapseText(map, 'tokens') ?? []);
  return [...few, ...collapsed.map((text) => `${text}, so the pictures can hardly differ. Remedy: train the codec again, with its codebook in use.`)];
}

/** Share of captions that the text of a prior should hold whole, when the rest is far longer. */
const COVERED = 0.995;

/** A caption this many times as long as the others' longest is an outlier. */
const OUTLIER = 2;

/** From this many captions on, the longest one may be an outlier. */
const ENOUGH_TO_COMPARE = 10;

/** The captions of a survey in text tokens. */
export interface CaptionLengths {
  longest: number;
  /** The sample with the longest caption, and its caption. */
  key: string;
  caption: string;
  /** Captions of more than `length` tokens, counting repetitions. */
  above(length: number): number;
  /** A length that holds all captions, or all but outliers, and is at most `limit`. */
  fitted(limit: number): number;
}

/** Measures the captions by a tokenizer. */
export function captionLengths({ captions }: Pick<TokenSurvey, 'captions'>, encode: (caption: string) => ArrayLike<unknown>): CaptionLengths {
  const all = [...captions].map(([caption, { all: times, key }]) => ({ caption, key, times, length: encode(caption).length })).sort((a, b) => b.length - a.length);
  const [first] = all;
  const total = all.reduce((sum, { times }) => sum + times, 0);
  const longest = first?.length ?? 0;
  return {
    longest,
    key: first?.key ?? '',
    caption: first?.caption ?? '',
    above: (length) => all.reduce((sum, one) => sum + (one.length > length ? one.times : 0), 0),
    fitted: (limit) => {
      const rest = afterOutliers(all, total < ENOUGH_TO_COMPARE ? 0 : Math.max(1, Math.floor((1 - COVERED) * total)));
      return Math.max(1, Math.min(limit, longest > OUTLIER * rest ? rest : longest));
    },
  };
}

/** The longest caption after at most `spared` others. */
function afterOutliers(sorted: readonly { length: number; times: number }[], spared: number): number {
  let left = spared;
  for (const { length, times } of sorted) {
    left -= times;
    if (left < 0) return length;
  }
  return sorted.at(-1)?.length ?? 0;
}

/** "3 captions cut to 1,024 text tokens (longest 6,120, sample p7)". */
export function cutText(lengths: CaptionLengths, length: number): string {
  const cut = lengths.above(length);
  return `${formatCount(cut)} ${cut === 1 ? 'caption' : 'captions'} cut to ${formatCount(length)} text tokens (longest ${formatCount(lengths.longest)}, sample ${excerpt(lengths.key)})`;
}

/** @throws {UsageError} E_TEXT_TOO_LONG naming the sample with the longest caption, when it has more tokens than `length`. */
export function refuseTooLong({ longest, key, caption }: CaptionLengths, length: number): void {
  if (longest <= length) return;
  throw new UsageError('E_TEXT_TOO_LONG', `sample "${excerpt(key)}": expected at most ${formatCount(length)} text tokens in a caption, received ${formatCount(longest)} ("${excerpt(caption)}"). Shorten the caption, raise text.length in the settings (at most 1,024), or pass --too-long cut.`);
}
