// The first directory of a TIFF: whether its pixels are in the file and are of a kind that libvips turns into the colors they
// stand for. Source: TIFF revision 6.0, section 2; BigTIFF by its header 43.

export interface TiffDirectory {
  /** Where the next directory lies, 0 when there is none; and the bytes that say so. */
  next: number;
  link: { from: number; to: number };
  /** Values of the tags in {@link WANTED} that are there. */
  tags: ReadonlyMap<number, readonly number[]>;
}

const WANTED = {
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  stripOffsets: 273,
  samplesPerPixel: 277,
  stripBytes: 279,
  tileOffsets: 324,
  tileBytes: 325,
  sampleFormat: 339,
} as const;
const KNOWN: ReadonlySet<number> = new Set(Object.values(WANTED));

/** Bytes of a value by its type; fractions and text are not among the tags that are wanted. */
const TYPE_BYTES: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8 };

/** Undefined when the directory, or a value it points to, lies beyond the end of the file. */
export function readTiff(bytes: Uint8Array): TiffDirectory | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[0] === 0x49;
  const read = (at: number, size: number): number => {
    if (size === 1) return view.getUint8(at);
    if (size === 2) return view.getUint16(at, little);
    return size === 4 ? view.getUint32(at, little) : Number(view.getBigUint64(at, little));
  };
  const big = bytes.length > 16 && read(2, 2) === 43;
  const [word, countBytes, entryBytes] = big ? ([8, 8, 20] as const) : ([4, 2, 12] as const);
  try {
    const start = read(word === 8 ? 8 : 4, word);
    const count = read(start, countBytes);
    const end = start + countBytes + count * entryBytes;
    if (end + word > bytes.length) return undefined;
    const tags = new Map<number, readonly number[]>();
    for (let at = start + countBytes; at < end; at += entryBytes) {
      const tag = read(at, 2);
      const size = TYPE_BYTES[read(at + 2, 2)];
      if (!KNOWN.has(tag) || size === undefined) continue;
      const length = read(at + 4, word);
      const inline = length * size <= word;
      const from = inline ? at + 4 + word : read(at + 4 + word, word);
      if (from + length * size > bytes.length) return undefined;
      tags.set(
        tag,
        Array.from({ length }, (_, i) => read(from + i * size, size)),
      );
    }
    return { next: read(end, word), link: { from: end, to: end + word }, tags };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function tiffSize({ tags }: TiffDirectory): { width: number; height: number } {
  return { width: tags.get(WANTED.width)?.[0] ?? 0, height: tags.get(WANTED.height)?.[0] ?? 0 };
}

/** The file with its first page alone: libvips visits all of them before it decodes one. */
export function firstPage(bytes: Uint8Array): Uint8Array {
  const { next = 0, link } = readTiff(bytes) ?? {};
  return next === 0 ? bytes : Uint8Array.from(bytes).fill(0, link!.from, link!.to);
}

/** Whether every strip or tile lies within the file. */
export function hasAllPixels({ tags }: TiffDirectory, fileBytes: number): boolean {
  const offsets = tags.get(WANTED.stripOffsets) ?? tags.get(WANTED.tileOffsets) ?? [];
  const sizes = tags.get(WANTED.stripBytes) ?? tags.get(WANTED.tileBytes);
  if (offsets.length === 0 || (sizes && sizes.length !== offsets.length)) return false;
  return offsets.every((offset, i) => offset > 0 && (sizes?.[i] ?? 1) > 0 && offset + (sizes?.[i] ?? 1) <= fileBytes);
}

/** White or black is zero, RGB, a palette, CMYK. */
const COLORS = [0, 1, 2, 3, 5];
const [YCBCR, JPEG] = [6, 7];

/**
 * Words for samples that are not colors of 1 to 16 bits: measurements, mostly, whose range nobody can guess, and color spaces
 * that libvips would show as if they were RGB.
 */
export function oddSamples({ tags }: TiffDirectory): string | undefined {
  const [format = 1] = tags.get(WANTED.sampleFormat) ?? [];
  const [bits = 1] = tags.get(WANTED.bitsPerSample) ?? [];
  const [samples = 1] = tags.get(WANTED.samplesPerPixel) ?? [];
  const [photometric = 1] = tags.get(WANTED.photometric) ?? [];
  const [compression = 1] = tags.get(WANTED.compression) ?? [];
  if (format !== 1 && format !== 4) return format === 3 ? 'floating-point samples' : 'signed or complex samples';
  if (bits > 16) return `samples of ${bits} bits`;
  if (!COLORS.includes(photometric) && !(photometric === YCBCR && compression === JPEG))
    return `colors of kind ${photometric}`;
  return samples > 4 ? `${samples} samples a pixel` : undefined;
}
