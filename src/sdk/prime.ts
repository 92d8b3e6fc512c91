// The beginning of a sample, for priors to continue.
import { expectOptions } from '../arguments.js';
import { readModelCard } from '../checkpoint/model.js';
import { UsageError } from '../errors.js';
import { fullMedium } from '../media/node.js';
import { priorFamily } from '../registry.js';
import { expectCodecOf } from './prior.js';
import { loadCodec } from './models.js';
import { readSample } from './read-sample.js';
import type { SampleSource } from './read-sample.js';

export interface PrimeOptions {
  /** Model directory of the prior. */
  prior: string;
  /** Model directory of the codec. Default: the one the prior carries. */
  codec?: string;
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
  expectOptions('primeCodes', options, { paths: ['prior'] });
  const { prior: directory, codec: codecDirectory, sample, rows } = options;
  const card = readModelCard(directory, { kind: 'prior' });
  const family = priorFamily(card.name);
  const { grid } = family.maps(family.parseConfig(card.config))[0]!;
  const [length] = grid as [number];
  const kept = rows ?? Math.floor(length / 2);
  if (!Number.isInteger(kept) || kept < 1 || kept >= length) {
    throw new UsageError(
      'E_PRIME',
      `--prime-rows: expected 1 to ${length - 1} of the ${length} rows of codes, received ${kept}.`,
    );
  }
  const codec = await loadCodec(codecDirectory ?? directory);
  try {
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
    return Int32Array.from(ids.subarray(0, (ids.length / length) * kept));
  } finally {
    codec.dispose();
  }
}
