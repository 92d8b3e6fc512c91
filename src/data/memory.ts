import type { Dataset, Sample, Split } from '../interfaces/dataset.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';

interface MemoryEntry extends Entry {
  sample: Sample;
}

/**
 * Creates a dataset from decoded samples. Either all samples specify a split or none does; in the latter case samples
 * are split by their keys.
 *
 * @throws {InputError} E_DATA_EMPTY, E_DATA_DUPLICATE, E_DATA_LABEL.
 */
export function memoryDataset(
  samples: ReadonlyArray<Sample & { split?: Split }>,
  options: DatasetOptions & { source?: string } = {},
): Dataset {
  const source = options.source ?? 'memory';
  const entries = samples.map((sample): MemoryEntry => {
    const { key, captions, label, split, image } = sample;
    return { key, captions, label, split, bytes: image.pixels.length, sample };
  });
  return new IndexedDataset(
    {
      kind: 'memory',
      source,
      entries,
      sourceOf: ({ key }) => `${source}:${key}`,
      read: async ({ sample: { image } }) => {
        const { width, height, channels } = image;
        return { bytes: image.pixels, pixels: { width, height, channels } };
      },
    },
    options,
  );
}
