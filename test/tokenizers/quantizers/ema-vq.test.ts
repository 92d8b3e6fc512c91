import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams } from '../../../src/model/params.js';
import { emaVq, EmaVqConfigSchema } from '../../../tokenizers/quantizers/ema-vq.js';
import { quantizerConformance } from '../../conformance/quantizer.js';
import { nearestIds } from './codebook-support.js';

for (const options of [
  {},
  { start: 'kmeans', normalize: true },
  { width: 5, gradient: 'rotation' },
  { width: 6, normalize: true, start: 'kmeans', gradient: 'rotation' },
]) {
  const json = { name: 'ema-vq', codebookSize: 24, codeDim: 3, ...options };
  const config = EmaVqConfigSchema.parse(json);
  quantizerConformance(json, { bruteForce: (p, latents) => nearestIds(p, latents, config.normalize) });
}
quantizerConformance({ name: 'ema-vq', codebookSize: 24, codeDim: 3, rateWeight: 0.5, restartBelow: 0.5 });

const CONFIG = EmaVqConfigSchema.parse({ codebookSize: 8, codeDim: 3 });
const latents = tf.randomNormal([32, 3], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = (step = 1) => ({ key: randomKey(0, step), progress: tf.scalar(0) });
const fresh = (config = CONFIG) => createParams(emaVq.state(config), 0);

describe('the EMA quantizer', () => {
  it('passes the gradient straight through to the latents', () => {
    const p = fresh();
    const weights = tf.randomNormal(latents.shape, 0, 1, 'float32', 6);
    const gradient = tf.grad((x) => tf.sum(tf.mul(emaVq.train(p, x as tf.Tensor2D, moment(), CONFIG).codes, weights)))(
      latents,
    );
    expect(gradient.dataSync()).toEqual(weights.dataSync());
  });

  it('pulls latents towards their codes with the commitment loss', () => {
    const codes = emaVq.train(fresh(), latents, moment(), CONFIG).codes;
    const gradient = tf.grad((x) => emaVq.train(fresh(), x as tf.Tensor2D, moment(), CONFIG).loss)(latents);
    const expected = tf.mul(tf.sub(latents, codes), (2 * CONFIG.commitment) / latents.size);
    // One float32 rounding more in the eager path.
    expect(tf.max(tf.abs(tf.sub(gradient, expected))).dataSync()[0]).toBeLessThan(1e-6);
  });

  it('moves codes to the mean of their latents', () => {
    const config = { ...CONFIG, restartBelow: 0, emaDecay: 0 };
    const p = fresh(config);
    const ids = emaVq.train(p, latents, moment(), config).ids.arraySync().flat();
    const rows = latents.arraySync();
    const codebook = p.codebook!.arraySync() as number[][];
    for (const id of new Set(ids)) {
      const mine = rows.filter((_, i) => ids[i] === id);
      const mean = [0, 1, 2].map((d) => mine.reduce((sum, row) => sum + row[d]!, 0) / mine.length);
      mean.forEach((value, d) => expect(codebook[id]![d]).toBeCloseTo(value, 3));
    }
  });

  it('restarts codes nobody uses on latents of the batch', () => {
    const config = { ...CONFIG, restartBelow: 0.5, emaDecay: 0 };
    const p = fresh(config);
    p.codebook!.assign(tf.fill([8, 3], 100) as tf.Tensor2D);
    emaVq.train(p, latents, moment(), config);
    const rows = new Set(latents.arraySync().map((row) => row.map((v) => v.toFixed(3)).join()));
    const codebook = p.codebook!.arraySync() as number[][];
    const restarted = codebook.filter((code) => rows.has(code.map((v) => v.toFixed(3)).join()));
    expect(restarted.length).toBeGreaterThanOrEqual(7);
  });

  it('reads the rate weight of older configs, which call it entropyPrice', () => {
    expect(emaVq.parseConfig({ codebookSize: 8, entropyPrice: 0.4 })).toEqual(
      emaVq.parseConfig({ codebookSize: 8, rateWeight: 0.4 }),
    );
    expect(() => emaVq.parseConfig({ entropyPrice: 2 })).toThrow(/^E_CONFIG quantizer ema-vq: rateWeight: /);
  });

  it('codes in fewer nats at a higher rate weight', () => {
    const many = tf.randomNormal([512, 3], 0, 1, 'float32', 8) as tf.Tensor2D;
    const entropyAt = (rateWeight: number): number => {
      const config = { ...CONFIG, codebookSize: 32, restartBelow: 0, emaDecay: 0.5, rateWeight };
      const p = fresh(config);
      emaVq.initialize!(p, many, randomKey(0, 0), config);
      for (let step = 0; step < 100; step++) emaVq.train(p, many, moment(step), config);
      const ids = emaVq.encode(p, many, config).arraySync().flat();
      const shares = [...new Set(ids)].map((id) => ids.filter((other) => other === id).length / ids.length);
      return -shares.reduce((sum, share) => sum + share * Math.log(share), 0);
    };
    expect(entropyAt(1)).toBeLessThan(0.8 * entropyAt(0));
  });

  it('keeps its codes at length 1 where it compares angles', () => {
    const config = { ...CONFIG, normalize: true };
    const p = fresh(config);
    emaVq.initialize!(p, latents, randomKey(0, 0), config);
    for (let step = 0; step < 3; step++) {
      for (const code of p.codebook!.arraySync() as number[][]) expect(Math.hypot(...code)).toBeCloseTo(1, 5);
      emaVq.train(p, latents, moment(step), config);
    }
  });

  it('means by its config what it meant before it had these options', () => {
    expect(EmaVqConfigSchema.parse({})).toMatchObject({
      normalize: false,
      start: 'batch',
      gradient: 'straight-through',
    });
    expect(Object.keys({ ...emaVq.trainable(CONFIG), ...emaVq.state(CONFIG) })).toEqual([
      'codebook',
      'emaCount',
      'emaSum',
      'emaDistance',
    ]);
  });

  it('starts from latents of the data', () => {
    const p = fresh();
    emaVq.initialize!(p, latents, randomKey(0, 0), CONFIG);
    const rows = new Set(latents.arraySync().map((row) => row.join()));
    for (const code of p.codebook!.arraySync() as number[][]) expect(rows.has(code.join())).toBe(true);
  });
});
