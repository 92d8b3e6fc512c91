// Every way an image file may hold its pixels, and what becomes of each: what the head of src/media/image.ts says.
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type CreateRaw } from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Image } from '../../../src/interfaces/media.js';
import { decodeImage, decodeWithOriginal } from '../../../src/media/image/image.js';
import { fromRaw, noise, of } from './fixtures.js';

const pixelsOf = async (bytes: Uint8Array, background?: [number, number, number]): Promise<number[]> => [
  ...(await decodeImage(bytes, 'x', { background })).pixels,
];

/** A PNG of literal rows, each without its filter byte. */
function png(
  width: number,
  rows: readonly (readonly number[])[],
  depth: number,
  color: number,
  chunks: Record<string, readonly number[]> = {},
): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(rows.length, 4);
  header.set([depth, color, 0, 0, 0], 8);
  const extra = Object.entries(chunks).map(([type, body]) => chunk(type, Buffer.from(body)));
  const data = deflateSync(Buffer.from(rows.flatMap((row) => [0, ...row])));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...extra,
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, body: Uint8Array): Buffer {
  const tagged = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const out = Buffer.alloc(body.length + 12);
  out.writeUInt32BE(body.length, 0);
  tagged.copy(out, 4);
  out.writeUInt32BE(crc32(tagged), body.length + 8);
  return out;
}

const gray = (...values: number[]): number[] => values.flatMap((value) => [value, value, value]);

describe('PNG', () => {
  it.each([
    [1, [0b01000000], [0, 255]],
    [2, [0b01100000], [85, 170]],
    [4, [0x3c], [51, 204]],
    [8, [7, 250], [7, 250]],
  ])('of %i-bit gray is spread over 0 to 255', async (depth, row, values) => {
    expect(await pixelsOf(png(2, [row], depth, 0))).toEqual(gray(...values));
  });

  it('of 16 bits keeps the high byte of each sample', async () => {
    expect(await pixelsOf(png(3, [[0x12, 0x34, 0xff, 0x00, 0x00, 0xff]], 16, 0))).toEqual(gray(0x12, 0xff, 0));
    expect(await pixelsOf(png(1, [[0x10, 0xff, 0x80, 0x00, 0xfe, 0xfe]], 16, 2))).toEqual([0x10, 0x80, 0xfe]);
    // 16-bit alpha of a half.
    const [value] = await pixelsOf(png(1, [[0x00, 0x00, 0x80, 0x00]], 16, 4));
    expect(Math.abs(value! - 127)).toBeLessThanOrEqual(1);
  });

  it('of a palette becomes its colors, also with fewer than 8 bits and with alpha', async () => {
    const PLTE = [255, 0, 0, 0, 255, 0, 0, 0, 255];
    expect(await pixelsOf(png(3, [[2, 1, 0]], 8, 3, { PLTE }))).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0]);
    expect(await pixelsOf(png(3, [[0b10010000]], 2, 3, { PLTE }))).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0]);
    expect(await pixelsOf(png(3, [[2, 1, 0]], 8, 3, { PLTE, tRNS: [255, 0] }), [9, 8, 7])).toEqual([
      0, 0, 255, 9, 8, 7, 255, 0, 0,
    ]);
  });

  it('with a color declared transparent shows the background there', async () => {
    expect(await pixelsOf(png(2, [[1, 2, 3, 4, 5, 6]], 8, 2, { tRNS: [0, 1, 0, 2, 0, 3] }), [9, 8, 7])).toEqual([
      9, 8, 7, 4, 5, 6,
    ]);
    expect(await pixelsOf(png(2, [[50, 60]], 8, 0, { tRNS: [0, 50] }), [9, 8, 7])).toEqual([9, 8, 7, 60, 60, 60]);
  });

  it('is taken as sRGB whatever its gamma chunk says', async () => {
    const gAMA = [0, 0, 0x27, 0x10];
    expect(await pixelsOf(png(1, [[10, 100, 200]], 8, 2, { gAMA }))).toEqual([10, 100, 200]);
  });

  it('of several frames gives the one that other readers see', async () => {
    const acTL = [0, 0, 0, 1, 0, 0, 0, 0];
    const fcTL = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0];
    expect(await pixelsOf(png(1, [[10, 100, 200]], 8, 2, { acTL, fcTL }))).toEqual([10, 100, 200]);
  });

  it('with a color profile is converted to sRGB', async () => {
    const wide = await fromRaw(Uint8Array.of(0, 255, 0), 1, 1, 3)
      .withIccProfile('p3')
      .png()
      .toBuffer();
    expect(wide.includes('iCCP')).toBe(true);
    // libvips wrote the P3 values of sRGB green; read back they are sRGB green again, to a level or two.
    const [r, g, b] = await pixelsOf(wide);
    expect([r! < 8, g! > 250, b! < 8]).toEqual([true, true, true]);
  });
});

describe('JPEG', () => {
  const smooth: Image = {
    kind: 'image',
    width: 16,
    height: 24,
    channels: 3,
    pixels: Uint8Array.from({ length: 16 * 24 * 3 }, (_, i) => 40 + (i % 3) * 60 + Math.floor(i / 48) * 3),
  };

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('of EXIF orientation %i stands upright', async (orientation) => {
    const stored = await of(smooth)
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .withMetadata({ orientation })
      .toBuffer();
    const plain = await decodeImage(
      await of(smooth).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
      'x',
    );
    const { image, original } = await decodeWithOriginal(stored, 'x');
    expect(image).toEqual(turned(plain, orientation));
    expect([original.width, original.height]).toEqual([image.width, image.height]);
  });

  it('of gray becomes three equal channels, or stays one', async () => {
    const bytes = await of(noise(16, 16, 1))
      .jpeg()
      .toBuffer();
    const color = await decodeImage(bytes, 'x');
    const one = await decodeImage(bytes, 'x', { channels: 1 });
    expect([...color.pixels]).toEqual(gray(...one.pixels));
  });

  it('of CMYK, whose inks are stored inverted, is converted to sRGB', async () => {
    for (const color of [
      [255, 255, 255],
      [0, 0, 0],
      [20, 40, 200],
    ]) {
      const bytes = await fromRaw(
        Uint8Array.from({ length: 768 }, (_, i) => color[i % 3]!),
        16,
        16,
        3,
      )
        .toColourspace('cmyk')
        .jpeg({ quality: 95 })
        .toBuffer();
      expect((await sharp(bytes).metadata()).space).toBe('cmyk');
      const seen = await pixelsOf(bytes);
      // Inks do not reach every screen color: what is light stays light, and the strongest channel the strongest.
      const [r, g, b] = seen as [number, number, number];
      expect(Math.abs(Math.max(r, g, b) - Math.max(...color))).toBeLessThan(80);
      // Of blue at least this much is left above the rest; white and black have none.
      expect(b - Math.max(r, g)).toBeGreaterThan(color[2]! > color[0]! ? 20 : -20);
    }
  });
});

describe('a JPEG of a careless camera', () => {
  const files = async (): Promise<Buffer[]> => [
    await of(noise(40, 33)).jpeg({ progressive: false }).toBuffer(),
    await of(noise(40, 33, 1))
      .jpeg()
      .toBuffer(),
  ];
  const inserted = (bytes: Buffer, at: number, stray: readonly number[]): Buffer =>
    Buffer.concat([bytes.subarray(0, at), Buffer.from(stray), bytes.subarray(at)]);

  it('whose scan claims no frequencies is read as what it can only be', async () => {
    for (const bytes of await files()) {
      const whole = await decodeImage(bytes, 'x');
      const odd = Buffer.from(bytes);
      const scan = odd.indexOf(Buffer.of(0xff, 0xda));
      odd[scan + 5 + 2 * odd[scan + 4]! + 1] = 0;
      expect(await decodeImage(odd, 'x')).toEqual(whole);
    }
  });

  it('with stray bytes between segments, or after the scan, gives the same pixels', async () => {
    for (const bytes of await files()) {
      const whole = await decodeImage(bytes, 'x');
      let segments = 0;
      for (let at = bytes.indexOf(0xff, 4); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
        if (![0xc0, 0xc4, 0xda, 0xdb, 0xd9].includes(bytes[at + 1]!)) continue;
        segments++;
        expect(await decodeImage(inserted(bytes, at, [0x12, 0x34]), 'x'), `${at}`).toEqual(whole);
      }
      expect(segments).toBeGreaterThan(4);
    }
  });

  it('with a few bytes of padding between two scans gives the same pixels; with many it is refused', async () => {
    const bytes = await of(noise(40, 33)).jpeg({ progressive: true }).toBuffer();
    const first = bytes.indexOf(Buffer.of(0xff, 0xda));
    const next = bytes.indexOf(Buffer.of(0xff, 0xc4), first);
    expect(next).toBeGreaterThan(first);
    expect(await decodeImage(inserted(bytes, next, [0x12, 0x34]), 'x')).toEqual(await decodeImage(bytes, 'x'));
    await expect(decodeImage(inserted(bytes, next, new Array<number>(40).fill(7)), 'x')).rejects.toThrow(
      'extraneous bytes',
    );
  });

  it('that lost a part of its scan as well is refused', async () => {
    const [bytes] = await files();
    const scan = bytes!.indexOf(Buffer.of(0xff, 0xda));
    const gutted = Buffer.concat([bytes!.subarray(0, scan + 200), bytes!.subarray(-2)]);
    gutted[scan + 5 + 2 * gutted[scan + 4]! + 1] = 0;
    await expect(decodeImage(gutted, 'x')).rejects.toThrow('premature end');
  });
});

describe('WebP', () => {
  it('of several frames gives the first', async () => {
    const frames = [10, 200].map((value) => new Uint8Array(4 * 4 * 3).fill(value));
    const bytes = await sharp(Buffer.concat(frames), {
      raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } as CreateRaw,
    })
      .webp({ lossless: true, loop: 0, delay: [100, 100] })
      .toBuffer();
    expect((await sharp(bytes).metadata()).pages).toBe(2);
    const image = await decodeImage(bytes, 'x');
    expect([image.width, image.height, new Set(image.pixels)]).toEqual([4, 4, new Set([10])]);
  });

  it('with alpha is laid over the background', async () => {
    const bytes = await fromRaw(Uint8Array.of(255, 0, 0, 0, 0, 0, 255, 255), 2, 1, 4)
      .webp({ lossless: true, exact: true })
      .toBuffer();
    expect(await pixelsOf(bytes, [9, 8, 7])).toEqual([9, 8, 7, 0, 0, 255]);
  });

  it('of an EXIF orientation stands upright', async () => {
    const image = noise(5, 3);
    const bytes = await of(image).webp({ lossless: true }).withMetadata({ orientation: 8 }).toBuffer();
    expect(await decodeImage(bytes, 'x')).toEqual(turned(image, 8));
  });
});

/** The upright picture of what a camera stored under an EXIF orientation. Source: EXIF 2.3, tag 0x0112. */
function turned(image: Image, orientation: number): Image {
  const { width: w, height: h, channels } = image;
  const [width, height] = orientation > 4 ? [h, w] : [w, h];
  const sources: Record<number, (x: number, y: number) => [number, number]> = {
    1: (x, y) => [x, y],
    2: (x, y) => [w - 1 - x, y],
    3: (x, y) => [w - 1 - x, h - 1 - y],
    4: (x, y) => [x, h - 1 - y],
    5: (x, y) => [y, x],
    6: (x, y) => [y, h - 1 - x],
    7: (x, y) => [w - 1 - y, h - 1 - x],
    8: (x, y) => [w - 1 - y, x],
  };
  const pixels = new Uint8Array(image.pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = sources[orientation]!(x, y);
      pixels.set(
        image.pixels.subarray((fromY * w + fromX) * channels, (fromY * w + fromX + 1) * channels),
        (y * width + x) * channels,
      );
    }
  }
  return { ...image, width, height, pixels };
}
