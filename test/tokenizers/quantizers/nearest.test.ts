import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../../src/engine/index.js';
import { nearestCode, rotated } from '../../../tokenizers/quantizers/nearest.js';

describe('nearestCode', () => {
  it('finds the true nearest row', async () => {
    const latents = tf.randomNormal([50, 3], 0, 1, 'float32', 1) as tf.Tensor2D;
    const codebook = tf.randomNormal([20, 3], 0, 1, 'float32', 2) as tf.Tensor2D;
    const ids = (
      await compile(nearestCode as (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor1D)(latents, codebook)
    ).arraySync();
    const [z, e] = [latents.arraySync(), codebook.arraySync()];
    const distance = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);
    expect(ids).toEqual(
      z.map((row) => e.reduce((best, code, i) => (distance(row, code) < distance(row, e[best]!) ? i : best), 0)),
    );
  });

  it('gives ties to the lowest id', () => {
    const ids = nearestCode(
      tf.tensor2d([[0, 0]]),
      tf.tensor2d([
        [1, 0],
        [0, 1],
        [-1, 0],
      ]),
    );
    expect(ids.arraySync()).toEqual([0]);
  });

  it('refuses widths that differ', () => {
    expect(() => nearestCode(tf.zeros([2, 3]), tf.zeros([4, 5]))).toThrow(
      /E_VQ_DIM nearestCode\(latents\): expected last axis 5, received \[2, 3\]/,
    );
  });

  it('prefers a cheaper code to a slightly nearer one', () => {
    const ids = nearestCode(tf.tensor2d([[0.4]]), tf.tensor2d([[0], [1]]), tf.tensor1d([1, 0]));
    expect(ids.arraySync()).toEqual([1]);
  });

  describe('in more codes than are searched at once', () => {
    const latents = tf.randomNormal([40, 3], 0, 1, 'float32', 1) as tf.Tensor2D;
    const codebook = tf.randomNormal([1300, 3], 0, 1, 'float32', 2) as tf.Tensor2D;
    const price = tf.randomUniform([1300], 0, 0.5, 'float32', 3) as tf.Tensor1D;
    const nearest = (rows: number[][], codes: number[][], prices: number[]): number[] => {
      const cost = (row: number[], k: number): number =>
        row.reduce((sum, v, d) => sum + (v - codes[k]![d]!) ** 2, prices[k]!);
      return rows.map((row) => codes.reduce((best, _, k) => (cost(row, k) < cost(row, best) ? k : best), 0));
    };

    it('finds the true nearest row, with and without a price', async () => {
      const [rows, codes] = [latents.arraySync(), codebook.arraySync()];
      const search = compile((x: tf.Tensor2D, e: tf.Tensor2D, c: tf.Tensor1D) => [
        nearestCode(x, e),
        nearestCode(x, e, c),
      ]);
      const [plain, priced] = await search(latents, codebook, price);
      expect(plain!.arraySync()).toEqual(
        nearest(
          rows,
          codes,
          codes.map(() => 0),
        ),
      );
      expect(priced!.arraySync()).toEqual(nearest(rows, codes, price.arraySync()));
      expect(nearestCode(latents, codebook, price).arraySync()).toEqual(priced!.arraySync());
    });

    it('gives ties to the lowest id', () => {
      const twice = tf.concat2d([codebook, codebook], 0);
      expect(nearestCode(latents, twice).arraySync()).toEqual(nearestCode(latents, codebook).arraySync());
    });

    it('holds the distances of 512 codes at a time', async () => {
      const search = compile(nearestCode as (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor1D);
      await search(latents, codebook);
      const matrices = [...search.graphs()[0]!.matchAll(/: f32\[40,(\d+)\]/g)].map(([, columns]) => Number(columns));
      expect(Math.max(...matrices)).toBe(512);
      expect(matrices).toContain(1300 - 2 * 512);
    });
  });
});

describe('the rotation gradient', () => {
  const latents = tf.tensor2d([
    [1, 2, 0],
    [0.5, -1, 2],
    [0, 0, -3],
    [1e-9, 0, 0],
  ]);
  const codes = tf.tensor2d([
    [2, 1, 1],
    [0.4, -1.2, 1.5],
    [0, 0, 2],
    [1, 1, 1],
  ]);

  it('has the values of the codes, whatever their angle to the latents', () => {
    rotated(latents, codes)
      .dataSync()
      .forEach((value, i) => expect(value).toBeCloseTo(codes.dataSync()[i]!, 5));
  });

  it('keeps lengths and angles between a gradient and its vector, but for the ratio of their lengths', () => {
    const weights = tf.tensor2d([
      [1, 0, 0],
      [0.3, 0.5, -1],
      [1, 2, 3],
    ]);
    const [z, q] = [tf.slice2d(latents, [0, 0], [3, 3]), tf.slice2d(codes, [0, 0], [3, 3])];
    const gradient = (
      tf.grad((x) => tf.sum(tf.mul(rotated(x as tf.Tensor2D, q), weights)))(z) as tf.Tensor2D
    ).arraySync();
    const dot = (a: number[], b: number[]): number => a.reduce((sum, v, d) => sum + v * b[d]!, 0);
    z.arraySync().forEach((row, i) => {
      const [code, weight] = [q.arraySync()[i]!, weights.arraySync()[i]!];
      const scale = Math.hypot(...code) / Math.hypot(...row);
      expect(Math.hypot(...gradient[i]!)).toBeCloseTo(scale * Math.hypot(...weight), 4);
      expect(dot(gradient[i]!, row)).toBeCloseTo(dot(weight, code), 4);
    });
  });

  it('leaves vectors across both directions alone', () => {
    const across = tf.tensor2d([[0, 0, 5]]);
    const gradient = tf.grad((x) => tf.sum(tf.mul(rotated(x as tf.Tensor2D, tf.tensor2d([[0, 2, 0]])), across)))(
      tf.tensor2d([[2, 0, 0]]),
    );
    gradient.dataSync().forEach((value, d) => expect(value).toBeCloseTo([0, 0, 5][d]!, 5));
  });
});
