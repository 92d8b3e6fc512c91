import { describe, expect, it } from 'vitest';
import { Moments, NmseMeter, mse, nmse, psnr, squaredError, variance } from '../../src/metrics/error.js';

describe('squared error', () => {
  it('is summed, averaged, and put in decibels of the range', () => {
    const original = Float32Array.from([0, 1, -1, 0.5]);
    const reconstruction = Float32Array.from([0, 0, -1, 0]);
    expect(squaredError(original, reconstruction)).toBe(1.25);
    expect(mse(original, reconstruction)).toBe(0.3125);
    expect(psnr(original, reconstruction)).toBeCloseTo(10 * Math.log10(4 / 0.3125), 12);
    expect(psnr([0, 255], [0, 254], 255)).toBeCloseTo(51.1411, 4); // mse 0.5: 20 log10(255) + 3.0103
  });

  it('is infinitely far down for a perfect reconstruction', () => {
    expect(psnr([0.1, 0.2], [0.1, 0.2])).toBe(Infinity);
  });

  it('refuses signals of different lengths and of none', () => {
    for (const measure of [squaredError, mse, nmse, psnr]) expect(() => measure([1, 2], [1])).toThrow(/E_METRIC_SIZE/);
    for (const measure of [mse, nmse, psnr]) expect(() => measure([], [])).toThrow(/E_METRIC_SIZE/);
    expect(() => variance([])).toThrow(/E_METRIC_SIZE/);
  });
});

describe('nmse', () => {
  it('is 1 for the best constant and 0 for the original', () => {
    const original = [1, 2, 3, 6];
    expect(nmse(original, [3, 3, 3, 3])).toBe(1);
    expect(nmse(original, original)).toBe(0);
  });

  it('divides by the population variance about the one mean', () => {
    expect(variance([1, 2, 3, 6])).toBe(3.5);
    expect(nmse([1, 2, 3, 6], [1, 2, 3, 4])).toBeCloseTo(1 / 3.5, 12);
  });

  it('knows that a constant original has no variance', () => {
    expect(nmse([0.1, 0.1, 0.1], [0.1, 0.1, 0.1])).toBe(0);
    expect(nmse([0.1, 0.1, 0.1], [0.1, 0.1, 0.2])).toBe(Infinity);
  });
});

describe('Moments', () => {
  it('gives the same whatever the batches', () => {
    const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * i));
    const batched = new Moments();
    for (let start = 0; start < 1000; start += 130) batched.add(values.subarray(start, start + 130));
    expect(batched.count).toBe(1000);
    expect(batched.variance).toBeCloseTo(variance(values), 12);
    expect(batched.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / 1000, 6);
  });

  it('keeps a small variance about a large mean', () => {
    expect(variance(Float64Array.from({ length: 1000 }, (_, i) => 1e9 + (i % 2)))).toBe(0.25);
  });
});

describe('NmseMeter', () => {
  it('gives the NMSE of all batches together', () => {
    const [a, b] = [
      [0, 1, 2, 5],
      [3, -1, 4],
    ];
    const [c, d] = [a!.map((x) => x + 0.5), b!.map((x) => 2 * x)];
    const meter = new NmseMeter();
    meter.add(a!, c);
    meter.add(b!, d);
    expect(meter.result()).toBeCloseTo(nmse([...a!, ...b!], [...c, ...d]), 12);
  });
});
