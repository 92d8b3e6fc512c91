import { describe, expect, it } from 'vitest';
import { compile, exportOnnx, importOnnx, tf } from '../../src/engine/index.js';
import type { ImportedNetwork } from '../../src/engine/index.js';
import { checkTakesImages, featuresOf, perceptualLoss } from '../../src/features/perceptual.js';
import { maxDifference } from '../support/tiny.js';

const waves = (shape: [number, number, number, number], seed: number): tf.Tensor4D =>
  tf.tensor4d(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(seed + 1.7 * i)),
    shape,
  );

const kernel = waves([3, 3, 3, 5], 3);
const toNhwc = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 2, 3, 1]);
const toNchw = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 3, 1, 2]);

/** Maps of five channels and of three, of pictures of any size. */
async function network(): Promise<ImportedNetwork> {
  const maps = (x: tf.Tensor4D): tf.Tensor[] => [toNchw(tf.relu(tf.conv2d(toNhwc(x), kernel, 1, 'same'))), tf.tanh(x)];
  return importOnnx(
    await exportOnnx(maps, [{ dtype: 'float32', shape: [1, 3, 4, 4] }], {
      dynamicAxes: { input: { 0: 'batch', 2: 'height', 3: 'width' } },
    }),
  );
}

describe('the perceptual distance', () => {
  const direct = (maps: (x: tf.Tensor4D) => tf.Tensor[], a: tf.Tensor4D, b: tf.Tensor4D): number =>
    perceptualLoss(maps, a, b).dataSync()[0]!;

  it('is that of unit vectors: 0 for parallel features, 2 for orthogonal, 4 for opposite', () => {
    const maps = (x: tf.Tensor4D): tf.Tensor[] => [toNchw(x)];
    const one = tf.tensor4d([3, 0, 0], [1, 1, 1, 3]);
    expect(direct(maps, one, tf.tensor4d([0.1, 0, 0], [1, 1, 1, 3]))).toBeCloseTo(0, 6);
    expect(direct(maps, one, tf.tensor4d([0, 5, 0], [1, 1, 1, 3]))).toBeCloseTo(2, 5);
    expect(direct(maps, one, tf.tensor4d([-2, 0, 0], [1, 1, 1, 3]))).toBeCloseTo(4, 5);
  });

  it('counts every output alike, however many values it has', () => {
    const maps = (x: tf.Tensor4D): tf.Tensor[] => [toNchw(x), tf.ones([1, 7])];
    expect(direct(maps, tf.tensor4d([1, 0, 0], [1, 1, 1, 3]), tf.tensor4d([0, 1, 0], [1, 1, 1, 3]))).toBeCloseTo(1, 5);
  });

  it('stays differentiable where all features are zero', () => {
    const gradient = tf.grad((x: tf.Tensor) =>
      perceptualLoss((y) => [toNchw(tf.relu(y))], waves([1, 2, 2, 3], 1), x as tf.Tensor4D),
    )(tf.fill([1, 2, 2, 3], -1));
    expect([...gradient.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('through an imported network: scaled pixels, gray repeated, gradient to the reconstruction, compiled as eager', async () => {
    const imported = await network();
    const [images, reconstruction] = [waves([2, 4, 6, 1], 1), waves([2, 4, 6, 1], 2)];
    const loss = (a: tf.Tensor4D, b: tf.Tensor4D): tf.Scalar => perceptualLoss(featuresOf(imported, 'unit'), a, b);
    const scaled = (x: tf.Tensor4D): tf.Tensor4D => tf.tile(tf.div(tf.add(x, 1), 2), [1, 1, 1, 3]);
    const maps = (x: tf.Tensor4D): tf.Tensor[] => [
      toNchw(tf.relu(tf.conv2d(scaled(x), kernel, 1, 'same'))),
      toNchw(tf.tanh(scaled(x))),
    ];
    expect(loss(images, reconstruction).dataSync()[0]).toBeCloseTo(direct(maps, images, reconstruction), 5);

    const gradients = (): tf.Tensor[] =>
      tf.grads((a: tf.Tensor, b: tf.Tensor) => tf.add(loss(a as tf.Tensor4D, b as tf.Tensor4D), tf.mul(tf.sum(a), 0)))([
        images,
        reconstruction,
      ]);
    const compiled = compile(gradients);
    const [ofImages, ofReconstruction] = (await compiled()) as [tf.Tensor, tf.Tensor];
    await compiled.dispose();
    expect(tf.max(tf.abs(ofImages)).dataSync()[0]).toBe(0);
    expect(tf.norm(ofReconstruction).dataSync()[0]).toBeGreaterThan(0.01);
    expect(maxDifference(ofReconstruction, gradients()[1]!)).toBeLessThan(1e-6);
  });

  it('brings images to the size of a network that has one', async () => {
    const imported = importOnnx(
      await exportOnnx((x: tf.Tensor4D) => tf.tanh(x), [{ dtype: 'float32', shape: [1, 3, 8, 8] }]),
    );
    expect(featuresOf(imported, 'signed')(waves([2, 4, 4, 3], 1))[0]!.shape).toEqual([2, 3, 8, 8]);
  });

  it.each([[[1, 4, 8, 8]], [[1, 3, 8]]])('refuses a network that takes %j', async (shape) => {
    const imported = importOnnx(await exportOnnx((x: tf.Tensor) => tf.tanh(x), [{ dtype: 'float32', shape }]));
    expect(() => checkTakesImages(imported, 'net.onnx')).toThrow(
      expect.objectContaining({
        code: 'E_FEATURES',
        message: expect.stringContaining(
          `net.onnx: expected one input [B, 3, H, W], found "input" [${shape.join(', ')}]`,
        ),
      }),
    );
  });
});
