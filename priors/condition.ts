// What a prior is conditioned on: nothing, a class, or a text. All priors share the config, the vocabulary and the encoding of
// prompts. Another kind of condition, such as a speaker, gets its fields in `conditionFields`, its ids in `conditionVocabulary`
// and its case in `encode`.
import { z } from 'zod';
import { UsageError } from '../src/errors.js';
import type { Conditioning, Prompt } from '../src/interfaces/index.js';
import { closestName, excerpt, listNames } from '../src/names.js';
import type { Condition, TextEncoder } from '../src/model/prior.js';

/** The fields of a prior's config that say what it is conditioned on. */
export const conditionFields = {
  /** What a sample is conditioned on. */
  conditioning: z.enum(['none', 'label', 'text']).default('none'),
  /** Class names, for label conditioning. */
  classes: z.array(z.string()).min(1).optional(),
  /** Longest caption in tokens and the text vocabulary, for text conditioning. */
  text: z.strictObject({ length: z.int().min(1).max(1024), vocabSize: z.int().min(1) }).optional(),
};

export interface ConditionConfig {
  conditioning: Conditioning;
  classes?: string[] | undefined;
  text?: { length: number; vocabSize: number } | undefined;
}

/** Adds an issue to a config whose classes or text do not fit its conditioning. For `superRefine` of priors' schemas. */
export function refuseBadCondition({ conditioning, classes, text }: ConditionConfig, context: z.RefinementCtx): void {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  if ((conditioning === 'label') !== (classes !== undefined))
    refuse('classes go with conditioning "label", and only with it');
  if ((conditioning === 'text') !== (text !== undefined))
    refuse('text goes with conditioning "text", and only with it');
}

/** Ids of an encoded condition, P: a start token, a class, or a start token and a padded caption. */
export const conditionLength = ({ text }: ConditionConfig): number => 1 + (text?.length ?? 0);

/**
 * Where each kind of id begins, counted from 0: the start token (for labels: "no class"), then classes or text tokens,
 * then one padding token for each caption position.
 */
export function conditionVocabulary({ classes, text }: ConditionConfig): {
  start: number;
  classes: number;
  text: number;
  padding: number;
  size: number;
} {
  const first = 1;
  const afterClasses = first + (classes?.length ?? 0);
  const padding = afterClasses + (text?.vocabSize ?? 0);
  return { start: 0, classes: first, text: afterClasses, padding, size: padding + (text?.length ?? 0) };
}

/** The condition of a config: ids are counted as in {@link conditionVocabulary}. */
export function conditionOf(c: ConditionConfig): Condition {
  return {
    conditioning: c.conditioning,
    classes: c.classes,
    textLength: c.text?.length,
    length: conditionLength(c),
    vocabSize: conditionVocabulary(c).size,
    encode: (prompt, text) => encode(c, prompt, text),
  };
}

/** Encodes a prompt as int32 [P]; `null` is "no condition". */
function encode(c: ConditionConfig, prompt: Prompt, text: TextEncoder | undefined): Int32Array {
  const { start, classes, text: firstText, padding } = conditionVocabulary(c);
  const ids = new Int32Array(conditionLength(c)).fill(start);
  if (c.classes && prompt !== null) ids[0] = classes + classIndex(c.classes, prompt);
  if (!c.text) return ids;
  const { length } = c.text;
  const words = prompt === null || !text ? [] : text.encode(String(prompt));
  if (words.length > length)
    throw new UsageError(
      'E_TEXT_TOO_LONG',
      `prompt "${excerpt(String(prompt))}": expected at most ${length} text tokens, received ${words.length}. Shorten it, or pass --too-long cut to use its beginning.`,
    );
  for (let i = 0; i < length; i++) ids[1 + i] = firstText + (words[i] ?? padding - firstText + i);
  return ids;
}

/** A class by index, by name, or by the one class name a prompt contains ("a photo of a sneaker"). */
function classIndex(classes: readonly string[], prompt: string | number): number {
  if (typeof prompt === 'number' && Number.isInteger(prompt) && prompt >= 0 && prompt < classes.length) return prompt;
  const wanted = ` ${String(prompt).toLowerCase().trim()} `;
  const exact = classes.findIndex((name) => ` ${name.toLowerCase()} ` === wanted);
  if (exact >= 0) return exact;
  const contained = classes.flatMap((name, i) => (wanted.includes(` ${name.toLowerCase()} `) ? [i] : []));
  if (contained.length === 1) return contained[0]!;
  const closest =
    typeof prompt === 'string'
      ? closestName(prompt, contained.length > 0 ? contained.map((i) => classes[i]!) : classes)
      : undefined;
  const remedy = closest === undefined ? '' : ` The closest is "${closest}".`;
  throw new UsageError(
    'E_PROMPT_CLASS',
    `prompt "${excerpt(String(prompt))}": expected one of the ${classes.length} classes (${listNames(classes)}).${remedy}`,
  );
}
