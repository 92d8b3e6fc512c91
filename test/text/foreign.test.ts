// Tokenizers of others: the ids of Hugging Face's own library, and nothing of a file taken on trust.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CorruptError, InputError, TesseraeError } from '../../src/errors.js';
import { Rng } from '../../src/rng.js';
import { trainBpe } from '../../src/text/bpe.js';
import { loadTextTokenizer } from '../../src/text/tokenizer.js';
import { plainCaptions } from './captions.js';

const UNK = '[UNK]';
const wordLevel = (preTokenizer: object, more: object = {}): object => ({
  model: {
    type: 'WordLevel',
    vocab: {
      [UNK]: 0,
      a: 1,
      red: 2,
      cat: 3,
      Straße: 4,
      '!': 5,
      isn: 6,
      "'": 7,
      t: 8,
      1: 9,
      2: 10,
      '▁red': 11,
      '▁a': 12,
    },
    unk_token: UNK,
  },
  pre_tokenizer: preTokenizer,
  ...more,
});
const bpe = (fuse: boolean): object => ({
  model: {
    type: 'BPE',
    vocab: { [UNK]: 0, a: 1, c: 2, t: 3, at: 4, cat: 5, ' ': 6 },
    merges: ['a t', 'c at'],
    unk_token: UNK,
    fuse_unk: fuse,
    dropout: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    byte_fallback: false,
  },
  pre_tokenizer: { type: 'Whitespace' },
});
const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
const unigram = (unknownId: unknown): object => ({
  model: {
    type: 'Unigram',
    unk_id: unknownId,
    vocab: [
      [UNK, 0],
      ['▁', -2],
      ['a', -3],
      ['c', -3],
      ['t', -3],
      ['▁red', -1],
      ['at', -2.5],
    ],
  },
  pre_tokenizer: metaspace,
});
const inWords = { type: 'Whitespace' };
const wordPiece = {
  model: {
    type: 'WordPiece',
    unk_token: UNK,
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: { [UNK]: 0, red: 1, '##dish': 2, cat: 3 },
  },
  pre_tokenizer: inWords,
};
const digitsAndMarks = {
  type: 'Sequence',
  pretokenizers: [
    { type: 'WhitespaceSplit' },
    { type: 'Digits', individual_digits: true },
    { type: 'Punctuation', behavior: 'Isolated' },
  ],
};
const dog = {
  id: 13,
  content: 'dog',
  single_word: true,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: false,
};

const TEXTS = ['a red zebra', "isn't a Straße!!", '12 cats, 1 cat', 'dog dogs redzebra', '日本 cat é'];

/** Expected: Tokenizer.from_str(...).encode(text, add_special_tokens=False).ids of Python's tokenizers 0.23.3, for each of TEXTS. */
const KINDS: [string, object, number[][]][] = [
  [
    'WordLevel',
    wordLevel(inWords),
    [
      [1, 2, 0],
      [6, 7, 8, 1, 4, 0],
      [0, 0, 0, 9, 3],
      [0, 0, 0],
      [0, 3, 0],
    ],
  ],
  [
    'WordLevel with single digits and punctuation',
    wordLevel(digitsAndMarks),
    [
      [1, 2, 0],
      [6, 7, 8, 1, 4, 5, 5],
      [9, 10, 0, 0, 9, 3],
      [0, 0, 0],
      [0, 3, 0],
    ],
  ],
  [
    'WordLevel with words marked at their beginning',
    wordLevel(metaspace),
    [
      [12, 11, 0],
      [0, 12, 0],
      [0, 0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
  ],
  [
    'WordLevel split at a character',
    wordLevel({ type: 'CharDelimiterSplit', delimiter: ' ' }),
    [
      [1, 2, 0],
      [0, 1, 0],
      [0, 0, 9, 3],
      [0, 0, 0],
      [0, 3, 0],
    ],
  ],
  [
    'WordLevel with a word of its own added',
    wordLevel(inWords, { added_tokens: [dog] }),
    [
      [1, 2, 0],
      [6, 7, 8, 1, 4, 0],
      [0, 0, 0, 9, 3],
      [13, 0, 0],
      [0, 3, 0],
    ],
  ],
  [
    'WordPiece',
    wordPiece,
    [
      [0, 1, 0],
      [0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 3],
      [0, 0, 0],
      [0, 3, 0],
    ],
  ],
  [
    'BPE',
    bpe(false),
    [
      [1, 0, 0, 0, 0, 0, 0, 0, 1],
      [0, 0, 0, 0, 3, 1, 0, 3, 0, 1, 0, 0, 0, 0],
      [0, 0, 5, 0, 0, 0, 5],
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      [0, 0, 5, 0],
    ],
  ],
  [
    'BPE that fuses unknown characters',
    bpe(true),
    [
      [1, 0, 0, 1],
      [0, 0, 3, 1, 0, 3, 0, 1, 0, 0],
      [0, 5, 0, 0, 0, 5],
      [0, 0, 0, 1],
      [0, 5, 0],
    ],
  ],
  [
    'Unigram',
    unigram(0),
    [
      [1, 2, 5, 1, 0, 2],
      [1, 0, 4, 1, 2, 1, 0, 4, 0, 2, 0],
      [1, 0, 1, 3, 6, 0, 1, 0, 1, 3, 6],
      [1, 0, 1, 0, 5, 0, 2],
      [1, 0, 1, 3, 6, 1, 0],
    ],
  ],
];

describe('text with unknown words', () => {
  it.each(KINDS)('has the ids of Hugging Face for %s', (_, file, ids) => {
    const tokenizer = loadTextTokenizer(file);
    expect(TEXTS.map((text) => tokenizer.encode(text))).toEqual(ids);
  });

  it('is refused by a tokenizer without an unknown token', () => {
    for (const file of [
      unigram(null),
      unigram(undefined),
      { model: { type: 'WordLevel', vocab: { a: 0 } }, pre_tokenizer: inWords },
    ]) {
      const tokenizer = loadTextTokenizer(file);
      expect(tokenizer.encode('a').length).toBeGreaterThan(0);
      expect(() => tokenizer.encode('a zebra')).toThrow(/^E_TEXT_UNKNOWN /);
    }
  });
});

const trained = trainBpe(plainCaptions(200), { vocabSize: 300 });
const own = JSON.parse(trained.json) as Record<string, unknown> & { model: object };
const cutBy = (regex: string): object => ({
  ...own,
  pre_tokenizer: { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
});
const replaced = (pattern: object, content: unknown, times = 1): object => ({
  ...own,
  normalizer: {
    type: 'Sequence',
    normalizers: Array.from({ length: times }, () => ({ type: 'Replace', pattern, content })),
  },
});

describe('a file of others', () => {
  it.each([20, 40, 1e15, 0.5, -1, '../x', {}])('is refused with the unknown id %s', (id) => {
    expect(() => loadTextTokenizer(unigram(id))).toThrow(
      /^E_TEXT_TOKENIZER tokenizer\.json: expected "unk_id" in \[0, 7\), received /,
    );
  });

  it.each([
    ['a behavior that is a number', { ...own, pre_tokenizer: { type: 'Split', pattern: { Regex: 'a' }, behavior: 5 } }],
    [
      'a behavior that the library does not know',
      { ...own, pre_tokenizer: { type: 'Split', pattern: { Regex: 'a' }, behavior: 'MergedWithNext' } },
    ],
    ['a pattern that matches nothing', replaced({ String: '' }, 'xxxx')],
    ['a pattern of an unknown kind', replaced({ Glob: '*' }, 'x')],
    ['a pattern that is none', cutBy('(')],
    ['replacements that make text grow without bound', replaced({ Regex: '(?=.)' }, 'x'.repeat(100), 3)],
    ['content that is no text', replaced({ String: 'a' }, 7)],
    ['pieces of no length', { ...own, pre_tokenizer: { type: 'FixedLength', length: 0 } }],
    ['a split without a pattern', { ...own, pre_tokenizer: { type: 'Split', behavior: 'Isolated', invert: false } }],
    ['a sequence without a list', { ...own, normalizer: { type: 'Sequence', normalizers: 'NFC' } }],
    ['hundreds of steps', replaced({ String: 'a' }, 'a', 300)],
    ['a normalizer without a type', { ...own, normalizer: {} }],
    ['a merge of one', { ...own, model: { ...own.model, merges: ['ab'] } }],
    ['a merge of numbers', { ...own, model: { ...own.model, merges: [[1, 2]] } }],
    ['an unknown token that is a number', { ...wordPiece, model: { ...wordPiece.model, unk_token: 5 } }],
    ['a vocabulary without scores', { model: { type: 'Unigram', vocab: ['a', 'b'] } }],
    ['a score that is none', { model: { type: 'Unigram', vocab: [['a', null]] } }],
    ['an added token of no letters', { ...own, added_tokens: [{ id: 3, content: '' }] }],
  ])('is refused with %s', (_, file) => {
    expect(() => loadTextTokenizer(file)).toThrow(/^E_TEXT_TOKENIZER tokenizer\.json: expected /);
  });

  it('is refused when it is nested deeply, as text or as an object', () => {
    let nested: unknown = { type: 'Lowercase' };
    for (let i = 0; i < 20_000; i++) nested = { type: 'Sequence', normalizers: [nested] };
    expect(() => loadTextTokenizer({ ...own, normalizer: nested })).toThrow(/^E_TEXT_TOKENIZER /);
    const text = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    expect(() => loadTextTokenizer(`{"model":{"vocab":{"a":0}},"deep":${text}}`)).toThrow(
      'expected at most 64 levels of nesting',
    );
  });

  it('may begin with a byte order mark', () => {
    expect(loadTextTokenizer(`\uFEFF${trained.json}`).encode('a red star')).toEqual(trained.encode('a red star'));
  });

  it('is ended when its patterns take years, and works again on the next text', () => {
    const tokenizer = loadTextTokenizer(cutBy('(\\w+\\s?)+!'));
    const before = tokenizer.encode('a red star');
    const begun = performance.now();
    expect(() => tokenizer.encode('a'.repeat(60))).toThrow(
      /^E_TEXT_TOKENIZER encode\("a+\.\.\."\): expected .* more than 2 seconds\. /,
    );
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(tokenizer.encode('a red star')).toEqual(before);
  });

  it('is not asked to cut a text of more than a million characters', () => {
    expect(() => loadTextTokenizer(wordPiece).encode('a'.repeat(2 ** 20 + 1))).toThrow(
      /^E_TEXT_TOO_LONG encode: expected at most 1048576 characters, received 1048577 \("a{1,40}\.\.\."\)/,
    );
  });
});

const FRAGMENTS = [
  'null',
  '-1',
  '0.5',
  '1e15',
  '"../x"',
  '[]',
  '{}',
  'true',
  '""',
  '"(a+)+$"',
  '99999',
  '{"type":"Sequence"}',
];

/** Flips, cuts and swaps bytes, or puts something else in the place of a value. */
function mutant(json: string, rng: Rng): string {
  if (rng.int(2) === 0) {
    const bytes = Buffer.from(json);
    for (let n = 1 + rng.int(4); n > 0; n--) bytes[rng.int(bytes.length)] = 32 + rng.int(95);
    return bytes.toString();
  }
  const values = [...json.matchAll(/:\s*("[^"]*"|-?[\d.]+|null|true|false|\[\]|\{\})/g)];
  const { index, 0: match, 1: value } = values[rng.int(values.length)]!;
  const from = index + match.length - value!.length;
  return json.slice(0, from) + FRAGMENTS[rng.int(FRAGMENTS.length)]! + json.slice(from + value!.length);
}

describe('two thousand mutants', () => {
  it('are refused with a typed error, or give ids in range', () => {
    const files = [
      JSON.stringify(own),
      ...KINDS.map(([, file]) => JSON.stringify(file)),
      JSON.stringify(cutBy('\\s+')),
      JSON.stringify(replaced({ Regex: '\\s+' }, ' ')),
    ];
    const surprises: string[] = [];
    let loaded = 0;
    for (let i = 0; i < 2000; i++) {
      const file = mutant(files[i % files.length]!, new Rng(3, 'test/tokenizer-mutants', i));
      const begun = performance.now();
      try {
        const tokenizer = loadTextTokenizer(file);
        loaded++;
        const ids = TEXTS.flatMap((text) => tokenizer.encode(text));
        const inRange = ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize);
        if (!inRange || typeof tokenizer.decode(ids) !== 'string') surprises.push(`${i}: ids ${ids.join(' ')}`);
      } catch (error) {
        if (!(error instanceof CorruptError || error instanceof InputError))
          surprises.push(
            `${i}: ${error instanceof TesseraeError ? error.message : String(error)} ${file.slice(0, 200)}`,
          );
      }
      if (performance.now() - begun > 5000) surprises.push(`${i}: slow`);
    }
    expect(surprises).toEqual([]);
    // Neither all refused nor all let in: both ways are tried.
    expect(loaded).toBeGreaterThan(200);
    expect(loaded).toBeLessThan(1900);
  }, 30_000);
});

const attack = join(
  process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'),
  '../cases/attack',
);

describe.skipIf(!existsSync(attack))('files of an attack', () => {
  it('end in a typed error, or give ids in range', () => {
    const files = [
      ...readdirSync(join(attack, 'tokenizers')).map((name) => join('tokenizers', name)),
      'prior-redos2/tokenizer.json',
    ];
    for (const name of files) {
      const begun = performance.now();
      try {
        const tokenizer = loadTextTokenizer(readFileSync(join(attack, name), 'utf8'));
        const ids = tokenizer.encode(`a small red circle ${'a'.repeat(40)} above a blue square`);
        expect(ids.filter((id) => !(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize))).toEqual([]);
      } catch (error) {
        if (!(error instanceof CorruptError || error instanceof InputError)) throw error;
      }
      expect(performance.now() - begun).toBeLessThan(5000);
    }
  }, 60_000);
});
