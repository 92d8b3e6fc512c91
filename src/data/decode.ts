// Decodes the bytes of a sample to its image. This is everything a worker needs from a dataset.
import { InputError } from '../errors.js';
import type { RawSample, Sample } from '../interfaces/dataset.js';
import { decodeWithOriginal, type Decoded } from '../media/image/image.js';
import { imageTo, type DecodeOptions } from '../media/image/fit.js';
import { vary } from './augment.js';

/** A sample with the properties of its image before resizing. */
export type DecodedSample = Sample & Pick<Decoded, 'original'>;

/**
 * Decodes a raw sample of a dataset.
 *
 * @throws {InputError} E_IMAGE_... naming the sample's source, or the reason why its file could not be read.
 */
export async function decodeSample(raw: RawSample, options: DecodeOptions = {}): Promise<DecodedSample> {
  if (raw.failure) throw new InputError(raw.failure.code, raw.failure.detail);
  const { image: plain, original } = await decoded(raw, options);
  const { key, captions, label } = raw;
  const image = raw.variation ? vary(plain, raw.variation) : plain;
  return label === undefined ? { key, image, original, captions } : { key, image, original, captions, label };
}

async function decoded({ bytes, pixels, source }: RawSample, options: DecodeOptions): Promise<Decoded> {
  if (!pixels) return decodeWithOriginal(bytes, source, options);
  return {
    image: await imageTo({ kind: 'image', ...pixels, pixels: bytes }, options),
    original: { kind: 'image', ...pixels },
  };
}
