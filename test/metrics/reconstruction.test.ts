import { describe, expect, it } from 'vitest';
import { mse, nmse, psnr } from '../../src/metrics/error.js';
import { PSNR_LIMIT, ReconstructionMeter } from '../../src/metrics/reconstruction.js';
import { ssim } from '../../src/metrics/ssim.js';
import { Rng } from '../../src/rng.js';

const SIZE = 16 * 16 * 3;
const rng = new Rng(1, 'pictures');
const originals = Float32Array.from(
  { length: 10 * SIZE },
  (_, i) => 0.7 * Math.sin(i / 50) + 0.2 * (rng.uniform() - 0.5),
);
const reconstructions = Float32Array.from(
  originals,
  (value, i) => value + ((i / SIZE) | 0) * 0.02 * (rng.uniform() - 0.5),
);

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function measure(batch: number): ReturnType<ReconstructionMeter['result']> {
  const meter = new ReconstructionMeter();
  for (let start = 0; start < 10; start += batch) {
    const count = Math.min(batch, 10 - start);
    const range = [start * SIZE, (start + count) * SIZE] as const;
    meter.add(originals.subarray(...range), reconstructions.subarray(...range), [count, 16, 16, 3]);
  }
  return meter.result();
}

describe('ReconstructionMeter', () => {
  it('takes NMSE over the set, PSNR and SSIM as means over images', () => {
    const { samples, ...quality } = measure(10);
    const each = Array.from(
      { length: 10 },
      (_, i) =>
        [originals, reconstructions].map((all) => all.subarray(i * SIZE, (i + 1) * SIZE)) as [
          Float32Array,
          Float32Array,
        ],
    );
    expect(samples).toBe(10);
    expect(quality.nmse).toBeCloseTo(nmse(originals, reconstructions), 12);
    expect(quality.psnr).toBeCloseTo(mean(each.map(([a, b]) => Math.min(PSNR_LIMIT, psnr(a, b)))), 10);
    expect(quality.ssim).toBeCloseTo(mean(each.map(([a, b]) => ssim(a, b, [16, 16, 3]))), 12);
  });

  it('gives the same whatever the batches', () => {
    const whole = measure(10);
    for (const batch of [1, 3, 7]) {
      const parts = measure(batch);
      expect(parts.nmse).toBeCloseTo(whole.nmse, 12);
      expect(parts.psnr).toBeCloseTo(whole.psnr, 10);
      expect(parts.ssim).toBeCloseTo(whole.ssim, 12);
      expect(parts.sharpness).toBeCloseTo(whole.sharpness, 12);
    }
  });

  it('shows images within their range, but normalizes the raw error', () => {
    const meter = new ReconstructionMeter();
    const original = Float32Array.from({ length: 64 }, (_, i) => (i % 2) * 2 - 1);
    const loud = original.map((value) => value * 1.5);
    meter.add(original, loud, [1, 8, 8, 1]);
    expect(meter.result()).toEqual({
      samples: 1,
      nmse: mse(original, loud),
      psnr: PSNR_LIMIT,
      ssim: expect.closeTo(1, 10) as number,
      sharpness: 1,
    });
  });

  it('takes sharpness from the differences of neighbors, right and below', () => {
    const meter = new ReconstructionMeter();
    // Two pixels of two channels a row: differences to the right 0.5 and 0.25, below 0.125 four times.
    const original = Float32Array.of(0, 0, 0.5, 0.25, 0.125, 0.125, 0.625, 0.375);
    meter.add(
      original,
      original.map((value) => value / 4 - 0.5),
      [1, 2, 2, 2],
    );
    expect(meter.result().sharpness).toBeCloseTo(0.25, 6);
    const noisy = original.slice();
    noisy[7] = -0.375; // 0.75 away from its neighbors in place of 0.25 and 0.125
    const other = new ReconstructionMeter();
    other.add(original, noisy, [1, 2, 2, 2]);
    expect(other.result().sharpness).toBeCloseTo((2 + 0.5 - 0.25 + 0.625 - 0.125) / 2, 6);
    const flat = new ReconstructionMeter();
    flat.add(new Float32Array(4), new Float32Array(4), [1, 2, 2, 1]);
    expect(flat.result().sharpness).toBe(1);
  });

  it('measures 2,000 small images in a moment', () => {
    const meter = new ReconstructionMeter();
    const pictures = Float32Array.from({ length: 200 * 784 }, (_, i) => Math.sin(i));
    const start = performance.now();
    for (let i = 0; i < 10; i++) meter.add(pictures, pictures, [200, 28, 28, 1]);
    expect(performance.now() - start).toBeLessThan(3000); // 0.2 s on an idle core; room for a crowded machine
  });

  it('refuses arrays that are not of the size of the shape, and to speak of nothing', () => {
    const meter = new ReconstructionMeter();
    expect(() => meter.add(new Float32Array(64), new Float32Array(63), [1, 8, 8, 1])).toThrow(/E_METRIC_SIZE/);
    expect(() => meter.add(new Float32Array(64), new Float32Array(64), [2, 8, 8, 1])).toThrow(/E_METRIC_SIZE/);
    expect(() => meter.result()).toThrow(/E_METRIC_EMPTY/);
  });
});
