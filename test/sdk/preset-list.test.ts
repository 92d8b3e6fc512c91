import { beforeAll, describe, expect, it } from 'vitest';
import { listPresets, presetNames } from '../../src/index.js';
import type { PresetList } from '../../src/index.js';

let list: PresetList;
beforeAll(async () => {
  list = await listPresets();
}, 60_000);

describe('the list of presets', () => {
  it('has every preset, with a purpose', () => {
    expect(list.codecs.map(({ name }) => name)).toEqual(presetNames('codec'));
    expect(list.priors.map(({ name }) => name)).toEqual(presetNames('prior'));
    for (const { purpose } of [...list.codecs, ...list.priors]) expect(purpose).not.toBe('');
  });

  it('says sizes, codes and bits of codecs', () => {
    expect(list.codecs.find(({ name }) => name === 'gray-28')).toMatchObject({
      codec: 'vqvae',
      image: [28, 28, 1],
      maps: [{ grid: [7, 7], vocabSize: 128 }],
      codes: 49,
      bits: 49 * 7,
      steps: 3000,
      batchSize: 64,
    });
    expect(list.codecs.find(({ name }) => name === 'vae-gray-28')).toMatchObject({ codes: 0, bits: 0, maps: [] });
    expect(list.codecs.find(({ name }) => name === 'vqvae2-128')).toMatchObject({ codes: 1280, bits: 11_264 });
  });

  it('says parameters and size of priors, for tokens that it names', () => {
    expect(list.priorTokens).toMatchObject({ grid: [8, 8], vocabSize: 512 });
    const small = list.priors.find(({ name }) => name === 'small')!;
    // 4 blocks of 12 E^2 and 13 E weights; tables of 513 codes and 65 positions; the last norm.
    expect(small.parameters).toBeGreaterThan(4 * 12 * 128 ** 2 + 513 * 128);
    expect(small.parameters).toBeLessThan(1.1 * (4 * 12 * 128 ** 2 + 513 * 128 + 65 * 128 + 4 * 13 * 128));
    expect(small.megabytes).toBeCloseTo((4 * small.parameters) / 1e6);
  });

  it('says times that grow with the arithmetic', () => {
    expect(list.gflops).toBeGreaterThan(0);
    const secondsOf = (name: string): number => list.codecs.find((preset) => preset.name === name)!.seconds;
    // Equal networks and steps, images of four times the pixels.
    expect(secondsOf('default') / secondsOf('color-32')).toBeCloseTo(4, 0);
    expect(secondsOf('gray-28')).toBeLessThan(secondsOf('default') / 5);
    for (const { seconds } of [...list.codecs, ...list.priors]) expect(seconds).toBeGreaterThan(0);
  });
});
