import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/model/config.js';
import { codecFamily, priorFamily } from '../../src/registry.js';
import { TINY_CODEC, TINY_PRIOR } from '../support/tiny.js';

describe('a config', () => {
  const schema = z
    .strictObject({
      height: z.int().default(8),
      inner: z.preprocess((json) => json ?? {}, z.strictObject({ learningRate: z.number().default(1) })),
      other: z.strictObject({ width: z.int().optional() }).prefault({}),
    })
    .superRefine(() => undefined);

  it('gets its defaults', () => {
    expect(parseConfig('it', schema, {})).toEqual({ height: 8, inner: { learningRate: 1 }, other: {} });
  });

  it.each<[object, string]>([
    [{ hieght: 3 }, 'E_CONFIG it: config: unknown field "hieght" (did you mean "height"?).'],
    [
      { inner: { learningrate: 3 } },
      'E_CONFIG it: inner: unknown field "learningrate" (did you mean "learningRate"?).',
    ],
    [{ other: { wdth: 3 } }, 'E_CONFIG it: other: unknown field "wdth" (did you mean "width"?).'],
    [{ zzz: 3 }, 'E_CONFIG it: config: unknown field "zzz".'],
    [{ height: 'x' }, 'E_CONFIG it: height: Invalid input: expected number, received string.'],
  ])('%j is refused by the field', (json, message) => {
    expect(() => parseConfig('it', schema, json)).toThrow(message);
  });

  it('of a codec or a prior names the field that was meant', () => {
    const codec = codecFamily('vqvae');
    expect(() => codec.parseConfig({ hieght: 3 })).toThrow('unknown field "hieght" (did you mean "height"?)');
    expect(() => codec.parseConfig({ ...TINY_CODEC, hieght: 3 })).toThrow('did you mean "height"?');
    expect(() => codec.parseConfig({ ...TINY_CODEC, quantizer: { codebooksize: 3 } })).toThrow(
      'did you mean "codebookSize"?',
    );
    const codes = { grid: [2, 2], vocabSize: 4 };
    expect(() => priorFamily('gpt').parseConfig({ ...TINY_PRIOR, codes, nLayers: 2 })).toThrow(
      'did you mean "nLayer"?',
    );
  });
});
