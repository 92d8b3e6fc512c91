import { describe, expect, it } from 'vitest';
import { expectOptions } from '../src/arguments.js';
import * as tesserae from '../src/index.js';

describe('options', () => {
  const rules = {
    paths: ['out'],
    whole: { n: [1, 9] },
    choices: { split: ['a', 'b'] },
    known: ['out', 'n', 'split'],
  } as const;

  it('pass as they should be', () => {
    for (const options of [
      { out: 'x', n: 9, split: 'b' },
      { out: 'x', n: undefined },
    ])
      expect(() => expectOptions('job', options, rules)).not.toThrow();
    expect(() => expectOptions('job', {})).not.toThrow();
  });

  it.each<[unknown, string]>([
    [undefined, 'expected an object of options, received undefined.'],
    [null, 'expected an object of options, received null.'],
    [5, 'expected an object of options, received 5.'],
    [[], 'expected an object of options, received an array.'],
    [{}, 'out: expected a path, received undefined.'],
    [{ out: '' }, 'out: expected a path, received "".'],
    [{ out: 'x', n: Number.NaN }, 'n: expected a whole number from 1 to 9, received NaN.'],
    [{ out: 'x', n: '3' }, 'n: expected a whole number from 1 to 9, received "3".'],
    [{ out: 'x', n: 1.5 }, 'n: expected a whole number from 1 to 9, received 1.5.'],
    [{ out: 'x', split: 'c' }, 'split: expected "a", "b", received "c".'],
    [{ out: 'x', splt: 'a' }, 'splt: expected one of out, n, split. Use split.'],
  ])('%j are refused by the name of the job and the option', (options, message) => {
    const check = (): void => expectOptions('job', options, rules);
    expect(check).toThrow(`E_OPTIONS job: ${message}`);
    expect(check).toThrow(tesserae.UsageError);
  });
});

describe('the jobs of the SDK', () => {
  const jobs = tesserae as unknown as Record<string, (options: unknown) => Promise<unknown>>;
  const NAMES = [
    'trainCodec',
    'trainPrior',
    'tokenize',
    'generate',
    'primeCodes',
    'codeMap',
    'interpolate',
    'traverse',
    'decodeTokens',
    'evaluateCodec',
    'evaluatePrior',
    'compareCodecs',
    'inspect',
    'exportModel',
    'loadCodec',
    'loadPrior',
    'openDataset',
  ];

  it.each(NAMES)('%s says in one line what it was not given', async (name) => {
    for (const options of [undefined, null, 5, {}, []])
      await expect(jobs[name]!(options), `${name}(${JSON.stringify(options)})`).rejects.toMatchObject({
        code: expect.stringMatching(/^E_/),
        message: expect.stringMatching(/^E_\w+ [^\n]+$/),
      });
  });

  it.each<[string, object]>([
    ['workers', { workers: 'x' }],
    ['workers', { workers: Number.NaN }],
    ['variants', { variants: 1.5, flip: true }],
    ['variants', { variants: -1 }],
    ['seed', { seed: -1 }],
    ['limit', { limit: Number.NaN }],
  ])('tokenize refuses a wrong %s: %j', async (name, option) => {
    await expect(tesserae.tokenize({ data: 'nothing', codec: 'nothing', out: 'nothing', ...option })).rejects.toThrow(
      `E_OPTIONS tokenize: ${name}: expected a whole number`,
    );
  });

  it.each<[object, string]>([
    [{ limit: Number.NaN }, 'limit: expected a whole number of at least 1, received NaN.'],
    [{ split: 'foo' }, 'split: expected "train", "test", "all", received "foo".'],
  ])('decodeTokens refuses %j', async (option, message) => {
    const options = { tokens: 'nothing', out: 'nothing', ...option } as tesserae.DecodeTokensOptions;
    await expect(tesserae.decodeTokens(options)).rejects.toThrow(`E_OPTIONS decodeTokens: ${message}`);
  });
});
