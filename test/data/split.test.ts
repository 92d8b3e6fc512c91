import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { keyFraction, officialSplit, splitByKey, type SplitBy } from '../../src/data/split.js';

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
        const names = (list: readonly string[]): string[] =>
          splitByKey(list, holdout)
            .test.map((i) => list[i]!)
            .sort();
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
  const sidesOf = (paths: readonly string[], by?: SplitBy): Array<string | undefined> | undefined =>
    officialSplit(
      paths.map((path) => ({ path })),
      'images',
      by,
    )?.sides;
  const ofArchives = (archives: readonly string[], by?: SplitBy): Array<string | undefined> | undefined =>
    officialSplit(
      archives.map((archive) => ({ archive, path: 'a.png' })),
      'images',
      by,
    )?.sides;

  it('needs both sides', () => {
    expect(sidesOf(['train/a.png', 'val/a.png', 'x/a.png'])).toEqual(['train', 'test', undefined]);
    expect(sidesOf(['train/a.png', 'x/a.png'])).toBeUndefined();
    expect(sidesOf(['test/a.png'])).toBeUndefined();
    expect(sidesOf([])).toBeUndefined();
  });

  it('holds out test data before validation data, which it leaves out', () => {
    const split = officialSplit(
      ['train/a.png', 'val/a.png', 'test/a.png'].map((path) => ({ path })),
      'images',
    )!;
    expect(split.sides).toEqual(['train', undefined, 'test']);
    expect(split.leftOut(1, 'images')).toMatch('validation');
  });

  it.each([
    [['Train/a.png', 'TEST/a.png']],
    [['training/a.png', 'testing/a.png']],
    [['train2017/a.png', 'val2017/a.png']],
    [['emnist-letters-train/a.png', 'emnist-letters-test/a.png']],
    [['TrainImages/a.png', 'TestImages/a.png']],
    [['data/deep/train/a.png', 'data/deep/Validation/a.png']],
    [['cat/train/a.png', 'dog/test/a.png']],
    [['train_0001.png', 'test_0001.png']],
  ])('finds the sides of %j', (paths) => expect(sidesOf(paths)).toEqual(['train', 'test']));

  it.each([
    [['imagenet-train-000000', 'imagenet-val-000000']],
    [['train_0001', 'validation_0001']],
    [['shards.train.00', 'shards.test.00']],
    [['00-train', '00-dev']],
    [['train/0001', 'test/0001']],
  ])('finds the sides of archives %j', (archives) => expect(ofArchives(archives)).toEqual(['train', 'test']));

  it('takes no class for a side', () => {
    expect(sidesOf(['steam_train/a.png', 'test_tube/a.png'])).toBeUndefined();
    expect(sidesOf(['car/a.png', 'train/a.png'])).toBeUndefined();
    expect(sidesOf(['train_0001.png', 'test_0001.png', 'cat.png'])).toBeUndefined();
  });

  it('never trains on data named test', () => {
    expect(sidesOf(['images/a.png', 'test/a.png'])).toEqual(['train', 'test']);
    expect(ofArchives(['emnist-letters', 'emnist-letters-test'])).toEqual(['train', 'test']);
  });

  it('looks where it is told to', () => {
    const samples = [
      { path: 'train/a.png', archive: 'x-test' },
      { path: 'test/a.png', archive: 'x-train' },
    ];
    expect(officialSplit(samples, 'images')!.sides).toEqual(['test', 'train']);
    expect(officialSplit(samples, 'images', 'name')!.sides).toEqual(['test', 'train']);
    expect(officialSplit(samples, 'images', 'folder')!.sides).toEqual(['train', 'test']);
    expect(officialSplit(samples, 'images', 'hash')).toBeUndefined();
  });

  it('takes a column of the metadata first', () => {
    const samples = [
      { path: 'train/a.png', splitName: 'test' },
      { path: 'test/a.png', splitName: 'train' },
    ];
    expect(officialSplit(samples, 'images')!.sides).toEqual(['test', 'train']);
  });
});
