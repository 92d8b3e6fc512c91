// Brings images to a size and a number of channels.
import { expectOptions } from '../../arguments.js';
import { UsageError } from '../../errors.js';
import type { Image } from '../../interfaces/media.js';
import { checkImage } from './check.js';
import { withChannels } from './pixels.js';
import { resample, type Color, type Kernel, type ResizeMode } from './resample.js';

export interface ResizeOptions {
  width: number;
  height: number;
  /** Default `cover`. */
  resize?: ResizeMode;
  /** Default `lanczos3`. */
  kernel?: Kernel;
  /** Color of the padding of `contain`, 0..255. Default white. */
  background?: Color;
}

export interface DecodeOptions {
  /** 1 gray (luminance), 3 RGB. Default 3. */
  channels?: 1 | 3;
  /** Color behind transparent pixels, and of the padding of `contain`, 0..255. Default white. */
  background?: Color;
  /** Size of the result. Default: the image's own. */
  size?: { width: number; height: number };
  /** Default `cover`. */
  resize?: ResizeMode;
  /** Default `lanczos3`. */
  kernel?: Kernel;
  /** Images with more pixels are refused before they are decoded. Default {@link MAX_PIXELS}. */
  maxPixels?: number;
}

/** 8192 x 8192. */
export const MAX_PIXELS = 2 ** 26;

export const WHITE: Color = [255, 255, 255];

/**
 * Images with more pixels are resized by libvips if it is available, which reads no more of a JPEG or WebP than needed.
 */
export const LARGE = 512 * 512;

type Resizer = (image: Image, options: Required<ResizeOptions>) => Promise<Image>;

let resizeLarge: Resizer = async (image, options) => resample(image, options);

/** Registers a function that resizes images of more than {@link LARGE} pixels, instead of {@link resample}. */
export function useLargeResizer(resizer: Resizer): void {
  resizeLarge = resizer;
}

/**
 * Resizes an image. An image that already has the size is returned with the same pixels.
 *
 * @throws {UsageError} E_IMAGE_OPTIONS.
 */
export async function resizeImage(image: Image, options: ResizeOptions): Promise<Image> {
  checkImage('resizeImage', image);
  expectOptions('resizeImage', options, {}, 'E_IMAGE_OPTIONS');
  checkDecodeOptions({ ...options, size: options });
  if (image.width === options.width && image.height === options.height) return image;
  const { resize = 'cover', kernel = 'lanczos3', background = WHITE } = options;
  const complete = { ...options, resize, kernel, background };
  return image.width * image.height <= LARGE ? resample(image, complete) : resizeLarge(image, complete);
}

/** Brings a decoded image to the channels and size of `decodeImage` options. */
export async function imageTo(image: Image, options: DecodeOptions): Promise<Image> {
  checkImage('image', image);
  const { channels = 3, size, resize, kernel, background } = options;
  const sized = size ? await resizeImage(image, { ...size, resize, kernel, background }) : image;
  return withChannels(sized, channels);
}

const RESIZES: readonly ResizeMode[] = ['cover', 'contain', 'fill'];
const KERNELS: readonly Kernel[] = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos3'];

/** @throws {UsageError} E_IMAGE_OPTIONS. */
export function checkDecodeOptions({
  size,
  background = WHITE,
  channels = 3,
  resize = 'cover',
  kernel = 'lanczos3',
  maxPixels = MAX_PIXELS,
}: DecodeOptions): void {
  const fail = (name: string, expected: string, received: unknown): never => {
    throw new UsageError('E_IMAGE_OPTIONS', `${name}: expected ${expected}, received ${String(received)}.`);
  };
  for (const extent of size ? [size.width, size.height] : []) {
    if (!Number.isInteger(extent) || extent < 1 || extent > 16384) fail('size', 'whole pixels from 1 to 16384', extent);
  }
  if (!Array.isArray(background) || background.length !== 3 || !background.every((value) => value >= 0 && value <= 255))
    fail('background', 'three values in 0..255', `[${String(background)}]`);
  if (channels !== 1 && channels !== 3) fail('channels', '1 or 3', channels);
  if (!RESIZES.includes(resize)) fail('resize', RESIZES.join(', '), resize);
  if (!KERNELS.includes(kernel)) fail('kernel', KERNELS.join(', '), kernel);
  if (!(maxPixels >= 1)) fail('maxPixels', 'a number from 1 up', maxPixels);
}
