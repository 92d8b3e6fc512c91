import { describe, expect, it } from 'vitest';
import { symmetricEigenvalues, traceOfRootOfProduct } from '../../src/metrics/symmetric.js';
import { diagonal, orthogonal, product, spectrumOf, transposed } from './matrices.js';

const close = (values: readonly number[], digits = 12) =>
  values.map((value) => expect.closeTo(value, digits) as number);

describe('symmetricEigenvalues', () => {
  it('finds those of matrices known by hand', () => {
    expect([...symmetricEigenvalues(Float64Array.of(2), 1)]).toEqual([2]);
    expect([...symmetricEigenvalues(Float64Array.of(2, 1, 1, 2), 2)]).toEqual(close([1, 3]));
    expect([...symmetricEigenvalues(Float64Array.of(0, 1, 1, 1, 0, 1, 1, 1, 0), 3)]).toEqual(close([-1, -1, 2]));
    expect([...symmetricEigenvalues(new Float64Array(9), 3)]).toEqual([0, 0, 0]);
  });

  it('finds those of the second difference, 2 - 2 cos(k pi / (n + 1))', () => {
    const n = 40;
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      matrix[i * n + i] = 2;
      if (i > 0) matrix[i * n + i - 1] = matrix[(i - 1) * n + i] = -1;
    }
    expect([...symmetricEigenvalues(matrix, n)]).toEqual(
      close(Array.from({ length: n }, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)))),
    );
  });

  it.each<[string, (i: number) => number]>([
    ['spread evenly', (i) => i - 20],
    ['over twelve orders of magnitude', (i) => 10 ** (i / 5 - 6)],
    ['of which most are equal', (i) => (i < 30 ? 1 : i)],
    ['of which most are 0', (i) => (i < 50 ? 0 : i)],
  ])('recovers a spectrum %s from a turned matrix, and leaves the matrix alone', (_, value) => {
    const n = 60;
    const spectrum = Array.from({ length: n }, (__, i) => value(i));
    const matrix = spectrumOf(spectrum, 7);
    const before = matrix.slice();
    const largest = Math.max(...spectrum.map(Math.abs));
    const found = symmetricEigenvalues(matrix, n);
    // Rounding of the matrix itself moves an eigenvalue by as much as n * epsilon * the largest.
    spectrum
      .sort((a, b) => a - b)
      .forEach((wanted, i) => expect(Math.abs(found[i]! - wanted)).toBeLessThan(n * Number.EPSILON * largest));
    expect(matrix).toEqual(before);
  });

  it('refuses what is not finite', () => {
    expect(() => symmetricEigenvalues(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2)).toThrow(
      /E_METRIC_VALUE symmetric matrix: expected finite values, received NaN at 1/,
    );
  });
});

describe('traceOfRootOfProduct', () => {
  it('is the sum of the roots for matrices that share their axes', () => {
    const [n, seed] = [20, 3];
    const [a, b] = [Array.from({ length: n }, (_, i) => i + 1), Array.from({ length: n }, (_, i) => 1 / (i + 1) + 2)];
    const expected = a.reduce((sum, value, i) => sum + Math.sqrt(value * b[i]!), 0);
    expect(traceOfRootOfProduct(spectrumOf(a, seed), spectrumOf(b, seed), n)).toBeCloseTo(expected, 10);
  });

  it('agrees with the symmetric root where they do not', () => {
    // a^(1/2) b a^(1/2) has the eigenvalues of a b
    const n = 12;
    const spectrum = Array.from({ length: n }, (_, i) => 0.3 + i);
    const [q, b] = [orthogonal(n, 1), spectrumOf(spectrum, 2)];
    const root = product(product(q, diagonal(spectrum.map(Math.sqrt)), n), transposed(q, n), n);
    const inner = product(product(root, b, n), root, n);
    const expected = symmetricEigenvalues(inner, n).reduce((sum, value) => sum + Math.sqrt(value), 0);
    expect(traceOfRootOfProduct(spectrumOf(spectrum, 1), b, n)).toBeCloseTo(expected, 10);
  });

  it('takes matrices of lower rank, and of none', () => {
    const n = 30;
    const low = Array.from({ length: n }, (_, i) => (i < 4 ? (i + 1) ** 2 : 0));
    expect(traceOfRootOfProduct(spectrumOf(low, 5), spectrumOf(low, 5), n)).toBeCloseTo(1 + 4 + 9 + 16, 6);
    expect(traceOfRootOfProduct(new Float64Array(n * n), spectrumOf(low, 5), n)).toBe(0);
  });
});
