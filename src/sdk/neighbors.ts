// The most similar pictures of a dataset: what tells a new picture from one learned by heart.
import { evalBatches } from '../data/batches.js';
import { compile, hostValues, tf } from '../engine/index.js';
import { InputError, UsageError } from '../errors.js';
import type { Dataset, Image, Split } from '../interfaces/index.js';
import { checkImages } from '../media/image/check.js';
import { fromFloat32, toFloat32 } from '../media/image/pixels.js';
import { withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';

export interface NeighborOptions extends DataOptions {
  /** Default `train`. */
  split?: Split;
  /** How the dataset's pictures are brought to the size of those given. Default `contain` on white, as codecs do. */
  resize?: 'cover' | 'contain' | 'fill';
  background?: [number, number, number];
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** The nearest picture of a dataset. */
export interface Neighbor {
  key: string;
  /** Its first caption; empty without one. */
  caption: string;
  /** At the size of the picture it is near to. */
  image: Image;
  /** Mean squared difference of pixels in [-1, 1]. */
  mse: number;
}

const BATCH = 256;

/**
 * Finds for each picture the one of a dataset with the least mean squared difference of pixels. Pictures that do not
 * decode are passed over.
 *
 * @param images of one size and one number of channels.
 * @throws {UsageError} E_NEIGHBORS without pictures. @throws {InputError} E_DATA_EMPTY, and for a dataset
 * that cannot be opened.
 */
export async function nearestNeighbors(
  images: readonly Image[],
  data: DataSource,
  options: NeighborOptions = {},
): Promise<Neighbor[]> {
  checkImages('nearestNeighbors', images);
  if (images.length === 0)
    throw new UsageError('E_NEIGHBORS', 'nearestNeighbors: expected at least one picture, received none.');
  return withDataset(data, options, (dataset) => search(images, dataset, options));
}

async function search(
  images: readonly Image[],
  dataset: Dataset,
  { split = 'train', resize = 'contain', background, signal, onProgress }: NeighborOptions,
): Promise<Neighbor[]> {
  const { width, height, channels } = images[0]!;
  const size = height * width * channels;
  const wanted = tf.tensor2d(toFloat32(images), [images.length, size]);
  const nearest = compile(nearestRows, { name: 'nearest_rows' });
  const best: (Omit<Neighbor, 'image'> & { pixels: Float32Array })[] = [];
  let done = 0;
  try {
    const batches = evalBatches(dataset, split, {
      batchSize: BATCH,
      size: { width, height },
      channels,
      background,
      resize,
      pad: true,
      signal,
      onBad: () => undefined,
    });
    for await (const { pixels, count, keys, captions } of batches) {
      const rows = tf.tensor2d(pixels, [BATCH, size]);
      const counted = tf.scalar(count, 'int32');
      const found = await nearest(wanted, rows, counted);
      const [places, distances] = [hostValues(found.places), hostValues(found.distances)];
      for (let i = 0; i < images.length; i++) {
        const place = places[i]!;
        const mse = distances[i]! / size;
        if (count === 0 || mse >= (best[i]?.mse ?? Infinity)) continue;
        best[i] = {
          key: keys[place]!,
          caption: captions[place]![0] ?? '',
          mse,
          pixels: pixels.slice(place * size, (place + 1) * size),
        };
      }
      tf.dispose([rows, counted, found.places, found.distances]);
      done += BATCH;
      onProgress?.(Math.min(done, dataset.size(split)), dataset.size(split));
    }
  } finally {
    wanted.dispose();
    await nearest.dispose();
  }
  if (best.length === 0)
    throw new InputError(
      'E_DATA_EMPTY',
      `${dataset.source}: expected pictures in the ${split} split to compare with, found none that decodes.`,
    );
  return best.map(({ pixels, ...neighbor }) => ({
    ...neighbor,
    image: fromFloat32(pixels, [1, height, width, channels])[0]!,
  }));
}

/** For each row of `a` [N, D] the place of the nearest of the first `count` rows of `b` [M, D], and its squared distance. */
function nearestRows(a: tf.Tensor2D, b: tf.Tensor2D, count: tf.Scalar): { places: tf.Tensor; distances: tf.Tensor } {
  const squares = tf.add(tf.sum(tf.square(a), 1, true), tf.sum(tf.square(b), 1)); // [N, M]
  const distances = tf.sub(squares, tf.mul(tf.matMul(a, b, false, true), 2));
  const real = tf.less(tf.range(0, b.shape[0], 1, 'int32'), count);
  const bounded = tf.where(tf.broadcastTo(real, distances.shape), distances, tf.fill(distances.shape, Infinity));
  return { places: tf.argMin(bounded, 1), distances: tf.min(bounded, 1) };
}
