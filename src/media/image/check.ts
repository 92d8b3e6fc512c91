// Checks that what callers pass as an image is one, with as many pixels as its size says.
import { ShapeError } from '../../errors.js';
import type { Image, ImageInfo, Media, MediaInfo } from '../../interfaces/media.js';

/** Whether a sample is an image. */
export const isImage = (media: Media): media is Image => media.kind === 'image';

/**
 * @param where names the argument, e.g. `encode(images[3])`.
 * @throws {ShapeError} E_IMAGE_SHAPE unless width and height are whole, channels 1 or 3, and pixels as many bytes as that makes.
 */
export function checkImage(where: string, image: Image): void {
  const fail = (expected: string, received: string): never => {
    throw new ShapeError('E_IMAGE_SHAPE', `${where}: expected ${expected}, received ${received}.`);
  };
  if (typeof image !== 'object' || image === null || image.kind !== 'image')
    fail('an image, { kind: "image", ... }', describe(image));
  const { width, height, channels, pixels } = image;
  if (![width, height].every((extent) => Number.isInteger(extent) && extent >= 1))
    fail('a width and height of whole pixels from 1 up', `${String(width)} x ${String(height)}`);
  if (channels !== 1 && channels !== 3) fail('1 or 3 channels', String(channels));
  if (!(pixels instanceof Uint8Array)) fail('pixels in a Uint8Array', describe(pixels));
  const length = width * height * channels;
  if (pixels.length !== length) fail(`${length} values for ${width} x ${height} x ${channels}`, `${pixels.length}`);
}

/**
 * Checks what tokens say of the image they stand for.
 *
 * @param where names the argument, e.g. `decode(tokens[3]).media`.
 * @throws {ShapeError} E_TOKENS_SHAPE unless it is an image whose width, height and channels are whole numbers from 1 up.
 */
export function checkImageInfo(where: string, media: MediaInfo): ImageInfo {
  const { kind, width, height, channels } = media;
  if (kind !== 'image') throw new ShapeError('E_TOKENS_SHAPE', `${where}: expected an image, received "${kind}".`);
  for (const [name, extent] of Object.entries({ width, height, channels })) {
    if (typeof extent !== 'number' || !Number.isInteger(extent) || extent < 1 || extent >= 2 ** 31)
      throw new ShapeError(
        'E_TOKENS_SHAPE',
        `${where}.${name}: expected a whole number of at least 1, received ${String(extent)}.`,
      );
  }
  return media as ImageInfo;
}

/** As {@link checkImage} for each of several, naming its place. */
export function checkImages(where: string, images: readonly Image[]): void {
  if (!Array.isArray(images))
    throw new ShapeError('E_IMAGE_SHAPE', `${where}: expected a list of images, received ${describe(images)}.`);
  for (const [i, image] of images.entries()) checkImage(`${where}[${i}]`, image as Image);
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value).slice(0, 40);
  return `an object of ${value.constructor?.name ?? 'no class'}`;
}
