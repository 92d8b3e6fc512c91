// Plain PNGs without libvips: for icons and tiles its pipeline costs ten times what the pixels do. Whatever is not as
// plain as can be (16 bits, interlacing, color profiles, anything odd) is left to libvips, which also finds the words
// for what is wrong with it. Source: PNG specification, third edition.
import { inflateSync } from 'node:zlib';

export interface Samples {
  width: number;
  height: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha (not premultiplied). */
  channels: 1 | 2 | 3 | 4;
  /** uint8 [height, width, channels]. */
  values: Uint8Array;
}

/** Chunks that do not change what the pixels mean. */
const HARMLESS = new Set([
  'IHDR',
  'PLTE',
  'IDAT',
  'IEND',
  'bKGD',
  'gAMA',
  'hIST',
  'iTXt',
  'pHYs',
  'sRGB',
  'tEXt',
  'tIME',
  'zTXt',
]);

/** Bytes of a pixel in the file by color type; a palette's are looked up afterwards. */
const BYTES: Partial<Record<number, 1 | 2 | 3 | 4>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

const PALETTE = 3;

/**
 * Decodes a PNG of 8 bits a sample, not interlaced, without color profile or transparent color.
 *
 * @param bytes a whole PNG, its chunks checked.
 * @returns undefined for every other PNG, damaged ones included.
 */
export function decodePlainPng(bytes: Uint8Array, maxPixels: number): Samples | undefined {
  const { header, palette, packed } = chunksOf(bytes) ?? {};
  if (!header || packed!.length === 0) return undefined;
  const { width, height, depth, color, interlaced } = header;
  const channels = BYTES[color];
  if (depth !== 8 || interlaced || !channels || width === 0 || height === 0 || width * height > maxPixels)
    return undefined;
  const lines = inflated(packed!, height * (1 + width * channels));
  const values = lines && unfiltered(lines, height, width * channels, channels);
  if (!values || color !== PALETTE) return values && { width, height, channels, values };
  const colors = palette && lookedUp(values, palette);
  return colors && { width, height, channels: 3, values: colors };
}

interface Header {
  width: number;
  height: number;
  depth: number;
  color: number;
  interlaced: boolean;
}

/** Undefined when there is a chunk that is not harmless, or one out of place. */
function chunksOf(bytes: Uint8Array): { header: Header; palette?: Uint8Array; packed: Uint8Array[] } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packed: Uint8Array[] = [];
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
  let previous = '';
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(bytes[at + 4]!, bytes[at + 5]!, bytes[at + 6]!, bytes[at + 7]!);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (!HARMLESS.has(type) || (type === 'IHDR') !== (at === 8)) return undefined;
    if (type === 'IHDR') {
      if (length !== 13 || body[10] !== 0 || body[11] !== 0 || body[12]! > 1) return undefined;
      header = {
        width: view.getUint32(16),
        height: view.getUint32(20),
        depth: body[8]!,
        color: body[9]!,
        interlaced: body[12] === 1,
      };
    }
    if (type === 'PLTE') {
      if (palette || packed.length > 0) return undefined;
      palette = body;
    }
    if (type === 'IDAT') {
      if (packed.length > 0 && previous !== 'IDAT') return undefined;
      packed.push(body);
    }
    if (type === 'IEND') return header && { header, palette, packed };
    previous = type;
    at += 12 + length;
  }
  return undefined;
}

/** Exactly `length` bytes, or undefined. */
function inflated(packed: readonly Uint8Array[], length: number): Uint8Array | undefined {
  try {
    const lines = inflateSync(packed.length === 1 ? packed[0]! : Buffer.concat(packed), { maxOutputLength: length });
    return lines.length === length ? lines : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Undoes the filters of the lines (section 9).
 *
 * @param lines  uint8 [height, 1 + stride]: a filter byte before each line.
 * @param stride bytes of a line, and `back` of a pixel.
 * @returns uint8 [height, stride]; undefined for an unknown filter.
 */
function unfiltered(lines: Uint8Array, height: number, stride: number, back: number): Uint8Array | undefined {
  const out = new Uint8Array(height * stride);
  const blank = new Uint8Array(stride);
  for (let y = 0, from = 0; y < height; y++, from += 1 + stride) {
    const undo = FILTERS[lines[from]!];
    if (!undo) return undefined;
    const line = lines.subarray(from + 1, from + 1 + stride);
    const above = y === 0 ? blank : out.subarray((y - 1) * stride, y * stride);
    undo(line, above, out.subarray(y * stride, (y + 1) * stride), back);
  }
  return out;
}

/** From a filtered line and the finished line above to the finished line, all [stride]. */
type Undo = (line: Uint8Array, above: Uint8Array, out: Uint8Array, back: number) => void;

const FILTERS: readonly Undo[] = [
  (line, _above, out) => out.set(line),
  (line, _above, out, back) => {
    for (let i = 0; i < back; i++) out[i] = line[i]!;
    for (let i = back; i < line.length; i++) out[i] = line[i]! + out[i - back]!;
  },
  (line, above, out) => {
    for (let i = 0; i < line.length; i++) out[i] = line[i]! + above[i]!;
  },
  (line, above, out, back) => {
    for (let i = 0; i < back; i++) out[i] = line[i]! + (above[i]! >> 1);
    for (let i = back; i < line.length; i++) out[i] = line[i]! + ((out[i - back]! + above[i]!) >> 1);
  },
  (line, above, out, back) => {
    for (let i = 0; i < back; i++) out[i] = line[i]! + above[i]!;
    for (let i = back; i < line.length; i++) out[i] = line[i]! + paeth(out[i - back]!, above[i]!, above[i - back]!);
  },
];

function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** uint8 [n] places in a palette [colors, 3] -> uint8 [n, 3]; undefined when one lies beyond it. */
function lookedUp(places: Uint8Array, palette: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(3 * places.length);
  for (let i = 0, o = 0; i < places.length; i++, o += 3) {
    const from = 3 * places[i]!;
    if (from + 3 > palette.length) return undefined;
    out[o] = palette[from]!;
    out[o + 1] = palette[from + 1]!;
    out[o + 2] = palette[from + 2]!;
  }
  return out;
}
