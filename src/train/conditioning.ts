// Chooses what a prior is conditioned on by what the tokens contain, with the reason and with concerns.
import { UsageError } from '../errors.js';
import type { Conditioning } from '../interfaces/index.js';
import type { PriorFamily } from '../model/prior.js';
import { listNames } from '../names.js';
import { formatCount } from '../report/format.js';
import { collapseText } from './concerns.js';
import type { TokenSurvey } from './survey.js';

/** With more classes than this fraction of the labeled samples, labels are ids of samples rather than classes. */
const ID_SHARE = 0.5;

const labelsAreIds = ({ classes, labeled }: TokenSurvey): boolean => classes.length > ID_SHARE * labeled;

const of = (some: number, { samples }: TokenSurvey): string =>
  `${formatCount(some)} of ${formatCount(samples.all)} samples`;

/** What to condition on, with the reason. */
export interface ConditioningChoice {
  conditioning: Conditioning;
  /** "because ...", or "10 classes, because ...". */
  reason: string;
}

/**
 * Chooses what a prior is conditioned on: what was requested, otherwise captions if they say more than the labels, otherwise
 * labels if they are classes, otherwise nothing. What the prior cannot be conditioned on is left out.
 *
 * @throws {UsageError} E_NO_CAPTIONS, E_NO_CLASSES, E_LABEL_IDS for a request that the tokens do not allow; E_CONDITIONING for one
 *   that the prior does not allow.
 */
export function chooseConditioning(
  survey: TokenSurvey,
  wish: Conditioning | undefined,
  { name, conditionings = ['none', 'label', 'text'] }: Pick<PriorFamily, 'name' | 'conditionings'>,
): ConditioningChoice {
  if (wish === undefined) {
    const choice = defaultConditioning(survey);
    if (conditionings.includes(choice.conditioning)) return choice;
    const areClasses = survey.labeled > 0 && !labelsAreIds(survey);
    const next = conditionings.includes('label') && areClasses ? 'label' : 'none';
    return { conditioning: next, reason: `because ${name} cannot be conditioned on ${choice.conditioning}` };
  }
  if (!conditionings.includes(wish))
    throw new UsageError(
      'E_CONDITIONING',
      `--conditioning ${wish}: expected ${conditionings.join(' or ')}, which is what ${name} can be conditioned on.`,
    );
  const { captioned, captions, labeled, classes } = survey;
  const where = `--conditioning ${wish}`;
  if (wish === 'text') {
    if (captioned === 0)
      throw new UsageError(
        'E_NO_CAPTIONS',
        `${where}: expected captions in ${survey.directory}, found none. Tokenize a dataset with captions.`,
      );
    return {
      conditioning: wish,
      reason: `as ${where} asks; ${of(captioned, survey)} have captions (${formatCount(captions.size)} distinct)`,
    };
  }
  if (wish === 'none') return { conditioning: wish, reason: `as ${where} asks` };
  if (labeled === 0)
    throw new UsageError(
      'E_NO_CLASSES',
      `${where}: expected classes in ${survey.directory}, found none. Tokenize a dataset with labels.`,
    );
  if (labelsAreIds(survey)) {
    const found = `${formatCount(classes.length)} labels among ${formatCount(labeled)} samples (${listNames(classes, 3)})`;
    throw new UsageError(
      'E_LABEL_IDS',
      `${where}: expected classes of several samples each in ${survey.directory}, found ${found}, which are ids. Use --conditioning ${captioned > 0 ? 'text' : 'none'}, or tokenize with labels that repeat.`,
    );
  }
  return { conditioning: wish, reason: `${formatCount(classes.length)} classes, as ${where} asks` };
}

function defaultConditioning(survey: TokenSurvey): ConditioningChoice {
  const { captioned, captions, labeled, classes, captionsRepeatClasses, captionsNameClasses } = survey;
  const captionsText = `${of(captioned, survey)} have captions (${formatCount(captions.size)} distinct)`;
  const idsText = `the labels are ids (${formatCount(classes.length)} values among ${formatCount(labeled)} samples)`;
  const text = (besides: string): ConditioningChoice => ({
    conditioning: 'text',
    reason: `because ${captionsText}${besides}`,
  });
  const none = (reason: string): ConditioningChoice => ({ conditioning: 'none', reason: `because ${reason}` });
  if (labeled === 0) return captioned > 0 ? text('') : none('no sample has a caption or a label');
  if (labelsAreIds(survey)) {
    if (captioned === 0) return none(`no sample has a caption, and ${idsText}`);
    // Names of single things are words, but "a photo of a 10133" contains none.
    if (captionsNameClasses && classes.every((name) => /^\d+$/.test(name)))
      return none(`${idsText}, and the captions only repeat them`);
    return text(`, and ${idsText}`);
  }
  if (captioned > 0 && !captionsRepeatClasses && captions.size > classes.length)
    return text(`, which say more than the ${formatCount(classes.length)} classes`);
  const besides = captioned === 0 ? 'no sample has a caption' : 'the captions only repeat the class names';
  return {
    conditioning: 'label',
    reason: `${formatCount(classes.length)} classes, because ${of(labeled, survey)} have labels and ${besides}`,
  };
}

/** Concerns about the tokens for a prior of this conditioning. */
export function tokenConcerns(survey: TokenSurvey, conditioning: Conditioning): string[] {
  const { captioned, labeled, samples, maps } = survey;
  const having = { text: captioned, label: labeled, none: samples.all }[conditioning];
  const what = conditioning === 'text' ? 'captions' : 'labels';
  const few =
    having < samples.all / 2
      ? [
          `${of(having, survey)} have ${what}; the others are trained unconditionally. Remedy: ${what} for more of them.`,
        ]
      : [];
  const collapsed = maps.flatMap((map) => collapseText(map, 'tokens') ?? []);
  return [
    ...few,
    ...collapsed.map(
      (text) => `${text}, so the images can hardly differ. Remedy: train the codec again, with its codebook in use.`,
    ),
  ];
}
