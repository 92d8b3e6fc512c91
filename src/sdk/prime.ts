// The beginning of a picture, for priors to complete.
import { UsageError } from '../errors.js';
import { readFile } from '../files.js';
import type { Image } from '../interfaces/index.js';
import { decodeImage } from '../media/image.js';
import { loadCodec } from './models.js';

export interface PrimeOptions {
  /** Model directory of the codec, or of a prior that carries it. */
  codec: string;
  /** Path of a PNG, JPEG or WebP, or a decoded picture. */
  picture: string | Image;
  /** Rows of codes to keep. Default: the upper half. */
  rows?: number;
}

/**
 * Encodes a picture and keeps its top rows of codes, as `prime` of the sampling options.
 *
 * @returns int32 [rows * W], row-major.
 * @throws {UsageError} E_PRIME when there are not more rows than that. @throws {InputError} for a picture that does not decode.
 */
export async function primeCodes({ codec: directory, picture, rows }: PrimeOptions): Promise<Int32Array> {
  const image = typeof picture === 'string' ? await decodeImage(readFile(picture), picture) : picture;
  const codec = await loadCodec(directory);
  try {
    const { shape, ids } = (await codec.encode(image)).maps[0]!;
    const [height, width] = shape as [number, number];
    const kept = rows ?? Math.floor(height / 2);
    if (!Number.isInteger(kept) || kept < 1 || kept >= height) {
      throw new UsageError('E_PRIME', `--prime-rows: expected 1 to ${height - 1} of the ${height} rows of codes, received ${kept}.`);
    }
    return Int32Array.from(ids.subarray(0, kept * width));
  } finally {
    codec.dispose();
  }
}
