// Symmetric matrices in double precision: eigenvalues, a factor of a covariance, the trace of a square root. Matrices
// are float64 [n, n], row-major. Sums run along rows, so that n of a few thousand takes only seconds.
import { UsageError } from '../errors.js';

/**
 * Returns all eigenvalues of a symmetric matrix in ascending order.
 *
 * @param matrix float64 [n, n]; only the lower triangle is read. It is not modified.
 * @throws {UsageError} E_METRIC_VALUE for a value that is not finite.
 * Source: Golub, Van Loan, "Matrix Computations", sections 8.3.1 (Householder tridiagonalization) and 8.3.5 (implicit
 * QR).
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const { diagonal, offDiagonal } = tridiagonal(checkedFinite(matrix.slice()), n);
  diagonalize(diagonal, offDiagonal);
  return diagonal.sort();
}

/**
 * Returns the trace of the square root of a product of two covariances: the sum of the square roots of its eigenvalues.
 *
 * With a = f' f, these are the eigenvalues of the symmetric matrix f b f'. A rank below n (fewer samples than features)
 * is handled correctly and is cheaper.
 *
 * @param a float64 [n, n], symmetric, positive semidefinite; `b` likewise.
 * @throws {UsageError} E_METRIC_VALUE for a value that is not finite.
 */
export function traceOfRootOfProduct(a: Float64Array, b: Float64Array, n: number): number {
  const factor = rowsOfFactor(checkedFinite(a), n);
  const rank = factor.length;
  const inner = new Float64Array(rank * rank);
  factor.forEach((row, i) => {
    const image = Float64Array.from({ length: n }, (_, j) => dot(b.subarray(j * n, (j + 1) * n), row));
    for (let j = 0; j <= i; j++) inner[i * rank + j] = dot(image, factor[j]!);
  });
  return symmetricEigenvalues(inner, rank).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

/**
 * Returns the rows of f such that f' f = a, for a positive semidefinite matrix a. There are as many rows as a's rank.
 * Uses Cholesky factorization with the largest remaining diagonal element as pivot.
 */
function rowsOfFactor(a: Float64Array, n: number): Float64Array[] {
  const rows: Float64Array[] = [];
  const left = Float64Array.from({ length: n }, (_, i) => a[i * n + i]!);
  const negligible = n * Number.EPSILON * Math.max(0, ...left);
  while (rows.length < n) {
    const pivot = left.reduce((best, value, i) => (value > left[best]! ? i : best), 0);
    if (!(left[pivot]! > negligible)) break;
    const row = a.slice(pivot * n, (pivot + 1) * n);
    for (const earlier of rows) subtract(row, earlier[pivot]!, earlier);
    const root = Math.sqrt(left[pivot]!);
    for (let i = 0; i < n; i++) {
      row[i]! /= root;
      left[i]! -= row[i]! * row[i]!;
    }
    left[pivot] = 0;
    rows.push(row);
  }
  return rows;
}

/**
 * Reduces the matrix to tridiagonal form with Householder reflections, row by row from the last. Overwrites the matrix.
 */
function tridiagonal(matrix: Float64Array, n: number): { diagonal: Float64Array; offDiagonal: Float64Array } {
  const offDiagonal = new Float64Array(n); // offDiagonal[i] is the entry at (i, i - 1)
  for (let i = n - 1; i > 0; i--) {
    const v = matrix.subarray(i * n, i * n + i);
    offDiagonal[i] = reflector(v);
    if (i > 1 && v[i - 1] !== 0) reflectBlock(matrix, n, v);
  }
  return { diagonal: Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]!), offDiagonal };
}

/**
 * Replaces a row x by v, scaled so that v'v = 2, with (I - v v') x = (0, ..., 0, result). v = 0 if x already has that
 * form.
 */
function reflector(x: Float64Array): number {
  const last = x[x.length - 1]!;
  const largest = x.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  if (x.subarray(0, -1).every((value) => value === 0)) {
    x.fill(0);
    return last;
  }
  for (let j = 0; j < x.length; j++) x[j]! /= largest;
  const norm = Math.sqrt(dot(x, x));
  const target = last > 0 ? -norm : norm;
  x[x.length - 1]! -= target;
  const length = Math.sqrt(dot(x, x) / 2);
  for (let j = 0; j < x.length; j++) x[j]! /= length;
  return target * largest;
}

/**
 * Replaces the leading block B, of v's size, by (I - v v') B (I - v v') = B - v w' - w v'; computes the lower triangle.
 */
function reflectBlock(matrix: Float64Array, n: number, v: Float64Array): void {
  const size = v.length;
  const w = new Float64Array(size); // B v, then w
  for (let i = 0; i < size; i++) {
    const row = matrix.subarray(i * n, i * n + i);
    w[i]! += dot(row, v) + matrix[i * n + i]! * v[i]!;
    subtract(w, -v[i]!, row);
  }
  subtract(w, dot(v, w) / 2, v);
  for (let i = 0; i < size; i++) {
    const row = matrix.subarray(i * n, i * n + i + 1);
    const [vi, wi] = [v[i]!, w[i]!];
    for (let j = 0; j <= i; j++) row[j]! -= vi * w[j]! + wi * v[j]!;
  }
}

/** Applies implicit QR steps with Wilkinson's shift until all off-diagonal entries are negligible. */
function diagonalize(d: Float64Array, e: Float64Array): void {
  const size = d.reduce((max, value, i) => Math.max(max, Math.abs(value), Math.abs(e[i]!)), 0);
  const isNegligible = (i: number): boolean =>
    Math.abs(e[i]!) <= Number.EPSILON * (Math.abs(d[i - 1]!) + Math.abs(d[i]!)) + 1e-30 * size;
  for (let high = d.length - 1; high > 0;) {
    if (isNegligible(high)) {
      high--;
      continue;
    }
    let low = high - 1;
    while (low > 0 && !isNegligible(low)) low--;
    stepQr(d, e, low, high);
  }
}

/** Applies one step to the block [low, high], none of whose off-diagonal entries is negligible. */
function stepQr(d: Float64Array, e: Float64Array, low: number, high: number): void {
  const half = (d[high - 1]! - d[high]!) / 2;
  const corner = e[high]!;
  const root = Math.sqrt(half * half + corner * corner);
  const shift = d[high]! - (corner * corner) / (half + (half >= 0 ? root : -root));
  let x = d[low]! - shift;
  let bulge = e[low + 1]!;
  for (let k = low; k < high; k++) {
    const radius = Math.sqrt(x * x + bulge * bulge);
    const [c, s] = radius === 0 ? [1, 0] : [x / radius, bulge / radius];
    if (k > low) e[k] = radius;
    const [a, b, g] = [d[k]!, e[k + 1]!, d[k + 1]!];
    d[k] = c * c * a + 2 * c * s * b + s * s * g;
    d[k + 1] = s * s * a - 2 * c * s * b + c * c * g;
    e[k + 1] = c * s * (g - a) + (c * c - s * s) * b;
    x = e[k + 1]!;
    if (k + 1 === high) break;
    bulge = s * e[k + 2]!;
    e[k + 2]! *= c;
  }
}

/**
 * Returns the dot product over the length of `a`. Uses four independent sums, so that additions do not wait for each
 * other.
 */
function dot(a: Float64Array, b: Float64Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < a.length; i += 4) {
    s0 += a[i]! * b[i]!;
    s1 += a[i + 1]! * b[i + 1]!;
    s2 += a[i + 2]! * b[i + 2]!;
    s3 += a[i + 3]! * b[i + 3]!;
  }
  for (; i < a.length; i++) s0 += a[i]! * b[i]!;
  return s0 + s1 + s2 + s3;
}

/** Computes target -= factor * row, over the length of the row. */
function subtract(target: Float64Array, factor: number, row: Float64Array): void {
  for (let i = 0; i < row.length; i++) target[i]! -= factor * row[i]!;
}

function checkedFinite(matrix: Float64Array): Float64Array {
  const bad = matrix.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new UsageError(
      'E_METRIC_VALUE',
      `symmetric matrix: expected finite values, received ${matrix[bad]} at ${bad}.`,
    );
  return matrix;
}
