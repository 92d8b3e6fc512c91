import { describe, expect, it } from 'vitest';
import { codeCount, GptConfigSchema, prefixLength, specs, vocabulary } from '../../priors/gpt.js';
import { gpt } from '../../priors/gpt-model.js';
import { priorConformance } from '../conformance/prior.js';
import { TINY_PRIOR } from '../support/tiny.js';

const CODES = { name: 'codes', shape: [3, 4], vocabSize: 11 };

priorConformance('gpt', { ...TINY_PRIOR, codes: CODES });

describe('the vocabulary', () => {
  const config = GptConfigSchema.parse({ ...TINY_PRIOR, codes: CODES, conditioning: 'text', text: { length: 5, vocabSize: 20 } });
  const text = { vocabSize: 20, encode: (words: string) => words.split(' ').map(Number) };

  it('puts codes first, then the start token, text, and one padding token a position', () => {
    expect(vocabulary(config)).toEqual({ start: 11, classes: 12, text: 12, padding: 32, size: 37 });
    expect(specs(config)['wte.weight']!.shape).toEqual([37, 16]);
    expect(specs(config)['wpe.weight']!.shape).toEqual([prefixLength(config) + codeCount(config), 16]);
  });

  it('pads a caption to its positions, each with a token of its own', () => {
    expect([...gpt.condition(config, '3 0 19', text)]).toEqual([11, 15, 12, 31, 35, 36]);
    expect([...gpt.condition(config, null, text)]).toEqual([11, 32, 33, 34, 35, 36]);
  });

  it('refuses a caption that does not fit', () => {
    expect(() => gpt.condition(config, '1 2 3 4 5 6', text)).toThrow(/E_TEXT_TOO_LONG.*at most 5 text tokens, received 6/);
  });
});

describe('classes', () => {
  const config = GptConfigSchema.parse({ ...TINY_PRIOR, codes: CODES, conditioning: 'label', classes: ['T-shirt/top', 'sneaker', 'ankle boot'] });
  const token = (prompt: string | number | null): number => gpt.condition(config, prompt, undefined)[0]! - vocabulary(config).classes;

  it.each([
    [1, 1],
    ['Sneaker', 1],
    ['a photo of an ankle boot', 2],
    ['t-shirt/top', 0],
  ])('takes %j for class %i', (prompt, index) => expect(token(prompt)).toBe(index));

  it('has a token for no class', () => expect(token(null)).toBe(-1));

  it.each(['a cat', 7, -1, 'a sneaker or an ankle boot'])('refuses %j and lists the classes', (prompt) => {
    expect(() => token(prompt)).toThrow(/E_PROMPT_CLASS.*T-shirt\/top, sneaker, ankle boot/);
  });
});

describe('the config', () => {
  it.each([
    [{ nEmbd: 15 }, /multiple of nHead/],
    [{ conditioning: 'label' }, /classes go with/],
    [{ text: { length: 3, vocabSize: 9 } }, /text goes with/],
    [{ nLayers: 2 }, /nLayers/],
  ])('refuses %j', (change, message) => {
    expect(() => gpt.parseConfig({ ...TINY_PRIOR, codes: CODES, ...change })).toThrow(message);
  });
});
