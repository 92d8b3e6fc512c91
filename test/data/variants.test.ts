import { describe, expect, it } from 'vitest';
import { imageMedium } from '../../src/media/image/medium.js';
import { memoryDataset } from '../../src/data/memory.js';
import { decodeSample } from '../../src/data/decode.js';
import { withVariants } from '../../src/data/variants.js';
import type { Dataset, Image } from '../../src/interfaces/index.js';
import { picture } from '../support/tiny.js';

const dataset = memoryDataset(
  Array.from({ length: 12 }, (_, i) => ({
    key: `p${i}`,
    media: picture(i),
    captions: [`number ${i}`],
    split: i < 9 ? ('train' as const) : ('test' as const),
  })),
);
const pictureAt = async (data: Dataset, index: number): Promise<Image> =>
  (await decodeSample(await data.read('train', index), imageMedium)).media as Image;
const mirrored = ({ pixels, width }: Image): number[] =>
  [...pixels.keys()].map((i) => pixels[i - (i % width) + width - 1 - (i % width)]!);

describe('withVariants', () => {
  it('holds the unchanged images first, then mirrored ones under names of their own', async () => {
    const varied = withVariants(dataset, { count: 2, flip: true, seed: 0 });
    expect([varied.size('train'), varied.size('test')]).toEqual([18, 3]);
    for (let i = 0; i < 9; i++) {
      const original = await pictureAt(dataset, i);
      expect(await pictureAt(varied, i)).toEqual(original);
      expect([...(await pictureAt(varied, 9 + i)).pixels]).toEqual(mirrored(original));
      expect(varied.describe('train', 9 + i)).toEqual({
        ...dataset.describe('train', i),
        key: `${dataset.describe('train', i).key}~1`,
      });
    }
    expect(varied.describe('test', 1)).toEqual(dataset.describe('test', 1));
    expect(await varied.read('test', 1)).toEqual(await dataset.read('test', 1));
  });

  it('shifts by no more than asked, the same for the same seed', async () => {
    const shifts = async (seed: number) => {
      const varied = withVariants(dataset, { count: 4, crop: 2, seed });
      return Promise.all(Array.from({ length: 36 }, async (_, i) => (await varied.read('train', i)).variation));
    };
    const [some, same, others] = [await shifts(0), await shifts(0), await shifts(1)];
    expect(same).toEqual(some);
    expect(others).not.toEqual(some);
    const moves = some.flatMap((one) => (one ? one.shift : []));
    expect(moves).toHaveLength(54);
    expect([...new Set(moves)].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  it('is another dataset by its fingerprint, and the same one for a count of 1', () => {
    expect(withVariants(dataset, { count: 2, flip: true, seed: 0 }).fingerprint).not.toBe(dataset.fingerprint);
    expect(withVariants(dataset, { count: 1, flip: true, seed: 0 })).toBe(dataset);
  });

  it.each([{ count: 2 }, { count: 3, flip: true }])('refuses variants that would repeat: %j', (options) => {
    expect(() => withVariants(dataset, { ...options, seed: 0 })).toThrow(/E_DATA_OPTIONS variants: expected at most/);
  });
});
