// Windows bitmaps, which libvips does not read: uncompressed ones of 1, 4, 8, 16, 24 and 32 bits per pixel.
// Source: BITMAPFILEHEADER and BITMAPINFOHEADER to BITMAPV5HEADER, Windows GDI reference.
import { InputError } from '../../errors.js';
import type { Samples } from './png.js';

interface Bitmap {
  width: number;
  height: number;
  /** First row at the top; usually the last row comes first. */
  topDown: boolean;
  bits: number;
  /** Byte at which rows begin. */
  start: number;
  /** RGB colors of an image of up to 8 bits. */
  palette: readonly (readonly [number, number, number])[];
  /** Where red, green, blue and alpha lie in a pixel of 16 or 32 bits; an alpha of 0 means there is none. */
  masks: readonly [number, number, number, number];
}

/**
 * Decodes a bitmap.
 *
 * @returns RGB, or RGB and alpha where a mask declares it.
 * @throws {InputError} E_IMAGE_FORMAT for compressed ones, E_IMAGE_TOO_LARGE, E_IMAGE_TRUNCATED, E_IMAGE_CORRUPT.
 */
export function decodeBmp(bytes: Uint8Array, source: string, maxPixels: number): Samples {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bitmap = headerOf(view, source);
  const { width, height, topDown, bits, start } = bitmap;
  if (width * height > maxPixels)
    throw new InputError(
      'E_IMAGE_TOO_LARGE',
      `${source}: expected at most ${maxPixels} pixels, found ${width} x ${height}. Shrink it first.`,
    );
  const stride = 4 * Math.ceil((width * bits) / 32);
  // Some writers leave out what pads the last row.
  if (start + stride * (height - 1) + Math.ceil((width * bits) / 8) > bytes.length) {
    throw new InputError(
      'E_IMAGE_TRUNCATED',
      `${source}: BMP ends at byte ${bytes.length} before its last row. Fetch or export the file again.`,
    );
  }
  const channels = bitmap.masks[3] === 0 ? 3 : 4;
  const values = new Uint8Array(width * height * channels);
  const write = writer(view, bitmap, values, source);
  for (let y = 0, to = 0; y < height; y++) {
    const row = start + stride * (topDown ? y : height - 1 - y);
    for (let x = 0; x < width; x++, to += channels) write(row, x, to);
  }
  return { width, height, channels, values };
}

const NO_MASKS = [0, 0, 0, 0] as const;
const MASKS_16 = [0x7c00, 0x3e0, 0x1f, 0] as const;
const MASKS_32 = [0xff0000, 0xff00, 0xff, 0] as const;
const [UNCOMPRESSED, BIT_FIELDS, ALPHA_BIT_FIELDS] = [0, 3, 6];

function headerOf(view: DataView, source: string): Bitmap {
  const corrupt = (what: string): InputError =>
    new InputError('E_IMAGE_CORRUPT', `${source}: ${what}. Export the file again.`);
  try {
    const headerBytes = view.getUint32(14, true);
    const start = view.getUint32(10, true);
    const old = headerBytes === 12;
    const width = old ? view.getUint16(18, true) : view.getInt32(18, true);
    const signedHeight = old ? view.getUint16(20, true) : view.getInt32(22, true);
    const height = Math.abs(signedHeight);
    const bits = view.getUint16(old ? 24 : 28, true);
    const compression = old ? UNCOMPRESSED : view.getUint32(30, true);
    if (width < 1 || height < 1) throw corrupt(`expected a BMP of at least one pixel, found ${width} x ${height}`);
    if (
      compression !== UNCOMPRESSED &&
      !((compression === BIT_FIELDS || compression === ALPHA_BIT_FIELDS) && (bits === 16 || bits === 32))
    ) {
      throw new InputError(
        'E_IMAGE_FORMAT',
        `${source}: expected an uncompressed BMP, found compression ${compression} at ${bits} bits. Convert it to PNG first.`,
      );
    }
    if (![1, 4, 8, 16, 24, 32].includes(bits))
      throw corrupt(`expected a BMP of 1, 4, 8, 16, 24 or 32 bits per pixel, found ${bits}`);
    const bitmap = { width, height, topDown: signedHeight < 0, bits, start };
    if (bits <= 8) {
      const used = old ? 0 : view.getUint32(46, true);
      return {
        ...bitmap,
        palette: paletteOf(view, 14 + headerBytes, start, old ? 3 : 4, used || 2 ** bits),
        masks: NO_MASKS,
      };
    }
    const masks =
      compression === UNCOMPRESSED ? (bits === 16 ? MASKS_16 : MASKS_32) : masksOf(view, headerBytes, compression);
    if (masks.some((mask) => !isRunOfBits(mask))) throw corrupt('expected color masks of adjoining bits');
    return { ...bitmap, palette: [], masks: bits === 24 ? NO_MASKS : masks };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError(
      'E_IMAGE_TRUNCATED',
      `${source}: BMP ends at byte ${view.byteLength} within its header. Fetch or export the file again.`,
    );
  }
}

/** As many colors as lie between header and rows, at most `count`. */
function paletteOf(
  view: DataView,
  from: number,
  end: number,
  entryBytes: number,
  count: number,
): [number, number, number][] {
  const entries = Math.min(count, 256, Math.floor((end - from) / entryBytes));
  return Array.from({ length: Math.max(0, entries) }, (_, i) => {
    const at = from + i * entryBytes;
    return [view.getUint8(at + 2), view.getUint8(at + 1), view.getUint8(at)];
  });
}

/** The first header leaves them to the bytes that follow it, later ones hold them at the same place. */
function masksOf(view: DataView, headerBytes: number, compression: number): [number, number, number, number] {
  const hasAlpha = headerBytes >= 56 || compression === ALPHA_BIT_FIELDS;
  return [
    view.getUint32(54, true),
    view.getUint32(58, true),
    view.getUint32(62, true),
    hasAlpha ? view.getUint32(66, true) : 0,
  ];
}

function isRunOfBits(mask: number): boolean {
  if (mask === 0) return true;
  const low = (mask & -mask) >>> 0;
  return Math.log2(mask / low + 1) % 1 === 0;
}

/** Writes the pixel at `x` of the row that begins at byte `row` to `values` at `to`. */
function writer(
  view: DataView,
  { bits, palette, masks }: Bitmap,
  values: Uint8Array,
  source: string,
): (row: number, x: number, to: number) => void {
  if (bits === 24) {
    return (row, x, to) => {
      for (let c = 0; c < 3; c++) values[to + c] = view.getUint8(row + 3 * x + 2 - c);
    };
  }
  if (bits <= 8) {
    const perByte = 8 / bits;
    return (row, x, to) => {
      const byte = view.getUint8(row + Math.floor(x / perByte));
      const place = (byte >> (8 - bits * ((x % perByte) + 1))) & (2 ** bits - 1);
      const color = palette[place];
      if (!color)
        throw new InputError(
          'E_IMAGE_CORRUPT',
          `${source}: expected colors below ${palette.length}, the size of the BMP's palette, found ${place}. Export the file again.`,
        );
      values.set(color, to);
    };
  }
  // A sample of n bits is spread over 0 to 255.
  const samples = masks
    .filter((mask, i) => i < 3 || mask > 0)
    .map((mask) => ({ mask, low: (mask & -mask) >>> 0 || 1, most: mask / ((mask & -mask) >>> 0 || 1) || 1 }));
  return (row, x, to) => {
    const pixel = bits === 16 ? view.getUint16(row + 2 * x, true) : view.getUint32(row + 4 * x, true);
    samples.forEach(
      ({ mask, low, most }, i) => (values[to + i] = Math.round((255 * (((pixel & mask) >>> 0) / low)) / most)),
    );
  };
}
