import { describe, expect, it } from 'vitest';
import { FeatureMeter, frechetDistance } from '../../src/metrics/frechet.js';
import type { Gaussian } from '../../src/metrics/frechet.js';
import { Rng } from '../../src/rng.js';
import { diagonal, spectrumOf } from './matrices.js';

const gaussian = (mean: readonly number[], covariance: Float64Array): Gaussian => ({
  mean: Float64Array.from(mean),
  covariance,
});

function meterOf(features: readonly (readonly number[])[]): FeatureMeter {
  const meter = new FeatureMeter(features[0]!.length);
  for (const row of features) meter.add(row);
  return meter;
}

describe('frechetDistance', () => {
  it('has the closed form of one dimension: (m1 - m2)² + (s1 - s2)²', () => {
    expect(frechetDistance(gaussian([3], Float64Array.of(4)), gaussian([-1], Float64Array.of(25)))).toBeCloseTo(
      16 + 9,
      12,
    );
  });

  it('has that of independent features, summed', () => {
    const one = gaussian([0, 1, 2], diagonal([1, 4, 9]));
    const other = gaussian([1, 1, 4], diagonal([16, 4, 0]));
    expect(frechetDistance(one, other)).toBeCloseTo(1 + 4 + (1 - 4) ** 2 + 0 + 3 ** 2, 12);
  });

  it('does not change when both are turned alike', () => {
    const [a, b] = [Array.from({ length: 25 }, (_, i) => 1 + i), Array.from({ length: 25 }, (_, i) => 30 - i)];
    const expected = a.reduce((sum, value, i) => sum + (Math.sqrt(value) - Math.sqrt(b[i]!)) ** 2, 0);
    const mean = a.map(() => 0);
    expect(frechetDistance(gaussian(mean, spectrumOf(a, 4)), gaussian(mean, spectrumOf(b, 4)))).toBeCloseTo(
      expected,
      9,
    );
  });

  it('is 0 for equal ones and symmetric for others', () => {
    const one = gaussian([1, 2, 3], spectrumOf([3, 1, 0.2], 1));
    const other = gaussian([1, 0, 3], spectrumOf([2, 2, 5], 2));
    expect(frechetDistance(one, one)).toBeCloseTo(0, 12);
    expect(frechetDistance(one, other)).toBeCloseTo(frechetDistance(other, one), 12);
    expect(frechetDistance(one, other)).toBeGreaterThan(4);
  });

  it('refuses features of two networks', () => {
    expect(() => frechetDistance(gaussian([0], diagonal([1])), gaussian([0, 0], diagonal([1, 1])))).toThrow(
      /E_METRIC_SIZE frechetDistance: expected 1 dimensions, received 2/,
    );
  });
});

describe('FeatureMeter', () => {
  it('has the mean and the unbiased covariance', () => {
    const { mean, covariance } = meterOf([
      [1, 10],
      [2, 30],
      [3, 20],
    ]).result();
    expect([...mean]).toEqual([2, 20]);
    expect([...covariance]).toEqual([1, 5, 5, 100]);
  });

  it('takes rows in any portions, and a mean far above the spread', () => {
    const rng = new Rng(1, 'test.features');
    const rows = Array.from({ length: 50 }, () => [1e6 + rng.uniform(), 1e6 - rng.uniform()]);
    const whole = new FeatureMeter(2);
    whole.add(rows.flat());
    const { covariance } = whole.result();
    expect(meterOf(rows).result()).toEqual(whole.result());
    expect([...covariance]).toEqual(
      [...meterOf(rows.map(([a, b]) => [a! - 1e6, b! - 1e6])).result().covariance].map(
        (value) => expect.closeTo(value, 9) as number,
      ),
    );
    expect(covariance[0]).toBeGreaterThan(0.03);
  });

  it('estimates the distance of the distributions samples are drawn from', () => {
    // of uniform ones on [0, 1) and on [0, 2) + 3: means 3.5 apart, deviations 1 / sqrt(12) and 2 / sqrt(12)
    const rng = new Rng(2, 'test.features');
    const one = meterOf(Array.from({ length: 20_000 }, () => [rng.uniform()])).result();
    const other = meterOf(Array.from({ length: 20_000 }, () => [3 + 2 * rng.uniform()])).result();
    expect(frechetDistance(one, other)).toBeCloseTo(3.5 ** 2 + 1 / 12, 1);
  });

  it('refuses fewer than two vectors, parts of one and values that are not finite', () => {
    expect(() => meterOf([[1, 2]]).result()).toThrow(/E_METRIC_EMPTY .* received 1/);
    expect(() => new FeatureMeter(2).add([1, 2, 3])).toThrow(
      /E_METRIC_SIZE FeatureMeter\.add: expected rows of 2 features, received 3/,
    );
    expect(() => new FeatureMeter(2).add([1, Infinity])).toThrow(
      /E_METRIC_VALUE features: .*Infinity for image 0 of a batch\. Check the pixel scaling/,
    );
  });
});
