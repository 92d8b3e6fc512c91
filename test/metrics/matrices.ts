// Small matrices, float64 [n, n], for tests.
import { Rng } from '../../src/rng.js';

export function product(a: Float64Array, b: Float64Array, n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[Math.floor(at / n) * n + k]! * b[k * n + (at % n)]!;
    return sum;
  });
}

export const transposed = (a: Float64Array, n: number): Float64Array =>
  a.map((_, at) => a[(at % n) * n + Math.floor(at / n)]!);

export function diagonal(values: readonly number[]): Float64Array {
  const n = values.length;
  const matrix = new Float64Array(n * n);
  values.forEach((value, i) => (matrix[i * n + i] = value));
  return matrix;
}

/** Orthonormal rows, by Gram and Schmidt, twice over for exactness. */
export function orthogonal(n: number, seed: number): Float64Array {
  const rng = new Rng(seed, 'test.matrices');
  const rows = Array.from({ length: n }, () => Float64Array.from({ length: n }, () => rng.uniform() - 0.5));
  rows.forEach((row, i) => {
    for (const earlier of [...rows.slice(0, i), ...rows.slice(0, i)]) {
      const along = row.reduce((sum, value, k) => sum + value * earlier[k]!, 0);
      row.forEach((_, k) => (row[k]! -= along * earlier[k]!));
    }
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    row.forEach((_, k) => (row[k]! /= length));
  });
  return Float64Array.from(rows.flatMap((row) => [...row]));
}

/** A symmetric matrix with these eigenvalues; equal seeds give equal axes. */
export function spectrumOf(values: readonly number[], seed: number): Float64Array {
  const n = values.length;
  const q = orthogonal(n, seed);
  const matrix = product(product(q, diagonal(values), n), transposed(q, n), n);
  return matrix.map((value, at) => (value + matrix[(at % n) * n + Math.floor(at / n)]!) / 2);
}
