import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams, exportParams } from '../../../src/model/params.js';
import type { Params } from '../../../src/model/params.js';
import { simVq, SimVqConfigSchema } from '../../../tokenizers/quantizers/simvq.js';
import type { SimVqConfig } from '../../../tokenizers/quantizers/simvq.js';
import { nearestRow, quantizerConformance } from '../../conformance/quantizer.js';
import { maxDifference } from '../../support/tiny.js';
import { affine } from './support.js';

/** The nearest of all codes, the codebook seen through the layer. */
function nearest(p: Params, latents: number[][]): number[][] {
  const codes = affine(
    p.codebook!.arraySync() as number[][],
    p['layer.weight']!.arraySync() as number[][],
    p['layer.bias']!.arraySync() as number[],
  );
  return latents.map((row) => [nearestRow(codes, row)]);
}

/** The commitment alone reaches the latents: the codes are held, the loss that moves them is cut off. */
const surrogate = (json: Record<string, unknown>) => (p: Params, at: tf.Tensor2D) => {
  const config = SimVqConfigSchema.parse(json);
  const codes = simVq.decode(p, simVq.encode(p, at, config), config);
  return (x: tf.Tensor2D) => tf.mul(tf.mean(tf.squaredDifference(x, codes)), config.commitment) as tf.Scalar;
};

for (const json of [
  { name: 'simvq', codebookSize: 24, codeDim: 3 },
  { name: 'simvq', codebookSize: 1100, codeDim: 6, commitment: 1, codebookLoss: 0.5 },
])
  quantizerConformance(json, { bruteForce: nearest, surrogate: surrogate(json) });

const parse = (json: Record<string, unknown> = {}): SimVqConfig =>
  SimVqConfigSchema.parse({ codebookSize: 64, codeDim: 4, ...json });
const fresh = (config: SimVqConfig): Params => createParams({ ...simVq.trainable(config), ...simVq.state(config) }, 1);
const latents = tf.randomNormal([32, 4], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = () => ({ key: randomKey(0, 1), progress: tf.scalar(0) });

describe('SimVQ', () => {
  it('trains the layer and leaves the codebook as it was drawn', () => {
    const config = parse();
    expect(Object.keys(simVq.trainable(config))).toEqual(['layer.weight', 'layer.bias']);
    const p = fresh(config);
    const before = exportParams(p).codebook!.data;
    simVq.initialize!(p, latents, randomKey(0, 0), config);
    simVq.train(p, latents, moment(), config);
    expect(exportParams(p).codebook!.data).toEqual(before);
  });

  it('has the gradient of the codebook loss in the layer, by finite differences', () => {
    const config = parse({ commitment: 0 });
    const p = fresh(config);
    const loss = (): tf.Scalar => simVq.train(p, latents, moment(), config).loss;
    for (const name of ['layer.weight', 'layer.bias']) {
      const variable = p[name]!;
      const gradient = tf.variableGrads(loss, [variable]).grads[variable.name]!.dataSync();
      const values = variable.dataSync().slice();
      const lossAt = (i: number, delta: number): number => {
        variable.assign(
          tf.tensor(
            values.map((value, j) => (j === i ? value + delta : value)),
            variable.shape,
          ),
        );
        return loss().dataSync()[0]!;
      };
      const h = 1e-3;
      const expected = [...values].map((_, i) => (lossAt(i, h) - lossAt(i, -h)) / (2 * h));
      variable.assign(tf.tensor(values, variable.shape));
      // float32 losses about 1, differenced over 2e-3; choices of codes that a step changes add a little.
      expect(maxDifference(gradient, expected)).toBeLessThan(2e-3);
    }
  });

  it("passes the decoder's gradient to the latents alone", () => {
    const config = parse({ commitment: 0, codebookLoss: 0 });
    const p = fresh(config);
    const weights = tf.randomNormal([32, 4], 0, 1, 'float32', 6);
    const objective = (x: tf.Tensor): tf.Scalar => {
      const { codes, loss } = simVq.train(p, x as tf.Tensor2D, moment(), config);
      return tf.add(tf.sum(tf.mul(codes, weights)), loss) as tf.Scalar;
    };
    expect(maxDifference(tf.grad(objective)(latents), weights)).toBeLessThan(1e-6);
    const { grads } = tf.variableGrads(() => objective(latents), [p['layer.weight']!]);
    expect(maxDifference(grads[p['layer.weight']!.name]!, new Float32Array(16))).toBe(0);
  });

  it('starts with codes that spread as the latents do', () => {
    const config = parse({ codebookSize: 4096, codeDim: 16 });
    const p = fresh(config);
    // Latents about (3, 3, ...) that fill two directions of sixteen.
    const directions = tf.randomNormal([2, 16], 0, 1, 'float32', 7);
    const flat = tf.add(3, tf.matMul(tf.randomNormal([512, 2], 0, 1, 'float32', 8), directions)) as tf.Tensor2D;
    simVq.initialize!(p, flat, randomKey(0, 0), config);
    const ids = simVq.encode(p, flat, config);
    const error = tf.mean(tf.squaredDifference(simVq.decode(p, ids, config), flat)).dataSync()[0]!;
    const variance = tf.mean(tf.moments(flat, 0).variance).dataSync()[0]!;
    expect(error / variance).toBeLessThan(0.02);
    expect(new Set(ids.dataSync()).size).toBeGreaterThan(300);
  });

  it('refuses a codebook larger than ids can count', () => {
    expect(() => simVq.parseConfig({ codebookSize: 65537 })).toThrow(/E_CONFIG quantizer simvq: codebookSize/);
  });
});
