// Finds the most similar samples of a dataset, which reveals memorized samples.
import { evalBatches } from '../data/batches.js';
import type { BatchInput } from '../data/batches.js';
import { compile, hostValues, tf } from '../engine/index.js';
import { InputError, UsageError } from '../errors.js';
import type { Dataset, Media, Split } from '../interfaces/index.js';
import { floatsOf, samplesFrom } from '../media/floats.js';
import type { AnyMedium } from '../media/medium.js';
import { mediumOfSamples } from '../media/node.js';
import { sameShape, sizeOf } from '../shape.js';
import { withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';

export interface NeighborOptions extends DataOptions {
  /** Default `train`. */
  split?: Split;
  /**
   * How the dataset's samples are brought to the extent of the given ones, in the medium's terms: `{ resize: 'cover' }`.
   * Default: the medium's choice, which pads images on white.
   */
  input?: Record<string, unknown>;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** The nearest sample of a dataset. */
export interface Neighbor<M extends Media = Media> {
  key: string;
  /** Its first caption; empty without one. */
  caption: string;
  /** The sample, brought to the extent of the given one. */
  media: M;
  /** Mean squared difference of values in about [-1, 1]. */
  mse: number;
}

const BATCH = 256;

/**
 * Finds for each sample the one of a dataset with the least mean squared difference of values. Samples that cannot be decoded
 * are skipped.
 *
 * @param samples of one medium, extent and number of channels.
 * @throws {UsageError} E_MEDIA without samples or for samples of several shapes. @throws {InputError} E_DATA_EMPTY, and for a
 *   dataset that cannot be opened.
 */
export async function nearestNeighbors<M extends Media>(
  samples: readonly M[],
  data: DataSource,
  options: NeighborOptions = {},
): Promise<Neighbor<M>[]> {
  const medium = checkedMedium(samples);
  const input = { ...medium.inputLike(samples[0]), ...options.input };
  return withDataset(data, { ...options, medium: medium.name }, (dataset) =>
    search(samples, dataset, { medium, input }, options),
  );
}

/** The medium of samples of one shape. */
function checkedMedium(samples: readonly Media[]): AnyMedium {
  const medium = mediumOfSamples('nearestNeighbors', samples);
  const [first = [], ...others] = samples.map((sample) => medium.samplesOf(sample).shape);
  const other = others.findIndex((shape) => !sameShape(shape, first));
  if (other >= 0)
    throw new UsageError(
      'E_MEDIA',
      `nearestNeighbors[${other + 1}]: expected the shape of the first sample, [${first.join(', ')}], received [${others[other]!.join(', ')}].`,
    );
  return medium;
}

async function search<M extends Media>(
  samples: readonly M[],
  dataset: Dataset,
  { medium, input }: BatchInput,
  { split = 'train', signal, onProgress }: NeighborOptions,
): Promise<Neighbor<M>[]> {
  const itemShape = medium.itemShape(input);
  const size = sizeOf(itemShape);
  const wanted = tf.tensor2d(floatsOf(medium, samples), [samples.length, size]);
  const nearest = compile(nearestRows, { name: 'nearest_rows' });
  const best: (Omit<Neighbor, 'media'> & { values: Float32Array })[] = [];
  let done = 0;
  try {
    const batches = evalBatches(dataset, split, {
      batchSize: BATCH,
      medium,
      input,
      pad: true,
      signal,
      onBad: () => undefined,
    });
    for await (const { values, count, keys, captions } of batches) {
      const rows = tf.tensor2d(values, [BATCH, size]);
      const counted = tf.scalar(count, 'int32');
      const found = await nearest(wanted, rows, counted);
      const [places, distances] = [hostValues(found.places), hostValues(found.distances)];
      for (let i = 0; i < samples.length; i++) {
        const place = places[i]!;
        const mse = distances[i]! / size;
        if (count === 0 || mse >= (best[i]?.mse ?? Infinity)) continue;
        best[i] = {
          key: keys[place]!,
          caption: captions[place]![0] ?? '',
          mse,
          values: values.slice(place * size, (place + 1) * size),
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
      `${dataset.source}: expected ${medium.noun.many} in the ${split} split to compare with, found none that can be decoded.`,
    );
  return best.map(({ values, ...neighbor }) => ({
    ...neighbor,
    media: samplesFrom<M>(medium, input, values, [1, ...itemShape])[0]!,
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
