import { describe, expect, it } from 'vitest';
import { flopsOf, tf } from '../../src/engine/index.js';

describe('the arithmetic of a function', () => {
  it('is that of its matrix products', async () => {
    const [a, b, c] = [tf.zeros<tf.Rank.R2>([3, 5]), tf.zeros<tf.Rank.R2>([5, 7]), tf.zeros<tf.Rank.R2>([7, 5])];
    expect(await flopsOf((x: tf.Tensor2D, y: tf.Tensor2D) => tf.matMul(x, y), [a, b])).toBe(2 * 3 * 5 * 7);
    expect(await flopsOf((x: tf.Tensor2D, y: tf.Tensor2D) => tf.matMul(x, y, false, true), [a, c])).toBe(2 * 3 * 5 * 7);
    expect(await flopsOf((x: tf.Tensor2D, y: tf.Tensor2D) => tf.add(tf.relu(x), y), [a, a])).toBe(0);
    const batch = tf.zeros<tf.Rank.R3>([4, 3, 5]);
    expect(await flopsOf((x: tf.Tensor3D) => tf.matMul(x, x, false, true), [batch])).toBe(2 * 4 * 3 * 5 * 3);
    tf.dispose([a, b, c, batch]);
  });

  it('is that of its convolutions, which are not run', async () => {
    const images = tf.zeros<tf.Rank.R4>([2, 8, 8, 3]);
    const kernel = tf.zeros<tf.Rank.R4>([3, 3, 3, 6]);
    const conv = (x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor => tf.conv2d(x, w, 1, 'same');
    expect(await flopsOf(conv, [images, kernel])).toBe(2 * 2 * 64 * 6 * 27);
    expect(await flopsOf((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, 2, 'same'), [images, kernel])).toBe(
      2 * 2 * 16 * 6 * 27,
    );
    const codes = tf.zeros<tf.Rank.R4>([2, 4, 4, 6]);
    const up = (x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor => tf.conv2dTranspose(x, w, [2, 8, 8, 3], 2, 'same');
    expect(await flopsOf(up, [codes, kernel])).toBe(2 * 2 * 16 * 6 * 27);
    tf.dispose([images, kernel, codes]);
  });
});
