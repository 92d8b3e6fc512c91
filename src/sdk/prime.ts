// The beginning of a picture, for priors to complete.
import { UsageError } from '../errors.js';
import { readFile } from '../files.js';
import type { Image } from '../interfaces/index.js';
import { decodeImage, imageTo } from '../media/image.js';
import { loadCodec, loadPrior } from './models.js';

export interface PrimeOptions {
  /** Model directory of the prior. */
  prior: string;
  /** Model directory of the codec. Default: the one the prior carries. */
  codec?: string;
  /** Path of a PNG, JPEG or WebP, or a decoded picture. */
  picture: string | Image;
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
export async function primeCodes({ prior: directory, codec: codecDirectory, picture, rows }: PrimeOptions): Promise<Int32Array> {
  const prior = await loadPrior(directory);
  const [height, width] = prior.maps[0]!.shape as [number, number];
  prior.dispose();
  const kept = rows ?? Math.floor(height / 2);
  if (!Number.isInteger(kept) || kept < 1 || kept >= height) {
    throw new UsageError('E_PRIME', `--prime-rows: expected 1 to ${height - 1} of the ${height} rows of codes, received ${kept}.`);
  }
  const codec = await loadCodec(codecDirectory ?? directory);
  try {
    prior.assertCodec(codec.fingerprint);
    const { input } = codec;
    const [rowsOfOwn, columnsOfOwn] = codec.maps()[0]!.shape as [number, number];
    // A codec of any size could take a picture of another, whose codes would be more or fewer than the prior's.
    const size = { height: (input.height / rowsOfOwn) * height, width: (input.width / columnsOfOwn) * width };
    const decoding = { channels: input.channels, background: input.background, size, resize: input.resize === 'none' ? ('cover' as const) : input.resize };
    const image = typeof picture === 'string' ? await decodeImage(readFile(picture), picture, decoding) : await imageTo(picture, decoding);
    const { ids } = (await codec.encode(image)).maps[0]!;
    return Int32Array.from(ids.subarray(0, kept * width));
  } finally {
    codec.dispose();
  }
}
