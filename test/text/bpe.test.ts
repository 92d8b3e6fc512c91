import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rng, permutation } from '../../src/rng.js';
import { trainBpe } from '../../src/text/bpe.js';
import { loadTextTokenizer } from '../../src/text/tokenizer.js';
import { ODD_TEXTS, plainCaptions } from './captions.js';

const captions = [...plainCaptions(500), ...ODD_TEXTS, ...ODD_TEXTS];
const tokenizer = trainBpe(captions, { vocabSize: 600 });

interface Written {
  normalizer: unknown;
  model: { vocab: Record<string, number>; merges: string[] };
}

function written(json: string): Written {
  return JSON.parse(json) as Written;
}

describe('trainBpe', () => {
  it('learns the words of the captions as single tokens', () => {
    const trained = trainBpe(plainCaptions(500), { vocabSize: 512 });
    expect(trained.encode(' red')).toHaveLength(1);
    expect(trained.encode('a small red circle above a large blue square')).toHaveLength(9);
    expect(trained.decode(trained.encode(' triangle'))).toBe(' triangle');
  });

  it('gives back any text it encodes', () => {
    for (const text of ODD_TEXTS) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  it('replaces lone surrogates, which no UTF-8 can hold', () => {
    expect(tokenizer.decode(tokenizer.encode('a\ud800b\udc00'))).toBe('a\ufffdb\ufffd');
  });

  it('keeps every id below the vocabulary size it states', () => {
    const { vocab, merges } = written(tokenizer.json).model;
    expect(tokenizer.vocabSize).toBe(600);
    expect(Object.values(vocab).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    expect(merges).toHaveLength(600 - 256);
  });

  it('writes the same bytes for the same captions in any order', () => {
    const shuffled = Array.from(permutation(captions.length, 3, 'shuffle'), (i) => captions[i]!);
    expect(trainBpe(captions, { vocabSize: 600 }).json).toBe(tokenizer.json);
    expect(trainBpe(shuffled, { vocabSize: 600 }).json).toBe(tokenizer.json);
  });

  it('reads captions once, as a stream', () => {
    expect(trainBpe(captions.values(), { vocabSize: 600 }).json).toBe(tokenizer.json);
  });

  it('stops early when the captions have no more pairs', () => {
    expect(trainBpe([], { vocabSize: 1000 }).vocabSize).toBe(256);
    expect(trainBpe(['ab', 'ab'], { vocabSize: 1000 }).vocabSize).toBe(257);
    expect(trainBpe(['ab'], { vocabSize: 1000 }).vocabSize).toBe(256);
    expect(trainBpe(['ab'], { vocabSize: 1000, minFrequency: 1 }).vocabSize).toBe(257);
  });

  it('never merges across words', () => {
    const { merges } = written(trainBpe(plainCaptions(300), { vocabSize: 5000, minFrequency: 1 }).json).model;
    expect(merges.some((merge) => /.Ġ/.test(merge.replace(' ', '')))).toBe(false);
  });

  it('reads upper and lower case, composed and decomposed letters alike when asked to', () => {
    const lower = trainBpe(captions, { vocabSize: 500, lowercase: true });
    expect(lower.encode('A RED Circle')).toEqual(lower.encode('a red circle'));
    expect(lower.encode('e\u0301')).toEqual(lower.encode('É'));
    expect(lower.decode(lower.encode('ΟΔΥΣΣΕΥΣ'))).toBe('οδυσσευσ');
    expect(tokenizer.encode('A RED Circle')).not.toEqual(tokenizer.encode('a red circle'));
  });

  it('has no special tokens that a caption could spell', () => {
    expect(tokenizer.decode(tokenizer.encode('<|endoftext|>'))).toBe('<|endoftext|>');
    expect(tokenizer.encode('<|endoftext|>').length).toBeGreaterThan(1);
  });

  it('keeps tokens spelled like the properties of objects', () => {
    const spelled = trainBpe(['constructor __proto__', 'constructor __proto__'], { vocabSize: 400 });
    expect(spelled.encode('constructor')).toHaveLength(1);
    expect(spelled.decode(spelled.encode('constructor __proto__'))).toBe('constructor __proto__');
  });

  it('survives a save and a load', () => {
    const loaded = loadTextTokenizer(tokenizer.json);
    expect(loaded.json).toBe(tokenizer.json);
    for (const text of [...ODD_TEXTS, ...plainCaptions(20, 9)])
      expect(loaded.encode(text)).toEqual(tokenizer.encode(text));
  });

  it('refuses a vocabulary that cannot hold the bytes, and other sizes that make no sense', () => {
    for (const vocabSize of [0, 255, 300.5, Number.NaN, 2 ** 20 + 1]) {
      expect(() => trainBpe(captions, { vocabSize })).toThrow(/E_TEXT_VOCAB_SIZE/);
    }
    expect(() => trainBpe(captions, { vocabSize: 300, minFrequency: 0 })).toThrow(/E_TEXT_MIN_FREQUENCY/);
  });

  it('learns 8,000 merges from 100,000 captions in seconds', () => {
    const rng = new Rng(1, 'words');
    const words = Array.from({ length: 30_000 }, () =>
      String.fromCharCode(...Array.from({ length: 3 + rng.int(7) }, () => 97 + rng.int(26))),
    );
    const many = Array.from({ length: 100_000 }, () =>
      Array.from({ length: 8 }, () => words[rng.int(words.length)]).join(' '),
    );
    const start = performance.now();
    expect(trainBpe(many, { vocabSize: 8256, minFrequency: 1 }).vocabSize).toBe(8256);
    expect(performance.now() - start).toBeLessThan(15_000); // 1.5 s on an idle core; room for a crowded machine
  });
});
