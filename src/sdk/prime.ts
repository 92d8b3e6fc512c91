// The beginning of a picture, for priors to complete.
import { readModelCard } from '../checkpoint/model.js';
import { UsageError } from '../errors.js';
import { priorFamily } from '../registry.js';
import { assertCodecOf } from './open.js';
import { loadCodec } from './models.js';
import { readPicture, sized } from './read-picture.js';
import type { Picture } from './read-picture.js';

export interface PrimeOptions {
  /** Model directory of the prior. */
  prior: string;
  /** Model directory of the codec. Default: the one the prior carries. */
  codec?: string;
  picture: Picture;
  /** Rows of codes to keep. Default: the upper half. */
  rows?: number;
}

/**
 * Encodes a picture at the size of the prior's and keeps its top rows of codes, as `prime` of the sampling options.
 *
 * @returns int32 [rows * W], row-major.
 * @throws {UsageError} E_PRIME when there are not more rows than that. @throws {InputError} for a picture that does not decode.
 * @throws {CorruptError} E_CODEC_MISMATCH for a codec the prior was not trained for.
 */
export async function primeCodes({
  prior: directory,
  codec: codecDirectory,
  picture,
  rows,
}: PrimeOptions): Promise<Int32Array> {
  const card = readModelCard(directory, { kind: 'prior' });
  const family = priorFamily(card.name);
  const [height, width] = family.maps(family.parseConfig(card.config))[0]!.grid as [number, number];
  const kept = rows ?? Math.floor(height / 2);
  if (!Number.isInteger(kept) || kept < 1 || kept >= height) {
    throw new UsageError(
      'E_PRIME',
      `--prime-rows: expected 1 to ${height - 1} of the ${height} rows of codes, received ${kept}.`,
    );
  }
  const codec = await loadCodec(codecDirectory ?? directory);
  try {
    assertCodecOf(card, codec.fingerprint);
    const { input } = codec;
    const [rowsOfOwn, columnsOfOwn] = codec.maps()[0]!.grid as [number, number];
    // A codec of any size could take a picture of another, whose codes would be more or fewer than the prior's.
    const size = { height: (input.height / rowsOfOwn) * height, width: (input.width / columnsOfOwn) * width };
    const image = await readPicture(picture, sized({ ...input, ...size }));
    const { ids } = (await codec.encode(image)).maps[0]!;
    return Int32Array.from(ids.subarray(0, kept * width));
  } finally {
    codec.dispose();
  }
}
