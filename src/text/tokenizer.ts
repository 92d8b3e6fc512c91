// Text to ids and back, by any Hugging Face `tokenizer.json`.
import { CorruptError, InputError, ShapeError, UsageError, messageOf } from '../errors.js';
import { buildTokenizer } from './hugging-face.js';
import type { HuggingFaceTokenizer } from './hugging-face.js';

/** Ids of a fixed number of positions, as a prior reads them. */
export interface PaddedIds {
  /** int32 [length asked for]; positions from `length` on hold the padding id. */
  ids: Int32Array;
  /** Positions that carry text. */
  length: number;
}

export interface PadOptions {
  /** What to do with text of more ids than positions. Default `error`. */
  overflow?: 'error' | 'truncate';
  /** Id of the positions without text. Default 0. */
  padId?: number;
  /** Names the text in an error, e.g. a sample's key. */
  where?: string;
}

/** Turns text into ids in [0, vocabSize) and back. */
export interface TextTokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The text of its `tokenizer.json`: what a prior stores beside its weights. */
  readonly json: string;
  /** Ids of the text alone: no start, end or separator tokens are added. */
  encode(text: string): number[];
  /**
   * Text of the ids, exactly as the tokenizer's own decoder writes it. A byte-level tokenizer without a normalizer gives
   * back the very text it encoded; ids that cut a character in two give U+FFFD there.
   *
   * @throws {ShapeError} E_TEXT_ID for an id outside [0, vocabSize).
   */
  decode(ids: ArrayLike<number>): string;
  /**
   * Encodes into a fixed number of positions.
   *
   * @throws {InputError} E_TEXT_TOO_LONG when the text has more ids than positions and `overflow` is `error`.
   */
  encodePadded(text: string, length: number, options?: PadOptions): PaddedIds;
}

/**
 * Opens a Hugging Face tokenizer.
 *
 * @param json the text of a `tokenizer.json`, or the same already parsed.
 * @throws {CorruptError} E_TEXT_TOKENIZER when it is not one, or is of a kind that cannot be run.
 */
export function loadTokenizer(json: string | object): TextTokenizer {
  const text = typeof json === 'string' ? json : JSON.stringify(json);
  const definition = parseDefinition(text);
  const vocabSize = vocabSizeOf(definition);
  try {
    return new HuggingFaceText(buildTokenizer(definition), text, vocabSize);
  } catch (error) {
    throw refusal(`a tokenizer of a supported kind, received one that cannot be run (${messageOf(error)})`, error);
  }
}

/** Captions repeat (labels do by the thousand), so the ids of as many texts are kept. */
const REMEMBERED_TEXTS = 4096;

class HuggingFaceText implements TextTokenizer {
  private readonly remembered = new Map<string, number[]>();

  constructor(
    private readonly tokenizer: HuggingFaceTokenizer,
    readonly json: string,
    readonly vocabSize: number,
  ) {}

  encode(text: string): number[] {
    let ids = this.remembered.get(text);
    if (ids === undefined) {
      ids = this.encodeAnew(text);
      if (this.remembered.size >= REMEMBERED_TEXTS) this.remembered.clear();
      this.remembered.set(text, ids);
    }
    return [...ids];
  }

  private encodeAnew(text: string): number[] {
    const { ids, tokens } = this.tokenizer.encode(text, { add_special_tokens: false });
    const known = ids.filter((id) => id !== undefined);
    if (known.length < ids.length) {
      const unknown = JSON.stringify(tokens[ids.indexOf(undefined)]);
      throw new InputError(
        'E_TEXT_UNKNOWN',
        `encode: expected text within the vocabulary, received ${unknown}, for which the tokenizer has no id. ` +
          'Use a byte-level tokenizer, or one with an unknown token.',
      );
    }
    return known;
  }

  decode(ids: ArrayLike<number>): string {
    const list = Array.from(ids);
    for (const [position, id] of list.entries()) {
      if (!this.isId(id)) {
        throw new ShapeError('E_TEXT_ID', `decode: expected ids in [0, ${this.vocabSize}), received ${id} at position ${position}.`);
      }
    }
    return list.length === 0 ? '' : this.tokenizer.decode(list, { skip_special_tokens: false });
  }

  encodePadded(text: string, length: number, options: PadOptions = {}): PaddedIds {
    const { overflow = 'error', padId = 0, where = 'text' } = options;
    if (!Number.isInteger(length) || length < 1) {
      throw new UsageError('E_TEXT_LENGTH', `encodePadded: expected a length of at least 1, received ${length}.`);
    }
    const ids = this.encode(text);
    if (ids.length > length && overflow === 'error') {
      throw new InputError(
        'E_TEXT_TOO_LONG',
        `${where}: expected at most ${length} text tokens, received ${ids.length} (${excerpt(text)}). ` +
          'Shorten the text, or let it be truncated.',
      );
    }
    const padded = new Int32Array(length).fill(padId);
    padded.set(ids.slice(0, length));
    return { ids: padded, length: Math.min(ids.length, length) };
  }

  private isId(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.vocabSize;
  }
}

function excerpt(text: string): string {
  const characters = Array.from(text.slice(0, 120));
  return JSON.stringify(characters.length > 40 ? `${characters.slice(0, 40).join('')}...` : text);
}

/** The parts of a `tokenizer.json` that are checked here; the library checks what it runs. */
interface Definition {
  model: Record<string, unknown>;
  added_tokens: unknown[];
}

function parseDefinition(text: string): Definition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw refusal(`JSON, received text that does not parse (${messageOf(error)})`, error);
  }
  if (!isRecord(parsed)) throw refusal(`an object, received ${describe(parsed)}`);
  if (!isRecord(parsed['model'])) throw refusal(`an object "model", received ${describe(parsed['model'])}`);
  const added = parsed['added_tokens'] ?? [];
  if (!Array.isArray(added)) throw refusal(`a list "added_tokens", received ${describe(added)}`);
  const absent = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  return { ...absent, ...parsed, model: parsed['model'], added_tokens: added };
}

/**
 * One more than the largest id. An id far above the number of tokens would make every table built on it (an embedding
 * first) as large as the file says rather than as large as the file is, so at least half of the ids must be in use.
 */
function vocabSizeOf(definition: Definition): number {
  const ids = [...modelIds(definition.model['vocab']), ...definition.added_tokens.map(addedId)];
  if (ids.length === 0) throw refusal('at least one token, received none');
  let largest = 0;
  for (const id of ids) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0) {
      throw refusal(`ids that are integers from 0 up, received ${describe(id)}`);
    }
    largest = Math.max(largest, id);
  }
  if (largest >= 2 * ids.length + 1024) {
    throw refusal(`ids in proportion to the ${ids.length} tokens, received id ${largest}`);
  }
  return largest + 1;
}

function modelIds(vocab: unknown): unknown[] {
  if (Array.isArray(vocab)) return Array.from(vocab.keys()); // Unigram: a list of [token, score], the index is the id
  if (isRecord(vocab)) return Object.values(vocab);
  throw refusal(`a vocabulary, received ${describe(vocab)}`);
}

function addedId(token: unknown): unknown {
  return isRecord(token) && typeof token['content'] === 'string' ? token['id'] : token;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return isRecord(value) ? 'an object' : String(JSON.stringify(value)).slice(0, 80);
}

function refusal(detail: string, cause?: unknown): CorruptError {
  return new CorruptError(
    'E_TEXT_TOKENIZER',
    `tokenizer.json: expected ${detail}. Give a file written by Hugging Face's tokenizers, or train one on captions.`,
    { cause },
  );
}
