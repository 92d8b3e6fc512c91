import { describe, expect, it } from 'vitest';
import { codeCount, codeNats, GptConfigSchema, gptLoss, prefixLength, specs, vocabulary } from '../../priors/gpt.js';
import { randomKey, tf } from '../../src/engine/index.js';
import { delayOrder, levelOrder, rasterOrder } from '../../src/model/order.js';
import { createParams } from '../../src/model/params.js';
import { gpt } from '../../priors/gpt-model.js';
import { conditionVocabulary } from '../../priors/condition.js';
import { priorConformance } from '../conformance/prior.js';
import { TINY_PRIOR } from '../support/tiny.js';

const CODES = { name: 'codes', grid: [3, 4], levels: 1, vocabSize: 11 };

priorConformance('gpt', { ...TINY_PRIOR, codes: CODES });
priorConformance('gpt', { ...TINY_PRIOR, codes: CODES, dropout: 0.2 });
for (const order of ['level', 'delay'])
  priorConformance('gpt', { ...TINY_PRIOR, codes: { ...CODES, grid: [5], levels: 3 }, order });

describe('the vocabulary', () => {
  const config = GptConfigSchema.parse({
    ...TINY_PRIOR,
    codes: CODES,
    conditioning: 'text',
    text: { length: 5, vocabSize: 20 },
  });
  const text = { vocabSize: 20, encode: (words: string) => words.split(' ').map(Number) };

  it('puts codes first, then the start token, text, and one padding token a position', () => {
    expect(vocabulary(config)).toEqual({ start: 11, classes: 12, text: 12, padding: 32, size: 37 });
    expect(specs(config)['wte.weight']!.shape).toEqual([37, 16]);
    expect(specs(config)['wpe.weight']!.shape).toEqual([prefixLength(config) + codeCount(config), 16]);
  });

  it('pads a caption to its positions, each with a token of its own', () => {
    expect([...gpt.condition(config).encode('3 0 19', text)]).toEqual([0, 4, 1, 20, 24, 25]);
    expect([...gpt.condition(config).encode(null, text)]).toEqual([0, 21, 22, 23, 24, 25]);
    expect(gpt.condition(config)).toMatchObject({ length: 6, vocabSize: 26, textLength: 5 });
  });

  it('refuses a caption that does not fit', () => {
    expect(() => gpt.condition(config).encode('1 2 3 4 5 6', text)).toThrow(
      /E_TEXT_TOO_LONG.*at most 5 text tokens, received 6/,
    );
  });
});

describe('the sequence', () => {
  const codes = { name: 'codes', grid: [3], levels: 2, vocabSize: 6 };

  it.each([
    ['raster', rasterOrder()],
    ['level', levelOrder(codes)],
    ['delay', delayOrder(codes)],
  ])('has the order %s when the config says so', (order, expected) => {
    const [stage] = gpt.stages(GptConfigSchema.parse({ ...TINY_PRIOR, codes, order }));
    expect(stage!.order).toEqual(expected);
  });

  it('reads conditions from their own rows of the embeddings, after those of the codes', () => {
    const config = GptConfigSchema.parse({ ...TINY_PRIOR, codes, conditioning: 'label', classes: ['a', 'b', 'c'] });
    const params = createParams(specs(config), 0);
    const table = params['wte.weight']!;
    const nats = (condition: number): number => {
      const batch = {
        codes: tf.tensor2d([[5, 5, 5, 5, 5, 5]], [1, 6], 'int32'),
        given: [],
        condition: tf.tensor2d([[condition]], [1, 1], 'int32'),
      };
      return codeNats(params, batch, config).nats.dataSync()[0]!;
    };
    const before = [0, 1, 2, 3].map(nats);
    // Row 6 + 2 is the condition 2 and nothing else: no code has it.
    const change = tf.tidy(() => tf.mul(tf.oneHot(tf.tensor1d([8], 'int32'), table.shape[0]!), 5));
    table.assign(tf.add(table, tf.reshape(change, [-1, 1])));
    const changed = [0, 1, 2, 3].map((condition) => nats(condition) !== before[condition]);
    expect(changed).toEqual([false, false, true, false]);
  });
});

describe('classes', () => {
  const config = GptConfigSchema.parse({
    ...TINY_PRIOR,
    codes: CODES,
    conditioning: 'label',
    classes: ['T-shirt/top', 'sneaker', 'ankle boot'],
  });
  const token = (prompt: string | number | null): number =>
    gpt.condition(config).encode(prompt, undefined)[0]! - conditionVocabulary(config).classes;

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

describe('dropout', () => {
  const config = GptConfigSchema.parse({ ...TINY_PRIOR, codes: CODES, dropout: 0.4 });
  const params = createParams(specs(config), 0);
  const batch = {
    codes: tf.tensor2d([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1]], [1, 12], 'int32'),
    given: [],
    condition: tf.tensor2d([[0]], [1, 1], 'int32'),
  };
  // Fresh weights say the same for every input; a larger table makes what is left out show.
  params['wte.weight']!.assign(tf.randomNormal(params['wte.weight']!.shape as [number, number], 0, 1, 'float32', 1));
  const lossAt = (step: number, c = config): number =>
    gptLoss(params, batch, randomKey(0, step), c).loss.dataSync()[0]!;

  it('leaves out other values at every step, the same ones for the same key', () => {
    expect(lossAt(1)).toBe(lossAt(1));
    expect(new Set([1, 2, 3, 4, 5].map((step) => lossAt(step))).size).toBe(5);
  });

  it('is for training alone', () => {
    const plain = GptConfigSchema.parse({ ...TINY_PRIOR, codes: CODES });
    expect(codeNats(params, batch, config).nats.dataSync()).toEqual(codeNats(params, batch, plain).nats.dataSync());
    expect(lossAt(1, plain)).toBe(lossAt(2, plain));
  });
});
