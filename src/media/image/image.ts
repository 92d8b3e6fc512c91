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
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

import sharp, { type ResizeOptions as SharpResize, type Sharp } from 'sharp';

import { InputError, UsageError, firstLineOf } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { decodeBmp } from './bmp.js';
import { checkImage } from './check.js';
import { MAX_AVIF_PIXELS, checkImageFile, hasMoreImages, pngSize } from './complete.js';
import { LARGE, MAX_PIXELS, WHITE, checkDecodeOptions, imageTo, useLargeResizer } from './fit.js';
import type { DecodeOptions, ResizeOptions } from './fit.js';
import { tidyJpeg, walkJpeg, withoutPadding } from './jpeg.js';
import { decodePlainPng, type Samples } from './png.js';
import { flatten, withChannels } from './pixels.js';
import type { Color } from './resample.js';
import type { ImageFormat } from './sniff.js';
import { firstPage } from './tiff.js';

// libvips has loaders for dozens of formats. Only these may read files of a dataset.
const LOADED = ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}Buffer`);
const LOADERS = 'tesserae.loaders';
// The block applies to the process. A thread that blocked again would take the loaders from the others for a moment.
if (getEnvironmentData(LOADERS) === undefined) {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: LOADED });
  setEnvironmentData(LOADERS, 'blocked');
}
// Every image is decoded once, so libvips' operation cache would only take memory.
sharp.cache(false);

/** A decoded image, and what it was before it was resized. */
export interface Decoded {
  image: Image;
  original: { kind: 'image'; width: number; height: number; channels: 1 | 3 };
  /** Set for the first frame or page of several. */
  oneOfSeveral?: true;
}

/**
 * Decodes a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF: upright by EXIF, 8 bits a channel, sRGB, alpha flattened on the background.
 *
 * @param bytes  the encoded file; of several frames or pages it gives the first.
 * @param source names the file in errors.
 * @returns uint8 [height, width, channels]; exactly the decoded pixels when no resizing is needed.
 * @throws {InputError} E_IMAGE_EMPTY, E_IMAGE_FORMAT, E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT, E_IMAGE_TOO_LARGE.
 * @throws {UsageError} E_IMAGE_OPTIONS.
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
  const decoded = await decodeByLibvips(bytes, format, options).catch((error: unknown) => {
    throw decodeError(error, source, format === 'avif' ? Math.min(maxPixels, MAX_AVIF_PIXELS) : maxPixels);
  });
  return { ...decoded, ...several };
}

/** Decodes plain small PNGs, and BMPs, which libvips does not read. */
function decodePlain(bytes: Uint8Array, format: ImageFormat, source: string, maxPixels: number): Samples | undefined {
  if (format === 'bmp') return decodeBmp(bytes, source, maxPixels);
  return format === 'png' ? decodePlainPng(bytes, Math.min(maxPixels, LARGE)) : undefined;
}

/** Decodes by libvips. A JPEG gets a second chance without the padding that some cameras write after a scan. */
async function decodeByLibvips(bytes: Uint8Array, format: ImageFormat, options: DecodeOptions): Promise<Decoded> {
  if (format === 'avif')
    return runLibvips(asStillAvif(bytes), format, {
      ...options,
      maxPixels: Math.min(options.maxPixels ?? MAX_PIXELS, MAX_AVIF_PIXELS),
    });
  if (format === 'tiff') return runLibvips(firstPage(bytes), format, options);
  if (format !== 'jpeg') return runLibvips(bytes, format, options);
  const tidy = tidyJpeg(bytes, walkJpeg(bytes));
  try {
    return await runLibvips(tidy, format, options);
  } catch (error) {
    for (const shorter of withoutPadding(tidy, walkJpeg(tidy), firstLineOf(error))) {
      const decoded = await runLibvips(shorter, format, options).catch(() => undefined);
      if (decoded) return decoded;
    }
    throw error;
  }
}

async function runLibvips(bytes: Uint8Array, format: ImageFormat, options: DecodeOptions): Promise<Decoded> {
  const { background = WHITE, size, resize, kernel, maxPixels = MAX_PIXELS } = options;
  const open = (): Sharp => sharp(bytes, { failOn: 'warning', limitInputPixels: maxPixels }).autoOrient();
  const own = size && (await sizeIfLarge(open, bytes, format));
  if (!own) return fitted(await rawImage(open(), background), options);
  const image = await rawImage(
    open()
      .flatten({ background: cssColor(background) })
      .resize(resizing({ ...size, resize, kernel, background })),
    background,
  );
  return {
    image: withChannels(image, options.channels ?? 3),
    original: { kind: 'image', ...own, channels: image.channels },
  };
}

/** libvips expects the brand of a single image. A sequence stores its first image in the same way. */
function asStillAvif(bytes: Uint8Array): Uint8Array {
  const still = Uint8Array.from(bytes);
  still.set([0x61, 0x76, 0x69, 0x66], 8); // avif
  return still;
}

/** Upright width and height of an image that libvips should resize. */
async function sizeIfLarge(
  open: () => Sharp,
  bytes: Uint8Array,
  format: ImageFormat,
): Promise<{ width: number; height: number } | undefined> {
  // Asking libvips takes a tenth of the time that a small PNG needs in total.
  const isLarge = ({ width, height }: { width: number; height: number }): boolean => width * height > LARGE;
  if (format === 'png' && !isLarge(pngSize(bytes))) return undefined;
  const { width, height } = (await open().metadata()).autoOrient;
  return isLarge({ width, height }) ? { width, height } : undefined;
}

/** Brings a decoded image to the wanted size and channels. */
async function fitted(image: Image, options: DecodeOptions): Promise<Decoded> {
  const { width, height, channels } = image;
  return { image: await imageTo(image, options), original: { kind: 'image', width, height, channels } };
}

/** Encodes an image as PNG; equal pixels give equal bytes. */
export async function encodePng(image: Image): Promise<Uint8Array> {
  checkImage('encodePng', image);
  return fromPixels(image).png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
}

function fromPixels(image: Image): Sharp {
  const { width, height, channels, pixels } = image;
  return sharp(pixels, { raw: { width, height, channels } });
}

useLargeResizer(async (image, options) =>
  withChannels(
    await rawImage(fromPixels(image).resize(resizing(options)), options.background ?? WHITE),
    image.channels,
  ),
);

function resizing(options: ResizeOptions): SharpResize {
  const { width, height, resize = 'cover', kernel = 'lanczos3', background = WHITE } = options;
  return { width, height, fit: resize, kernel, background: cssColor(background) };
}

/** Runs a pipeline to sRGB pixels of 8 bits. */
async function rawImage(pipeline: Sharp, background: Color): Promise<Image> {
  const { data, info } = await pipeline
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  return opaque(
    { width, height, channels, values: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
    background,
  );
}

/** RGB, without alpha. */
function opaque({ width, height, channels, values }: Samples, background: Color): Image {
  if (channels === 1 || channels === 3)
    return withChannels({ kind: 'image', width, height, channels, pixels: values }, 3);
  return { kind: 'image', width, height, channels: 3, pixels: flatten(values, channels - 1, background) };
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

function cssColor([r, g, b]: Color): { r: number; g: number; b: number } {
  return { r, g, b };
}
