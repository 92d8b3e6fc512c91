import { describe, expect, it } from 'vitest';
import { memoryDataset, nearestNeighbors } from '../../src/index.js';
import type { Image } from '../../src/index.js';
import { picture } from '../support/tiny.js';

const mse = (a: Image, b: Image): number =>
  a.pixels.reduce((sum, value, i) => sum + ((value - b.pixels[i]!) / 127.5) ** 2, 0) / a.pixels.length;

describe('nearestNeighbors', () => {
  const stored = Array.from({ length: 300 }, (_, i) => ({
    key: `p${i}`,
    media: picture(i),
    captions: i % 2 ? [`number ${i}`] : [],
    split: 'train' as const,
  }));
  const dataset = memoryDataset(stored);

  it('finds what brute force finds, across batches', async () => {
    const asked = Array.from({ length: 9 }, (_, i) => picture(1000 + i));
    const found = await nearestNeighbors(asked, dataset);
    found.forEach((neighbor, i) => {
      const distances = stored.map(({ media }) => mse(asked[i]!, media));
      const least = distances.indexOf(Math.min(...distances));
      expect(neighbor).toMatchObject({ key: stored[least]!.key, caption: stored[least]!.captions[0] ?? '' });
      expect(neighbor.media.pixels).toEqual(stored[least]!.media.pixels);
      expect(neighbor.mse).toBeCloseTo(distances[least]!, 4);
    });
  });

  it('finds an image of the dataset itself, the last one too', async () => {
    const found = await nearestNeighbors([stored[299]!.media, stored[0]!.media], dataset);
    expect(found.map(({ key }) => key)).toEqual(['p299', 'p0']);
    expect(found[0]!.mse).toBeCloseTo(0, 4);
  });

  it('refuses to compare nothing, or with nothing', async () => {
    await expect(nearestNeighbors([], dataset)).rejects.toMatchObject({ code: 'E_MEDIA', exitCode: 2 });
    await expect(nearestNeighbors([picture(1)], dataset, { split: 'test' })).rejects.toMatchObject({
      code: 'E_DATA_EMPTY',
      exitCode: 3,
    });
  });
});
