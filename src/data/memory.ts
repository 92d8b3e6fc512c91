import { UsageError } from '../errors.js';
import type { Dataset, Sample, Split } from '../interfaces/dataset.js';
import { fullMedium } from '../media/node.js';
import { IndexedDataset, type DatasetOptions, type Entry } from './indexed.js';

interface MemoryEntry extends Entry {
  sample: MemorySample;
}

/** A sample in memory. Without captions it has none. */
export interface MemorySample extends Omit<Sample, 'captions'> {
  captions?: string[] | undefined;
  split?: Split | undefined;
}

/**
 * Creates a dataset from decoded samples of one medium. Either all samples specify a split or none does; in the latter case
 * samples are split by their keys.
 *
 * @throws {InputError} E_DATA_EMPTY, E_DATA_DUPLICATE, E_DATA_LABEL.
 * @throws {UsageError} E_DATA_OPTIONS for samples of several media, or with keys or captions that are not texts; E_UNKNOWN_MEDIUM.
 * @throws {ShapeError} for media whose values do not fit their size.
 */
export function memoryDataset(
  samples: readonly MemorySample[],
  options: DatasetOptions & { source?: string } = {},
): Dataset {
  const source = options.source ?? 'memory';
  const medium = fullMedium(options.medium ?? samples[0]?.media?.kind ?? 'image');
  const entries = samples.map((sample, i): MemoryEntry => {
    const { key, captions = [], label, split, media } = sample;
    const fail = (field: string, expected: string, received: unknown): never => {
      throw new UsageError(
        'E_DATA_OPTIONS',
        `memoryDataset(samples[${i}].${field}): expected ${expected}, received ${JSON.stringify(received) ?? 'none'}.`,
      );
    };
    if (typeof key !== 'string' || key === '') fail('key', 'a text that is not empty', key);
    if (!Array.isArray(captions) || captions.some((caption) => typeof caption !== 'string'))
      fail('captions', 'a list of texts', captions);
    if (media?.kind !== medium.name) fail('media', `the kind "${medium.name}"`, media?.kind);
    medium.check(`memoryDataset(samples[${i}].media)`, media);
    return { key, captions, label, split, bytes: medium.samplesOf(media).data.byteLength, sample };
  });
  return new IndexedDataset(
    {
      kind: 'memory',
      medium: medium.name,
      source,
      entries,
      sourceOf: ({ key }) => `${source}:${key}`,
      read: async ({ sample: { media } }) => ({ media }),
    },
    options,
  );
}
