import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../../src/data/memory.js';
import type { Image } from '../../../src/interfaces/index.js';
import { Rng } from '../../../src/rng.js';
import { lookAt } from '../../../src/sdk/advice/pictures.js';

/** An image of noise, inside a border of one value. */
function image(
  width: number,
  height: number,
  { border, gray = false }: { border?: number; gray?: boolean } = {},
): Image {
  const rng = new Rng(width, 'test.image', height);
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const isBorder =
        border !== undefined && Math.min(x, y, width - 1 - x, height - 1 - y) < Math.max(width, height) / 10;
      const value = rng.int(256);
      for (let c = 0; c < 3; c++)
        pixels[3 * (y * width + x) + c] = isBorder ? border : gray || c === 0 ? value : rng.int(256);
    }
  return { kind: 'image', width, height, channels: 3, pixels };
}

const lookAtAll = (images: readonly Image[]) =>
  lookAt(
    memoryDataset(images.map((media, i) => ({ key: `image-${i}`, media, split: i % 5 === 4 ? 'test' : 'train' }))),
  );

describe('a look at images', () => {
  it('finds their number, size and shape', async () => {
    const same = Array.from({ length: 10 }, () => image(40, 30));
    expect(await lookAtAll(same)).toMatchObject({
      count: { train: 8, test: 2 },
      width: 40,
      height: 30,
      sameSize: true,
      sameAspect: true,
    });
    const mixed = Array.from({ length: 10 }, (_, i) => image(30 + i, 30));
    expect(await lookAtAll(mixed)).toMatchObject({ sameSize: false, sameAspect: false });
    expect(await lookAtAll([image(40, 30), image(80, 60), image(120, 90)])).toMatchObject({
      width: 80,
      height: 60,
      sameSize: false,
      sameAspect: true,
    });
  });

  it('finds whether all of them are gray', async () => {
    expect(await lookAtAll([image(32, 32, { gray: true }), image(33, 32, { gray: true })])).toMatchObject({
      gray: true,
    });
    expect(await lookAtAll([image(32, 32, { gray: true }), image(33, 32)])).toMatchObject({ gray: false });
  });

  it.each([
    ['dark', 10],
    ['light', 250],
    ['none', undefined],
    ['none', 128],
  ] as const)('finds a border that is %s', async (border, value) => {
    for (const [width, height] of [
      [32, 32],
      [100, 40],
      [40, 100],
    ] as const)
      expect((await lookAtAll([image(width, height, { border: value })])).border).toBe(border);
  });

  it('fails with the error of the data if no image can be used', async () => {
    const dataset = memoryDataset([{ key: 'a', media: image(8, 8), split: 'test' }]);
    await expect(lookAt(dataset)).rejects.toThrow(
      /^E_DATA_EMPTY memory: expected samples in the train split, found none/,
    );
  });
});
