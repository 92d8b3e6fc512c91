// Decodes and encodes images. sharp (libvips) decodes files and resizes large images, except for plain small PNGs and BMPs. This
// module decides which files are accepted, and says in one line why others are not.
//
// How each kind of file is handled; see test/media/image/modes.test.ts:
// - 16 bits a sample: the high byte. 1, 2 and 4 bits: spread over 0..255.
// - Palette: its colors. Gray: three equal channels, or one where one is asked for.
// - Alpha, or a color declared transparent: flattened on the background, which is white by default.
// - EXIF orientation, in JPEG, PNG and WebP: applied. Sizes are those of the upright image.
// - Color profile (ICC): converted to sRGB. Without one, samples are read as sRGB, whatever the gamma of a PNG says.
// - CMYK JPEG: converted to sRGB by the embedded profile, or by libvips' own for print.
// - Animation (APNG, GIF, WebP, AVIF) and pages (TIFF): the first, and `Decoded.oneOfSeveral` says so.
// - BMP: uncompressed. TIFF: of whole numbers up to 16 bits, up to four a pixel.
// - Any other format: refused by name, E_IMAGE_FORMAT. Truncated files and files with warnings: refused. Two mistakes of cameras
//   are corrected first (see jpeg.ts).
import { EngineError, InputError, UsageError, firstLineOf } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { decodeBmp } from './bmp.js';
import { checkImage } from './check.js';
import { MAX_AVIF_PIXELS, checkImageFile, hasMoreImages } from './complete.js';
import { fitted, opaque } from './decoded.js';
import type { Decoded } from './decoded.js';
import { LARGE, MAX_PIXELS, WHITE, checkDecodeOptions, useLargeResizer } from './fit.js';
import type { DecodeOptions } from './fit.js';
import './loaders.js';
import { decodePlainPng, type Samples } from './png.js';
import type { ImageFormat } from './sniff.js';

/**
 * Decodes a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF: upright by EXIF, 8 bits a channel, sRGB, alpha flattened on the background.
 *
 * @param bytes  the encoded file; of several frames or pages it gives the first.
 * @param source names the file in errors.
 * @returns uint8 [height, width, channels]; exactly the decoded pixels when no resizing is needed.
 * @throws {InputError} E_IMAGE_EMPTY, E_IMAGE_FORMAT, E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT, E_IMAGE_TOO_LARGE.
 * @throws {UsageError} E_IMAGE_OPTIONS. @throws {EngineError} E_SHARP.
 */
export async function decodeImage(bytes: Uint8Array, source: string, options: DecodeOptions = {}): Promise<Image> {
  return (await decodeWithOriginal(bytes, source, options)).image;
}

/** Like {@link decodeImage}, but also returns the image's own size. */
export async function decodeWithOriginal(
  bytes: Uint8Array,
  source: string,
  options: DecodeOptions = {},
): Promise<Decoded> {
  const { background = WHITE, maxPixels = MAX_PIXELS } = options;
  if (!(bytes instanceof Uint8Array))
    throw new UsageError(
      'E_IMAGE_OPTIONS',
      `${source}: expected the bytes of a file in a Uint8Array, received ${typeof bytes}.`,
    );
  checkDecodeOptions(options);
  const format = checkImageFile(bytes, source);
  const several = hasMoreImages(bytes, format) ? { oneOfSeveral: true as const } : {};
  const plain = decodePlain(bytes, format, source, maxPixels);
  if (plain) return { ...(await fitted(opaque(plain, background), options)), ...several };
  const { decode } = await libvips();
  const decoded = await decode(bytes, format, options).catch((error: unknown) => {
    throw decodeError(error, source, format === 'avif' ? Math.min(maxPixels, MAX_AVIF_PIXELS) : maxPixels);
  });
  return { ...decoded, ...several };
}

/** Decodes plain small PNGs, and BMPs, which libvips does not read. */
function decodePlain(bytes: Uint8Array, format: ImageFormat, source: string, maxPixels: number): Samples | undefined {
  if (format === 'bmp') return decodeBmp(bytes, source, maxPixels);
  return format === 'png' ? decodePlainPng(bytes, Math.min(maxPixels, LARGE)) : undefined;
}

/** Encodes an image as PNG; equal pixels give equal bytes. */
export async function encodePng(image: Image): Promise<Uint8Array> {
  checkImage('encodePng', image);
  return (await libvips()).encode(image, 'png');
}

/** Encodes an image as PNG, as JPEG of high quality, or as lossless WebP; equal pixels give equal bytes. */
export async function encodeImage(image: Image, format: 'png' | 'jpeg' | 'webp'): Promise<Uint8Array> {
  checkImage('encodeImage', image);
  return (await libvips()).encode(image, format);
}

useLargeResizer(async (image, options) => (await libvips()).resize(image, options));

let loading: ReturnType<typeof loadLibvips> | undefined;

const libvips = (): ReturnType<typeof loadLibvips> => (loading ??= loadLibvips());

/** @throws {EngineError} E_SHARP where the package cannot be loaded. */
async function loadLibvips() {
  try {
    return await import('./libvips.js');
  } catch (error) {
    throw new EngineError(
      'E_SHARP',
      `images: expected the package sharp, which could not be loaded (${firstLineOf(error)}). Install it again with its optional dependencies: npm install --include=optional sharp.`,
      { cause: error },
    );
  }
}

function decodeError(error: unknown, source: string, maxPixels: number): InputError {
  const reason = firstLineOf(error);
  if (/pixel limit|dimensions exceed|too large/i.test(reason)) {
    return new InputError(
      'E_IMAGE_TOO_LARGE',
      `${source}: expected at most ${maxPixels} pixels (${reason}). Shrink it first.`,
      {
        cause: error,
      },
    );
  }
  return new InputError('E_IMAGE_CORRUPT', `${source}: the image cannot be decoded (${reason}).`, { cause: error });
}
