// Everything that sharp (libvips) does. It takes longer to load than all else together, so it is loaded when it is needed.
import sharp, { type ResizeOptions as SharpResize, type Sharp } from 'sharp';
import { firstLineOf } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { MAX_AVIF_PIXELS, pngSize } from './complete.js';
import { fitted, opaque } from './decoded.js';
import type { Decoded } from './decoded.js';
import { LARGE, MAX_PIXELS, WHITE } from './fit.js';
import type { DecodeOptions, ResizeOptions } from './fit.js';
import { restrictOnce } from './loaders.js';
import { tidyJpeg, walkJpeg, withoutPadding } from './jpeg.js';
import { withChannels } from './pixels.js';
import type { Color } from './resample.js';
import type { ImageFormat } from './sniff.js';
import { firstPage } from './tiff.js';

// libvips has loaders for dozens of formats. Only these may read files of a dataset. The block applies to the process.
const LOADED = ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}Buffer`);
restrictOnce(() => {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: LOADED });
});
// Every image is decoded once, so libvips' operation cache would only take memory.
sharp.cache(false);

/** Decodes by libvips. A JPEG gets a second chance without the padding that some cameras write after a scan. */
export async function decode(bytes: Uint8Array, format: ImageFormat, options: DecodeOptions): Promise<Decoded> {
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

/** Encodes pixels; equal pixels give equal bytes. JPEG keeps the full resolution of colors, for letters and hard edges. */
export function encode(image: Image, format: 'png' | 'jpeg' | 'webp'): Promise<Uint8Array> {
  const pixels = fromPixels(image);
  if (format === 'jpeg') return pixels.jpeg({ quality: 92, chromaSubsampling: '4:4:4' }).toBuffer();
  if (format === 'webp') return pixels.webp({ lossless: true }).toBuffer();
  return pixels.png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
}

/** Resizes an image to exactly the size of the options. */
export async function resize(image: Image, options: ResizeOptions): Promise<Image> {
  const resized = await rawImage(fromPixels(image).resize(resizing(options)), options.background ?? WHITE);
  return withChannels(resized, image.channels);
}

function fromPixels(image: Image): Sharp {
  const { width, height, channels, pixels } = image;
  return sharp(pixels, { raw: { width, height, channels } });
}

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

function cssColor([r, g, b]: Color): { r: number; g: number; b: number } {
  return { r, g, b };
}
