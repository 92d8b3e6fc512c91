import { describe, expect, it } from 'vitest';

import { UsageError } from '../../../src/errors.js';
import type { Image } from '../../../src/interfaces/media.js';
import { imageGrid } from '../../../src/media/image/grid.js';

const dot = (value: number): Image => ({
  kind: 'image',
  width: 1,
  height: 1,
  channels: 1,
  pixels: Uint8Array.of(value),
});

describe('imageGrid', () => {
  it('lays images out in rows with gaps', () => {
    const sheet = imageGrid([dot(1), dot(2), dot(3)], { columns: 2, gap: 1 });
    expect([sheet.width, sheet.height, sheet.channels]).toEqual([5, 5, 1]);
    const w = 255;
    expect([...sheet.pixels]).toEqual([w, w, w, w, w, w, 1, w, 2, w, w, w, w, w, w, w, 3, w, w, w, w, w, w, w, w]);
  });

  it('enlarges pixels and mixes gray with color', () => {
    const red: Image = { kind: 'image', width: 1, height: 1, channels: 3, pixels: Uint8Array.of(255, 0, 0) };
    const sheet = imageGrid([red, dot(9)], { columns: 2, gap: 0, scale: 2 });
    expect([sheet.width, sheet.height, sheet.channels]).toEqual([4, 2, 3]);
    expect([...sheet.pixels.subarray(0, 12)]).toEqual([255, 0, 0, 255, 0, 0, 9, 9, 9, 9, 9, 9]);
  });

  it('writes labels below the images, wrapped to their width', () => {
    const cell: Image = { kind: 'image', width: 30, height: 4, channels: 1, pixels: new Uint8Array(120).fill(255) };
    const [plain, one, two] = [undefined, ['a b'], ['abcd efgh']].map((labels) =>
      imageGrid([cell], { gap: 0, labels }),
    );
    expect(plain!.height).toBe(4);
    expect(two!.height - one!.height).toBe(9);
    const ink = one!.pixels.filter((value) => value === 0).length;
    // The strokes of A and B.
    expect(ink).toBe(18 + 20);
    expect(() => imageGrid([cell], { labels: [] })).toThrow(UsageError);
    expect(() => imageGrid([])).toThrow(UsageError);
  });
});
