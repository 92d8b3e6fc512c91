// Structural similarity (Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from error visibility to structural
// similarity", IEEE TIP 2004), with the paper's constants: Gaussian window 11x11 of sigma 1.5, K1 = 0.01, K2 = 0.03.
import { ShapeError } from '../errors.js';
import { sizeOf } from '../shape.js';
import { PICTURE_RANGE } from './error.js';

const WINDOW = 11;
const SIGMA = 1.5;
const C1 = (0.01 * PICTURE_RANGE) ** 2;
const C2 = (0.03 * PICTURE_RANGE) ** 2;

/**
 * Mean structural similarity of two pictures.
 *
 * The index is taken at every place where the window lies wholly inside the picture, in every channel on its own, and
 * averaged over all of them: scikit-image's `structural_similarity` with `gaussian_weights=True`, `sigma=1.5`,
 * `use_sample_covariance=False` and `channel_axis=-1`. Intensities count from black, as in the paper: the result is that
 * of the same pictures as bytes with a range of 255. A picture with a side below 11 is seen through the largest odd
 * window that fits it, with the same sigma.
 *
 * @param original       float32 [H, W, C] in [-1, 1].
 * @param reconstruction float32 [H, W, C] in [-1, 1].
 * @param shape          [H, W, C], none of them 0.
 * @returns a number in [-1, 1]; 1 for equal pictures.
 * @throws {ShapeError} E_METRIC_SIZE when an array does not have the size of the shape.
 */
export function ssim(
  original: Float32Array,
  reconstruction: Float32Array,
  shape: readonly [number, number, number],
): number {
  for (const values of [original, reconstruction]) {
    if (values.length !== sizeOf(shape) || values.length === 0) {
      throw new ShapeError(
        'E_METRIC_SIZE',
        `ssim: expected ${sizeOf(shape)} values for [${shape.join(', ')}], received ${values.length}.`,
      );
    }
  }
  const [height, width, channels] = shape;
  const taps = gaussian(windowFor(height, width));
  const maps = localMaps(original, reconstruction);
  const stats = maps.map((map) =>
    filterRows(filterColumns(map, height, width * channels, taps), width, channels, taps),
  );
  return meanIndex(stats[0]!, stats[1]!, stats[2]!, stats[3]!);
}

function windowFor(height: number, width: number): number {
  const side = Math.min(WINDOW, height, width);
  return side % 2 === 1 ? side : side - 1;
}

/** One side of the separable window, from the center out: weights[0] + 2 * (weights[1] + ...) = 1. */
function gaussian(size: number): Float64Array {
  const half = Float64Array.from({ length: (size + 1) / 2 }, (_, i) => Math.exp(-(i * i) / (2 * SIGMA * SIGMA)));
  const total = 2 * half.reduce((sum, weight) => sum + weight, 0) - half[0]!;
  return half.map((weight) => weight / total);
}

/** What the index needs the local means of: x, y, x² + y² (the variances only ever meet in a sum) and xy, from black. */
function localMaps(original: Float32Array, reconstruction: Float32Array): Float64Array[] {
  const [xs, ys, squares, products] = Array.from({ length: 4 }, () => new Float64Array(original.length)) as Four;
  for (let i = 0; i < original.length; i++) {
    const x = original[i]! + 1;
    const y = reconstruction[i]! + 1;
    xs[i] = x;
    ys[i] = y;
    squares[i] = x * x + y * y;
    products[i] = x * y;
  }
  return [xs, ys, squares, products];
}

type Four = [Float64Array, Float64Array, Float64Array, Float64Array];

/** Weighted means down the columns, where the window fits: [H, stride] -> [H - 2 * reach, stride]. */
function filterColumns(map: Float64Array, height: number, stride: number, taps: Float64Array): Float64Array {
  const reach = taps.length - 1;
  const count = (height - 2 * reach) * stride; // one run: the rows follow each other in both arrays
  return weigh(map, { from: reach * stride, step: stride, rows: 1, rowStride: 0, count }, taps);
}

/** Weighted means along the rows, where the window fits: [H, W, C] -> [H, W - 2 * reach, C]. */
function filterRows(map: Float64Array, width: number, channels: number, taps: Float64Array): Float64Array {
  const reach = taps.length - 1;
  const rowStride = width * channels;
  const count = (width - 2 * reach) * channels;
  return weigh(map, { from: reach * channels, step: channels, rows: map.length / rowStride, rowStride, count }, taps);
}

/** Centers of the windows: `rows` runs of `count`, the first at `from`, `rowStride` apart; taps are `step` apart. */
interface Windows {
  from: number;
  step: number;
  rows: number;
  rowStride: number;
  count: number;
}

/**
 * The weighted sum over each window. Five taps of reach are written out for speed, so that sums stay in registers;
 * a smaller window gets weight 0 for the missing ones, which then read its center.
 */
function weigh(map: Float64Array, { from, step, rows, rowStride, count }: Windows, taps: Float64Array): Float64Array {
  const [w0, w1, w2, w3, w4, w5] = [0, 1, 2, 3, 4, 5].map((k) => taps[k] ?? 0) as Six;
  const [, s1, s2, s3, s4, s5] = [0, 1, 2, 3, 4, 5].map((k) => (k < taps.length ? k * step : 0)) as Six;
  const out = new Float64Array(rows * count);
  for (let row = 0, j = 0; row < rows; row++) {
    const start = from + row * rowStride;
    for (let i = start; i < start + count; i++, j++) {
      out[j] =
        w0 * map[i]! +
        w1 * (map[i - s1]! + map[i + s1]!) +
        w2 * (map[i - s2]! + map[i + s2]!) +
        w3 * (map[i - s3]! + map[i + s3]!) +
        w4 * (map[i - s4]! + map[i + s4]!) +
        w5 * (map[i - s5]! + map[i + s5]!);
    }
  }
  return out;
}

type Six = [number, number, number, number, number, number];

function meanIndex(meanX: Float64Array, meanY: Float64Array, squares: Float64Array, products: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < meanX.length; i++) {
    const cross = meanX[i]! * meanY[i]!;
    const power = meanX[i]! ** 2 + meanY[i]! ** 2;
    const covariance = products[i]! - cross;
    const variances = squares[i]! - power;
    sum += ((2 * cross + C1) * (2 * covariance + C2)) / ((power + C1) * (variances + C2));
  }
  return sum / meanX.length;
}
