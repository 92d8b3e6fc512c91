// Reads one sample for a codec, from a file or from memory.
import { UsageError } from '../errors.js';
import { readFile } from '../files/read.js';
import type { Media } from '../interfaces/index.js';
import type { BatchInput } from '../data/batches.js';

/** A path of a file, or a decoded sample. */
export type SampleSource<M extends Media = Media> = string | M;

/**
 * Reads a sample as the codec sees it.
 *
 * @throws {InputError} for a file that cannot be decoded. @throws {UsageError} E_DATA_MEDIUM for a sample of another medium.
 */
export async function readSample<M extends Media>(source: SampleSource<M>, { medium, input }: BatchInput): Promise<M> {
  if (typeof source === 'string') return (await medium.files.decode(readFile(source), source, input)).media;
  if (source?.kind !== medium.name)
    throw new UsageError(
      'E_DATA_MEDIUM',
      `sample: expected a path or the kind "${medium.name}", received ${source === null || typeof source !== 'object' ? typeof source : `"${source.kind}"`}.`,
    );
  medium.check('sample', source);
  return medium.fit(source, input);
}

/** The input for work on samples of one extent: samples that would keep theirs are brought to the codec's own. */
export function sized({ medium, input }: BatchInput): BatchInput {
  const extent = medium.itemShape(input).slice(0, -1);
  return medium.keepsExtent(input) ? { medium, input: medium.withExtent(input, extent) } : { medium, input };
}
