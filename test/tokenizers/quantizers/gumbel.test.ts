import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams } from '../../../src/model/params.js';
import type { Params } from '../../../src/model/params.js';
import {
  divergenceFromUniform,
  gumbel,
  GumbelConfigSchema,
  klWeightAt,
  lackOfDiversity,
  temperatureAt,
} from '../../../tokenizers/quantizers/gumbel.js';
import type { GumbelConfig } from '../../../tokenizers/quantizers/gumbel.js';
import { nearestRow, quantizerConformance } from '../../conformance/quantizer.js';
import { maxDifference } from '../../support/tiny.js';
import { affine } from './support.js';

/** The likeliest code. */
function likeliest(p: Params, latents: number[][]): number[][] {
  const logits = affine(
    latents,
    p['logits.weight']!.arraySync() as number[][],
    p['logits.bias']!.arraySync() as number[],
  );
  return logits.map((row) => [row.indexOf(Math.max(...row))]);
}

quantizerConformance(
  { name: 'gumbel', codebookSize: 24, codeDim: 4 },
  { bruteForce: likeliest, random: true, relaxed: true },
);
quantizerConformance(
  { name: 'gumbel', codebookSize: 24, codeDim: 4, hard: true, klWeight: 0.5 },
  { bruteForce: likeliest, random: true },
);
quantizerConformance(
  {
    name: 'gumbel',
    codebookSize: 7,
    codeDim: 3,
    klWeight: 2,
    klWarmup: 0,
    temperature: { start: 2, end: 0.5, schedule: 'exponential' },
  },
  { random: true, relaxed: true },
);

const parse = (json: Record<string, unknown>): GumbelConfig =>
  GumbelConfigSchema.parse({ codebookSize: 6, codeDim: 3, ...json });
const fresh = (config: GumbelConfig): Params => createParams(gumbel.trainable(config), 1);
const latents = tf.randomNormal([32, 3], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = (progress: number, step = 1) => ({ key: randomKey(0, step), progress: tf.scalar(progress) });
const at = (progress: number, of: (progress: tf.Scalar) => tf.Scalar): number => of(tf.scalar(progress)).dataSync()[0]!;

describe('the Gumbel-softmax quantizer', () => {
  it.each([
    ['cosine', [1, 0.625, 0.25, 0.25]],
    ['exponential', [1, 0.5, 0.25, 0.25]],
  ])('lowers the temperature along a %s until its part of the training is done', (schedule, expected) => {
    const { temperature } = parse({ temperature: { start: 1, end: 0.25, schedule, until: 0.5 } });
    [0, 0.25, 0.5, 0.9].forEach((progress, i) =>
      expect(at(progress, (x) => temperatureAt(x, temperature))).toBeCloseTo(expected[i]!, 6),
    );
  });

  it('raises the weight of the divergence from nothing', () => {
    const weights = [0, 0.1, 0.2, 0.7].map((progress) =>
      at(progress, (x) => klWeightAt(x, parse({ klWeight: 3, klWarmup: 0.2 }))),
    );
    expect(maxDifference(weights, [0, 1.5, 3, 3])).toBeLessThan(1e-6);
    expect(at(0, (x) => klWeightAt(x, parse({ klWeight: 3, klWarmup: 0 })))).toBe(3);
  });

  it('measures the divergence from even odds in nats per position', () => {
    const odds = [
      [0.7, 0.2, 0.1],
      [1 / 3, 1 / 3, 1 / 3],
    ];
    const expected = odds.reduce((sum, row) => sum + row.reduce((kl, p) => kl + p * Math.log(p * 3), 0), 0) / 2;
    const logits = tf.add(tf.log(tf.tensor2d(odds)), 5) as tf.Tensor2D;
    expect(divergenceFromUniform(logits).dataSync()[0]).toBeCloseTo(expected, 5);
    expect(divergenceFromUniform(tf.tensor2d([[1000, 0, 0]])).dataSync()[0]).toBeCloseTo(Math.log(3), 5);
  });

  it('adds what the use of the codes lacks of evenness, and asks no position to be unsure', () => {
    const even = tf.tensor2d([
      [50, 0, 0],
      [0, 50, 0],
      [0, 0, 50],
    ]);
    const uneven = tf.tensor2d([
      [50, 0, 0],
      [50, 0, 0],
      [50, 0, 0],
    ]);
    expect(lackOfDiversity(even).dataSync()[0]).toBeCloseTo(0, 5);
    expect(lackOfDiversity(uneven).dataSync()[0]).toBeCloseTo(Math.log(3), 5);
    const config = parse({ diversity: 0.2 });
    const p = fresh(config);
    const logits = tf.add(
      tf.matMul(latents, p['logits.weight'] as unknown as tf.Tensor2D),
      p['logits.bias']!,
    ) as tf.Tensor2D;
    expect(gumbel.train(p, latents, moment(0.5), config).loss.dataSync()[0]).toBeCloseTo(
      0.2 * lackOfDiversity(logits).dataSync()[0]!,
      5,
    );
  });

  it('adds that divergence to the loss at its weight', () => {
    const config = parse({ klWeight: 0.3, klWarmup: 0.2, diversity: 0 });
    const p = fresh(config);
    const logits = tf.add(
      tf.matMul(latents, p['logits.weight'] as unknown as tf.Tensor2D),
      p['logits.bias']!,
    ) as tf.Tensor2D;
    expect(gumbel.train(p, latents, moment(0.5), config).loss.dataSync()[0]).toBeCloseTo(
      0.3 * divergenceFromUniform(logits).dataSync()[0]!,
      6,
    );
    expect(gumbel.train(p, latents, moment(0), config).loss.dataSync()[0]).toBe(0);
  });

  it('draws codes as often as their logits say', () => {
    const config = parse({});
    const p = fresh(config);
    const odds = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01];
    p['logits.bias']!.assign(tf.log(tf.tensor1d(odds)));
    const rows = 20000;
    const ids = gumbel.train(p, tf.zeros([rows, 3]), moment(0), config).ids.dataSync();
    const shares = odds.map((_, id) => ids.filter((drawn) => drawn === id).length / rows);
    // Four standard deviations of the most uncertain share.
    expect(maxDifference(shares, odds)).toBeLessThan(4 * Math.sqrt(0.25 / rows));
  });

  it('draws the same for the same key, otherwise for another', () => {
    const config = parse({});
    const p = fresh(config);
    const ids = (step: number): string => gumbel.train(p, latents, moment(0, step), config).ids.dataSync().join();
    expect(ids(1)).toBe(ids(1));
    expect(ids(1)).not.toBe(ids(2));
  });

  it('mixes the codebook, the more sharply the lower the temperature', () => {
    const config = parse({ temperature: { start: 5, end: 0.01 } });
    const p = fresh(config);
    const distance = (progress: number): number => {
      const { codes, ids } = gumbel.train(p, latents, moment(progress), config);
      return tf.mean(tf.abs(tf.sub(codes, gumbel.decode(p, ids, config)))).dataSync()[0]!;
    };
    expect(distance(0)).toBeGreaterThan(0.3);
    expect(distance(0.9)).toBeLessThan(0.02);
  });

  it('starts as vector quantization with latents of the data for codes, of any scale', () => {
    const config = parse({});
    for (const scale of [1e-2, 1, 100]) {
      const p = fresh(config);
      const data = tf.add(tf.mul(latents, scale), 2 * scale) as tf.Tensor2D;
      gumbel.initialize!(p, data, randomKey(0, 0), config);
      const rows = new Set(data.arraySync().map((row) => row.join()));
      const codes = p.codebook!.arraySync() as number[][];
      expect(codes.every((code) => rows.has(code.join()))).toBe(true);
      expect(gumbel.encode(p, data, config).arraySync()).toEqual(
        data.arraySync().map((row) => [nearestRow(codes, row)]),
      );
    }
  });

  it('gives the rows drawn when hard, with the gradient of the mixture to the logits and of the rows to the codebook', () => {
    const [hard, soft] = [parse({ hard: true }), parse({})];
    const p = fresh(hard);
    const weights = tf.randomNormal([32, 3], 0, 1, 'float32', 6);
    const { codes, ids } = gumbel.train(p, latents, moment(0.3), hard);
    expect(maxDifference(codes, gumbel.decode(p, ids, hard))).toBeLessThan(1e-6);
    const gradients = (config: GumbelConfig) =>
      tf.variableGrads(
        () => tf.sum(tf.mul(gumbel.train(p, latents, moment(0.3), config).codes, weights)),
        [p['logits.weight']!, p.codebook!],
      ).grads;
    const [ofHard, ofSoft] = [gradients(hard), gradients(soft)];
    expect(maxDifference(ofHard[p['logits.weight']!.name]!, ofSoft[p['logits.weight']!.name]!)).toBeLessThan(1e-5);
    const rows = tf.unsortedSegmentSum(weights, tf.reshape(ids, [-1]) as tf.Tensor1D, 6);
    expect(maxDifference(ofHard[p.codebook!.name]!, rows)).toBeLessThan(1e-5);
  });
});
