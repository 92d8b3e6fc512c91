import { describe, expect, it } from 'vitest';
import { ssim } from '../../src/metrics/ssim.js';

/** A smooth picture and a noisy copy, float32 [H, W, C], by formulas that Python can repeat. */
function pair(size: number): [Float32Array, Float32Array] {
  const original = Float32Array.from({ length: size }, (_, i) => 0.8 * Math.sin(i / 37));
  const copy = Float32Array.from(original, (value, i) => value + 0.2 * (((i * 7919) % 101) / 50 - 1));
  return [original, copy];
}

const channel = (values: Float32Array, c: number): Float32Array => values.filter((_, i) => i % 3 === c);
const flat = (value: number): Float32Array => new Float32Array(144).fill(value);

describe('ssim', () => {
  // structural_similarity(x + 1, y + 1, data_range=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
  // channel_axis=-1) of scikit-image 0.26.0 on the float64 values of the same arrays.
  it.each([
    [[28, 28, 1], 0.9704327141496423],
    [[17, 33, 3], 0.9780300819463723],
    [[11, 11, 1], 0.6615614300399483],
  ] as const)('agrees with scikit-image on %j', (shape, expected) => {
    const [original, copy] = pair(shape[0] * shape[1] * shape[2]);
    expect(ssim(original, copy, [...shape])).toBeCloseTo(expected, 10);
  });

  it('is 1 for equal images, symmetric, and below 0 for the negative of a texture', () => {
    const [original, copy] = pair(24 * 24);
    expect(ssim(original, original, [24, 24, 1])).toBeCloseTo(1, 12);
    expect(ssim(original, copy, [24, 24, 1])).toBeCloseTo(ssim(copy, original, [24, 24, 1]), 12);
    const texture = original.map((_, i) => ((i * 7919) % 101) / 50 - 1);
    expect(
      ssim(
        texture,
        texture.map((value) => -value),
        [24, 24, 1],
      ),
    ).toBeLessThan(-0.5);
  });

  it('averages the channels', () => {
    const [original, copy] = pair(20 * 20 * 3);
    const each = [0, 1, 2].map((c) => ssim(channel(original, c), channel(copy, c), [20, 20, 1]));
    expect(ssim(original, copy, [20, 20, 3])).toBeCloseTo((each[0]! + each[1]! + each[2]!) / 3, 12);
  });

  it('punishes a shift in a dark image more than in a bright one, for it counts from black', () => {
    const dark = ssim(flat(-0.9), flat(-0.8), [12, 12, 1]);
    const bright = ssim(flat(0.8), flat(0.9), [12, 12, 1]);
    expect(dark).toBeCloseTo((2 * 0.02 + 0.0004) / (0.05 + 0.0004), 5); // means 0.1 and 0.2, variances 0
    expect(bright).toBeGreaterThan(0.99);
  });

  it('sees small images through the window that fits', () => {
    for (const side of [1, 2, 7, 8, 10]) {
      const [original, copy] = pair(side * side * 3);
      expect(ssim(original, original, [side, side, 3])).toBeCloseTo(1, 12);
      expect(ssim(original, copy, [side, side, 3])).toBeLessThan(1);
    }
    // one pixel: the window is that pixel, variances are 0 and only the luminance term is left
    expect(ssim(Float32Array.of(-0.5), Float32Array.of(-0.75), [1, 1, 1])).toBeCloseTo(
      (2 * 0.125 + 0.0004) / (0.25 + 0.0625 + 0.0004),
      6,
    );
  });

  it('refuses arrays that are not of the size of the shape', () => {
    expect(() => ssim(new Float32Array(9), new Float32Array(9), [3, 4, 1])).toThrow(/E_METRIC_SIZE/);
    expect(() => ssim(new Float32Array(12), new Float32Array(9), [3, 4, 1])).toThrow(/E_METRIC_SIZE/);
    expect(() => ssim(new Float32Array(0), new Float32Array(0), [0, 4, 1])).toThrow(/E_METRIC_SIZE/);
  });
});
