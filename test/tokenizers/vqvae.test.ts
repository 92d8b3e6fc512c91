import { describe, expect, it } from 'vitest';
import { codecFamily } from '../../src/registry.js';
import { codecPreset, presetNames } from '../../src/sdk/presets.js';
import { CodecTrainingSchema } from '../../src/train/config.js';
import { tokenizerConformance } from '../conformance/tokenizer.js';
import { TINY_CODEC } from '../support/tiny.js';

tokenizerConformance('vqvae', TINY_CODEC);

describe('the VQ-VAE config', () => {
  const parse = (json: Record<string, unknown>): unknown =>
    codecFamily('vqvae').parseConfig({ ...TINY_CODEC, ...json });

  it('refuses sizes that are no multiple of the downsampling', () => {
    expect(() => parse({ height: 9 })).toThrow(/E_CONFIG vqvae: .*multiples of downsample/);
  });

  it('names a field it does not know', () => {
    expect(() => parse({ hiden: 8 })).toThrow(/E_CONFIG.*hiden/);
  });

  it.each([2, 4, 8, 16])('codes an image at one %ith of its side', (downsample) => {
    const config = parse({ height: 32, width: 16, downsample });
    expect(codecFamily('vqvae').maps(config)[0]!.grid).toEqual([32 / downsample, 16 / downsample]);
  });
});

describe('the presets of codecs', () => {
  it.each(presetNames('codec'))('%s says what it is for, and its codec takes it', (preset) => {
    const { codec, purpose, config, training } = codecPreset({ preset });
    expect(purpose).toMatch(/^[A-Z].{20,}\.$/);
    const family = codecFamily(codec);
    const parsed = family.parseConfig(config);
    for (const { grid } of family.maps(parsed)) expect(grid.every((size) => Number.isInteger(size))).toBe(true);
    expect(CodecTrainingSchema.parse(training).steps).toBeGreaterThan(0);
  });
});
