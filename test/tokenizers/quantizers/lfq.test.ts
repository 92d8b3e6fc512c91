import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams } from '../../../src/model/params.js';
import type { Params } from '../../../src/model/params.js';
import { lfq, LfqConfigSchema, signEntropyLoss } from '../../../tokenizers/quantizers/lfq.js';
import { nearestRow, quantizerConformance } from '../../conformance/quantizer.js';
import { project } from './support.js';

/** Corners of the cube, in the order of their ids: the first dimension is the lowest bit. */
const corners = (bits: number): number[][] =>
  Array.from({ length: 2 ** bits }, (_, id) => Array.from({ length: bits }, (_, i) => ((id >> i) & 1 ? 1 : -1)));

const nearestCorner =
  (bits: number) =>
  (p: Params, latents: number[][]): number[][] =>
    project(p, latents).map((row) => [nearestRow(corners(bits), row)]);

quantizerConformance({ name: 'lfq', bits: 6 }, { bruteForce: nearestCorner(6) });
quantizerConformance(
  { name: 'lfq', bits: 5, width: 12, jointBits: 2, diversity: 0.5, temperature: 2 },
  { bruteForce: nearestCorner(5) },
);
quantizerConformance({ name: 'lfq', bits: 1 }, { bruteForce: nearestCorner(1) });
quantizerConformance({ name: 'lfq', bits: 16, width: 8 });

const normals = (rows: number, bits: number, seed = 4) =>
  tf.randomNormal([rows, bits], 0.2, 0.7, 'float32', seed) as tf.Tensor2D;
const moment = () => ({ key: randomKey(0, 1), progress: tf.scalar(0) });

describe('the lookup-free quantizer', () => {
  it('evens out bits that go together only if they are joint', () => {
    const half = normals(64, 1);
    const twins = tf.concat([half, half], 1) as tf.Tensor2D;
    const at = (jointBits: number): number =>
      signEntropyLoss(twins, LfqConfigSchema.parse({ bits: 2, jointBits })).dataSync()[0]!;
    expect(at(2)).toBeGreaterThan(at(1) + 0.05);
  });

  it.each([1, 10, 16])('decodes every id of %i bits to signs that code to it', (bits) => {
    const config = LfqConfigSchema.parse({ bits });
    const ids = tf.reshape(tf.range(0, 2 ** bits, 1, 'int32'), [-1, 1]) as tf.Tensor2D;
    const codes = lfq.decode({}, ids, config);
    expect(new Set(codes.dataSync())).toEqual(new Set([-1, 1]));
    expect(lfq.encode({}, codes, config).dataSync()).toEqual(ids.dataSync());
  });

  it('passes the gradient straight through to the latents', () => {
    const config = LfqConfigSchema.parse({ bits: 4 });
    const latents = normals(8, 4);
    const weights = normals(8, 4, 9);
    const gradient = tf.grad((x) => tf.sum(tf.mul(lfq.train({}, x as tf.Tensor2D, moment(), config).codes, weights)))(
      latents,
    );
    expect(gradient.dataSync()).toEqual(weights.dataSync());
  });

  it('spreads positions over the codes, each sure of its own, by its loss alone', () => {
    const config = LfqConfigSchema.parse({ bits: 4, temperature: 0.5 });
    const latents = tf.variable(tf.add(0.5, tf.mul(normals(256, 4), 0.2)));
    const used = (): number => new Set(lfq.encode({}, latents as unknown as tf.Tensor2D, config).dataSync()).size;
    const before = used();
    const optimizer = tf.train.adam(0.05);
    for (let step = 0; step < 100; step++)
      optimizer.minimize(() => signEntropyLoss(latents as unknown as tf.Tensor2D, config), false, [latents]);
    expect({ before: before < 8, after: used() }).toEqual({ before: true, after: 16 });
    expect(tf.min(tf.abs(latents)).dataSync()[0]).toBeGreaterThan(0.2);
  });

  it('starts its projection with every bit of latents of any scale and mean about evenly set', () => {
    const config = LfqConfigSchema.parse({ bits: 8, width: 12 });
    const latents = tf.add(5, tf.mul(1e-2, normals(512, 12))) as tf.Tensor2D;
    const p = createParams(lfq.trainable(config), 0);
    lfq.initialize!(p, latents, randomKey(0, 0), config);
    const ids = lfq.encode(p, latents, config).dataSync();
    for (let bit = 0; bit < 8; bit++) {
      const share = ids.filter((id) => (id >> bit) & 1).length / ids.length;
      expect(Math.abs(share - 0.5)).toBeLessThan(0.1);
    }
  });
});
