import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compile, stopGradient, tf } from '../../src/engine/index.js';
import { gradients } from '../../src/nn/optimizer.js';
import { createParams, scoped } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import { chain, pointwise } from '../../src/model/layer.js';
import { conv } from '../../src/nn/conv.js';
import { generatorLoss, patchGan } from '../../src/losses/adversarial.js';
import { codecFamily } from '../../src/registry.js';
import { CheckpointStore } from '../../src/checkpoint/store.js';
import { readMetrics } from '../../src/report/metrics-file.js';
import { Discriminator } from '../../src/train/discriminator.js';
import { trainCodec } from '../../src/train/codec.js';
import { CodecTrainingSchema } from '../../src/train/config.js';
import type { LoopOptions } from '../../src/train/loop.js';
import { maxDifference, temporaryDirectory, tinyDataset, TINY_CODEC } from '../support/tiny.js';
import { resultOf, trainWithStops } from './support.js';

const SETTINGS = CodecTrainingSchema.parse({
  adversarial: { weight: 0.5, startFraction: 0, channels: 8, layers: 1 },
}).adversarial!;

/** A decoder of two layers, so that the last has something before it. */
const network = chain({ first: conv(3, 2, 4), relu: pointwise((x) => tf.relu(x)), last: conv(3, 4, 1) });
const decoder: Params = createParams(network.params, 3);
const waves = (shape: [number, number, number, number], seed: number): tf.Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(seed + 1.7 * i)),
    shape,
  );
const [codes, pictures] = [waves([2, 8, 8, 2], 1), waves([2, 8, 8, 1], 2)];

function decode(): { reconstruction: tf.Tensor4D; loss: tf.Scalar } {
  const reconstruction = network.apply(decoder, codes) as tf.Tensor4D;
  return { reconstruction, loss: tf.mean(tf.squaredDifference(reconstruction, pictures)) };
}

const norm = (x: tf.Tensor): number => tf.norm(x).dataSync()[0]!;

describe('what the discriminator adds', () => {
  const discriminator = new Discriminator(1, SETTINGS, 5);
  const verdictLoss = (images: tf.Tensor): tf.Scalar =>
    generatorLoss(patchGan(1, SETTINGS).apply(scoped('discriminator', discriminator.saved), images));
  const contested = () =>
    gradients(decoder, () => {
      const { loss, reconstruction } = decode();
      const { term, terms } = discriminator.objective(loss, reconstruction, decoder['last.weight']!);
      return { loss: tf.add(loss, term) as tf.Scalar, ...terms, term };
    });

  it('weighs by the gradients at the last layer, and has the gradient of the weighed verdict everywhere', () => {
    const { result, grads } = contested();
    const ofLoss = gradients(decoder, decode).grads;
    const ofVerdict = gradients(decoder, () => ({ loss: verdictLoss(decode().reconstruction) })).grads;
    const lambda = norm(ofLoss['last.weight']!) / (norm(ofVerdict['last.weight']!) + 1e-4);
    // Rounding of sums in another order.
    expect(result.lambda.dataSync()[0]! / lambda).toBeCloseTo(1, 4);
    for (const name of Object.keys(decoder)) {
      const expected = tf.add(ofLoss[name]!, tf.mul(ofVerdict[name]!, lambda * SETTINGS.weight));
      expect(maxDifference(grads[name]!, expected) / norm(expected)).toBeLessThan(1e-4);
    }
  });

  it('has the value of the weighed verdict', () => {
    const { result } = contested();
    const verdict = verdictLoss(decode().reconstruction).dataSync()[0]!;
    expect(result.adversarial.dataSync()[0]).toBeCloseTo(verdict, 6);
    expect(result.term.dataSync()[0]).toBeCloseTo(result.lambda.dataSync()[0]! * SETTINGS.weight * verdict, 5);
  });

  it('weighs at the reconstruction where a codec names no last layer', () => {
    const { result } = gradients(decoder, () => {
      const { loss, reconstruction } = decode();
      return { ...discriminator.objective(loss, reconstruction, reconstruction).terms, loss };
    });
    const { reconstruction } = decode();
    const ofLoss = tf.grad((x: tf.Tensor) => tf.mean(tf.squaredDifference(x, pictures)))(reconstruction);
    const ofVerdict = tf.grad(verdictLoss)(reconstruction);
    expect(result.lambda.dataSync()[0]! / (norm(ofLoss) / (norm(ofVerdict) + 1e-4))).toBeCloseTo(1, 4);
  });

  it('is the same compiled', async () => {
    const step = compile(() => {
      const { result, grads } = contested();
      return { lambda: result.lambda, first: grads['first.weight']! };
    });
    const compiled = await step();
    await step.dispose();
    const { result, grads } = contested();
    expect(compiled.lambda.dataSync()[0]! / result.lambda.dataSync()[0]!).toBeCloseTo(1, 4);
    expect(maxDifference(compiled.first, grads['first.weight']!)).toBeLessThan(1e-5);
  });

  it('goes through the discriminator once', async () => {
    const count = async (fn: () => tf.Tensor[]): Promise<number> => {
      const compiled = compile(fn);
      tf.dispose(await compiled());
      const products = compiled.graphs()[0]!.match(/Conv|MatMul|Gemm/g)!.length;
      await compiled.dispose();
      return products;
    };
    const alone = await count(() => Object.values(gradients(decoder, decode).grads));
    const judged = await count(() => [tf.grad(verdictLoss)(stopGradient(decode().reconstruction))]);
    const forward = await count(() => [decode().reconstruction]);
    const together = await count(() => Object.values(contested().grads));
    // Beyond both: the last kernel's gradient of each side.
    expect(together).toBeLessThanOrEqual(alone + judged - forward + 2 * 2);
  });
});

describe('training against an discriminator', () => {
  const family = codecFamily('vqvae');
  const config = family.parseConfig({ ...TINY_CODEC, hidden: 8 });
  const dataset = tinyDataset();
  const trainer = (adversarial?: Record<string, unknown>) => (options: LoopOptions) =>
    trainCodec({
      ...options,
      family,
      config,
      training: CodecTrainingSchema.parse({
        steps: 20,
        batchSize: 4,
        learningRate: 1e-3,
        warmupSteps: 2,
        evalEvery: 50,
        evalSamples: 4,
        checkpointEvery: 6,
        adversarial,
      }),
      dataset,
      seed: 1,
    });
  const train = trainer({ startFraction: 0.5, channels: 8, layers: 1, learningRate: 1e-3 });

  it('ends with the same bytes wherever it was stopped and resumed', async () => {
    const [whole, stopped] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole });
    await trainWithStops(train, stopped, [4, 10, 13]);
    expect(resultOf(stopped)).toEqual(resultOf(whole));
  });

  it('is training without one until the start, and another one then', async () => {
    const [alone, against] = [[], []] as [Record<string, number>[], Record<string, number>[]];
    await trainer()({ out: temporaryDirectory(), onStep: (_, __, measured) => alone.push(measured) });
    await train({ out: temporaryDirectory(), onStep: (_, __, measured) => against.push(measured) });
    expect(against.slice(0, 10)).toEqual(alone.slice(0, 10));
    expect(Object.keys(against[10]!)).toEqual([
      'loss',
      'nmse',
      'adversarial',
      'lambda',
      'discriminatorReal',
      'discriminatorMade',
      'gradientNorm',
    ]);
    expect(against[10]!['nmse']).toBe(alone[10]!['nmse']);
    expect(against[11]!['nmse']).not.toBe(alone[11]!['nmse']);
    expect(against[10]!['lambda']).toBeGreaterThan(0);
  });

  it('keeps the discriminator in checkpoints and out of the model, and logs its side', async () => {
    const out = temporaryDirectory();
    await train({ out });
    const checkpoint = new CheckpointStore(join(out, 'checkpoints')).latest()!;
    const adversaryNames = Object.keys(checkpoint.optimizer).filter((name) => name.includes('discriminator'));
    expect(adversaryNames.length).toBe(3 * adversaryNames.filter((name) => name.startsWith('discriminator.')).length);
    expect(adversaryNames).toContain('discriminator.verdict.weight');
    expect(existsSync(join(out, 'model.safetensors'))).toBe(true);
    expect(Object.keys(checkpoint.model).filter((name) => name.includes('discriminator'))).toEqual([]);
    const lines = readMetrics(join(out, 'metrics.jsonl')).filter(({ split }) => split === undefined);
    expect(lines.map((line) => 'discriminatorReal' in line)).toEqual([false, true]);
  });
});
