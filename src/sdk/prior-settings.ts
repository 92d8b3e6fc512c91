// The settings of a prior: those of a preset, those that follow from the tokens, and those of a prior that it starts from.
import type { StoredModel } from '../checkpoint/card.js';
import { UsageError } from '../errors.js';
import { readFile } from '../files/read.js';
import { specOf } from '../interfaces/index.js';
import type { Conditioning, TokenMapSpec } from '../interfaces/index.js';
import { differences, sameJson } from '../json.js';
import type { PriorFamily } from '../model/prior.js';
import { excerpt, listNames } from '../names.js';
import { priorFamily } from '../registry.js';
import type { ShardReader } from '../shards/reader.js';
import { trainBpe } from '../text/bpe.js';
import { loadTextTokenizer } from '../text/tokenizer.js';
import { parseWords, wordsIn } from '../text/words.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { captionLengths, cutText, refuseTooLong } from '../train/captions.js';
import { chooseConditioning } from '../train/conditioning.js';
import type { TokenSurvey } from '../train/survey.js';
import { storedTokenizer } from './prior.js';
import { MAX_TEXT_LENGTH } from './presets.js';
import type { PriorPreset } from './presets.js';
import { parsed } from './from.js';
import type { TrainPriorOptions } from './train-options.js';

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
export function settle({
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
  const config = parsed(options, () => family.parseConfig({ ...preset.config, ...fields }));
  return { config, text, conditioning };
}

/**
 * The settings of a prior that starts from another one, which it shares.
 *
 * @throws {UsageError} E_FROM for tokens or options that the other prior cannot take.
 */
export function goOn(
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
  if (different !== undefined) refuse('tokens with the maps of the model,', different.before, different.now);
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
export function knownWords({ captions }: TokenSurvey, source: StoredModel | undefined): string[] | undefined {
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
