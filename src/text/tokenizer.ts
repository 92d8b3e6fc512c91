// Encodes text to ids and decodes ids to text, with any Hugging Face `tokenizer.json`.
import { CorruptError, InputError, ShapeError, TesseraeError, UsageError, firstLineOf } from '../errors.js';
import { excerpt } from '../names.js';
import { parseDefinition, refusal } from './definition.js';
import type { CheckedDefinition } from './definition.js';
import { buildTokenizer } from './hugging-face.js';
import type { HuggingFaceTokenizer } from './hugging-face.js';
import { isOwn } from './own.js';
import { TimeLimit, withinTime } from './time-limit.js';
import { translated } from './translation.js';

/** Encodes text to ids in [0, vocabSize) and decodes them. */
export interface TextTokenizer {
  /** The largest id plus one. */
  readonly vocabSize: number;
  /** Id of unknown pieces of text, if the tokenizer has one. */
  readonly unknownId?: number;
  /** Maximum number of characters in a text that it encodes; `beginningOf` truncates longer texts. */
  readonly longestText: number;
  /** Text of its `tokenizer.json`, which a prior stores with its weights. */
  readonly json: string;
  /**
   * Returns the ids of the text itself; no start, end or separator tokens are added.
   *
   * @throws {InputError} E_TEXT_TOO_LONG for more than {@link longestText} characters; E_TEXT_UNKNOWN for text outside
   *   the vocabulary.
   */
  encode(text: string): number[];
  /**
   * Returns the text of ids, exactly as the tokenizer's own decoder writes it. A byte-level tokenizer without a
   * normalizer returns exactly the text it encoded. Ids that split a character produce U+FFFD.
   *
   * @throws {ShapeError} E_TEXT_ID for an id outside [0, vocabSize).
   */
  decode(ids: ArrayLike<number>): string;
}

/**
 * Loads a Hugging Face tokenizer.
 *
 * @param json Text of a `tokenizer.json`, or the parsed object.
 * @throws {CorruptError} E_TEXT_TOKENIZER when it is not a tokenizer, or is of an unsupported kind.
 */
export function loadTextTokenizer(json: string | object): TextTokenizer {
  const text = typeof json === 'string' ? json : jsonOf(json);
  const checked = parseDefinition(text);
  const definition = translated(checked.definition);
  try {
    return new HuggingFaceText(
      withinTime(LOADING_MILLISECONDS, () => buildTokenizer(definition)),
      text,
      checked,
    );
  } catch (error) {
    throw refusal(
      `a tokenizer of a supported kind, received one that cannot be run (${excerpt(firstLineOf(error))})`,
      error,
    );
  }
}

function jsonOf(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw refusal(`what JSON can hold, received something else (${excerpt(firstLineOf(error))})`, error);
  }
}

/** Time limit for one text. Ordinary texts take a thousandth of it, but the patterns of a file can take years. */
const TEXT_MILLISECONDS = 2000;
const LOADING_MILLISECONDS = 3000;
/** Maximum number of characters that a text may grow to before it is split into tokens. */
const MAX_CHARACTERS = 2 ** 20;

/** Number of texts whose ids are cached. Captions repeat, and those made from labels repeat by the thousand. */
const REMEMBERED_TEXTS = 4096;

class HuggingFaceText implements TextTokenizer {
  private readonly remembered = new Map<string, number[]>();
  /**
   * Whether to limit the time. The patterns of tokenizers trained here run in linear time, and watching the clock would
   * cost more than running them.
   */
  private readonly watched: boolean;

  constructor(
    private readonly tokenizer: HuggingFaceTokenizer,
    readonly json: string,
    private readonly checked: CheckedDefinition,
  ) {
    this.watched = !isOwn(checked.definition);
  }

  get unknownId(): number | undefined {
    return this.checked.unknownId;
  }

  get vocabSize(): number {
    return this.checked.vocabSize;
  }

  get longestText(): number {
    const { growth, added } = this.checked;
    return Math.floor((MAX_CHARACTERS - added) / growth);
  }

  encode(text: string): number[] {
    if (typeof text !== 'string') throw new UsageError('E_TEXT', `encode: expected text, received ${typeof text}.`);
    let ids = this.remembered.get(text);
    if (ids === undefined) {
      ids = this.encodeAnew(text);
      if (this.remembered.size >= REMEMBERED_TEXTS) this.remembered.clear();
      this.remembered.set(text, ids);
    }
    return [...ids];
  }

  private encodeAnew(text: string): number[] {
    if (text.length > this.longestText) {
      throw new InputError(
        'E_TEXT_TOO_LONG',
        `encode: expected at most ${this.longestText} characters, received ${text.length} (${quoted(text)}). Shorten the text.`,
      );
    }
    const { ids, tokens } = this.run('encode', text, () => this.tokenizer.encode(text, { add_special_tokens: false }));
    // Ids come from the file's own tables, which were validated. A token that is in none of them has undefined or null.
    return ids.map((id, i) => {
      if (typeof id === 'number' && this.isId(id)) return id;
      throw new InputError(
        'E_TEXT_UNKNOWN',
        `encode: expected text within the vocabulary, received ${quoted(tokens[i] ?? '')}, for which the tokenizer has no id. ` +
          'Use a byte-level tokenizer, or one with an unknown token.',
      );
    });
  }

  /** Runs a call of the library with a time limit. The file is to blame for its errors. */
  private run<T>(what: string, text: string, work: () => T): T {
    try {
      return this.watched ? withinTime(TEXT_MILLISECONDS, work) : work();
    } catch (error) {
      if (error instanceof TesseraeError) throw error;
      const reason =
        error instanceof TimeLimit
          ? `patterns or loops that take ${error.message}`
          : `one that fails (${excerpt(firstLineOf(error))})`;
      throw new CorruptError(
        'E_TEXT_TOKENIZER',
        `${what}(${quoted(text)}): expected a tokenizer.json that can be run on it, received ${reason}. Use another tokenizer.`,
        { cause: error },
      );
    }
  }

  decode(ids: ArrayLike<number>): string {
    const list = Array.from(ids);
    for (const [position, id] of list.entries()) {
      if (!this.isId(id)) {
        throw new ShapeError(
          'E_TEXT_ID',
          `decode: expected ids in [0, ${this.vocabSize}), received ${id} at position ${position}.`,
        );
      }
    }
    return list.length === 0
      ? ''
      : this.run('decode', `${list.length} ids`, () => this.tokenizer.decode(list, { skip_special_tokens: false }));
  }

  private isId(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.vocabSize;
  }
}

const quoted = (text: string): string => JSON.stringify(excerpt(text, 40));
