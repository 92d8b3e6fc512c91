// What an image file is, judged by its first bytes.

export type ImageFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'bmp' | 'tiff' | 'avif';

/** As they are called in messages. */
const NAMES: Readonly<Record<ImageFormat, string>> = {
  png: 'PNG',
  jpeg: 'JPEG',
  webp: 'WebP',
  gif: 'GIF',
  bmp: 'BMP',
  tiff: 'TIFF',
  avif: 'AVIF',
};

/** All of them in a sentence: `PNG, JPEG, ... or AVIF`. */
export const IMAGE_FORMATS: string = Object.values(NAMES)
  .join(', ')
  .replace(/, (?=\w+$)/, ' or ');

/** Lower-case extensions, without dot, that files of these formats go by. */
export const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set([
  'png',
  'jpg',
  'jpeg',
  'jpe',
  'jfif',
  'webp',
  'gif',
  'bmp',
  'dib',
  'tif',
  'tiff',
  'avif',
]);

export const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Formats people feed by mistake, so that the error can name them. */
const OTHERS: ReadonlyArray<{ name: string; offset: number; magic: string }> = [
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

/** The format of an encoded image, or undefined for anything that is none of {@link IMAGE_FORMATS}. */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  if (PNG_SIGNATURE.every((byte, i) => bytes[i] === byte)) return 'png';
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  if (latin1(bytes, 0, 4) === 'RIFF' && latin1(bytes, 8, 12) === 'WEBP') return 'webp';
  if (/^GIF8[79]a/.test(latin1(bytes, 0, 6))) return 'gif';
  if (isBmp(bytes)) return 'bmp';
  if (/^(II[*+]\0|MM\0[*+])/.test(latin1(bytes, 0, 4))) return 'tiff';
  if (isAvif(bytes)) return 'avif';
  return undefined;
}

/** Two letters are few: the length of the header that follows must be one that exists, and so must the number of planes. */
function isBmp(bytes: Uint8Array): boolean {
  if (latin1(bytes, 0, 2) !== 'BM' || bytes.length < 26) return false;
  const header = bytes[14]! | (bytes[15]! << 8) | (bytes[16]! << 16) | (bytes[17]! << 24);
  const planes = header === 12 ? bytes[22]! | (bytes[23]! << 8) : bytes[26]! | (bytes[27]! << 8);
  return [12, 40, 52, 56, 64, 108, 124].includes(header) && planes === 1;
}

/** A file of the AVIF brand, or of the family's common one (`mif1`) that counts AVIF among its compatible brands. */
function isAvif(bytes: Uint8Array): boolean {
  const brands = /^ftyp(avif|avis|mif1|msf1)/.exec(latin1(bytes, 4, 12));
  if (!brands) return false;
  const size = (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
  return brands[1]!.startsWith('av') || /^(....)*avi[fs]/s.test(latin1(bytes, 16, Math.min(size, 128)));
}

/** A human name of what the bytes are: `PNG`, `SVG`, `gzip`, `text`, `nothing known`. */
export function describeBytes(bytes: Uint8Array): string {
  const format = imageFormat(bytes);
  if (format) return NAMES[format];
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

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, bytes.length)));
}
