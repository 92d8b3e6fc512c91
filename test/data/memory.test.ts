import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/memory.js';
import type { MemorySample } from '../../src/data/memory.js';
import { noise } from '../media/image/fixtures.js';

const sample = (key: string, more: Partial<MemorySample> = {}): MemorySample => ({ key, media: noise(4, 4), ...more });

describe('memoryDataset', () => {
  it('takes samples without captions', async () => {
    const dataset = memoryDataset([sample('a', { split: 'train' }), sample('b', { split: 'train', captions: ['b'] })]);
    expect([0, 1].map((index) => dataset.describe('train', index).captions)).toEqual([[], ['b']]);
    expect((await dataset.read('train', 0)).captions).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['no key', { key: undefined }, 'key): expected a text that is not empty, received none.'],
    ['an empty key', { key: '' }, 'key): expected a text that is not empty, received "".'],
    ['one caption instead of a list', { captions: 'a cat' }, 'captions): expected a list of texts, received "a cat".'],
    ['captions that are not texts', { captions: [7] }, 'captions): expected a list of texts, received [7].'],
    ['no media', { media: undefined }, 'media): expected the kind "image", received none.'],
    ['media of another kind', { media: { kind: 'odor' } }, 'media): expected the kind "image", received "odor".'],
  ])('refuses %s by the place of the sample', (_, change, message) => {
    const samples = [sample('a'), { ...sample('b'), ...change }] as MemorySample[];
    expect(() => memoryDataset(samples)).toThrow(`E_DATA_OPTIONS memoryDataset(samples[1].${message}`);
  });
});
