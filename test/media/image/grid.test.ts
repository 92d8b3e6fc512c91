import { describe, expect, it } from 'vitest';

import { UsageError } from '../../../src/errors.js';
import type { Image } from '../../../src/interfaces/media.js';
import { imageGrid } from '../../../src/media/image/grid.js';
import type { GridOptions } from '../../../src/media/image/grid.js';

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

  const cell: Image = { kind: 'image', width: 120, height: 4, channels: 1, pixels: new Uint8Array(480).fill(255) };
  const drawn = (options: GridOptions, count = 1): Image => imageGrid(Array<Image>(count).fill(cell), options);
  const inkOf = ({ pixels }: Image): number => pixels.reduce((sum, value) => sum + (255 - value) / 255, 0);

  it('writes labels below the images in their own case, wrapped to the width', () => {
    const [plain, one, capital, two] = [undefined, ['a'], ['A'], ['abcdefghijk lmnopqrstuv']].map((labels) =>
      drawn({ gap: 0, labels }),
    );
    expect(plain!.height).toBe(4);
    expect(inkOf(plain!)).toBe(0);
    expect(inkOf(one!)).toBeGreaterThan(10);
    expect(inkOf(capital!)).toBeGreaterThan(1.1 * inkOf(one!));
    expect(two!.height - one!.height).toBe(17);
    expect(() => drawn({ labels: [] })).toThrow(UsageError);
    expect(() => imageGrid([])).toThrow(UsageError);
  });

  it.each([
    ['a long word', 'donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'],
    ['many words', 'a small red circle above a large blue square '.repeat(10)],
    ['letters that reach far up and down', 'ÄĝÅjgpqy'],
  ])('cuts off nothing of %s', (_, label) => {
    // Without a gap, ink at the border would have lost its other part. The same ink is there with room around it.
    const [tight, wide] = [0, 9].map((gap) => drawn({ gap, labels: [label] }));
    expect(inkOf(tight!)).toBeCloseTo(inkOf(wide!), 6);
    for (const { width, height, pixels } of [wide!]) {
      for (let x = 0; x < width; x++) expect(pixels[x]! + pixels[(height - 1) * width + x]!).toBe(510);
      for (let y = 0; y < height; y++) expect(pixels[y * width]! + pixels[(y + 1) * width - 1]!).toBe(510);
    }
  });

  it('gives labels of tiny images a column that they are legible in', () => {
    expect(imageGrid([dot(0)], { labels: ['a small red circle above a blue square'] }).width).toBe(12 + 96 + 12);
    expect(imageGrid([dot(0)], { labels: ['one'] }).width).toBeLessThan(60);
  });

  it('begins a row for each group, below its label', () => {
    const groups = [
      { label: 'first', count: 3 },
      { label: 'second', count: 2 },
    ];
    const sheet = drawn({ groups }, 5);
    expect(sheet.width).toBe(12 + 3 * (120 + 12));
    const flat = drawn({ columns: 3, gap: 12 }, 5);
    expect(sheet.width).toBe(flat.width);
    expect(sheet.height).toBeGreaterThan(flat.height + 30);
    expect(inkOf(drawn({ groups: groups.map((group) => ({ ...group, label: '' })) }, 5))).toBe(0);
    expect(() => drawn({ groups }, 4)).toThrow(/expected groups of 4 images together, received 5/);
  });

  it('fills the rows of groups evenly', () => {
    const widthFor = (count: number): number => {
      const groups = [1, 2].map(() => ({ label: '', count }));
      return (drawn({ groups }, 2 * count).width - 12) / 132;
    };
    expect([4, 8, 9, 10, 12].map(widthFor)).toEqual([4, 8, 5, 5, 6]);
  });
});
