// Squared error and metrics derived from it. Signals are compared value by value, whatever their layout.
import { ShapeError } from '../errors.js';

/** Any array of real numbers, typically float32 pixels. */
export type Values = ArrayLike<number>;

/** Peak-to-peak range of float32 images in [-1, 1]. */
export const IMAGE_RANGE = 2;

/**
 * Returns the sum of squared differences.
 *
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ.
 */
export function squaredError(original: Values, reconstruction: Values): number {
  assertSameLength('squaredError', original, reconstruction);
  let sum = 0;
  for (let i = 0; i < original.length; i++) {
    const difference = original[i]! - reconstruction[i]!;
    sum += difference * difference;
  }
  return sum;
}

/**
 * Returns the mean squared error over all values.
 *
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0.
 */
export function mse(original: Values, reconstruction: Values): number {
  assertNotEmpty('mse', original);
  return squaredError(original, reconstruction) / original.length;
}

/**
 * Returns the normalized mean squared error: the mean squared error divided by the variance of the original.
 *
 * Both are computed over all values together: the variance is a single number, relative to the mean of all pixels and
 * channels of all images. The best constant prediction scores 1, a perfect reconstruction 0. Pass a whole dataset, not
 * a batch: the mean of the NMSE of batches is a different number.
 *
 * @returns 0 for a perfect reconstruction, Infinity for an imperfect reconstruction of a constant original.
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0.
 * Source: the normalization of the reconstruction loss in van den Oord's Sonnet example (`recon_error /
 * data_variance`).
 */
export function nmse(original: Values, reconstruction: Values): number {
  return normalizedBy(mse(original, reconstruction), variance(original));
}

/** Divides an error by a variance; 0 divided by 0 is 0. */
function normalizedBy(error: number, variance: number): number {
  return error === 0 ? 0 : error / variance;
}

/**
 * Returns the population variance (divided by n).
 *
 * @throws {ShapeError} E_METRIC_SIZE when there are no values.
 */
export function variance(values: Values): number {
  assertNotEmpty('variance', values);
  const moments = new Moments();
  moments.add(values);
  return moments.variance;
}

/**
 * Returns the peak signal-to-noise ratio in dB: 10 log10(range² / mse).
 *
 * @param range Peak-to-peak range of the signal: 2 for [-1, 1], 255 for bytes.
 * @returns Infinity when both are equal.
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0.
 */
export function psnr(original: Values, reconstruction: Values, range: number = IMAGE_RANGE): number {
  return psnrOfMse(mse(original, reconstruction), range);
}

/** Returns the {@link psnr} for a mean squared error. */
export function psnrOfMse(error: number, range: number = IMAGE_RANGE): number {
  return error === 0 ? Infinity : 10 * Math.log10((range * range) / error);
}

/** Mean and variance of a stream of values. The variance of constant values is exactly 0. */
export class Moments {
  count = 0;
  /** The first value. It is subtracted from all values, so that a large mean does not cancel a small variance. */
  private pivot = 0;
  private sum = 0;
  private squares = 0;

  add(values: Values): void {
    if (this.count === 0) this.pivot = values[0] ?? 0;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < values.length; i++) {
      const offset = values[i]! - this.pivot;
      sum += offset;
      squares += offset * offset;
    }
    this.sum += sum;
    this.squares += squares;
    this.count += values.length;
  }

  get mean(): number {
    return this.pivot + this.sum / this.count;
  }

  /** Population variance. */
  get variance(): number {
    return Math.max(0, (this.squares - (this.sum * this.sum) / this.count) / this.count);
  }
}

/** The normalized mean squared error of a stream of signals; see {@link nmse}. */
export class NmseMeter {
  private readonly moments = new Moments();
  private error = 0;

  /** @throws {ShapeError} E_METRIC_SIZE for different lengths. */
  add(originals: Values, reconstructions: Values): void {
    this.error += squaredError(originals, reconstructions);
    this.moments.add(originals);
  }

  result(): number {
    return normalizedBy(this.error / this.moments.count, this.moments.variance);
  }
}

function assertSameLength(where: string, original: Values, reconstruction: Values): void {
  if (original.length !== reconstruction.length) {
    throw new ShapeError(
      'E_METRIC_SIZE',
      `${where}: expected a reconstruction of ${original.length} values, received ${reconstruction.length}. Compare at the original's size.`,
    );
  }
}

function assertNotEmpty(where: string, values: Values): void {
  if (values.length === 0)
    throw new ShapeError('E_METRIC_SIZE', `${where}: expected at least one value, received none.`);
}
