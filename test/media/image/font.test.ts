import { describe, expect, it } from 'vitest';
import { coverageOf } from '../../../src/media/image/fill.js';
import { drawable, outlineOf, widthOf } from '../../../src/media/image/font.js';
import type { OutlineCommand } from '../../../src/media/image/font.js';

const BOX = '\uE000';

describe('drawable', () => {
  it.each([
    [
      'keeps letters, accents and punctuation',
      'Ein “größerer” Kreis – naïve, 5 €',
      'Ein “größerer” Kreis – naïve, 5 €',
    ],
    ['keeps Greek, Cyrillic and Vietnamese', 'Ἀθῆναι Москва Việt Nam', 'Ἀθῆναι Москва Việt Nam'],
    ['composes letters and accents', 'Ku\u0308he', 'Kühe'],
    ['takes compatible letters for those that the font lacks', 'ﬁn', 'fin'],
    ['leaves out accents that the font cannot set', 'x\u0324', 'x'],
    ['draws one box for each character that it lacks', '木 👩‍👩‍👧 🍓', `${BOX} ${BOX} ${BOX}`],
    ['joins spaces and line breaks', 'a\n \tb', 'a b'],
  ])('%s', (_, text, expected) => expect(drawable(text)).toBe(expected));
});

describe('widthOf', () => {
  it('is that of all letters, and grows with the size', () => {
    expect(widthOf('a red bird', 20)).toBeCloseTo(2 * widthOf('a red bird', 10), 9);
    expect(widthOf('aж', 100)).toBeCloseTo(widthOf('a', 100) + widthOf('ж', 100), 9);
    expect(widthOf('W', 100)).toBeGreaterThan(2 * widthOf('i', 100));
    expect(widthOf('', 10)).toBe(0);
  });

  it('gives a box a width and an outline', () => {
    expect(widthOf(BOX, 10)).toBeGreaterThan(3);
    expect(outlineOf(BOX, 0, 10, 10).length).toBeGreaterThan(3);
  });
});

describe('coverageOf', () => {
  const rectangle = (left: number, top: number, right: number, bottom: number): OutlineCommand[] => [
    { type: 'M', x: left, y: top },
    { type: 'L', x: right, y: top },
    { type: 'L', x: right, y: bottom },
    { type: 'L', x: left, y: bottom },
    { type: 'Z' },
  ];

  it('covers pixels by the area within the outline', () => {
    expect([...coverageOf(rectangle(0.5, 0, 2.25, 1.5), 4, 2)]).toEqual([0.5, 1, 0.25, 0, 0.25, 0.5, 0.125, 0]);
  });

  it('leaves out what is beyond the picture', () => {
    expect([...coverageOf(rectangle(-3, -1, 1.5, 9), 2, 1)]).toEqual([1, 0.5]);
    expect([...coverageOf(rectangle(5, 0, 9, 1), 2, 1)]).toEqual([0, 0]);
  });

  it('gives slopes and curves their area', () => {
    const triangle: OutlineCommand[] = [
      { type: 'M', x: 0, y: 0 },
      { type: 'L', x: 7, y: 5 },
      { type: 'L', x: 0, y: 5 },
      { type: 'Z' },
    ];
    const sum = (values: Float32Array): number => values.reduce((total, value) => total + value, 0);
    expect(sum(coverageOf(triangle, 8, 6))).toBeCloseTo(17.5, 4);
    const bow: OutlineCommand[] = [
      { type: 'M', x: 0, y: 8 },
      { type: 'Q', x1: 8, y1: 8, x: 8, y: 0 },
      { type: 'L', x: 0, y: 0 },
      { type: 'Z' },
    ];
    // Below the parabola lie five sixths of the square. Six straight pieces cut off a little.
    const area = sum(coverageOf(bow, 8, 8));
    expect(area).toBeLessThan((64 * 5) / 6);
    expect(area).toBeGreaterThan((64 * 5) / 6 - 1);
  });
});
