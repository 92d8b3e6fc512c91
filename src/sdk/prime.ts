// The beginning of a sample, for priors to continue.
import { expectOptions } from '../arguments.js';
import type { ModelCard } from '../checkpoint/card.js';
import { UsageError } from '../errors.js';
import { fullMedium } from '../media/node.js';
import { priorFamily } from '../registry.js';
import type { LoadedCodec } from './codec.js';
import { expectCodecOf } from './prior.js';
import { readSample } from './read-sample.js';
import type { SampleSource } from './read-sample.js';
import { expectModelSource, priorCard, withCodecOf } from './sources.js';
import type { CodecSource, PriorSource } from './sources.js';

export interface PrimeOptions {
  prior: PriorSource;
  /** Default: the codec that the prior carries. */
  codec?: CodecSource;
  /** The sample to continue. */
  sample: SampleSource;
  /** Number of positions to keep along the first axis: rows of codes of an image. Default: half of them. */
  rows?: number;
}

/**
 * Encodes a sample at the extent of the prior's and keeps its first rows of codes, as `prime` of the sampling options.
 *
 * @returns int32 [rows, ...further axes, levels], row-major.
 * @throws {UsageError} E_PRIME unless there are more rows than that. @throws {InputError} for a file that cannot be decoded.
 * @throws {CorruptError} E_CODEC_MISMATCH for a codec the prior was not trained for.
 */
export async function primeCodes(options: PrimeOptions): Promise<Int32Array> {
  expectOptions('primeCodes', options, { known: ['prior', 'codec', 'sample', 'rows'] });
  const { prior, codec, ...prime } = options;
  expectModelSource('primeCodes: prior', prior, 'prior');
  if (codec !== undefined) expectModelSource('primeCodes: codec', codec, 'codec');
  const card = priorCard(prior);
  rowsOf(card, prime.rows);
  return withCodecOf(prior, codec, {}, (opened) => beginningOf(card, opened, prime));
}

/** The grid of the prior's first map, and how many of its rows are kept. */
function rowsOf(card: ModelCard, rows: number | undefined): { grid: readonly number[]; kept: number } {
  const family = priorFamily(card.name);
  const { grid } = family.maps(family.parseConfig(card.config))[0]!;
  const [length] = grid as [number];
  const kept = rows ?? Math.floor(length / 2);
  if (!Number.isInteger(kept) || kept < 1 || kept >= length)
    throw new UsageError(
      'E_PRIME',
      `prime rows: expected 1 to ${length - 1} of the ${length} rows of codes, received ${kept}.`,
    );
  return { grid, kept };
}

/** The first rows of codes of a sample, as {@link primeCodes} returns them. */
export async function beginningOf(
  card: ModelCard,
  codec: LoadedCodec,
  { sample, rows }: Pick<PrimeOptions, 'sample' | 'rows'>,
): Promise<Int32Array> {
  const { grid, kept } = rowsOf(card, rows);
  expectCodecOf(card, codec.fingerprint);
  const medium = fullMedium(codec.kind);
  const own = codec.maps()[0]!.grid;
  // A codec of any extent could take a sample of another, whose codes would be more or fewer than the prior's.
  const extent = medium
    .itemShape(codec.input)
    .slice(0, -1)
    .map((positions, axis) => (positions / own[axis]!) * grid[axis]!);
  const fitted = await readSample(sample, { medium, input: medium.withExtent(codec.input, extent) });
  const { ids } = (await codec.encode(fitted)).maps[0]!;
  return Int32Array.from(ids.subarray(0, (ids.length / grid[0]!) * kept));
}
