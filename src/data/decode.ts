// Decodes a sample. This is everything a worker needs from a dataset.
import { InputError, ShapeError } from '../errors.js';
import type { RawSample, Sample } from '../interfaces/dataset.js';
import type { Media, MediaInfo } from '../interfaces/media.js';
import type { AnyMedium } from '../media/medium.js';
import { expectFinite } from '../media/samples.js';
import { vary } from './augment.js';

/** A sample with what its media were before they were fitted. */
export type DecodedSample = Sample & { original: MediaInfo };

/**
 * Decodes a raw sample of a dataset.
 *
 * @param input what the codec sees; without it, the sample keeps its own size.
 * @throws {InputError} naming the sample's source, or the reason why its file could not be read.
 */
export async function decodeSample<I>(raw: RawSample, medium: AnyMedium, input?: I): Promise<DecodedSample> {
  const { key, captions, label, variation } = raw;
  const { media: plain, original } = await decoded(raw, medium, input);
  const media = variation ? vary({ media: plain, medium, input }, variation) : plain;
  return label === undefined ? { key, media, original, captions } : { key, media, original, captions, label };
}

async function decoded<I>(
  { content, source }: RawSample,
  medium: AnyMedium,
  input: I | undefined,
): Promise<{ media: Media; original: MediaInfo }> {
  if ('failure' in content) throw new InputError(content.failure.code, content.failure.detail);
  try {
    const sample =
      'bytes' in content
        ? await medium.files.decode(content.bytes, source, input)
        : {
            media: input === undefined ? content.media : await medium.fit(content.media, input),
            original: medium.info(content.media),
          };
    expectFinite(source, medium.samplesOf(sample.media));
    return sample;
  } catch (error) {
    // A sample that does not fit the codec is a bad sample like one that cannot be decoded.
    if (error instanceof ShapeError) throw new InputError(error.code, `${source}: ${error.detail}`, { cause: error });
    throw error;
  }
}
