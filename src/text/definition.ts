// Validates a `tokenizer.json` before it is passed to the tokenizer library: every field that is used has the right
// type, ids lie in the vocabulary, and no text can grow without bound while it is encoded.
import { CorruptError, firstLineOf } from '../errors.js';
import { isRecord } from '../json.js';
import { excerpt } from '../names.js';

/** A validated definition, in the form that the library expects. */
export interface Definition {
  model: Record<string, unknown>;
  added_tokens: unknown[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: null;
  decoder: unknown;
}

export interface CheckedDefinition {
  definition: Definition;
  /** The largest id plus one. */
  vocabSize: number;
  /** Id of the unknown token, if there is one. */
  unknownId?: number;
  /** A text of n characters has at most `growth * n + added` characters when it reaches the model. */
  growth: number;
  added: number;
}

/** Maximum depth of nesting; real files have only a few levels. */
const MAX_DEPTH = 64;
/** Maximum number of normalizers, pre-tokenizers and decoders, including nested ones. */
const MAX_STEPS = 256;
const MAX_GROWTH = 4096;

/** @throws {CorruptError} E_TEXT_TOKENIZER naming what is invalid. */
export function parseDefinition(text: string): CheckedDefinition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw refusal(`JSON, received text that does not parse (${excerpt(firstLineOf(error))})`, error);
  }
  if (!isRecord(parsed)) throw refusal(`an object, received ${describe(parsed)}`);
  if (!isRecord(parsed['model'])) throw refusal(`an object "model", received ${describe(parsed['model'])}`);
  const added = parsed['added_tokens'] ?? [];
  if (!Array.isArray(added)) throw refusal(`a list "added_tokens", received ${describe(added)}`);
  checkDepth(parsed);
  const vocabSize = vocabSizeOf(parsed['model'], added);
  checkModel(parsed['model']);
  const [normalizer, cut, decoder] = (['normalizer', 'pre_tokenizer', 'decoder'] as const).map((name) =>
    stepsOf(parsed, name),
  );
  const steps = [...normalizer!, ...cut!];
  const growth = steps.reduce((product, step) => product * growthOf(step), 1);
  if (!(growth <= MAX_GROWTH))
    throw refusal(
      `replacements that keep text in proportion, received some that make it more than ${MAX_GROWTH} times as long`,
    );
  if (steps.length + decoder!.length > MAX_STEPS)
    throw refusal(
      `at most ${MAX_STEPS} normalizers, pre-tokenizers and decoders, received ${steps.length + decoder!.length}`,
    );
  return {
    definition: {
      model: parsed['model'],
      added_tokens: added,
      normalizer: parsed['normalizer'] ?? null,
      pre_tokenizer: parsed['pre_tokenizer'] ?? null,
      // Only the ids of the text itself are needed, not those that a post-processor adds.
      post_processor: null,
      decoder: parsed['decoder'] ?? null,
    },
    vocabSize,
    unknownId: unknownIdOf(parsed['model'], added),
    growth,
    added: steps.reduce((sum, step) => sum + lengthOf(step['prepend']) + lengthOf(step['str_rep']), 0) * growth,
  };
}

/** Checks the depth level by level. Recursion would fail on deep nesting. */
function checkDepth(root: object): void {
  let level: object[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw refusal(`at most ${MAX_DEPTH} levels of nesting, received more`);
    level = level.flatMap((node) =>
      Object.values(node).filter((value): value is object => typeof value === 'object' && value !== null),
    );
  }
}

/**
 * Returns the size of the vocabulary. An id far above the number of tokens would make every table indexed by ids, such
 * as an embedding, far larger than the file, so at least half of the ids must be in use.
 */
function vocabSizeOf(model: Record<string, unknown>, added: unknown[]): number {
  const ids = [...modelIds(model['vocab']), ...added.map(addedId)];
  if (ids.length === 0) throw refusal('at least one token, received none');
  let largest = 0;
  for (const id of ids) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0)
      throw refusal(`ids that are integers from 0 up, received ${describe(id)}`);
    largest = Math.max(largest, id);
  }
  if (largest >= 2 * ids.length + 1024)
    throw refusal(`ids in proportion to the ${ids.length} tokens, received id ${largest}`);
  return largest + 1;
}

function modelIds(vocab: unknown): unknown[] {
  if (Array.isArray(vocab)) return Array.from(vocab.keys()); // Unigram: a list of [token, score], the index is the id
  if (isRecord(vocab)) return Object.values(vocab);
  throw refusal(`a vocabulary, received ${describe(vocab)}`);
}

function addedId(token: unknown): unknown {
  return isRecord(token) && typeof token['content'] === 'string' && token['content'] !== '' ? token['id'] : token;
}

function checkModel(model: Record<string, unknown>): void {
  const { type, vocab, merges, unk_id: unknownId } = model;
  checkFields('model', model, MODEL_FIELDS);
  if (type === 'BPE' && !Array.isArray(merges)) throw refusal(`a list "merges", received ${describe(merges)}`);
  for (const merge of Array.isArray(merges) ? merges : [])
    if (!isMerge(merge)) throw refusal(`merges of two tokens, received ${describe(merge)}`);
  if (!Array.isArray(vocab)) return;
  for (const entry of vocab)
    if (!isScored(entry)) throw refusal(`a vocabulary of [token, score], received ${describe(entry)}`);
  const isKnown =
    unknownId === null ||
    unknownId === undefined ||
    (Number.isInteger(unknownId) && (unknownId as number) >= 0 && (unknownId as number) < vocab.length);
  if (!isKnown) throw refusal(`"unk_id" in [0, ${vocab.length}), received ${describe(unknownId)}`);
}

function unknownIdOf(
  { vocab, unk_token: token, unk_id: id }: Record<string, unknown>,
  added: unknown[],
): number | undefined {
  if (Array.isArray(vocab)) return (id ?? undefined) as number | undefined;
  const own = (added as { content?: unknown; id?: unknown }[]).find(({ content }) => content === token)?.id;
  return (own ??
    (typeof token === 'string' && Object.hasOwn(vocab as object, token)
      ? (vocab as Record<string, unknown>)[token]
      : undefined)) as number | undefined;
}

function isMerge(merge: unknown): boolean {
  if (typeof merge === 'string') return merge.includes(' ');
  return Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string');
}

function isScored(entry: unknown): boolean {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string' && Number.isFinite(entry[1]);
}

type Step = Record<string, unknown>;

/** Returns the normalizers, pre-tokenizers or decoders of a file as a flat list, each validated. */
function stepsOf(parsed: Record<string, unknown>, name: 'normalizer' | 'pre_tokenizer' | 'decoder'): Step[] {
  const steps: Step[] = [];
  const visit = (value: unknown): void => {
    if (value === null || value === undefined) return;
    if (!isRecord(value) || typeof value['type'] !== 'string')
      throw refusal(`a "${name}" with a "type", received ${describe(value)}`);
    checkFields(name, value, STEP_FIELDS);
    const needed = Object.hasOwn(NEEDED, value['type']) ? NEEDED[value['type']]! : undefined;
    if (needed && (value[needed] ?? undefined) === undefined)
      throw refusal(`a "${needed}" in a "${name}" of type ${value['type']}, received none`);
    steps.push(value);
    const inner = value[{ normalizer: 'normalizers', pre_tokenizer: 'pretokenizers', decoder: 'decoders' }[name]];
    if (value['type'] !== 'Sequence') return;
    if (!Array.isArray(inner)) throw refusal(`a list in a "${name}" of type Sequence, received ${describe(inner)}`);
    inner.forEach(visit);
  };
  visit(parsed[name]);
  return steps;
}

/** Returns the factor by which a step can lengthen a text. */
function growthOf(step: Step): number {
  const content = lengthOf(step['content']);
  const pattern = step['pattern'] as { String?: string } | undefined;
  if (pattern && content > 0) {
    // A string pattern consumes as many characters as it has; a regular expression may match nothing, between any two.
    return pattern.String === undefined ? 1 + content : Math.max(1, content / pattern.String.length);
  }
  return Math.max(1, lengthOf(step['str_rep']), lengthOf(step['replacement']));
}

const lengthOf = (value: unknown): number => (typeof value === 'string' ? value.length : 0);

type Rule = readonly [expected: string, holds: (value: unknown) => boolean];
const FLAG: Rule = ['true or false', (value) => typeof value === 'boolean'];
const TEXT: Rule = ['text', (value) => typeof value === 'string'];
const COUNT: Rule = ['a whole number from 0 up', (value) => Number.isInteger(value) && (value as number) >= 0];
const LENGTH: Rule = ['a whole number from 1 up', (value) => Number.isInteger(value) && (value as number) >= 1];
const NUMBER: Rule = ['a number', (value) => typeof value === 'number'];
const BEHAVIORS = ['removed', 'isolated', 'mergedwithprevious', 'mergedwithnext', 'contiguous'];

const MODEL_FIELDS: Readonly<Record<string, Rule>> = {
  type: TEXT,
  unk_token: TEXT,
  continuing_subword_prefix: TEXT,
  continuing_subword_suffix: TEXT,
  end_of_word_suffix: TEXT,
  max_input_chars_per_word: LENGTH,
  fuse_unk: FLAG,
  byte_fallback: FLAG,
  ignore_merges: FLAG,
  dropout: NUMBER,
};

/** Rules by field name: a field means the same in every kind of step. */
const STEP_FIELDS: Readonly<Record<string, Rule>> = {
  pattern: ['{ "String": ... } or { "Regex": ... } of at least one character', isPattern],
  behavior: [
    "a behavior of Hugging Face's Split",
    (value) => typeof value === 'string' && BEHAVIORS.includes(value.toLowerCase()),
  ],
  content: TEXT,
  prepend: TEXT,
  replacement: ['one character', (value) => typeof value === 'string' && [...value].length === 1],
  str_rep: TEXT,
  prepend_scheme: TEXT,
  prefix: TEXT,
  suffix: TEXT,
  pad_token: TEXT,
  word_delimiter_token: TEXT,
  precompiled_charsmap: TEXT,
  invert: FLAG,
  add_prefix_space: FLAG,
  use_regex: FLAG,
  trim_offsets: FLAG,
  delimiter: ['one character', (value) => typeof value === 'string' && [...value].length === 1],
  individual_digits: FLAG,
  clean_text: FLAG,
  handle_chinese_chars: FLAG,
  strip_accents: FLAG,
  lowercase: FLAG,
  strip_left: FLAG,
  strip_right: FLAG,
  cleanup: FLAG,
  split: FLAG,
  length: LENGTH,
  start: COUNT,
  stop: COUNT,
};

/** The field that each kind of step requires. */
const NEEDED: Readonly<Record<string, string>> = {
  Split: 'pattern',
  Replace: 'pattern',
  CharDelimiterSplit: 'delimiter',
  FixedLength: 'length',
};

function isPattern(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const kinds = Object.keys(value);
  return (
    kinds.length === 1 &&
    ['String', 'Regex'].includes(kinds[0]!) &&
    typeof value[kinds[0]!] === 'string' &&
    value[kinds[0]!] !== ''
  );
}

function checkFields(where: string, record: Record<string, unknown>, rules: Readonly<Record<string, Rule>>): void {
  for (const [field, value] of Object.entries(record)) {
    const rule = Object.hasOwn(rules, field) ? rules[field] : undefined;
    if (rule && value !== null && value !== undefined && !rule[1](value))
      throw refusal(`${rule[0]} as "${field}" of the ${where}, received ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return isRecord(value) ? 'an object' : excerpt(String(JSON.stringify(value)));
}

export function refusal(detail: string, cause?: unknown): CorruptError {
  return new CorruptError(
    'E_TEXT_TOKENIZER',
    `tokenizer.json: expected ${detail}. Give a file written by Hugging Face's tokenizers, or train one on captions.`,
    { cause },
  );
}
