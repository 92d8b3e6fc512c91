// Checks that image files are complete. Decoders are lenient and fill missing rows with gray.
import { crc32 } from 'node:zlib';

import { InputError } from '../../errors.js';
import { IMAGE_FORMATS, PNG_SIGNATURE, describeBytes, latin1, imageFormat, type ImageFormat } from './sniff.js';
import { walkGif } from './gif.js';
import { walkJpeg } from './jpeg.js';
import { hasAllPixels, oddSamples, readTiff, tiffSize } from './tiff.js';

/**
 * Names the format, after making sure that the file is complete: every PNG chunk present with its checksum, a JPEG up to
 * its end marker, a WebP as long as its RIFF header says, every block of a GIF, every strip of a TIFF, every box of an AVIF.
 * A BMP is checked as it is decoded.
 *
 * @throws {InputError} E_IMAGE_EMPTY, E_IMAGE_FORMAT (naming what was found), E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT,
 *   E_IMAGE_TOO_LARGE.
 */
export function checkImageFile(bytes: Uint8Array, source: string): ImageFormat {
  if (bytes.length === 0) {
    throw new InputError('E_IMAGE_EMPTY', `${source}: expected an image, found an empty file.`);
  }
  const format = imageFormat(bytes);
  if (!format) {
    throw new InputError(
      'E_IMAGE_FORMAT',
      `${source}: expected ${IMAGE_FORMATS}, found ${describeBytes(bytes)}. Convert it first.`,
    );
  }
  if (bytes.length > MAX_BYTES) throw tooLarge(source, `an image of at most ${MAX_BYTES} bytes`, `${bytes.length}`);
  CHECKS[format]?.(bytes, source);
  return format;
}

// Limits of work, so that no image takes seconds to decode. They are counts and not times, because the result must not depend on
// the load of the machine.
/** Maximum size of a file, in bytes. */
const MAX_BYTES = 2 ** 28;
/** Maximum length of a side, in pixels: each row takes time, and so does each column of an interlaced image. */
const MAX_SIDE = 65_535;
/** Maximum number of pixels of all scans of a JPEG: a hundred scans of the largest image. */
const MAX_SCANNED = 100 * 2 ** 26;
/** AV1 takes ten times as long as other formats, for each byte and for each pixel. */
export const MAX_AVIF_PIXELS = 2 ** 25;
const MAX_AVIF_BYTES = 2 ** 24;

function tooLarge(source: string, expected: string, found: string): InputError {
  return new InputError(
    'E_IMAGE_TOO_LARGE',
    `${source}: expected ${expected}, found ${found}. Shrink it, or export it in a simpler way, first.`,
  );
}

function checkSide(source: string, { width, height }: { width: number; height: number }): void {
  if (Math.max(width, height) > MAX_SIDE)
    throw tooLarge(source, `sides of at most ${MAX_SIDE} pixels`, `${width} x ${height}`);
}

/** Walks the chunks up to IEND and checks each CRC-32. Source: PNG specification, third edition, section 5. */
function checkPng(bytes: Uint8Array, source: string): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = PNG_SIGNATURE.length;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) break;
    const type = latin1(bytes, at + 4, at + 8);
    if (crc32(bytes.subarray(at + 4, end - 4)) !== view.getUint32(end - 4)) {
      throw new InputError(
        'E_IMAGE_CORRUPT',
        `${source}: PNG chunk ${printable(type)} at byte ${at} fails its checksum.`,
      );
    }
    if (type === 'IEND') return checkSide(source, pngSize(bytes));
    at = end;
  }
  throw truncated('PNG', source, bytes.length);
}

/** Width and height of a checked PNG, from its first chunk IHDR. They are not checked. */
export function pngSize(bytes: Uint8Array): { width: number; height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

function checkJpeg(bytes: Uint8Array, source: string): void {
  const { complete, width, height, scans } = walkJpeg(bytes);
  if (!complete) throw truncated('JPEG', source, bytes.length);
  if (scans * width * height > MAX_SCANNED) {
    throw tooLarge(
      source,
      `at most ${Math.floor(MAX_SCANNED / (width * height))} scans of ${width} x ${height} pixels`,
      `${scans}`,
    );
  }
}

function checkWebp(bytes: Uint8Array, source: string): void {
  const riffSize = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (riffSize + 8 > bytes.length) throw truncated('WebP', source, bytes.length);
}

function checkGif(bytes: Uint8Array, source: string): void {
  if (!walkGif(bytes).complete) throw truncated('GIF', source, bytes.length);
}

function checkTiff(bytes: Uint8Array, source: string): void {
  const directory = readTiff(bytes);
  if (!directory || !hasAllPixels(directory, bytes.length)) {
    throw new InputError(
      'E_IMAGE_TRUNCATED',
      `${source}: TIFF whose directory or pixels lie beyond the end of the file, byte ${bytes.length}. Fetch or export the file again.`,
    );
  }
  checkSide(source, tiffSize(directory));
  const odd = oddSamples(directory);
  if (odd)
    throw new InputError(
      'E_IMAGE_FORMAT',
      `${source}: expected a TIFF of colors with up to 16 bits a sample, found ${odd}. Convert it to PNG first.`,
    );
}

/** Walks the boxes of the file. Source: ISO/IEC 14496-12, section 4.2. */
function checkAvif(bytes: Uint8Array, source: string): void {
  if (bytes.length > MAX_AVIF_BYTES)
    throw tooLarge(source, `an AVIF of at most ${MAX_AVIF_BYTES} bytes`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    if (at + 16 > bytes.length) throw truncated('AVIF', source, bytes.length);
    const short = view.getUint32(at);
    // 0: to the end of the file; 1: a length of 64 bits follows.
    const length = short === 0 ? bytes.length - at : short === 1 ? Number(view.getBigUint64(at + 8)) : short;
    if (length < 8)
      throw new InputError('E_IMAGE_CORRUPT', `${source}: AVIF box at byte ${at} has a length of ${length}.`);
    at += length;
  }
  if (at > bytes.length) throw truncated('AVIF', source, bytes.length);
}

const CHECKS: Readonly<Record<ImageFormat, ((bytes: Uint8Array, source: string) => void) | undefined>> = {
  png: checkPng,
  jpeg: checkJpeg,
  webp: checkWebp,
  gif: checkGif,
  bmp: undefined,
  tiff: checkTiff,
  avif: checkAvif,
};

/** Whether a file contains more images than the first, which is decoded: frames of an animation, pages of a TIFF. */
export function hasMoreImages(bytes: Uint8Array, format: ImageFormat): boolean {
  if (format === 'gif') return walkGif(bytes).frames > 1;
  if (format === 'tiff') return (readTiff(bytes)?.next ?? 0) > 0;
  if (format === 'avif') return latin1(bytes, 8, 12) === 'avis';
  // The chunks that announce an animation come before the first frame: VP8X with its flags, acTL.
  if (format === 'webp') return latin1(bytes, 12, 16) === 'VP8X' && (bytes[20]! & 2) !== 0;
  return format === 'png' && hasAnimationChunk(bytes);
}

function hasAnimationChunk(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = PNG_SIGNATURE.length; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = latin1(bytes, at + 4, at + 8);
    if (type === 'acTL') return at + 12 <= bytes.length && view.getUint32(at + 8) > 1;
    if (type === 'IDAT') return false;
  }
  return false;
}

function truncated(format: string, source: string, size: number): InputError {
  return new InputError(
    'E_IMAGE_TRUNCATED',
    `${source}: ${format} ends at byte ${size} before its end marker. Fetch or export the file again.`,
  );
}

function printable(type: string): string {
  return /^[A-Za-z]{4}$/.test(type) ? type : 'of unknown type';
}
