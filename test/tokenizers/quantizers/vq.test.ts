import { describe, expect, it } from 'vitest';
import { compile, randomKey, tf } from '../../../src/engine/index.js';
import type { RandomKey } from '../../../src/engine/index.js';
import { ADAMW_DEFAULTS, adamW, adamWHyper, adamWSlots, gradients } from '../../../src/nn/optimizer.js';
import { createParams } from '../../../src/model/params.js';
import { vq, VqConfigSchema } from '../../../tokenizers/quantizers/vq.js';
import { quantizerConformance } from '../../conformance/quantizer.js';
import { commitmentLoss, nearestIds } from './codebook-support.js';

for (const options of [
  {},
  { start: 'kmeans', gradient: 'rotation' },
  { width: 6, normalize: true, restartBelow: 0.5 },
]) {
  const json = { name: 'vq', codebookSize: 24, codeDim: 3, ...options };
  const config = VqConfigSchema.parse(json);
  quantizerConformance(json, {
    bruteForce: (p, latents) => nearestIds(p, latents, config.normalize),
    surrogate: commitmentLoss(config, (p, x) => vq.encode(p, x, config)),
  });
}

const CONFIG = VqConfigSchema.parse({ codebookSize: 8, codeDim: 3 });
const latents = tf.randomNormal([32, 3], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = (step = 1) => ({ key: randomKey(0, step), progress: tf.scalar(0) });
const fresh = (config = CONFIG) => createParams({ ...vq.trainable(config), ...vq.state(config) }, 0);

describe('the quantizer with a trained codebook', () => {
  it('pulls codes towards their latents with the codebook loss', () => {
    const p = fresh();
    const ids = vq.encode(p, latents, CONFIG).arraySync().flat();
    const codes = p.codebook!.arraySync() as number[][];
    const gradient = tf
      .variableGrads(() => vq.train(p, latents, moment(), CONFIG).loss, [p.codebook!])
      .grads[p.codebook!.name]!.arraySync() as number[][];
    const rows = latents.arraySync();
    codes.forEach((code, k) =>
      code.forEach((value, d) => {
        const pulls = rows.map((row, i) => (ids[i] === k ? (2 * (value - row[d]!)) / latents.size : 0));
        expect(gradient[k]![d]).toBeCloseTo(
          pulls.reduce((a, b) => a + b, 0),
          5,
        );
      }),
    );
  });

  it('counts uses of codes by moving averages', () => {
    const config = { ...CONFIG, emaDecay: 0.75, restartBelow: 0 };
    const p = fresh(config);
    const ids = vq.encode(p, latents, config).arraySync().flat();
    vq.train(p, latents, moment(), config);
    const uses = Array.from({ length: 8 }, (_, k) => ids.filter((id) => id === k).length);
    expect(p.emaCount!.arraySync()).toEqual(uses.map((count) => 0.75 + 0.25 * count));
  });

  it.each(['onnxruntime', 'reference'] as const)(
    'restarts dead codes within an optimizer step, on %s',
    async (engine) => {
      const config = { ...CONFIG, restartBelow: 0.5, emaDecay: 0 };
      const p = fresh(config);
      const { codebook } = p;
      codebook!.assign(tf.fill([8, 3], 100) as tf.Tensor2D);
      const trainable = { codebook: codebook! };
      const slots = adamWSlots(trainable);
      const step = compile(
        (x: tf.Tensor2D, key: RandomKey, progress: tf.Scalar, hyper: tf.Tensor1D) => {
          const { grads } = gradients(trainable, () => ({ loss: vq.train(p, x, { key, progress }, config).loss }));
          return adamW(trainable, slots, grads, hyper, ADAMW_DEFAULTS);
        },
        { engine },
      );
      const { key, progress } = moment();
      await step(latents, key, progress, adamWHyper(1, 1e-6, ADAMW_DEFAULTS));
      const rows = latents.arraySync();
      const restarted = (codebook!.arraySync() as number[][]).filter((code) =>
        rows.some((row) => row.every((value, d) => Math.abs(value - code[d]!) < 1e-4)),
      );
      // All latents chose the first of the equal codes; the seven others died.
      expect(restarted).toHaveLength(7);
    },
  );

  it('learns a codebook: the error falls to little more than that of means of clusters', async () => {
    const config = { ...CONFIG, codebookSize: 16 };
    const many = tf.randomNormal([256, 3], 0, 1, 'float32', 8) as tf.Tensor2D;
    const errorOf = (p: ReturnType<typeof fresh>): number =>
      tf.mean(tf.squaredDifference(many, vq.decode(p, vq.encode(p, many, config), config))).dataSync()[0]!;
    const [trained, clustered] = [fresh(config), fresh(config)];
    vq.initialize!(clustered, many, randomKey(0, 0), { ...config, start: 'kmeans' });
    const trainable = { codebook: trained.codebook! };
    const slots = adamWSlots(trainable);
    const step = compile((x: tf.Tensor2D, key: RandomKey, progress: tf.Scalar, hyper: tf.Tensor1D) => {
      const { grads } = gradients(trainable, () => ({ loss: vq.train(trained, x, { key, progress }, config).loss }));
      return adamW(trainable, slots, grads, hyper, ADAMW_DEFAULTS);
    });
    vq.initialize!(trained, many, randomKey(0, 0), config);
    const before = errorOf(trained);
    for (let i = 1; i <= 200; i++) await step(many, randomKey(0, i), tf.scalar(0), adamWHyper(i, 0.02, ADAMW_DEFAULTS));
    expect(errorOf(trained)).toBeLessThan(0.8 * before);
    expect(errorOf(trained)).toBeLessThan(1.15 * errorOf(clustered));
  });
});
