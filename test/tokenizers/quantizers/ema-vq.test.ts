import { describe, expect, it } from 'vitest';
import { compile, randomKey, tf } from '../../../src/engine/index.js';
import { createParams } from '../../../src/nn/params.js';
import { EmaVqConfigSchema, emaVqSpecs, nearestCode, quantizeForTraining, startCodebook, updateCodebook } from '../../../tokenizers/quantizers/ema-vq.js';

const CONFIG = EmaVqConfigSchema.parse({ codebookSize: 8, codeDim: 3 });

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

describe('training', () => {
  const latents = tf.randomNormal([2, 4, 4, 3], 0, 1, 'float32', 5) as tf.Tensor4D;

  it('passes the gradient straight through to the latents', () => {
    const p = createParams(emaVqSpecs(CONFIG), 0);
    const weights = tf.randomNormal(latents.shape, 0, 1, 'float32', 6);
    const gradient = tf.grad((x) => tf.sum(tf.mul(quantizeForTraining(p, x as tf.Tensor4D, CONFIG).straight, weights)))(latents);
    expect(gradient.dataSync()).toEqual(weights.dataSync());
  });

  it('pulls latents towards their codes with the commitment loss', () => {
    const p = createParams(emaVqSpecs(CONFIG), 0);
    const { straight: codes } = quantizeForTraining(p, latents, CONFIG);
    const gradient = tf.grad((x) => quantizeForTraining(p, x as tf.Tensor4D, CONFIG).loss)(latents);
    const expected = tf.mul(tf.sub(latents, codes), (2 * CONFIG.commitment) / latents.size);
    // One float32 rounding more in the eager path.
    expect(tf.max(tf.abs(tf.sub(gradient, expected))).dataSync()[0]).toBeLessThan(1e-6);
  });

  it('moves codes to the mean of their latents', () => {
    const config = { ...CONFIG, restartBelow: 0, emaDecay: 0 };
    const p = createParams(emaVqSpecs(config), 0);
    const batch = quantizeForTraining(p, latents, config);
    const [ids, rows] = [batch.ids.arraySync(), batch.latents.arraySync()];
    updateCodebook(p, batch, randomKey(0, 1), config);
    const codebook = p['quantizer.codebook']!.arraySync() as number[][];
    for (const id of new Set(ids)) {
      const mine = rows.filter((_, i) => ids[i] === id);
      const mean = [0, 1, 2].map((d) => mine.reduce((sum, row) => sum + row[d]!, 0) / mine.length);
      mean.forEach((value, d) => expect(codebook[id]![d]).toBeCloseTo(value, 3));
    }
  });

  it('restarts codes nobody uses on latents of the batch', () => {
    const config = { ...CONFIG, restartBelow: 0.5, emaDecay: 0 };
    const p = createParams(emaVqSpecs(config), 0);
    p['quantizer.codebook']!.assign(tf.fill([8, 3], 100) as tf.Tensor2D);
    const batch = quantizeForTraining(p, latents, config);
    updateCodebook(p, batch, randomKey(0, 1), config);
    const rows = new Set((batch.latents.arraySync()).map((row) => row.map((v) => v.toFixed(3)).join()));
    const codebook = p['quantizer.codebook']!.arraySync() as number[][];
    const restarted = codebook.filter((code) => rows.has(code.map((v) => v.toFixed(3)).join()));
    expect(restarted.length).toBeGreaterThanOrEqual(7);
  });

  it('codes in fewer nats at a higher price', () => {
    const entropyAt = (entropyPrice: number): number => {
      const config = { ...CONFIG, restartBelow: 0, emaDecay: 0.5, entropyPrice };
      const p = createParams(emaVqSpecs(config), 0);
      for (let step = 0; step < 20; step++) updateCodebook(p, quantizeForTraining(p, latents, config), randomKey(0, step), config);
      const ids = quantizeForTraining(p, latents, config).ids.arraySync();
      const shares = [...new Set(ids)].map((id) => ids.filter((other) => other === id).length / ids.length);
      return -shares.reduce((sum, share) => sum + share * Math.log(share), 0);
    };
    expect(entropyAt(1)).toBeLessThan(0.8 * entropyAt(0));
  });

  it('starts from latents of the data', () => {
    const p = createParams(emaVqSpecs(CONFIG), 0);
    const flat = tf.reshape(latents, [-1, 3]) as tf.Tensor2D;
    startCodebook(p, flat, randomKey(0, 0), CONFIG);
    const rows = new Set((flat.arraySync()).map((row) => row.join()));
    for (const code of p['quantizer.codebook']!.arraySync() as number[][]) expect(rows.has(code.join())).toBe(true);
  });
});
