import { describe, expect, it } from 'vitest';
import { trainBpe } from '../../src/text/bpe.js';
import { loadTextTokenizer } from '../../src/text/tokenizer.js';
import { parseWords, someKnownWords, unknownWords, wordsIn } from '../../src/text/words.js';

const CAPTIONS = ['a small red circle', 'a large blue square', 'a small blue circle above a red square'];
const trained = trainBpe(
  CAPTIONS.flatMap((caption) => [caption, caption, caption]),
  { vocabSize: 400, lowercase: true },
);
const words = wordsIn(CAPTIONS.map((caption) => [caption, 3] as const))!;

describe('words of the training captions', () => {
  it('are counted in lower case, most frequent first', () => {
    expect(
      wordsIn([
        ['Red, red! café', 1],
        ["isn't RED-HOT", 2],
      ]),
    ).toEqual(["isn't", 'red', 'red-hot', 'café']);
    expect(words.slice(0, 2)).toEqual(['a', 'blue']);
  });

  it('are not kept when there are very many', () => {
    expect(wordsIn(Array.from({ length: 20_000 }, (_, i) => [`word${i}`, 1] as const))).toBeUndefined();
  });

  it('come back from their file, and nothing else does', () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(parseWords(bytes('["red","blue"]'))).toEqual(['red', 'blue']);
    for (const odd of ['{"a":1}', '[1]', 'nonsense', '']) expect(parseWords(bytes(odd))).toBeUndefined();
    expect(parseWords(undefined)).toBeUndefined();
  });
});

describe('unknown words', () => {
  it('are those that no caption had, whatever their case', () => {
    expect(unknownWords('A Crimson circle; a RHOMBUS, a crimson square', trained, words)).toEqual([
      'crimson',
      'rhombus',
    ]);
    expect(unknownWords('', trained, words)).toEqual([]);
  });

  it('are those of letters alone where captions were not kept', () => {
    expect(unknownWords('a crimson circle above a rhombus', trained)).toEqual(['crimson', 'rhombus']);
    expect(CAPTIONS.flatMap((caption) => unknownWords(caption, trained))).toEqual([]);
  });

  it('are those without an id, or with that of the unknown token', () => {
    const file = (more: object): object => ({
      model: { type: 'WordLevel', vocab: { '[UNK]': 0, red: 1, circle: 2 }, ...more },
      pre_tokenizer: { type: 'Whitespace' },
    });
    for (const more of [{ unk_token: '[UNK]' }, {}])
      expect(unknownWords('red zebra circle', loadTextTokenizer(file(more)))).toEqual(['zebra']);
  });

  it('come with some that are known', () => {
    expect(someKnownWords(trained, words, 3)).toEqual(words.slice(0, 3));
    const guessed = someKnownWords(trained, undefined, 10);
    expect(guessed).toEqual(expect.arrayContaining(['red', 'blue', 'circle', 'square', 'small']));
    expect(guessed.length).toBeLessThanOrEqual(10);
  });
});
