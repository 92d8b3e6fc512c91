// Images of a canvas: four bytes a pixel, as `ImageData` holds them.
import { shown } from '../../arguments.js';
import { ShapeError } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { checkImage } from './check.js';
import { WHITE } from './fit.js';
import { flatten, withChannels } from './pixels.js';
import type { Color } from './resample.js';

/** What `ImageData` has: `data` is uint8 [height, width, 4], red, green, blue and alpha, not premultiplied. */
export interface RgbaImage {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/**
 * Converts the pixels of a canvas to an image.
 *
 * @param background shows through transparent pixels, 0..255. Default white.
 * @returns RGB.
 * @throws {ShapeError} E_IMAGE_SHAPE when `data` does not have four values for each pixel.
 */
export function fromRgba(image: RgbaImage, background: Color = WHITE): Image {
  const { width = NaN, height = NaN, data } = image ?? {};
  if (!ArrayBuffer.isView(data) || data.length !== width * height * 4)
    throw new ShapeError(
      'E_IMAGE_SHAPE',
      Number.isNaN(width * height)
        ? `fromRgba: expected the ImageData of a canvas, received ${shown(image)}.`
        : `fromRgba: expected ${width} x ${height} x 4 values, received ${data?.length ?? 'none'}. Pass the ImageData of a canvas.`,
    );
  const pixels = flatten(new Uint8Array(data.buffer, data.byteOffset, data.length), 3, background);
  return { kind: 'image', width, height, channels: 3, pixels };
}

/** Converts an image to the pixels of a canvas, opaque: `new ImageData(toRgba(image), image.width)`. */
export function toRgba(image: Image): Uint8ClampedArray<ArrayBuffer> {
  checkImage('toRgba', image);
  const { pixels } = withChannels(image, 3);
  const rgba = new Uint8ClampedArray((pixels.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) rgba.set(pixels.subarray(from, from + 3), to);
  return rgba;
}
