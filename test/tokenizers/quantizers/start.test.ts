import { describe, expect, it } from 'vitest';
import { compile, hostValues, randomKey, tf } from '../../../src/engine/index.js';
import type { RandomKey } from '../../../src/engine/index.js';
import { nearestCode } from '../../../tokenizers/quantizers/nearest.js';
import { startCodes } from '../../../tokenizers/quantizers/start.js';
import type { Start } from '../../../tokenizers/quantizers/start.js';

const asTheyAre = (codes: tf.Tensor2D): tf.Tensor2D => codes;
const CENTERS = [
  [4, 0],
  [0, 4],
  [-4, 0],
  [0, -4],
];
/** 40 points about each of four centers. */
const blobs = tf.add(
  tf.tensor2d(CENTERS.flatMap((center) => Array.from({ length: 40 }, () => center))),
  tf.randomNormal([160, 2], 0, 0.3, 'float32', 3),
) as tf.Tensor2D;

describe('the start of a codebook by k-means', () => {
  const started = (engine: 'onnxruntime' | 'reference', seed = 0) =>
    compile((x: tf.Tensor2D, key: RandomKey) => startCodes(x, 4, key, 'kmeans', asTheyAre), { engine })(
      blobs,
      randomKey(seed, 0),
    );

  it('finds the clusters there are', async () => {
    const codes = (await started('onnxruntime')).arraySync();
    for (const [x, y] of CENTERS as [number, number][])
      expect(Math.min(...codes.map(([a, b]) => Math.hypot(a! - x, b! - y)))).toBeLessThan(0.3);
  });

  it.each([0, 1, 2])('fits the latents better than random ones of them do, from seed %i', (seed) => {
    const points = tf.randomNormal([400, 3], 0, 1, 'float32', 9) as tf.Tensor2D;
    const errorOf = (start: Start): number => {
      const codes = startCodes(points, 24, randomKey(seed, 0), start, asTheyAre);
      return tf.mean(tf.squaredDifference(points, tf.gather(codes, nearestCode(points, codes)))).dataSync()[0]!;
    };
    expect(errorOf('kmeans')).toBeLessThan(0.8 * errorOf('batch'));
  });

  it('is the same again, and on both engines', async () => {
    const [once, again, eager] = [
      await started('onnxruntime'),
      await started('onnxruntime'),
      await started('reference'),
    ];
    expect(hostValues(again)).toEqual(hostValues(once));
    // Sums of 40 float32 numbers in another order.
    hostValues(eager).forEach((value, i) => expect(value).toBeCloseTo(hostValues(once)[i]!, 4));
  });

  it('leaves no code without latents of its own', () => {
    // Three of four codes start on copies of one point and would never be chosen.
    const points = tf.tensor2d([...Array.from({ length: 60 }, () => [0, 0]), [9, 0], [0, 9], [9, 9]]);
    const codes = startCodes(points, 4, randomKey(0, 0), 'kmeans', asTheyAre).arraySync();
    expect(new Set(codes.map((code) => code.join()))).toEqual(new Set(['0,0', '9,0', '0,9', '9,9']));
  });

  it('takes random latents where there are no more than codes', () => {
    const few = tf.slice2d(blobs, [0, 0], [4, 2]);
    const rows = new Set(few.arraySync().map((row) => row.join()));
    for (const code of startCodes(few, 8, randomKey(0, 0), 'kmeans', asTheyAre).arraySync())
      expect(rows.has(code.join())).toBe(true);
  });

  it('settles codes after each round', () => {
    const unit = (codes: tf.Tensor2D): tf.Tensor2D => tf.div(codes, tf.norm(codes, 'euclidean', 1, true));
    for (const code of startCodes(blobs, 4, randomKey(0, 0), 'kmeans', unit).arraySync())
      expect(Math.hypot(...code)).toBeCloseTo(1, 5);
  });
});
