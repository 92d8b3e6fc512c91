// Encodes the conditions of token samples.
import { InputError, UsageError } from '../errors.js';
import type { Prompt, TokenSample } from '../interfaces/index.js';
import { excerpt, listNames } from '../names.js';
import type { Condition, TextEncoder } from '../model/prior.js';
import { beginningOf } from '../text/beginning.js';

/** Maximum number of captions whose ids are kept; further ones are encoded again. */
const REMEMBERED = 20_000;

/** What to do with a text of more tokens than a prior reads: use its beginning, or refuse it. */
export type TooLong = 'cut' | 'refuse';

export interface ConditionOptions {
  /** The text tokenizer, for priors conditioned on text. */
  text?: TextEncoder & { longestText?: number };
  /** Default `refuse`. */
  tooLong?: TooLong;
  /** Class names, in the order of the labels of samples. Default: the prior's own. */
  classes?: readonly string[];
}

/** Encodes samples' conditions, each caption once. */
export class ConditionSource {
  private readonly known = new Map<Prompt, Int32Array>();

  private readonly encode: (prompt: Prompt) => Int32Array;
  private readonly conditioning: Condition['conditioning'];
  private readonly classOf: (label: number) => number;

  constructor(condition: Condition, { text, tooLong = 'refuse', classes }: ConditionOptions = {}) {
    const { textLength } = condition;
    const read = text && textLength !== undefined && tooLong === 'cut' ? beginnings(text, textLength) : text;
    this.encode = (prompt) => condition.encode(prompt, read);
    this.conditioning = condition.conditioning;
    this.classOf = classMapping(classes, condition.classes);
  }

  /** int32 [P]. `pick` chooses among several captions; by default the first. @throws {UsageError} naming the sample. */
  of(sample: TokenSample, pick: (count: number) => number = () => 0): Int32Array {
    return named(sample.key, () => this.prompt(this.promptOf(sample, pick)));
  }

  /** int32 [P]. */
  prompt(prompt: Prompt): Int32Array {
    let ids = this.known.get(prompt);
    if (ids) return ids;
    ids = this.encode(prompt);
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(prompt, ids);
    return ids;
  }

  private promptOf(sample: TokenSample, pick: (count: number) => number): Prompt {
    if (this.conditioning === 'label') return sample.label === undefined ? null : this.classOf(sample.label);
    if (this.conditioning === 'text' && sample.captions.length > 0)
      return sample.captions[pick(sample.captions.length)]!;
    return null;
  }
}

/** A tokenizer that gives at most `length` ids. */
const beginnings = (text: TextEncoder & { longestText?: number }, length: number): TextEncoder => ({
  vocabSize: text.vocabSize,
  encode: (caption) => text.encode(beginningOf(caption, text)).slice(0, length),
});

/** Maps labels of a dataset to the classes of the prior with the same names. */
function classMapping(
  from: readonly string[] | undefined,
  to: readonly string[] | undefined,
): (label: number) => number {
  if (!from || !to) return (label) => label;
  const places = new Map(to.map((name, i) => [name, i]));
  return (label) => {
    const place = places.get(from[label]!);
    if (place === undefined)
      throw new UsageError(
        'E_PROMPT_CLASS',
        `class "${from[label]}": expected one of the prior's ${to.length} classes (${listNames(to)}).`,
      );
    return place;
  };
}

/** Runs work whose errors a caption or a label may cause, so that the error names the sample. */
export function named<T>(key: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const Kind = [UsageError, InputError].find((kind) => error instanceof kind);
    if (Kind === undefined) throw error;
    const { code, detail } = error as UsageError | InputError;
    throw new Kind(code, `sample "${excerpt(key)}": ${detail}`, { cause: error });
  }
}
