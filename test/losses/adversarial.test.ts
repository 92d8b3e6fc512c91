import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../src/engine/index.js';
import { createParams } from '../../src/model/params.js';
import { adaptiveWeight, discriminatorLosses, generatorLoss, patchGan } from '../../src/losses/adversarial.js';
import { maxDifference } from '../support/tiny.js';

const CONFIG = { channels: 8, layers: 2 };
const discriminator = patchGan(3, CONFIG);
const params = createParams(discriminator.params, 1);
const judge = (x: tf.Tensor): tf.Tensor => discriminator.apply(params, x);
const images = (seed: number): tf.Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: 2 * 16 * 16 * 3 }, (_, i) => Math.sin(seed + i * i)),
    [2, 16, 16, 3],
  );

describe('the hinge', () => {
  it('charges real images short of 1 and made ones above -1, and nothing beyond', () => {
    const { real, made } = discriminatorLosses(tf.tensor1d([-1, 0.5, 1, 3]), tf.tensor1d([-3, -1, -0.5, 2]));
    expect(real.dataSync()[0]).toBe((2 + 0.5) / 4);
    expect(made.dataSync()[0]).toBe((0.5 + 3) / 4);
  });

  it('asks of the codec a better verdict, however good the last', () => {
    const gradient = tf.grad((verdicts: tf.Tensor) => generatorLoss(verdicts))(tf.tensor1d([-5, 0, 5, 9]));
    expect([...gradient.dataSync()]).toEqual([-0.25, -0.25, -0.25, -0.25]);
  });
});

describe('the adaptive weight', () => {
  it('is the ratio of the norms, and never above its bound', () => {
    const [ofLoss, ofAdversary] = [
      tf.tensor2d([
        [3, 0],
        [0, 4],
      ]),
      tf.tensor2d([
        [0, 0.5],
        [0, 0],
      ]),
    ];
    expect(adaptiveWeight(ofLoss, ofAdversary, 100).dataSync()[0]).toBeCloseTo(5 / (0.5 + 1e-4), 4);
    expect(adaptiveWeight(ofLoss, tf.zeros([2, 2]), 1e4).dataSync()[0]).toBe(1e4);
    expect(adaptiveWeight(tf.zeros([2, 2]), ofAdversary, 100).dataSync()[0]).toBe(0);
  });

  it('lets no gradient through', () => {
    const scaled = (x: tf.Tensor): tf.Scalar => tf.mul(adaptiveWeight(x, tf.ones([2]), 100), tf.sum(x));
    const x = tf.tensor1d([3, 4]);
    const weight = adaptiveWeight(x, tf.ones([2]), 100).dataSync()[0]!;
    expect([...tf.grad(scaled)(x).dataSync()]).toEqual([weight, weight]);
  });
});

describe('the discriminator', () => {
  it('judges every patch, as many as the halvings leave', () => {
    expect(judge(images(1)).shape).toEqual([2, 4, 4, 1]);
  });

  it('judges an image alike in any company', () => {
    const [one, other] = [images(1), images(2)];
    const alone = judge(tf.slice(one, 0, 1));
    const together = judge(tf.concat([tf.slice(one, 0, 1), tf.slice(other, 1, 1)]) as tf.Tensor4D);
    // Rounding of sums in another order.
    expect(maxDifference(alone, tf.slice(together, 0, 1))).toBeLessThan(1e-5);
  });

  it('has the same gradient compiled and by finite differences', async () => {
    const loss = (x: tf.Tensor): tf.Scalar => tf.sum(tf.square(judge(x as tf.Tensor4D)));
    const gradient = compile((x: tf.Tensor4D) => tf.grad(loss)(x), { name: 'gradient' });
    const computed = (await gradient(images(1))) as tf.Tensor4D;
    await gradient.dispose();
    const slope = tf.norm(computed).dataSync()[0]!;
    const uphill = tf.div(computed, slope);
    const at = (step: number): number => loss(tf.add(images(1), tf.mul(uphill, step))).dataSync()[0]!;
    const measured = (at(0.01) - at(-0.01)) / 0.02;
    // A few of the rectifiers turn on the way.
    expect(measured / slope).toBeCloseTo(1, 2);
  });
});
