// What callers hand in as a picture is one: of the sizes it claims, its pixels bytes.
import { ShapeError } from '../errors.js';
import type { Image } from '../interfaces/media.js';

/**
 * @param where names the argument, e.g. `encode(images[3])`.
 * @throws {ShapeError} E_IMAGE_SHAPE unless width and height are whole, channels 1 or 3, and pixels as many bytes as that makes.
 */
export function checkImage(where: string, image: Image): void {
  const fail = (expected: string, received: string): never => {
    throw new ShapeError('E_IMAGE_SHAPE', `${where}: expected ${expected}, received ${received}.`);
  };
  if (typeof image !== 'object' || image === null || image.kind !== 'image')
    fail('a picture, { kind: "image", ... }', describe(image));
  const { width, height, channels, pixels } = image;
  if (![width, height].every((extent) => Number.isInteger(extent) && extent >= 1))
    fail('a width and height of whole pixels from 1 up', `${String(width)} x ${String(height)}`);
  if (channels !== 1 && channels !== 3) fail('1 or 3 channels', String(channels));
  if (!(pixels instanceof Uint8Array)) fail('pixels in a Uint8Array', describe(pixels));
  const length = width * height * channels;
  if (pixels.length !== length) fail(`${length} values for ${width} x ${height} x ${channels}`, `${pixels.length}`);
}

/** As {@link checkImage} for each of several, naming its place. */
export function checkImages(where: string, images: readonly Image[]): void {
  if (!Array.isArray(images))
    throw new ShapeError('E_IMAGE_SHAPE', `${where}: expected a list of pictures, received ${describe(images)}.`);
  for (const [i, image] of images.entries()) checkImage(`${where}[${i}]`, image as Image);
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value).slice(0, 40);
  return `an object of ${value.constructor?.name ?? 'no class'}`;
}
