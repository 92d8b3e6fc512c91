import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../../src/engine/index.js';
import { nearestCode } from '../../../tokenizers/quantizers/nearest.js';

describe('nearestCode', () => {
  it('finds the true nearest row', async () => {
    const latents = tf.randomNormal([50, 3], 0, 1, 'float32', 1) as tf.Tensor2D;
    const codebook = tf.randomNormal([20, 3], 0, 1, 'float32', 2) as tf.Tensor2D;
    const ids = (await compile(nearestCode as (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor1D)(latents, codebook)).arraySync();
    const [z, e] = [latents.arraySync(), codebook.arraySync()];
    const distance = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);
    expect(ids).toEqual(z.map((row) => e.reduce((best, code, i) => (distance(row, code) < distance(row, e[best]!) ? i : best), 0)));
  });

  it('gives ties to the lowest id', () => {
    const ids = nearestCode(tf.tensor2d([[0, 0]]), tf.tensor2d([[1, 0], [0, 1], [-1, 0]]));
    expect(ids.arraySync()).toEqual([0]);
  });

  it('refuses widths that differ', () => {
    expect(() => nearestCode(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow(/E_VQ_DIM nearestCode\(latents\): expected last axis 5, received \[2, 3\]/);
  });

  it('prefers a cheaper code to a slightly nearer one', () => {
    const ids = nearestCode(tf.tensor2d([[0.4]]), tf.tensor2d([[0], [1]]), tf.tensor1d([1, 0]));
    expect(ids.arraySync()).toEqual([1]);
  });
});
