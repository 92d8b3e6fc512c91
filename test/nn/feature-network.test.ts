import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/index.js';
import { FeatureRangeSchema, featureInput, featurePixels } from '../../src/nn/feature-network.js';
import { maxDifference } from '../support/tiny.js';

describe('pictures for a feature network', () => {
  it('have the mean of ImageNet at zero and its deviation at one', () => {
    const toPixel = (value: number): number => 2 * value - 1;
    const images = tf.tensor4d([0.485, 0.456, 0.406, 0.485 + 0.229, 0.456 + 0.224, 0.406 + 0.225].map(toPixel), [1, 1, 2, 3]);
    // Rounding of float32 alone.
    expect(maxDifference(featureInput(images, 'imagenet'), [0, 1, 0, 1, 0, 1])).toBeLessThan(1e-6);
  });

  it.each(FeatureRangeSchema.options)('are the same as tensors and as plain arrays, gray and color: %s', (range) => {
    for (const channels of [1, 3] as const) {
      const shape: [number, number, number, number] = [2, 3, 4, channels];
      const pixels = Float32Array.from({ length: 24 * channels }, (_, i) => Math.sin(i));
      const planes = featureInput(tf.tensor4d(pixels, shape), range);
      expect(planes.shape).toEqual([2, 3, 3, 4]);
      expect(maxDifference(planes, featurePixels(pixels, shape, range))).toBeLessThan(1e-6);
    }
  });

  it.each([['0..1', 0, 1], ['-1..1', -1, 1]] as const)('span %s', (range, low, high) => {
    expect([...featurePixels(Float32Array.of(-1, 1), [1, 1, 2, 1], range)]).toEqual([low, high, low, high, low, high]);
  });
});
