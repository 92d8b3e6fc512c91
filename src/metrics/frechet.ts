// Fréchet distance between two sets of images in the feature space of a network: the distance between the Gaussians
// that have the mean and covariance of their features.
import { ShapeError, UsageError } from '../errors.js';
import { traceOfRootOfProduct } from './symmetric.js';

/** A normal distribution in n dimensions. */
export interface Gaussian {
  /** float64 [n]. */
  mean: Float64Array;
  /** float64 [n, n], symmetric. */
  covariance: Float64Array;
}

/** Mean and covariance of a stream of feature vectors, in memory for n * n numbers. */
export class FeatureMeter {
  count = 0;
  /** The first vector. It is subtracted from all vectors, so that a large mean does not cancel a small variance. */
  private pivot: Float64Array | undefined;
  private readonly sums: Float64Array;
  /** float64 [n, n], lower triangle: sums of products. */
  private readonly products: Float64Array;

  constructor(readonly dimension: number) {
    this.sums = new Float64Array(dimension);
    this.products = new Float64Array(dimension * dimension);
  }

  /**
   * Adds feature vectors.
   *
   * @param features float32 [rows, n].
   * @throws {ShapeError} E_METRIC_SIZE for an incomplete row.
   * @throws {UsageError} E_METRIC_VALUE for a value that is not finite.
   */
  add(features: ArrayLike<number>): void {
    const { dimension, sums, products } = this;
    if (features.length % dimension !== 0)
      throw new ShapeError(
        'E_METRIC_SIZE',
        `FeatureMeter.add: expected rows of ${dimension} features, received ${features.length} values.`,
      );
    for (let i = 0; i < features.length; i++) {
      if (!Number.isFinite(features[i]!))
        throw new UsageError(
          'E_METRIC_VALUE',
          `features: expected finite values, received ${features[i]} for image ${Math.floor(i / dimension)} of a batch. Check the pixel scaling that the network expects.`,
        );
    }
    for (let start = 0; start < features.length; start += dimension) {
      const row = Float64Array.from({ length: dimension }, (_, i) => features[start + i]!);
      const pivot = (this.pivot ??= row.slice());
      for (let i = 0; i < dimension; i++) sums[i]! += row[i]! -= pivot[i]!;
      for (let i = 0; i < dimension; i++) {
        const line = products.subarray(i * dimension, i * dimension + i + 1);
        const value = row[i]!;
        // No test for zeros: features after a ReLU are often 0, but rarely equal to the pivot.
        for (let j = 0; j <= i; j++) line[j]! += value * row[j]!;
      }
      this.count++;
    }
  }

  /**
   * Returns the mean and the unbiased covariance (divided by count - 1).
   *
   * @throws {UsageError} E_METRIC_EMPTY for fewer than two vectors.
   */
  result(): Gaussian {
    const { count, dimension, sums, products, pivot } = this;
    if (count < 2)
      throw new UsageError('E_METRIC_EMPTY', `FeatureMeter.result: expected at least two images, received ${count}.`);
    const covariance = new Float64Array(dimension * dimension);
    for (let i = 0; i < dimension; i++) {
      for (let j = 0; j <= i; j++) {
        const value = (products[i * dimension + j]! - (sums[i]! * sums[j]!) / count) / (count - 1);
        covariance[i * dimension + j] = covariance[j * dimension + i] = value;
      }
    }
    return { mean: Float64Array.from(sums, (sum, i) => pivot![i]! + sum / count), covariance };
  }
}

/**
 * Returns the squared Fréchet distance of two Gaussians: |m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2)). 0 if they are
 * equal.
 *
 * @throws {ShapeError} E_METRIC_SIZE when the dimensions differ.
 * Source: Dowson, Landau, "The Fréchet distance between multivariate normal distributions", 1982; applied to image
 * features by Heusel et al., arXiv:1706.08500.
 */
export function frechetDistance(one: Gaussian, other: Gaussian): number {
  const n = one.mean.length;
  if (other.mean.length !== n)
    throw new ShapeError(
      'E_METRIC_SIZE',
      `frechetDistance: expected ${n} dimensions, received ${other.mean.length}. Use features of the same network.`,
    );
  const between = one.mean.reduce((sum, value, i) => sum + (value - other.mean[i]!) ** 2, 0);
  const spread =
    trace(one.covariance, n) +
    trace(other.covariance, n) -
    2 * traceOfRootOfProduct(one.covariance, other.covariance, n);
  // For equal sets this term is nonzero only because of rounding, and may be negative.
  return between + Math.max(0, spread);
}

function trace(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += matrix[i * n + i]!;
  return sum;
}

/**
 * Returns a warning if the distance is estimated from too few images. With no more images than dimensions the estimate
 * is far too high, and it decreases as images are added.
 */
export function frechetBias(images: number, dimension: number): string | undefined {
  return images > dimension
    ? undefined
    : `rFID from ${images} images in ${dimension} dimensions is biased upward: compare it only with values from the same number of images.`;
}
