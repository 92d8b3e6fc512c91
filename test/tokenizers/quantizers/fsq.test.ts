import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams } from '../../../src/model/params.js';
import type { Params } from '../../../src/model/params.js';
import { bound, fsq, FsqConfigSchema, gridEntropyLoss } from '../../../tokenizers/quantizers/fsq.js';
import { nearestRow, quantizerConformance } from '../../conformance/quantizer.js';
import { maxDifference } from '../../support/tiny.js';
import { project } from './support.js';

/** All grid points, in the order of their ids: the first dimension is fastest. */
function gridPoints(levels: number[]): number[][] {
  return levels.reduceRight<number[][]>(
    (rest, count) =>
      rest.flatMap((point) => Array.from({ length: count }, (_, digit) => [digit - Math.floor(count / 2), ...point])),
    [[]],
  );
}

/** The nearest grid point of the bounded latents. */
const nearestPoint =
  (levels: number[]) =>
  (p: Params, latents: number[][]): number[][] => {
    const points = gridPoints(levels);
    const inside = bound(tf.tensor2d(project(p, latents)), levels).arraySync();
    return inside.map((row) => [nearestRow(points, row)]);
  };

for (const levels of [
  [8, 5, 5, 5],
  [8, 6, 5],
  [3, 4],
])
  quantizerConformance({ name: 'fsq', levels }, { bruteForce: nearestPoint(levels) });
quantizerConformance({ name: 'fsq', levels: [7, 5, 4], width: 12 }, { bruteForce: nearestPoint([7, 5, 4]) });
quantizerConformance({ name: 'fsq', levels: [8, 8, 8, 5, 5, 5], width: 16 });
quantizerConformance(
  { name: 'fsq', levels: [5, 4, 3], entropyWeight: 0.2, diversity: 0.5 },
  { bruteForce: nearestPoint([5, 4, 3]) },
);

const moment = () => ({ key: randomKey(0, 1), progress: tf.scalar(0) });

describe('the finite scalar quantizer', () => {
  it('has 1,000 codes unless told otherwise', () => {
    expect(fsq.vocabSize(fsq.parseConfig({}))).toBe(1000);
  });

  it.each([[[8, 5, 5, 5]], [[7, 5, 5, 5, 5]], [[8, 8, 8, 5, 5, 5]], [[3]]])(
    'decodes every id of %j to a grid point of its own',
    (levels) => {
      const config = FsqConfigSchema.parse({ levels });
      const vocabSize = fsq.vocabSize(config);
      const codes = fsq.decode({}, tf.reshape(tf.range(0, vocabSize, 1, 'int32'), [-1, 1]), config);
      const expected = gridPoints(levels).map((point) => point.map((value, i) => value / Math.floor(levels[i]! / 2)));
      expect(maxDifference(codes, expected.flat())).toBeLessThan(1e-6);
      expect(new Set(codes.arraySync().map((code) => code.join())).size).toBe(vocabSize);
    },
  );

  it('reaches every level of every dimension, and none beyond, with latents however large', () => {
    const levels = [8, 5, 4, 3];
    const config = FsqConfigSchema.parse({ levels });
    const steps = [-1e4, ...Array.from({ length: 801 }, (_, i) => (i - 400) / 100), 1e4];
    const latents = tf.tensor2d(steps.map((value) => levels.map(() => value)));
    const codes = fsq.decode({}, fsq.encode({}, latents, config), config).arraySync();
    expect(levels.map((_, i) => new Set(codes.map((code) => code[i])).size)).toEqual(levels);
  });

  it('codes zero as zero', () => {
    const config = FsqConfigSchema.parse({ levels: [8, 5] });
    expect(fsq.decode({}, fsq.encode({}, tf.zeros([1, 2]), config), config).arraySync()).toEqual([[0, 0]]);
  });

  it('passes the gradient of the bound past the rounding', () => {
    const config = FsqConfigSchema.parse({ levels: [8, 5] });
    const latents = tf.randomNormal([20, 2], 0, 1, 'float32', 3) as tf.Tensor2D;
    const gradient = tf.grad((x) => tf.sum(fsq.train({}, x as tf.Tensor2D, moment(), config).codes))(latents);
    const h = 1e-2;
    const at = (delta: number) => tf.div(bound(tf.add(latents, delta), config.levels), [4, 2]);
    const expected = tf.div(tf.sub(at(h), at(-h)), 2 * h);
    // Central differences of a tanh are off by a third of its third derivative times h squared.
    expect(maxDifference(gradient, expected)).toBeLessThan(1e-3);
  });

  it('starts its projection with latents of any scale spread over the levels', () => {
    const config = FsqConfigSchema.parse({ levels: [8, 5, 5, 5], width: 12 });
    const latents = tf.add(5, tf.mul(1e-2, tf.randomNormal([256, 12], 0, 1, 'float32', 2))) as tf.Tensor2D;
    const p = createParams(fsq.trainable(config), 0);
    fsq.initialize!(p, latents, randomKey(0, 0), config);
    expect(new Set(fsq.encode(p, latents, config).dataSync()).size).toBeGreaterThan(100);
  });

  it.each([
    [[2, 5], /E_CONFIG quantizer fsq: levels\.0: expected 3 levels or more; quantizer lfq has 2/],
    [[1000, 1000, 1000], /E_CONFIG quantizer fsq: levels: expected a product of at most 4194304/],
  ])('refuses levels %j', (levels, message) => {
    expect(() => fsq.parseConfig({ levels })).toThrow(message);
  });

  it('spreads positions over the codes by its entropy loss alone', () => {
    const config = FsqConfigSchema.parse({ levels: [5, 4], entropyWeight: 1 });
    const latents = tf.variable(tf.randomNormal([256, 2], 0.2, 0.1, 'float32', 5) as tf.Tensor2D);
    const rows = (): tf.Tensor2D => latents as unknown as tf.Tensor2D;
    const used = (): number => new Set(fsq.encode({}, rows(), config).dataSync()).size;
    const before = used();
    const optimizer = tf.train.adam(0.05);
    for (let step = 0; step < 150; step++)
      optimizer.minimize(() => fsq.train({}, rows(), moment(), config).loss, false, [latents]);
    expect({ before: before <= 4, after: used() }).toEqual({ before: true, after: 20 });
  });

  it('takes dimensions of more than 65,536 codes in groups', () => {
    const config = FsqConfigSchema.parse({ levels: [64, 64, 64], entropyWeight: 1 });
    const twins = tf.tile(tf.randomNormal([64, 1], 0, 8, 'float32', 5) as tf.Tensor2D, [1, 3]);
    const apart = tf.randomNormal([64, 3], 0, 8, 'float32', 6) as tf.Tensor2D;
    // Each pair of dimensions counts together, the third alone.
    expect(gridEntropyLoss(twins, config).dataSync()[0]).toBeGreaterThan(
      gridEntropyLoss(apart, config).dataSync()[0]! + 0.02,
    );
  });
});
