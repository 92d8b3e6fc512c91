import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../src/engine/index.js';
import { ssim } from '../../src/metrics/ssim.js';
import { parseConfig } from '../../src/model/config.js';
import {
  outputChannels,
  ReconstructionConfigSchema,
  reconstructionLoss,
  similarity,
  toImages,
} from '../../src/losses/reconstruction.js';
import type { ReconstructionConfig } from '../../src/losses/reconstruction.js';

const SHAPE: [number, number, number, number] = [2, 9, 8, 3];
const VARIANCE = 0.3;

const config = (json: unknown): ReconstructionConfig => parseConfig('reconstruction', ReconstructionConfigSchema, json);
const images = tf.randomUniform(SHAPE, -1, 1, 'float32', 1) as tf.Tensor4D;
/** What a decoder might give: near the pictures, off by up to a half. */
function outputFor(kind: ReconstructionConfig): tf.Tensor4D {
  const channels = outputChannels(3, kind);
  const near = channels === 3 ? images : tf.concat([tf.mul(images, 2), tf.zerosLike(images)], -1);
  return tf.add(near, tf.randomUniform([2, 9, 8, channels], -0.5, 0.5, 'float32', 2)) as tf.Tensor4D;
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Every loss once more in float64, value by value. */
const DIRECT: Record<ReconstructionConfig['kind'], (output: Float32Array, pixels: Float32Array) => number> = {
  mse: (y, x) => mean([...x].map((v, i) => (v - y[i]!) ** 2)) / VARIANCE,
  l1: (y, x) => mean([...x].map((v, i) => Math.abs(v - y[i]!))) / Math.sqrt(VARIANCE),
  'logit-laplace': (y, x) =>
    mean(
      [...x].map((v, i) => {
        const at = Math.floor(i / 3) * 6 + (i % 3);
        const [m, b] = [y[at]!, Math.exp(y[at + 3]!) + 0.1];
        const pixel = 0.1 + 0.8 * ((v + 1) / 2);
        const density = Math.exp(-Math.abs(Math.log(pixel / (1 - pixel)) - m) / b) / (2 * b * pixel * (1 - pixel));
        return -Math.log(density);
      }),
    ),
  'mse-ssim': (y, x) => {
    const size = 9 * 8 * 3;
    const index = mean(
      [0, 1].map((b) => ssim(x.slice(b * size, (b + 1) * size), y.slice(b * size, (b + 1) * size), [9, 8, 3])),
    );
    return 0.6 * DIRECT.mse(y, x) + 0.4 * (1 - index);
  },
};

const CONFIGS = [{ kind: 'mse' }, { kind: 'l1' }, { kind: 'logit-laplace' }, { kind: 'mse-ssim', weight: 0.4 }].map(
  config,
);

describe.each(CONFIGS)('the loss $kind', (kind) => {
  const output = outputFor(kind);

  it('is what a direct computation in float64 gives', () => {
    const expected = DIRECT[kind.kind](output.dataSync() as Float32Array, images.dataSync() as Float32Array);
    expect(reconstructionLoss(output, images, VARIANCE, kind).dataSync()[0]).toBeCloseTo(expected, 4);
  });

  it('has the gradient that finite differences show', () => {
    const gradient = tf
      .grad((y) => reconstructionLoss(y as tf.Tensor4D, images, VARIANCE, kind))(output)
      .dataSync();
    const values = output.dataSync();
    const h = 1e-3;
    const scale = Math.max(...gradient.map(Math.abs));
    expect(scale).toBeGreaterThan(0);
    for (let i = 0; i < values.length; i += 7) {
      const at = (delta: number): number =>
        DIRECT[kind.kind](
          Float32Array.from(values, (v, j) => (j === i ? v + delta : v)),
          images.dataSync() as Float32Array,
        );
      expect(Math.abs((at(h) - at(-h)) / (2 * h) - gradient[i]!), `value ${i}`).toBeLessThan(0.01 * scale);
    }
  });

  it('computes compiled what it computes eagerly, gradient included', async () => {
    const run = async (engine: 'onnxruntime' | 'reference') => {
      const step = compile(
        (y: tf.Tensor4D, x: tf.Tensor4D) => {
          const { value, grad } = tf.valueAndGrad((out) => reconstructionLoss(out as tf.Tensor4D, x, VARIANCE, kind))(
            y,
          );
          return { value, grad };
        },
        { engine },
      );
      const { value, grad } = await step(output, images);
      return [...value.dataSync(), ...grad.dataSync()];
    };
    const [native, reference] = [await run('onnxruntime'), await run('reference')];
    expect(Math.max(...native.map((v, i) => Math.abs(v - reference[i]!)))).toBeLessThan(1e-5);
  });

  it('refuses a decoder of other shapes', () => {
    expect(() => reconstructionLoss(tf.zeros([2, 9, 8, 5]), images, VARIANCE, kind)).toThrow(/E_LOSS_SHAPE/);
  });
});

describe('images of a decoder', () => {
  it('are its output where the loss is over pixels', () => {
    expect(toImages(images, config({ kind: 'mse' }))).toBe(images);
  });

  it('are the pixels whose logits it gives, under logit-laplace', () => {
    const kind = config({ kind: 'logit-laplace' });
    const logits = tf.tidy(() => {
      const pixels = tf.add(tf.mul(images, 0.4), 0.5);
      return tf.log(tf.div(pixels, tf.sub(1, pixels)));
    });
    const pictures = toImages(tf.concat([logits, tf.zerosLike(logits)], -1) as tf.Tensor4D, kind);
    expect(tf.max(tf.abs(tf.sub(pictures, images))).dataSync()[0]).toBeLessThan(1e-5);
  });

  it('lose least where the means are the logits of the pixels', () => {
    const kind = config({ kind: 'logit-laplace' });
    const at = (shift: number): number => {
      const pixels = tf.add(tf.mul(images, 0.4), 0.5);
      const means = tf.add(tf.log(tf.div(pixels, tf.sub(1, pixels))), shift);
      return reconstructionLoss(
        tf.concat([means, tf.zerosLike(means)], -1) as tf.Tensor4D,
        images,
        VARIANCE,
        kind,
      ).dataSync()[0]!;
    };
    expect(at(0)).toBeLessThan(at(0.1));
    expect(at(0)).toBeLessThan(at(-0.1));
  });
});

describe('the similarity in training', () => {
  it.each([
    [16, 16, 1],
    [7, 12, 3],
  ])('is the one that evaluation reports, at %ix%i', (height, width, channels) => {
    const x = tf.randomUniform([1, height, width, channels], -1, 1, 'float32', 3) as tf.Tensor4D;
    const y = tf.mul(tf.add(x, tf.randomUniform(x.shape, -0.3, 0.3, 'float32', 4)), 0.8) as tf.Tensor4D;
    const expected = ssim(x.dataSync() as Float32Array, y.dataSync() as Float32Array, [height, width, channels]);
    expect(similarity(x, y).dataSync()[0]).toBeCloseTo(expected, 4);
  });
});

describe('the config of a reconstruction', () => {
  it('is plain squared error where nothing is said', () => {
    expect(config(undefined)).toEqual({ kind: 'mse' });
  });

  it('names a kind it does not know', () => {
    expect(() => config({ kind: 'huber' })).toThrow(/E_CONFIG/);
  });

  it('asks twice the channels for means and scales', () => {
    expect(CONFIGS.map((kind) => outputChannels(3, kind))).toEqual([3, 3, 6, 3]);
  });
});
