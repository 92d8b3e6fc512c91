// What a picture file is, judged by its first bytes, and whether all of it is there. Decoders are lenient about both:
// they guess formats nobody meant and fill missing rows with grey.
import { crc32 } from 'node:zlib';

import { InputError } from '../errors.js';

export type PictureFormat = 'png' | 'jpeg' | 'webp';

const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Formats people feed by mistake, so that the error can name them. */
const OTHERS: ReadonlyArray<{ name: string; offset: number; magic: string }> = [
  { name: 'GIF', offset: 0, magic: 'GIF8' },
  { name: 'BMP', offset: 0, magic: 'BM' },
  { name: 'TIFF', offset: 0, magic: 'II*\0' },
  { name: 'TIFF', offset: 0, magic: 'MM\0*' },
  { name: 'AVIF', offset: 4, magic: 'ftypavif' },
  { name: 'HEIC', offset: 4, magic: 'ftyphei' },
  { name: 'MP4', offset: 4, magic: 'ftyp' },
  { name: 'JPEG XL', offset: 0, magic: '\xff\x0a' },
  { name: 'JPEG XL', offset: 4, magic: 'JXL ' },
  { name: 'JPEG 2000', offset: 4, magic: 'jP  ' },
  { name: 'ICO', offset: 0, magic: '\0\0\x01\0' },
  { name: 'PSD', offset: 0, magic: '8BPS' },
  { name: 'PDF', offset: 0, magic: '%PDF' },
  { name: 'WAV', offset: 8, magic: 'WAVE' },
  { name: 'AVI', offset: 8, magic: 'AVI ' },
  { name: 'OGG', offset: 0, magic: 'OggS' },
  { name: 'FLAC', offset: 0, magic: 'fLaC' },
  { name: 'MP3', offset: 0, magic: 'ID3' },
  { name: 'ZIP', offset: 0, magic: 'PK\x03\x04' },
  { name: 'gzip', offset: 0, magic: '\x1f\x8b' },
  { name: 'zstd', offset: 0, magic: '\x28\xb5\x2f\xfd' },
  { name: 'tar', offset: 257, magic: 'ustar' },
  { name: 'IDX', offset: 0, magic: '\0\0\x08' },
];

/** The format of an encoded picture, or undefined for anything that is not PNG, JPEG or WebP. */
export function pictureFormat(bytes: Uint8Array): PictureFormat | undefined {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) return 'png';
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  if (latin1(bytes, 0, 4) === 'RIFF' && latin1(bytes, 8, 12) === 'WEBP') return 'webp';
  return undefined;
}

/** A human name of what the bytes are: `PNG`, `SVG`, `gzip`, `text`, `nothing known`. */
export function describeBytes(bytes: Uint8Array): string {
  const format = pictureFormat(bytes);
  if (format) return { png: 'PNG', jpeg: 'JPEG', webp: 'WebP' }[format];
  if (bytes.length === 0) return 'an empty file';
  const other = OTHERS.find(({ offset, magic }) => latin1(bytes, offset, offset + magic.length) === magic);
  if (other) return other.name;
  return describeText(latin1(bytes, 0, 512));
}

function describeText(head: string): string {
  if (/<svg[\s/>]/i.test(head)) return 'SVG';
  if (/^\s*(<!doctype html|<html)/i.test(head)) return 'HTML';
  if (head.startsWith('version https://git-lfs')) return 'a Git LFS pointer';
  return [...head].every((c) => c >= ' ' || '\t\r\n'.includes(c)) ? 'text' : 'nothing known';
}

/**
 * Names the format, after making sure that the file is complete: every PNG chunk present with its checksum, a JPEG up to
 * its end marker, a WebP as long as its RIFF header says.
 *
 * @throws {InputError} E_IMAGE_EMPTY, E_IMAGE_FORMAT (naming what was found), E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT.
 */
export function checkPicture(bytes: Uint8Array, source: string): PictureFormat {
  if (bytes.length === 0) {
    throw new InputError('E_IMAGE_EMPTY', `${source}: expected a picture, found an empty file.`);
  }
  const format = pictureFormat(bytes);
  if (!format) {
    throw new InputError(
      'E_IMAGE_FORMAT',
      `${source}: expected PNG, JPEG or WebP, found ${describeBytes(bytes)}. Convert it first.`,
    );
  }
  const check = { png: checkPng, jpeg: checkJpeg, webp: checkWebp }[format];
  check(bytes, source);
  return format;
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
      throw new InputError('E_IMAGE_CORRUPT', `${source}: PNG chunk ${printable(type)} at byte ${at} fails its checksum.`);
    }
    if (type === 'IEND') return;
    at = end;
  }
  throw truncated('PNG', source, bytes.length);
}

/** Width and height a checked PNG announces in its first chunk, IHDR; nothing about them is checked. */
export function pngSize(bytes: Uint8Array): { width: number; height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Walks the markers up to EOI. Source: ITU-T T.81, annex B. */
function checkJpeg(bytes: Uint8Array, source: string): void {
  let at = 2;
  while (at + 1 < bytes.length) {
    if (bytes[at] !== 0xff) {
      at = nextMarker(bytes, at);
      continue;
    }
    const marker = bytes[at + 1]!;
    if (marker === 0xd9) return;
    if (isBareMarker(marker)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (at + 3 >= bytes.length) break;
    at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
  throw truncated('JPEG', source, bytes.length);
}

/** Stuffed zero, fill byte, TEM, RST0-7 and SOI: markers that no segment follows. */
function isBareMarker(marker: number): boolean {
  return marker === 0x00 || marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

function nextMarker(bytes: Uint8Array, from: number): number {
  const found = bytes.indexOf(0xff, from);
  return found < 0 ? bytes.length : found;
}

function checkWebp(bytes: Uint8Array, source: string): void {
  const riffSize = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (riffSize + 8 > bytes.length) throw truncated('WebP', source, bytes.length);
}

function truncated(format: string, source: string, size: number): InputError {
  return new InputError(
    'E_IMAGE_TRUNCATED',
    `${source}: ${format} ends at byte ${size} before its end marker. Fetch or export the file again.`,
  );
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, bytes.length)));
}

function printable(type: string): string {
  return /^[A-Za-z]{4}$/.test(type) ? type : 'of unknown type';
}
