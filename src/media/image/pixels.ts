// Pixels as bytes, and as the float32 batches that codecs compute with.
import { ShapeError } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { checkImage } from './check.js';
import type { Color } from './resample.js';

/** Converts to the wanted number of channels; gray by Rec. 709 luminance of the sRGB values. */
export function withChannels(image: Image, channels: 1 | 3): Image {
  if (image.channels === channels) return image;
  const count = image.width * image.height;
  const pixels = new Uint8Array(count * channels);
  const source = image.pixels;
  if (channels === 3) {
    for (let i = 0, o = 0; i < count; i++, o += 3) pixels[o] = pixels[o + 1] = pixels[o + 2] = source[i]!;
  } else {
    for (let i = 0, o = 0; i < count; i++, o += 3) {
      pixels[i] = Math.round(0.2126 * source[o]! + 0.7152 * source[o + 1]! + 0.0722 * source[o + 2]!);
    }
  }
  return { ...image, channels, pixels };
}

const UNIT = Float32Array.from({ length: 256 }, (_, value) => value / 127.5 - 1);

/**
 * Packs images of one size into a batch for a codec.
 *
 * @param images B images of equal [H, W, C].
 * @param out    float32 of at least B * H * W * C elements to fill; a new array by default.
 * @returns float32 [B, H, W, C] in [-1, 1]: value / 127.5 - 1.
 * @throws {ShapeError} E_IMAGE_SHAPE when sizes differ or `out` is too small.
 */
export function toFloat32(images: readonly Image[], out?: Float32Array): Float32Array {
  const length = images[0]?.pixels.length ?? 0;
  const batch = out ?? new Float32Array(images.length * length);
  if (batch.length < images.length * length) {
    throw new ShapeError(
      'E_IMAGE_SHAPE',
      `toFloat32(out): expected ${images.length * length} elements, received ${batch.length}.`,
    );
  }
  images.forEach((image, i) => {
    checkImage(`toFloat32(images[${i}])`, image);
    if (!sameSize(image, images[0]!)) {
      throw new ShapeError(
        'E_IMAGE_SHAPE',
        `toFloat32(images[${i}]): expected ${sizeText(images[0]!)} as the first, received ${sizeText(image)}.`,
      );
    }
    pixelsToFloat32(image.pixels, batch, i * length);
  });
  return batch;
}

/** Writes uint8 [n] as float32 in [-1, 1] into `out` from `offset` on. */
export function pixelsToFloat32(pixels: ArrayLike<number>, out: Float32Array, offset: number): void {
  for (let i = 0; i < pixels.length; i++) out[offset + i] = UNIT[pixels[i]!]!;
}

/**
 * Unpacks a batch: values are clamped to [-1, 1] and rounded to the nearest of 256 levels.
 *
 * @param data  float32 [B, H, W, C].
 * @param shape the four extents; C is 1 or 3.
 * @throws {ShapeError} E_IMAGE_SHAPE when they do not fit together.
 */
export function fromFloat32(data: Float32Array, shape: readonly number[]): Image[] {
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  const length = height * width * channels;
  if (shape.length !== 4 || (channels !== 1 && channels !== 3) || data.length < count * length) {
    throw new ShapeError(
      'E_IMAGE_SHAPE',
      `fromFloat32: expected [B, H, W, 1 or 3] with as many values, received [${shape.join(', ')}] and ${data.length} values.`,
    );
  }
  return Array.from({ length: count }, (_, i): Image => {
    const pixels = floatsToPixels(data.subarray(i * length, (i + 1) * length));
    return { kind: 'image', width, height, channels, pixels };
  });
}

/** float32 [n] in [-1, 1] -> uint8 [n]: clamped and rounded to the nearest of 256 levels. */
export function floatsToPixels(values: Float32Array): Uint8Array {
  // A clamped array rounds and clamps in the store itself.
  const pixels = new Uint8ClampedArray(values.length);
  for (let i = 0; i < values.length; i++) pixels[i] = (values[i]! + 1) * 127.5;
  return new Uint8Array(pixels.buffer);
}

function sameSize(a: Image, b: Image): boolean {
  return a.width === b.width && a.height === b.height && a.channels === b.channels;
}

function sizeText(image: Image): string {
  return `${image.width} x ${image.height} x ${image.channels}`;
}

/**
 * Lays pixels over a background.
 *
 * @param pixels uint8 [n, colors + 1], alpha last, not premultiplied; colors is 1 or 3.
 * @returns uint8 [n, 3].
 */
export function flatten(pixels: Uint8Array, colors: number, background: Color): Uint8Array {
  const count = pixels.length / (colors + 1);
  const out = new Uint8Array(count * 3);
  for (let i = 0, from = 0, to = 0; i < count; i++, from += colors + 1, to += 3) {
    const alpha = pixels[from + colors]!;
    for (let c = 0; c < 3; c++) {
      const color = pixels[from + (colors === 3 ? c : 0)]!;
      out[to + c] = (color * alpha + background[c]! * (255 - alpha) + 127) / 255;
    }
  }
  return out;
}
