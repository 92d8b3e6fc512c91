import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { keyFraction, officialSplit, splitByKey } from '../../src/data/split.js';

const keySets = fc.uniqueArray(fc.string({ maxLength: 8 }), { minLength: 2, maxLength: 60 });
const holdouts = fc.double({ min: 0.01, max: 0.99, noNaN: true });

describe('splitByKey', () => {
  it('puts every sample on one side, keeps the order, leaves no side empty', () => {
    fc.assert(
      fc.property(keySets, holdouts, (keys, holdout) => {
        const { train, test } = splitByKey(keys, holdout);
        expect([...train, ...test].sort((a, b) => a - b)).toEqual([...keys.keys()]);
        expect(train).toEqual([...train].sort((a, b) => a - b));
        expect(test).toEqual([...test].sort((a, b) => a - b));
        expect(Math.min(train.length, test.length)).toBeGreaterThan(0);
      }),
    );
  });

  it('does not depend on the order of the samples', () => {
    fc.assert(
      fc.property(keySets, holdouts, (keys, holdout) => {
        const names = (list: readonly string[]): string[] => splitByKey(list, holdout).test.map((i) => list[i]!).sort();
        expect(names([...keys].reverse())).toEqual(names(keys));
      }),
    );
  });

  it('moves no sample when others come or go, both sides being filled', () => {
    const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
    const held = new Set(splitByKey(keys, 0.1).test.map((i) => keys[i]!));
    const fewer = keys.filter((_, i) => i % 3 !== 0);
    const again = splitByKey(fewer, 0.1).test.map((i) => fewer[i]!);
    expect(again).toEqual(fewer.filter((key) => held.has(key)));
    // 100 expected; four standard deviations of a binomial are 38.
    expect(Math.abs(held.size - 100)).toBeLessThan(38);
  });

  it('is fixed for all time', () => {
    expect(keyFraction('tesserae')).toBeCloseTo(0.9170903508240791, 12);
  });

  it('keeps a single sample for training', () => {
    for (const key of ['a', 'b', 'c', 'd']) expect(splitByKey([key], 0.99)).toEqual({ train: [0], test: [] });
  });
});

describe('officialSplit', () => {
  it('needs both sides', () => {
    expect(officialSplit(['train', 'val', 'x'])).toEqual({ train: 'train', test: 'val' });
    expect(officialSplit(['train', 'val', 'test'])).toEqual({ train: 'train', test: 'test' });
    expect(officialSplit(['train', 'x'])).toBeUndefined();
    expect(officialSplit(['test'])).toBeUndefined();
  });
});
