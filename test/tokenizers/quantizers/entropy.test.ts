import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../../src/engine/index.js';
import { entropyLoss } from '../../../tokenizers/quantizers/entropy.js';
import type { EntropyOptions } from '../../../tokenizers/quantizers/entropy.js';

/** All points of a grid, the first dimension fastest. */
const pointsOf = (levels: number[][]): number[][] =>
  levels.reduceRight<number[][]>(
    (rest, values) => rest.flatMap((point) => values.map((value) => [value, ...point])),
    [[]],
  );

/** Both entropies in float64 over all codes, with no factor taken out; nats in all. */
function directLoss(latents: number[][], levels: number[][], temperature: number, diversity: number): number {
  const codes = pointsOf(levels);
  const entropy = (p: number[]): number =>
    -p.reduce((sum, value) => sum + (value > 0 ? value * Math.log(value) : 0), 0);
  const probabilities = latents.map((row) => {
    const weights = codes.map((code) =>
      Math.exp(-code.reduce((sum, value, i) => sum + (value - row[i]!) ** 2, 0) / temperature),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  });
  const unsure = probabilities.reduce((sum, p) => sum + entropy(p), 0) / latents.length;
  const use = codes.map((_, id) => probabilities.reduce((sum, p) => sum + p[id]!, 0) / latents.length);
  return unsure - diversity * entropy(use);
}

const SIGNS = [-1, 1];
const FIVE = [-2, -1, 0, 1, 2];
const FOUR = [-2, -1, 0, 1];

const repeated = (values: number[], count: number): number[][] => Array.from({ length: count }, () => values);
const normals = (rows: number, columns: number) =>
  tf.randomNormal([rows, columns], 0.2, 0.7, 'float32', 4) as tf.Tensor2D;
const lossOf = (latents: tf.Tensor2D, levels: number[][], options: Partial<EntropyOptions> = {}): tf.Scalar =>
  entropyLoss(latents, levels, { temperature: 1, diversity: 1, groups: [levels.length], ...options });

describe('entropyLoss', () => {
  it.each<[string, number[][], number, number]>([
    ['a bit', [SIGNS], 1, 1],
    ['signs', repeated(SIGNS, 7), 2, 0.3],
    ['five levels', repeated(FIVE, 3), 0.25, 1],
    ['mixed levels', [FOUR, SIGNS, FIVE], 0.5, 2],
  ])('is that of all codes, for %s', (_, levels, temperature, diversity) => {
    const latents = normals(40, levels.length);
    const bits = levels.reduce((sum, { length }) => sum + Math.log2(length), 0);
    // float32 sums of up to 128 terms.
    expect(lossOf(latents, levels, { temperature, diversity }).dataSync()[0]).toBeCloseTo(
      directLoss(latents.arraySync(), levels, temperature, diversity) / bits,
      5,
    );
  });

  it('takes groups for independent', () => {
    const levels = [FIVE, SIGNS, FOUR];
    const latents = normals(40, 3);
    const rows = latents.arraySync();
    const first = directLoss(
      rows.map((row) => row.slice(0, 1)),
      levels.slice(0, 1),
      1,
      0.7,
    );
    const others = directLoss(
      rows.map((row) => row.slice(1)),
      levels.slice(1),
      1,
      0.7,
    );
    expect(lossOf(latents, levels, { diversity: 0.7, groups: [1, 2] }).dataSync()[0]).toBeCloseTo(
      (first + others) / Math.log2(40),
      5,
    );
  });

  it.each([
    [repeated(SIGNS, 16), 256],
    [[...repeated(FOUR, 4), ...repeated(FIVE, 3)], 256],
  ])('makes no tensor of positions by codes (%#)', async (levels, most) => {
    const rows = 300;
    const { kernels } = await tf.profile(() => lossOf(normals(rows, levels.length), levels));
    const sizes = kernels.flatMap(({ outputShapes }) =>
      outputShapes.map((shape) => shape.reduce((size, extent) => size * extent, 1)),
    );
    expect(Math.max(...sizes)).toBe(Math.max(rows * most, pointsOf(levels).length));
  });

  it('has a finite value and gradient however sure latents are', async () => {
    const levels = [FIVE, FOUR, SIGNS];
    const valueAndGradient = compile((x: tf.Tensor2D) =>
      tf.valueAndGrad((y) => lossOf(y as tf.Tensor2D, levels, { temperature: 0.01 }))(x),
    );
    for (const scale of [0.01, 1, 10, 1e4]) {
      const { value, grad } = await valueAndGradient(tf.mul(normals(64, 3), scale));
      expect([...value.dataSync(), ...grad.dataSync()].every(Number.isFinite)).toBe(true);
    }
    await valueAndGradient.dispose();
  });
});
