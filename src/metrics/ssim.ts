// Structural similarity (Wang, Bovik, Sheikh, Simoncelli: "Image quality assessment: from error visibility to
// structural similarity", IEEE TIP 2004), with the paper's constants: 11x11 Gaussian window with sigma 1.5, K1 = 0.01,
// K2 = 0.03.
import { ShapeError } from '../errors.js';
import { sizeOf } from '../shape.js';
import { IMAGE_RANGE } from './error.js';

const WINDOW = 11;
const SIGMA = 1.5;
const C1 = (0.01 * IMAGE_RANGE) ** 2;
const C2 = (0.03 * IMAGE_RANGE) ** 2;

/**
 * Returns the mean structural similarity of two images.
 *
 * The index is computed at every position where the window lies entirely inside the image, for each channel separately,
 * and averaged. This equals scikit-image's `structural_similarity` with `gaussian_weights=True`, `sigma=1.5`,
 * `use_sample_covariance=False` and `channel_axis=-1`. As in the paper, intensities are measured from black, so the
 * result equals that of the same images as bytes with a range of 255. If a side is shorter than 11 pixels, the largest
 * odd window that fits is used, with the same sigma.
 *
 * @param original       float32 [H, W, C] in [-1, 1].
 * @param reconstruction float32 [H, W, C] in [-1, 1].
 * @param shape          [H, W, C], all nonzero.
 * @returns A number in [-1, 1]; 1 for equal images.
 * @throws {ShapeError} E_METRIC_SIZE when an array does not match the shape.
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

/** Returns one side of the separable window, from the center outward: weights[0] + 2 * (weights[1] + ...) = 1. */
function gaussian(size: number): Float64Array {
  const half = Float64Array.from({ length: (size + 1) / 2 }, (_, i) => Math.exp(-(i * i) / (2 * SIGMA * SIGMA)));
  const total = 2 * half.reduce((sum, weight) => sum + weight, 0) - half[0]!;
  return half.map((weight) => weight / total);
}

/**
 * Returns the maps whose local means the index needs: x, y, x² + y² (only the sum of the variances is needed) and xy,
 * measured from black.
 */
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

/** Weighted means along the columns, where the window fits: [H, stride] -> [H - 2 * reach, stride]. */
function filterColumns(map: Float64Array, height: number, stride: number, taps: Float64Array): Float64Array {
  const reach = taps.length - 1;
  const count = (height - 2 * reach) * stride; // one run, because rows are contiguous in both arrays
  return weigh(map, { from: reach * stride, step: stride, rows: 1, rowStride: 0, count }, taps);
}

/** Weighted means along the rows, where the window fits: [H, W, C] -> [H, W - 2 * reach, C]. */
function filterRows(map: Float64Array, width: number, channels: number, taps: Float64Array): Float64Array {
  const reach = taps.length - 1;
  const rowStride = width * channels;
  const count = (width - 2 * reach) * channels;
  return weigh(map, { from: reach * channels, step: channels, rows: map.length / rowStride, rowStride, count }, taps);
}

/**
 * Centers of the windows: `rows` runs of `count` centers, the first run at `from`, runs `rowStride` apart. Taps are
 * `step` apart.
 */
interface Windows {
  from: number;
  step: number;
  rows: number;
  rowStride: number;
  count: number;
}

/**
 * Returns the weighted sum over each window. For speed, the loop is unrolled for five taps on each side, so that sums
 * stay in registers. A smaller window gives its missing taps weight 0, and they read its center.
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
