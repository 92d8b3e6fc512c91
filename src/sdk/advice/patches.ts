// How hard images are to code: the error of two simple codes with the bits of a codec, measured on a sample of the images.
import { compile, hostValues, tf } from '../../engine/index.js';
import { symmetricEigenvalues } from '../../metrics/symmetric.js';
import { Rng } from '../../rng.js';

/** Images float32 [count, height, width, channels]. */
export interface PixelBlock {
  values: Float32Array;
  count: number;
  height: number;
  width: number;
  channels: number;
}

export interface PatchCode {
  /** Side of a patch: the pixels along each side of a code. */
  cell: number;
  /** Number of codes in the vocabulary. */
  codes: number;
}

export interface Difficulty {
  /** NMSE on held-out images of a vocabulary of patches: each cell is replaced by the nearest of K patches, found by k-means. */
  alone: number;
  /** By what factor coding 2x2 cells together lowers the error, for Gaussian values with the same covariance; at most 1. */
  together: number;
}

/** Patches for each code of the vocabulary. */
const PATCHES_PER_CODE = 64;
const FEWEST_PATCHES = 8192;
const ROUNDS = 10;
/** Patches whose covariance is measured. */
const COVARIANCE_PATCHES = 6000;

/** Measures how hard images are to code. */
export async function difficultyOf(
  train: PixelBlock,
  test: PixelBlock,
  { cell, codes }: PatchCode,
): Promise<Difficulty> {
  const count = Math.max(FEWEST_PATCHES, PATCHES_PER_CODE * codes);
  const known = patchesOf(train, cell, count);
  const fresh = patchesOf(test, cell, count);
  const variance = varianceOf(fresh.values);
  const alone = (await vocabularyError(known, fresh, codes)) / variance;
  const isDivisible = train.height >= 2 * cell && train.width >= 2 * cell;
  const bits = Math.log2(codes);
  const together = isDivisible
    ? Math.min(
        1,
        gaussianError(patchesOf(train, 2 * cell, COVARIANCE_PATCHES), 4 * bits) /
          gaussianError(patchesOf(train, cell, COVARIANCE_PATCHES), bits),
      )
    : 1;
  return { alone, together };
}

interface Patches {
  /** float32 [count, size]. */
  values: Float32Array;
  count: number;
  size: number;
}

/** A random sample of the cells of images; all of them, in random order, if they are fewer. */
function patchesOf({ values, count, height, width, channels }: PixelBlock, cell: number, most: number): Patches {
  const [rows, columns] = [Math.floor(height / cell), Math.floor(width / cell)];
  const cells = count * rows * columns;
  const taken = Math.min(cells, most);
  const size = cell * cell * channels;
  const out = new Float32Array(taken * size);
  const rng = new Rng(0, 'advice.patches', cell);
  for (let i = 0; i < taken; i++) {
    const at = taken === cells ? i : rng.int(cells);
    const [image, place] = [Math.floor(at / (rows * columns)), at % (rows * columns)];
    const [top, left] = [Math.floor(place / columns) * cell, (place % columns) * cell];
    for (let y = 0; y < cell; y++) {
      const from = ((image * height + top + y) * width + left) * channels;
      out.set(values.subarray(from, from + cell * channels), i * size + y * cell * channels);
    }
  }
  return { values: out, count: taken, size };
}

/** Mean squared error of held-out patches that are replaced by the nearest of K centers of k-means (Lloyd's algorithm). */
async function vocabularyError(known: Patches, fresh: Patches, codes: number): Promise<number> {
  const { size } = known;
  const rng = new Rng(0, 'advice.centers');
  const centers = new Float32Array(codes * size);
  const restart = (code: number): void => {
    const at = rng.int(known.count) * size;
    centers.set(known.values.subarray(at, at + size), code * size);
  };
  for (let code = 0; code < codes; code++) restart(code);
  // The distance without the norm of the patch, which is the same for all centers.
  const nearest = compile(
    (patches: tf.Tensor2D, table: tf.Tensor2D) =>
      tf.argMin(tf.sub(tf.sum(tf.square(table), 1), tf.mul(2, tf.matMul(patches, table, false, true))), 1),
    { name: 'advice_nearest' },
  );
  const assign = async ({ values, count }: Patches): Promise<ArrayLike<number>> => {
    const inputs = [tf.tensor2d(values, [count, size]), tf.tensor2d(centers, [codes, size])] as const;
    const ids = await nearest(...inputs);
    const found = hostValues(ids).slice();
    tf.dispose([...inputs, ids]);
    return found;
  };
  try {
    for (let round = 0; round < ROUNDS; round++) update(centers, known, await assign(known), codes, restart);
    const ids = await assign(fresh);
    let sum = 0;
    for (let i = 0; i < fresh.count; i++)
      for (let d = 0; d < size; d++) sum += (fresh.values[i * size + d]! - centers[ids[i]! * size + d]!) ** 2;
    return sum / fresh.values.length;
  } finally {
    await nearest.dispose();
  }
}

/** Moves each center to the mean of its patches. Centers without patches start again. */
function update(
  centers: Float32Array,
  { values, count, size }: Patches,
  ids: ArrayLike<number>,
  codes: number,
  restart: (code: number) => void,
): void {
  const sums = new Float64Array(codes * size);
  const members = new Uint32Array(codes);
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    members[id]!++;
    for (let d = 0; d < size; d++) sums[id * size + d]! += values[i * size + d]!;
  }
  for (let code = 0; code < codes; code++) {
    if (members[code] === 0) restart(code);
    else for (let d = 0; d < size; d++) centers[code * size + d] = sums[code * size + d]! / members[code]!;
  }
}

/**
 * Mean squared error of an ideal code with this many bits for each patch, if patches were Gaussian with their covariance.
 * Source: Cover, Thomas, "Elements of Information Theory", section 10.3.3 (reverse water-filling).
 */
function gaussianError({ values, count, size }: Patches, bits: number): number {
  const spectrum = symmetricEigenvalues(covarianceOf(values, count, size), size).map((value) => Math.max(value, 1e-9));
  let [low, high] = [1e-9, spectrum.at(-1)!];
  for (let i = 0; i < 60; i++) {
    const level = Math.sqrt(low * high);
    const rate = spectrum.reduce((sum, value) => sum + Math.max(0, 0.5 * Math.log2(value / level)), 0);
    if (rate > bits) low = level;
    else high = level;
  }
  return spectrum.reduce((sum, value) => sum + Math.min(value, low), 0) / size;
}

/** float64 [size, size], the lower triangle. */
function covarianceOf(values: Float32Array, count: number, size: number): Float64Array {
  const mean = new Float64Array(size);
  for (let i = 0; i < values.length; i++) mean[i % size]! += values[i]! / count;
  const covariance = new Float64Array(size * size);
  const row = new Float64Array(size);
  for (let i = 0; i < count; i++) {
    for (let a = 0; a < size; a++) row[a] = values[i * size + a]! - mean[a]!;
    for (let a = 0; a < size; a++) {
      const factor = row[a]! / count;
      const line = covariance.subarray(a * size, (a + 1) * size);
      for (let b = 0; b <= a; b++) line[b]! += factor * row[b]!;
    }
  }
  return covariance;
}

function varianceOf(values: Float32Array): number {
  let [sum, squares] = [0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return Math.max(1e-6, squares / values.length - mean * mean);
}
