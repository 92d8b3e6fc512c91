import { describe, expect, it } from 'vitest';
import { reconstruct } from '../../src/codec/networks.js';
import { codecFamily } from '../../src/registry.js';
import { compile, hostValues, randomKey, tf } from '../../src/engine/index.js';
import { gradients } from '../../src/nn/optimizer.js';
import { named } from '../../src/model/layer.js';
import { groupNorm, groupsOf } from '../../src/nn/norm.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import { decoder, encoder } from '../../tokenizers/networks.js';
import type { Network } from '../../tokenizers/networks.js';
import { tokenizerConformance } from '../conformance/tokenizer.js';
import { maxDifference, TINY_CODEC } from '../support/tiny.js';

/** Everything a network can have beyond VQ-VAE's. */
const RICH = {
  ...TINY_CODEC,
  downsample: 4,
  multipliers: [0.5],
  blocksPerStage: 1,
  stem: 4,
  norm: 'group',
  activation: 'silu',
  attentionHeads: 2,
  upsample: 'nearest',
};

tokenizerConformance('vqvae', RICH);

const scopedBy = (p: Params, scope: string): Params =>
  Object.fromEntries(Object.entries(p).map(([name, value]) => [`${scope}.${name}`, value]));

const parse = (json: Record<string, unknown>): Network =>
  codecFamily('vqvae').parseConfig({ ...TINY_CODEC, height: 32, width: 32, ...json }) as Network;
const images = (): tf.Tensor4D => tf.randomUniform([2, 32, 32, 1], -1, 1, 'float32', 5);

describe('encoder and decoder', () => {
  it.each<[string, Record<string, unknown>]>([
    ['one step of 4', { downsample: 4, strides: [4] }],
    ['a step of 4, then one of 2', { downsample: 8, strides: [4, 2], multipliers: [0.5] }],
    ['five halvings', { downsample: 32 }],
    [
      'blocks, attention and a stem',
      { downsample: 8, blocksPerStage: 1, stem: 4, norm: 'group', activation: 'silu', attentionHeads: 2 },
    ],
    ['nearest neighbors', { downsample: 4, upsample: 'nearest' }],
  ])('go to the grid of codes and back by %s', (_, json) => {
    const n = parse(json);
    const p = {
      ...scopedBy(createParams(encoder(n, 1, 5, 1).params, 0), 'encoder'),
      ...scopedBy(createParams(decoder(n, 5, 2, 1).params, 0), 'decoder'),
    };
    const networks = named({ encoder: encoder(n, 1, 5, 1), decoder: decoder(n, 5, 2, 1) });
    const encoded = networks.encoder.apply(p, images());
    expect(encoded.shape).toEqual([2, 32 / n.downsample, 32 / n.downsample, 5]);
    expect(networks.decoder.apply(p, encoded).shape).toEqual([2, 32, 32, 2]);
  });

  it('have the weights of the plain VQ-VAE by default', () => {
    const names = Object.keys(encoder(parse({ downsample: 4 }), 1, 5, 1).params);
    expect(names.filter((name) => name.endsWith('.weight'))).toEqual([
      'down.0.weight',
      'down.1.weight',
      'conv.weight',
      'residual.0.conv3.weight',
      'residual.0.conv1.weight',
      'project.weight',
    ]);
    expect(
      Object.keys(decoder(parse({ downsample: 4 }), 5, 1, 1).params).filter((name) => name.startsWith('up.')),
    ).toEqual(['up.0.weight', 'up.0.bias', 'up.1.weight', 'up.1.bias']);
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ downsample: 8, strides: [2, 2] }, /strides must multiply to downsample, 8/],
    [{ downsample: 8, multipliers: [0.5] }, /multipliers must be 2/],
    [{ downsample: 4, attentionHeads: 3 }, /attentionHeads must divide hidden/],
    [{ downsample: 16, height: 40 }, /multiples of downsample/],
  ])('refuse %j', (json, message) => expect(() => parse(json)).toThrow(message));
});

describe('an encoder and a decoder with everything', () => {
  it('have the gradients that finite differences show', async () => {
    // Without codes in between, whose choice is no smooth function.
    const n = parse(RICH);
    const params = {
      ...scopedBy(createParams(encoder(n, 1, 3, 1).params, 2), 'encoder'),
      ...scopedBy(createParams(decoder(n, 3, 1, 1).params, 2), 'decoder'),
    };
    const x = tf.randomUniform([1, 8, 8, 1], -1, 1, 'float32', 5) as tf.Tensor4D;
    const networks = named({ encoder: encoder(n, 1, 3, 1), decoder: decoder(n, 3, 1, 1) });
    const lossOf = (y: tf.Tensor4D): tf.Scalar =>
      tf.mean(tf.squaredDifference(networks.decoder.apply(params, networks.encoder.apply(params, y)), y));
    const forward = compile(lossOf, { name: 'loss' });
    const { grads } = await compile((y: tf.Tensor4D) => gradients(params, () => ({ loss: lossOf(y) })), {
      name: 'gradients',
    })(x);
    for (const name of [
      'encoder.stem.weight',
      'encoder.attention.qkv.weight',
      'encoder.down.1.weight',
      'decoder.residual.norm.weight',
      'decoder.up.0.weight',
      'decoder.up.1.stack.0.conv3.weight',
    ]) {
      const variable = params[name]!;
      const start = (hostValues(variable) as Float32Array).slice();
      const gradient = hostValues(grads[name]!) as Float32Array;
      const at = gradient.reduce((best, value, i) => (Math.abs(value) > Math.abs(gradient[best]!) ? i : best), 0);
      const around: number[] = [];
      for (const step of [1e-2, -1e-2]) {
        variable.assign(
          tf.tensor(
            start.map((value, i) => (i === at ? value + step : value)),
            variable.shape,
          ),
        );
        around.push((await forward(x)).dataSync()[0]!);
      }
      variable.assign(tf.tensor(start, variable.shape));
      const numeric = (around[0]! - around[1]!) / 2e-2;
      // A step of 1e-2 leaves a curvature of a few percent, float32 a good deal less.
      expect.soft(Math.abs(gradient[at]! - numeric), name).toBeLessThan(0.05 * Math.abs(numeric) + 1e-4);
    }
    disposeParams(params);
  });
});

describe('group normalization', () => {
  it('gives each group of each image zero mean and unit variance', () => {
    const p = createParams(groupNorm(16).params, 0);
    const y = groupNorm(16).apply(p, tf.randomNormal([2, 3, 3, 16], 5, 3, 'float32', 1));
    const grouped = tf.reshape(y, [2, 9, 8, 2]);
    const { mean, variance } = tf.moments(grouped, [1, 3]);
    expect(maxDifference(mean, tf.zeros([2, 8]))).toBeLessThan(1e-5);
    // The epsilon under the root takes about 1e-6 of a variance of 9.
    expect(maxDifference(variance, tf.ones([2, 8]))).toBeLessThan(1e-4);
  });

  it('splits any number of channels evenly', () => {
    for (const channels of [1, 3, 4, 8, 12, 24, 128]) expect(channels % groupsOf(channels)).toBe(0);
  });
});

describe('reconstruction losses of a codec', () => {
  it.each(['mse', 'l1', 'logit-laplace', 'mse-ssim'])('trains and decodes with %s', async (kind) => {
    const family = codecFamily('vqvae');
    const config = family.parseConfig({ ...TINY_CODEC, reconstruction: { kind } });
    const p = createParams({ ...family.trainable(config), ...family.state(config) }, 0);
    const x = tf.randomUniform([2, 8, 8, 1], -1, 1, 'float32', 5) as tf.Tensor4D;
    const { loss, nmse, reconstruction, terms } = family.loss(
      p,
      { inputs: x, dataVariance: 0.3, key: randomKey(0, 0), progress: tf.scalar(0) },
      config,
    );
    expect(reconstruction.shape).toEqual([2, 8, 8, 1]);
    expect(reconstruct(family, config, p, x).output.shape).toEqual([2, 8, 8, 1]);
    expect(Number.isFinite(loss.dataSync()[0])).toBe(true);
    expect(maxDifference(nmse, tf.div(tf.mean(tf.squaredDifference(reconstruction, x)), 0.3))).toBeLessThan(1e-6);
    expect(terms === undefined).toBe(kind === 'mse');
    disposeParams(p);
  });
});
