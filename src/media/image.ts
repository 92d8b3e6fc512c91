// Pictures in and out: encoded bytes -> Image -> float32 batches, and back. Decoding, and resizing of large pictures, is
// sharp's (libvips), but for plain small PNGs; this module decides what is let in and says in one line why something is not.
//
// What becomes of each kind of file, tried in test/media/modes.test.ts:
// - 16 bits a sample: the high byte. 1, 2 and 4 bits: spread over 0..255.
// - Palette: its colors. Gray: three equal channels, or one where one is asked for.
// - Alpha, or a color declared transparent: laid over the background, white unless told.
// - EXIF orientation, in JPEG, PNG and WebP: turned upright; sizes are told of the upright picture.
// - Color profile (ICC): converted to sRGB. Without one, and whatever a PNG's gamma says, samples are taken as sRGB.
// - CMYK JPEG: converted to sRGB by the embedded profile, or by libvips' own for print.
// - Animation (APNG, GIF, WebP, AVIF) and pages (TIFF): the first, and `Decoded.oneOfSeveral` says so.
// - BMP: uncompressed. TIFF: of whole numbers up to 16 bits, up to four a pixel.
// - Any other format: refused by name, E_IMAGE_FORMAT. Files cut short or with warnings: refused, never filled up. Two slips of
//   cameras are set right first (see jpeg.ts).
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

import sharp, { type ResizeOptions as SharpResize, type Sharp } from 'sharp';

import { InputError, ShapeError, UsageError, firstLineOf } from '../errors.js';
import type { Image } from '../interfaces/media.js';
import { decodeBmp } from './bmp.js';
import { checkImage } from './check.js';
import { MAX_AVIF_PIXELS, checkPicture, hasMorePictures, pngSize } from './complete.js';
import { tidyJpeg, walkJpeg, withoutPadding } from './jpeg.js';
import { decodePlainPng, type Samples } from './png.js';
import { resample, type Color, type Kernel, type ResizeMode } from './resample.js';
import type { PictureFormat } from './sniff.js';
import { firstPage } from './tiff.js';

export type { Color, Kernel, ResizeMode } from './resample.js';

// libvips links loaders for dozens of formats; only these may ever see a byte of a dataset.
const LOADED = ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}Buffer`);
const SVG_LOADER = 'VipsForeignLoadSvgBuffer';
const LOADERS = 'tesserae.loaders';
// The block holds for the process. A thread that blocked again would take them from the others for a moment.
if (getEnvironmentData(LOADERS) === undefined) {
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: LOADED });
  setEnvironmentData(LOADERS, 'blocked');
}
// Every picture is decoded once and in no order: libvips' operation cache would only hold memory.
sharp.cache(false);

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
  /** What shows through transparent pixels, and the padding of `contain`, 0..255. Default white. */
  background?: Color;
  /** Size of the result; omitted, the picture keeps its own. */
  size?: { width: number; height: number };
  /** Default `cover`. */
  resize?: ResizeMode;
  /** Default `lanczos3`. */
  kernel?: Kernel;
  /** Pictures with more pixels are refused before they are decoded. Default {@link MAX_PIXELS}. */
  maxPixels?: number;
}

/** 8192 x 8192. */
export const MAX_PIXELS = 2 ** 26;

export const WHITE: Color = [255, 255, 255];

/** A decoded picture, and what it was before it was brought to the size asked for. */
export interface Decoded {
  image: Image;
  original: { kind: 'image'; width: number; height: number; channels: 1 | 3 };
  /** Set when it is the first frame or page of several. */
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

/** As {@link decodeImage}, telling the picture's own size as well. */
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
  checkOptions(options);
  const format = checkPicture(bytes, source);
  const several = hasMorePictures(bytes, format) ? { oneOfSeveral: true as const } : {};
  const plain = decodePlain(bytes, format, source, maxPixels);
  if (plain) return { ...(await fitted(opaque(plain, background), options)), ...several };
  const decoded = await decodeByLibvips(bytes, format, options).catch((error: unknown) => {
    throw decodeError(error, source, format === 'avif' ? Math.min(maxPixels, MAX_AVIF_PIXELS) : maxPixels);
  });
  return { ...decoded, ...several };
}

/** What is decoded here: plain small PNGs, and BMPs, which libvips does not read. */
function decodePlain(bytes: Uint8Array, format: PictureFormat, source: string, maxPixels: number): Samples | undefined {
  if (format === 'bmp') return decodeBmp(bytes, source, maxPixels);
  return format === 'png' ? decodePlainPng(bytes, Math.min(maxPixels, LARGE)) : undefined;
}

/** Above this many pixels libvips resizes, reading no more of a JPEG or WebP than the result needs. */
const LARGE = 512 * 512;

/** A JPEG gets a second chance without the padding that some cameras leave after a scan. */
async function decodeByLibvips(bytes: Uint8Array, format: PictureFormat, options: DecodeOptions): Promise<Decoded> {
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

async function runLibvips(bytes: Uint8Array, format: PictureFormat, options: DecodeOptions): Promise<Decoded> {
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

/** libvips looks for the brand of a single picture; a sequence holds its first picture in the same way. */
function asStillAvif(bytes: Uint8Array): Uint8Array {
  const still = Uint8Array.from(bytes);
  still.set([0x61, 0x76, 0x69, 0x66], 8); // avif
  return still;
}

/** Upright width and height of a picture that libvips had better resize. */
async function sizeIfLarge(
  open: () => Sharp,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<{ width: number; height: number } | undefined> {
  // Asking libvips takes a tenth of the time a small PNG needs in all.
  const isLarge = ({ width, height }: { width: number; height: number }): boolean => width * height > LARGE;
  if (format === 'png' && !isLarge(pngSize(bytes))) return undefined;
  const { width, height } = (await open().metadata()).autoOrient;
  return isLarge({ width, height }) ? { width, height } : undefined;
}

/** Brings a decoded picture to the wanted size and channels. */
async function fitted(image: Image, options: DecodeOptions): Promise<Decoded> {
  const { width, height, channels } = image;
  return { image: await imageTo(image, options), original: { kind: 'image', width, height, channels } };
}

/**
 * Resamples a picture; the same pixels come back when it already has the size.
 *
 * @throws {UsageError} E_IMAGE_OPTIONS.
 */
export async function resizeImage(image: Image, options: ResizeOptions): Promise<Image> {
  checkImage('resizeImage', image);
  checkOptions({ ...options, size: options });
  if (image.width === options.width && image.height === options.height) return image;
  const { resize = 'cover', kernel = 'lanczos3', background = WHITE } = options;
  if (image.width * image.height <= LARGE) return resample(image, { ...options, resize, kernel, background });
  return withChannels(await rawImage(fromPixels(image).resize(resizing(options)), background), image.channels);
}

/** Brings a decoded picture to the channels and size a caller asked of `decodeImage`. */
export async function imageTo(image: Image, options: DecodeOptions): Promise<Image> {
  checkImage('picture', image);
  const { channels = 3, size, resize, kernel, background } = options;
  const sized = size ? await resizeImage(image, { ...size, resize, kernel, background }) : image;
  return withChannels(sized, channels);
}

/** Encodes a picture as PNG; equal pixels give equal bytes. */
export async function encodePng(image: Image): Promise<Uint8Array> {
  checkImage('encodePng', image);
  return fromPixels(image).png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
}

/**
 * Renders an SVG of our own making (plots, labels) as a picture. Never give it bytes from outside.
 *
 * @param scale pixels per SVG unit.
 */
export async function renderSvg(svg: string, scale = 1): Promise<Image> {
  rendering++;
  sharp.unblock({ operation: [SVG_LOADER] });
  try {
    return withChannels(await rawImage(sharp(Buffer.from(svg), { density: 72 * scale }), WHITE), 3);
  } finally {
    if (--rendering === 0) sharp.block({ operation: [SVG_LOADER] });
  }
}

let rendering = 0;

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
 * Packs pictures of one size into a batch for a codec.
 *
 * @param images B pictures of equal [H, W, C].
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
export function pixelsToFloat32(pixels: Uint8Array, out: Float32Array, offset: number): void {
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
    // A clamped array rounds and clamps in the store itself.
    const pixels = new Uint8ClampedArray(length);
    for (let j = 0, from = i * length; j < length; j++) pixels[j] = (data[from + j]! + 1) * 127.5;
    return { kind: 'image', width, height, channels, pixels: new Uint8Array(pixels.buffer) };
  });
}

function sameSize(a: Image, b: Image): boolean {
  return a.width === b.width && a.height === b.height && a.channels === b.channels;
}

function sizeText(image: Image): string {
  return `${image.width} x ${image.height} x ${image.channels}`;
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
async function rawImage(picture: Sharp, background: Color): Promise<Image> {
  const { data, info } = await picture
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

/**
 * Lays pixels over a background.
 *
 * @param pixels uint8 [n, colors + 1], alpha last, not premultiplied; colors is 1 or 3.
 * @returns uint8 [n, 3].
 */
function flatten(pixels: Uint8Array, colors: number, background: Color): Uint8Array {
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
  return new InputError('E_IMAGE_CORRUPT', `${source}: the picture does not decode (${reason}).`, { cause: error });
}

const RESIZES: readonly ResizeMode[] = ['cover', 'contain', 'fill'];
const KERNELS: readonly Kernel[] = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos3'];

function checkOptions({
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

function cssColor([r, g, b]: Color): { r: number; g: number; b: number } {
  return { r, g, b };
}
