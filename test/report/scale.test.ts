import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearScale, logScale } from '../../src/report/scale.js';

const labels = (scale: { ticks: { label: string }[] }): string[] => scale.ticks.map((tick) => tick.label);

describe('linearScale', () => {
  it('puts ticks on round numbers and both ends', () => {
    expect(labels(linearScale([0.03, 0.97], 5))).toEqual(['0', '0.2', '0.4', '0.6', '0.8', '1']);
    expect(labels(linearScale([-3, 4], 4))).toEqual(['-4', '-2', '0', '2', '4']);
  });

  it('ends at the values when tight', () => {
    const scale = linearScale([0, 20_500], 8, { tight: true });
    expect([scale.low, scale.high]).toEqual([0, 20_500]);
    expect(labels(scale)).toEqual(['0', '5k', '10k', '15k', '20k']);
  });

  it('puts no tick between whole numbers', () => {
    expect(labels(linearScale([0, 3], 8, { integers: true }))).toEqual(['0', '1', '2', '3']);
  });

  it('makes room around a single value, and around none', () => {
    expect(linearScale([5], 4).place(5)).toBeGreaterThan(0);
    expect(linearScale([5], 4).place(5)).toBeLessThan(1);
    expect(linearScale([], 4).ticks.length).toBeGreaterThan(0);
  });
});

describe('logScale', () => {
  it('ticks powers of ten where there are many, 1-2-5 where there are few', () => {
    expect(labels(logScale([0.0005, 300], 6))).toEqual(
      ['1e-3', '0.01', '0.1', '1', '10', '100'].map((text) => text.replace('1e-3', '0.001')),
    );
    expect(labels(logScale([0.06, 0.9], 6))).toEqual(['0.05', '0.1', '0.2', '0.5', '1']);
    expect(labels(logScale([3, 3], 6)).length).toBeGreaterThan(1);
  });

  it('places equal ratios at equal distances', () => {
    const scale = logScale([1, 1000], 6);
    expect([1, 10, 100, 1000].map(scale.place)).toEqual(
      [0, 1 / 3, 2 / 3, 1].map((place) => expect.closeTo(place, 12) as number),
    );
  });
});

describe('any scale', () => {
  it('holds its values and its ticks, in order', () => {
    const positive = fc.double({ min: 1e-12, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(fc.array(positive, { minLength: 1, maxLength: 6 }), (values) => {
        for (const scale of [linearScale(values, 6), linearScale(values, 8, { tight: true }), logScale(values, 6)]) {
          expect(scale.ticks.length).toBeLessThan(30);
          for (const value of [...values, ...scale.ticks.map((tick) => tick.value)]) {
            expect(scale.place(value)).toBeGreaterThanOrEqual(-1e-6);
            expect(scale.place(value)).toBeLessThanOrEqual(1 + 1e-6);
          }
          const ticks = scale.ticks.map((tick) => tick.value);
          expect(ticks).toEqual([...new Set(ticks)].toSorted((a, b) => a - b));
        }
      }),
      { seed: 1, numRuns: 300, endOnFailure: true },
    );
  });
});
