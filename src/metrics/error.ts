// Squared error and what is derived from it. Signals are compared value by value, whatever their layout.
import { ShapeError } from '../errors.js';

/** Any array of real numbers: float32 pictures most of all. */
export type Values = ArrayLike<number>;

/** Peak-to-peak range of pictures as float32 in [-1, 1]. */
export const PICTURE_RANGE = 2;

/**
 * Sum of squared differences.
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

/** Mean squared error, over all values alike. @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0. */
export function mse(original: Values, reconstruction: Values): number {
  assertNotEmpty('mse', original);
  return squaredError(original, reconstruction) / original.length;
}

/**
 * Normalized mean squared error: the mean squared error divided by the variance of the original.
 *
 * Both are taken over every value of the whole set together: the variance is one number, about the one mean of all pixels
 * and channels of all pictures. 1 is what the best single constant reaches, 0 is perfect. Pass a whole set, not a batch:
 * the mean of the NMSE of batches is another number.
 *
 * @returns 0 for a perfect reconstruction, Infinity for an imperfect one of a constant original.
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0.
 * Source: the normalization of the reconstruction loss in van den Oord's Sonnet example (`recon_error / data_variance`).
 */
export function nmse(original: Values, reconstruction: Values): number {
  return normalizedBy(mse(original, reconstruction), variance(original));
}

/** An error in units of a variance; 0 over 0 is 0. */
export function normalizedBy(error: number, variance: number): number {
  return error === 0 ? 0 : error / variance;
}

/** Population variance (divided by n). @throws {ShapeError} E_METRIC_SIZE when empty. */
export function variance(values: Values): number {
  assertNotEmpty('variance', values);
  const moments = new Moments();
  moments.add(values);
  return moments.variance;
}

/**
 * Peak signal-to-noise ratio in dB: 10 log10(range² / mse).
 *
 * @param range peak-to-peak range of the signal: 2 for [-1, 1], 255 for bytes.
 * @returns Infinity when both are equal.
 * @throws {ShapeError} E_METRIC_SIZE when the lengths differ or are 0.
 */
export function psnr(original: Values, reconstruction: Values, range: number = PICTURE_RANGE): number {
  return psnrOfMse(mse(original, reconstruction), range);
}

/** {@link psnr} of a mean squared error. */
export function psnrOfMse(error: number, range: number = PICTURE_RANGE): number {
  return error === 0 ? Infinity : 10 * Math.log10((range * range) / error);
}

/** Mean and variance of a stream of values, exact for a constant one. */
export class Moments {
  count = 0;
  /** The first value: sums are taken about it, so that a large mean does not swallow a small variance. */
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

export function assertSameLength(where: string, original: Values, reconstruction: Values): void {
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
