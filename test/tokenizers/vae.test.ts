import { describe, expect, it } from 'vitest';
import { exportsOf, reconstruct } from '../../src/codec/networks.js';
import { imageCore } from '../../src/media/image/core.js';
import { compile, exportOnnx, hostValues, randomKey, tf } from '../../src/engine/index.js';
import { UsageError } from '../../src/errors.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import { codecFamily } from '../../src/registry.js';
import { expectedImages, pixelNats } from '../../tokenizers/vae.js';
import { freshTensors, maxDifference, picture, openFamily } from '../support/tiny.js';

const TINY = { height: 8, width: 8, channels: 1, downsample: 2, hidden: 8, residualLayers: 1, residualHidden: 4 };
const KINDS = [
  { latent: { kind: 'vector', size: 5 }, scale: 'pixel' },
  { latent: { kind: 'grid', size: 3 }, scale: 'channel' },
];

const family: CodecFamily = codecFamily('vae');
const parse = (json: Record<string, unknown> = {}): unknown => family.parseConfig({ ...TINY, ...json });
const freshParams = (config: unknown): Params => createParams(family.trainable(config), 1);
const grey = (values: number[], shape: [number, number, number, number]): tf.Tensor4D =>
  tf.tensor4d(
    values.map((k) => k / 127.5 - 1),
    shape,
  );
const pictures = tf.tensor4d(
  Array.from({ length: 4 }, (_, i) => [...picture(i).pixels].map((k) => k / 127.5 - 1)).flat(),
  [4, 8, 8, 1],
);
const batchOf = (images: tf.Tensor4D, progress = 0.5) => ({
  inputs: images,
  key: randomKey(3, 1),
  progress: tf.scalar(progress),
  dataVariance: 0.5,
});

/** Probability of grey level k, in float64, as the difference of two sigmoids. */
function probability(k: number, mean: number, logScale: number): number {
  const cdf = (edge: number): number => 1 / (1 + Math.exp(-(edge - mean) / Math.exp(logScale)));
  const [below, above] = [k === 0 ? 0 : cdf((k - 0.5) / 127.5 - 1), k === 255 ? 1 : cdf((k + 0.5) / 127.5 - 1)];
  return above - below;
}

describe('the nats of pixels', () => {
  const nats = (k: number[], mean: number, logScale: number): number[] => [
    ...pixelNats(grey(k, [k.length, 1, 1, 1]), {
      means: tf.fill([k.length, 1, 1, 1], mean) as tf.Tensor4D,
      logScales: tf.fill([k.length, 1, 1, 1], logScale),
    }).dataSync(),
  ];
  const levels = Array.from({ length: 256 }, (_, k) => k);

  it.each([
    [0, 0],
    [0.3, -2],
    [-1.4, -1],
    [0.9, -4],
    [0.1, -6.9],
    [3, 1],
  ])('make probabilities that sum to 1 over all grey levels, for mean %d and log scale %d', (mean, logScale) => {
    const total = nats(levels, mean, logScale).reduce((sum, value) => sum + Math.exp(-value), 0);
    // Exponentials of float32 sums.
    expect(total).toBeCloseTo(1, 4);
  });

  it.each([
    [0, 0],
    [0.3, -2],
    [-1.4, -1],
    [0.9, -3],
  ])('are those of a direct computation in float64, for mean %d and log scale %d', (mean, logScale) => {
    // Below 1e-9 the difference of sigmoids itself has no digits left: at least 20 nats, is all it tells.
    const known = (value: number): number => Math.min(20, value);
    const direct = levels.map((k) => known(-Math.log(probability(k, mean, logScale))));
    const differences = nats(levels, mean, logScale).map((value, k) => Math.abs(known(value) - direct[k]!));
    expect(Math.max(...differences)).toBeLessThan(5e-3);
  });

  it('add up over the pixels of an image', () => {
    const images = grey([0, 10, 200, 255, 128, 64, 1, 254], [2, 2, 2, 1]);
    const means = tf.randomUniform([2, 2, 2, 1], -1, 1, 'float32', 1) as tf.Tensor4D;
    const values = [...pixelNats(images, { means, logScales: tf.fill([2, 2, 2, 1], -1) }).dataSync()];
    const [ks, ms] = [[0, 10, 200, 255, 128, 64, 1, 254], means.dataSync()];
    const direct = ks.map((k, i) => -Math.log(probability(k, ms[i]!, -1)));
    expect(values[0]).toBeCloseTo(
      direct.slice(0, 4).reduce((a, b) => a + b),
      3,
    );
    expect(values[1]).toBeCloseTo(
      direct.slice(4).reduce((a, b) => a + b),
      3,
    );
  });

  it('have the gradient that finite differences show, in means and scales', () => {
    const images = grey([0, 100, 130, 255], [1, 2, 2, 1]);
    const at = (values: number[]): number =>
      [0, 100, 130, 255].reduce((sum, k, i) => sum - Math.log(probability(k, values[i]!, values[i + 4]!)), 0);
    const values = [-0.7, -0.4, 0.3, 0.6, -1, -2, -1.5, -0.5];
    const x = tf.tensor1d(values);
    const gradient = tf
      .grad((v) => {
        const [means, logScales] = tf.split(v, 2).map((part) => tf.reshape(part, [1, 2, 2, 1])) as [
          tf.Tensor4D,
          tf.Tensor4D,
        ];
        return tf.sum(pixelNats(images, { means, logScales }));
      })(x)
      .dataSync();
    values.forEach((_, i) => {
      const h = 1e-4;
      const step = (delta: number): number => at(values.map((v, j) => (j === i ? v + delta : v)));
      expect(gradient[i]).toBeCloseTo((step(h) - step(-h)) / (2 * h), 3);
    });
  });

  it('and their gradient stay finite however wrong the mean and narrow the scale', () => {
    const images = grey([0, 128, 255], [3, 1, 1, 1]);
    for (const mean of [-50, 0, 50]) {
      for (const logScale of [-7, 0, 20]) {
        const { value, grad } = tf.valueAndGrad((m) =>
          tf.sum(pixelNats(images, { means: m as tf.Tensor4D, logScales: tf.scalar(logScale) })),
        )(tf.fill([3, 1, 1, 1], mean));
        expect(Number.isFinite(value.dataSync()[0])).toBe(true);
        expect([...grad.dataSync()].every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe('the expected image', () => {
  it.each([
    [0, 0],
    [0.3, -2],
    [-1.4, -1],
    [-40, 1],
    [0.9, -7],
    [40, -7],
  ])('is the mean over all grey levels, for mean %d and log scale %d', (mean, logScale) => {
    const direct = Array.from({ length: 256 }, (_, k) => (k / 127.5 - 1) * probability(k, mean, logScale)).reduce(
      (sum, value) => sum + value,
      0,
    );
    const found = expectedImages({
      means: tf.fill([1, 1, 1, 1], mean) as tf.Tensor4D,
      logScales: tf.scalar(logScale),
    }).dataSync()[0]!;
    // Levels are 1 / 127.5 apart; the expectation is over the pixels before they are rounded.
    expect(Math.abs(found - direct)).toBeLessThan(2e-3);
    expect(Math.abs(found)).toBeLessThan(1 + 1e-5);
  });
});

describe.each(KINDS)('the VAE with latents $latent', (kind) => {
  const config = parse(kind);

  it('has a finite loss that reaches every weight', () => {
    const params = freshParams(config);
    const { value, grads } = tf.variableGrads(
      () => family.loss(params, batchOf(pictures), config).loss,
      Object.values(params),
    );
    expect(Number.isFinite(value.dataSync()[0])).toBe(true);
    for (const [name, variable] of Object.entries(params))
      expect.soft(tf.max(tf.abs(grads[variable.name]!)).dataSync()[0], name).toBeGreaterThan(0);
    disposeParams(params);
  });

  it('has the gradient that finite differences show, through the sampling of latents', () => {
    const params = freshParams(config);
    const loss = (): tf.Scalar => family.loss(params, batchOf(pictures), config).loss;
    const { grads } = tf.variableGrads(loss, Object.values(params));
    for (const [name, variable] of Object.entries(params).filter(
      ([name]) => name.endsWith('.bias') || name.startsWith('pixels'),
    )) {
      const values = variable.dataSync().slice();
      const gradient = grads[variable.name]!.dataSync();
      const h = 5e-3;
      const at = (delta: number): number => {
        variable.assign(
          tf.tensor(
            values.map((v, i) => (i === 0 ? v + delta : v)),
            variable.shape,
          ),
        );
        return loss().dataSync()[0]!;
      };
      const slope = (at(h) - at(-h)) / (2 * h);
      at(0);
      // Losses of about 8 bits in float32 leave differences of 1e-6 / h; steps may cross the bend of a ReLU.
      expect.soft(Math.abs(slope - gradient[0]!), name).toBeLessThan(0.02 * Math.max(...gradient.map(Math.abs)) + 1e-3);
    }
    disposeParams(params);
  });

  it('computes compiled what it computes eagerly', async () => {
    const params = freshParams(config);
    const run = async (engine: 'onnxruntime' | 'reference') => {
      const step = compile(
        (images: tf.Tensor4D, key: tf.Tensor1D, progress: tf.Scalar) => ({
          loss: family.loss(params, { inputs: images, key, progress, dataVariance: 0.5 }, config).loss,
          pictures: reconstruct(family, config, params, images).output,
          ...family.measures!(params, images, key, config),
        }),
        { engine },
      );
      return step(pictures, randomKey(3, 1), tf.scalar(0.5));
    };
    const [native, reference] = [await run('onnxruntime'), await run('reference')];
    // Sums over 64 pixels in another order: a few float32 ulps of about 8 bits each.
    for (const name of Object.keys(native) as (keyof typeof native)[])
      expect.soft(maxDifference(native[name]!, reference[name]!), name).toBeLessThan(1e-3);
    disposeParams(params);
  });

  it('reports the bound of each image: at a weight of 1, their mean is the loss', () => {
    const params = freshParams(config);
    const { bitsPerDim, klBits } = family.measures!(params, pictures, randomKey(3, 1), config);
    expect([bitsPerDim!.shape, klBits!.shape]).toEqual([[4], [4]]);
    const { loss, terms } = family.loss(params, batchOf(pictures), config);
    expect(tf.mean(bitsPerDim!).dataSync()[0]).toBeCloseTo(loss.dataSync()[0]!, 4);
    expect(tf.mean(klBits!).dataSync()[0]! / 64).toBeCloseTo(terms!.klBitsPerDim!.dataSync()[0]!, 4);
    disposeParams(params);
  });

  it('decodes the means of the latents it gives', () => {
    const params = freshParams(config);
    const latents = family.latents!.encode(params, pictures, config);
    expect(latents.map(({ shape }) => shape)).toEqual(family.latents!.shapes(config).map((shape) => [4, ...shape]));
    const { maps, output: images } = reconstruct(family, config, params, pictures);
    expect(maps).toEqual([]);
    expect(images.shape).toEqual(pictures.shape);
    expect(family.latents!.decode(params, latents, config).dataSync()).toEqual(images.dataSync());
    disposeParams(params);
  });

  it('is exported as an encoder to means and log variances and a decoder', async () => {
    const params = freshParams(config);
    for (const { fn, inputs, outputs } of Object.values(exportsOf(family, config, params, imageCore))) {
      const bytes = await exportOnnx(fn, inputs, {
        inputNames: inputs.map(({ name }) => name),
        outputNames: outputs.map(({ name }) => name),
        dynamicAxes: { [inputs[0]!.name]: { 0: 'batch' } },
      });
      expect(bytes.length).toBeGreaterThan(100);
    }
    const [means] = exportsOf(family, config, params, imageCore).encoder!.fn(pictures) as tf.Tensor[];
    expect(means!.dataSync()).toEqual(family.latents!.encode(params, pictures, config)[0]!.dataSync());
    disposeParams(params);
  });
});

describe('the loss of the VAE', () => {
  const losses = (json: Record<string, unknown>, progress: number): { loss: number; bits: number; kl: number } => {
    const config = parse(json);
    const params = freshParams(config);
    const { loss, terms } = family.loss(params, batchOf(pictures, progress), config);
    disposeParams(params);
    return {
      loss: loss.dataSync()[0]!,
      bits: terms!.bitsPerDim!.dataSync()[0]!,
      kl: terms!.klBitsPerDim!.dataSync()[0]!,
    };
  };

  it('weighs the KL term by beta', () => {
    const { loss, bits, kl } = losses({ beta: 3 }, 0.5);
    expect(loss).toBeCloseTo(bits + 2 * kl, 4);
  });

  it('lets the KL term in over the warm-up', () => {
    const start = losses({ warmup: 0.4 }, 0);
    expect(start.loss).toBeCloseTo(start.bits - start.kl, 4);
    const half = losses({ warmup: 0.4 }, 0.2);
    expect(half.loss).toBeCloseTo(half.bits - half.kl / 2, 4);
    const after = losses({ warmup: 0.4 }, 0.9);
    expect(after.loss).toBeCloseTo(after.bits, 4);
  });

  it('has the divergence that integration over each latent gives', () => {
    const config = parse({ latent: { kind: 'vector', size: 2 } });
    const params = freshParams(config);
    const [means, logVariances] = (
      exportsOf(family, config, params, imageCore).encoder!.fn(pictures) as tf.Tensor[]
    ).map((one) => one.dataSync());
    const kl = family.measures!(params, pictures, randomKey(0, 0), config).klBits!.dataSync();
    const logNormal = (z: number, m: number, v: number): number =>
      -0.5 * (Math.log(2 * Math.PI * v) + (z - m) ** 2 / v);
    for (let row = 0; row < 4; row++) {
      let direct = 0;
      for (const i of [2 * row, 2 * row + 1]) {
        const [m, v] = [means![i]!, Math.exp(logVariances![i]!)];
        for (let z = m - 10; z < m + 10; z += 0.01)
          direct += 0.01 * Math.exp(logNormal(z, m, v)) * (logNormal(z, m, v) - logNormal(z, 0, 1));
      }
      expect(kl[row]).toBeCloseTo(direct / Math.LN2, 3);
    }
    disposeParams(params);
  });

  it('repeats for the same key and changes with it', () => {
    const config = parse();
    const params = freshParams(config);
    const at = (step: number): Float32Array =>
      hostValues(family.measures!(params, pictures, randomKey(0, step), config).bitsPerDim!) as Float32Array;
    expect(at(1)).toEqual(at(1));
    expect(at(2)).not.toEqual(at(1));
    disposeParams(params);
  });
});

describe('an opened VAE', () => {
  const config = parse();
  const open = () => openFamily(family, config, freshTensors(family.trainable(config)), 'f'.repeat(64));

  it('has no maps, and says so in one line when asked for tokens', async () => {
    const codec = open();
    expect(codec.maps()).toEqual([]);
    for (const asked of [codec.encode(picture(0)), codec.decode([])]) {
      const error: unknown = await asked.catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(UsageError);
      expect((error as UsageError).message).toMatch(/^E_NO_CODES .*vqvae/);
      expect((error as UsageError).message).not.toContain('\n');
    }
    codec.dispose();
  });

  it('refuses weights of another config', () => {
    expect(() =>
      openFamily(family, parse({ hidden: 16 }), freshTensors(family.trainable(config)), 'f'.repeat(64)),
    ).toThrow(/E_MODEL_TENSORS/);
  });

  it('keeps no tensors', () => {
    const tensors = freshTensors(family.trainable(config));
    const before = tf.memory().numTensors;
    openFamily(family, config, tensors, 'f'.repeat(64)).dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the VAE config', () => {
  it('names the field that is wrong', () => {
    expect(() => parse({ height: 9 })).toThrow(/E_CONFIG vae: .*multiples of downsample/);
    expect(() => parse({ latent: { size: 0 } })).toThrow(/E_CONFIG vae: latent.size/);
    expect(() => parse({ codebookSize: 8 })).toThrow(/E_CONFIG vae: .*codebookSize/);
  });
});
