// The formats beside PNG, JPEG and WebP: pixels as written, the first of several, and nothing cut short let in.
import { isDeepStrictEqual } from 'node:util';

import sharp, { type CreateRaw } from 'sharp';
import { describe, expect, it } from 'vitest';

import { InputError } from '../../../src/errors.js';
import type { Image } from '../../../src/interfaces/media.js';
import { decodeImage, decodeWithOriginal } from '../../../src/media/image/image.js';
import { IMAGE_EXTENSIONS, describeBytes, imageFormat } from '../../../src/media/image/sniff.js';
import { Rng } from '../../../src/rng.js';
import { noise, of } from './fixtures.js';

const outcome = (bytes: Uint8Array): Promise<Image | Error> => decodeImage(bytes, 'x').catch((error: Error) => error);
const codeOf = async (bytes: Uint8Array): Promise<string> => ((await outcome(bytes)) as InputError).code;

/** Few enough colors for a palette, so that a GIF keeps them. */
const flat: Image = { ...noise(9, 7), pixels: noise(9, 7).pixels.map((value) => value & 0x80) };

const frames = (format: 'gif' | 'tiff' | 'webp'): Promise<Buffer> => {
  const pixels = Buffer.concat([10, 200].map((value) => Buffer.alloc(4 * 4 * 3, value)));
  const pages = sharp(pixels, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } as CreateRaw });
  const encoders = {
    gif: () => pages.gif({ delay: [100, 100] }),
    tiff: () => pages.tiff({ compression: 'none' }),
    webp: () => pages.webp({ lossless: true, delay: [100, 100] }),
  };
  return encoders[format]().toBuffer();
};

/** A BMP of literal rows, bottom row first, with what comes between the header of 40 bytes and the rows. */
function bmp(
  width: number,
  height: number,
  bits: number,
  rows: readonly number[],
  { between = [] as readonly number[], compression = 0, colors = 0 } = {},
): Uint8Array {
  const head = Buffer.alloc(54);
  head.write('BM');
  head.writeUInt32LE(54 + between.length, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(compression, 30);
  head.writeUInt32LE(colors, 46);
  return Buffer.concat([head, Buffer.from(between), Buffer.from(rows)]);
}

describe('GIF, TIFF and AVIF', () => {
  it('come back with the pixels that were written', async () => {
    const image = noise(17, 9);
    expect(await decodeImage(await of(flat).gif({ dither: 0, effort: 10 }).toBuffer(), 'x')).toEqual(flat);
    for (const compression of ['none', 'lzw', 'deflate', 'packbits'] as const) {
      expect(await decodeImage(await of(image).tiff({ compression }).toBuffer(), 'x'), `${compression}`).toEqual(image);
    }
    expect(
      await decodeImage(
        await of(image)
          .tiff({ compression: 'deflate', bigtiff: true, tile: true, tileWidth: 16, tileHeight: 16 })
          .toBuffer(),
        'x',
      ),
    ).toEqual(image);
    const avif = await of(image).avif({ lossless: true }).toBuffer();
    expect(imageFormat(avif)).toBe('avif');
    expect(await decodeImage(avif, 'x')).toEqual(image);
  });

  it('of several frames or pages give the first, and say so', async () => {
    for (const format of ['gif', 'tiff', 'webp'] as const) {
      const { image, oneOfSeveral } = await decodeWithOriginal(await frames(format), 'x');
      expect([image.width, image.height, new Set(image.pixels), oneOfSeveral], `${format}`).toEqual([
        4,
        4,
        new Set([10]),
        true,
      ]);
    }
    for (const bytes of [
      await of(flat).gif().toBuffer(),
      await of(flat).tiff().toBuffer(),
      await of(flat).webp().toBuffer(),
      await of(flat).png().toBuffer(),
      await of(flat).jpeg().toBuffer(),
    ]) {
      expect((await decodeWithOriginal(bytes, 'x')).oneOfSeveral).toBeUndefined();
    }
  });

  it('reads the first image of an AVIF sequence', async () => {
    const bytes = await of(noise(16, 16)).avif({ lossless: true }).toBuffer();
    const still = await decodeImage(bytes, 'x');
    bytes.write('avis', 8, 'latin1');
    const { image, oneOfSeveral } = await decodeWithOriginal(bytes, 'x');
    expect([image, oneOfSeveral]).toEqual([still, true]);
  });

  it('refuse samples that are not colors', async () => {
    const measured = await of(noise(8, 8, 1))
      .toColourspace('b-w')
      .tiff({ compression: 'none' })
      .toBuffer();
    measured.writeUInt16LE(3, tagAt(measured, 339) + 8);
    await expect(decodeImage(measured, 'x.tif')).rejects.toThrow(
      'x.tif: expected a TIFF of colors with up to 16 bits a sample, found floating-point samples',
    );
    const lab = await of(noise(8, 8)).tiff({ compression: 'none' }).toBuffer();
    lab.writeUInt16LE(8, tagAt(lab, 262) + 8);
    expect(await codeOf(lab)).toBe('E_IMAGE_FORMAT');
  });

  it('keep the high byte of 16-bit samples', async () => {
    const deep = await sharp(Uint16Array.of(0x1234, 0xff00, 0x00ff, 0x8000), {
      raw: { width: 2, height: 2, channels: 1 },
    })
      .toColourspace('grey16')
      .tiff({ compression: 'none' })
      .toBuffer();
    expect([...(await decodeImage(deep, 'x', { channels: 1 })).pixels]).toEqual([0x12, 0xff, 0, 0x80]);
  });
});

/** Byte at which the entry of a tag begins, in a little-endian TIFF. */
function tagAt(file: Buffer, tag: number): number {
  const start = file.readUInt32LE(4);
  for (let at = start + 2; at < start + 2 + 12 * file.readUInt16LE(start); at += 12)
    if (file.readUInt16LE(at) === tag) return at;
  throw new Error(`no tag ${tag}`);
}

describe('BMP', () => {
  it('of 24 bits has its last row first and blue before red', async () => {
    const rows = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
    const upright = [9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4];
    expect([...(await decodeImage(bmp(2, 2, 24, rows), 'x')).pixels]).toEqual(upright);
    // Without the padding of the last row, too; and with a negative height, the first row comes first.
    expect([...(await decodeImage(bmp(2, 2, 24, rows.slice(0, -2)), 'x')).pixels]).toEqual(upright);
    expect([...(await decodeImage(bmp(2, -2, 24, rows), 'x')).pixels]).toEqual([
      ...upright.slice(6),
      ...upright.slice(0, 6),
    ]);
  });

  it.each([
    [1, [0b01000000, 0, 0, 0]],
    [4, [0x01, 0, 0, 0]],
    [8, [0, 1, 0, 0]],
  ])('of %i bits shows the colors of its palette', async (bits, row) => {
    const between = [10, 20, 30, 0, 40, 50, 60, 0];
    expect([...(await decodeImage(bmp(2, 1, bits, row, { between, colors: 2 }), 'x')).pixels]).toEqual([
      30, 20, 10, 60, 50, 40,
    ]);
  });

  it('with a color beyond its palette is refused', async () => {
    expect(await codeOf(bmp(2, 1, 8, [0, 2, 0, 0], { between: [10, 20, 30, 0, 40, 50, 60, 0], colors: 2 }))).toBe(
      'E_IMAGE_CORRUPT',
    );
  });

  it('of 16 and 32 bits follows its masks', async () => {
    const red565 = [0, 0xf8, 0, 0, 0xe0, 0x07, 0, 0, 0x1f, 0, 0, 0];
    expect([
      ...(
        await decodeImage(
          bmp(1, 3, 16, red565, { between: [...word(0xf800), ...word(0x7e0), ...word(0x1f)], compression: 3 }),
          'x',
        )
      ).pixels,
    ]).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0]);
    expect([...(await decodeImage(bmp(1, 1, 16, [0x00, 0x7c, 0, 0]), 'x')).pixels]).toEqual([255, 0, 0]);
    // The fourth byte means nothing without a mask.
    expect([...(await decodeImage(bmp(1, 1, 32, [1, 2, 3, 0]), 'x')).pixels]).toEqual([3, 2, 1]);
    const alpha = bmp(1, 2, 32, [1, 2, 3, 0, 4, 5, 6, 255], {
      between: [...word(0xff0000), ...word(0xff00), ...word(0xff), ...word(0xff000000)],
      compression: 6,
    });
    expect([...(await decodeImage(alpha, 'x', { background: [9, 8, 7] })).pixels]).toEqual([6, 5, 4, 9, 8, 7]);
    expect(
      await codeOf(
        bmp(1, 1, 32, [1, 2, 3, 0], { between: [...word(5), ...word(0xff00), ...word(0xff)], compression: 3 }),
      ),
    ).toBe('E_IMAGE_CORRUPT');
  });

  it('is refused when compressed, too large or without pixels', async () => {
    expect(await codeOf(bmp(2, 1, 8, [2, 0, 0, 1], { compression: 1 }))).toBe('E_IMAGE_FORMAT');
    expect(await codeOf(bmp(60_000, 60_000, 24, [0]))).toBe('E_IMAGE_TOO_LARGE');
    expect(await codeOf(bmp(0, 1, 24, [0]))).toBe('E_IMAGE_CORRUPT');
    expect(await codeOf(bmp(-1, 1, 24, [0, 0, 0, 0]))).toBe('E_IMAGE_CORRUPT');
    expect(describeBytes(Buffer.from('BMW of 1972, in good condition'))).toBe('text');
  });
});

const word = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

describe('every format', () => {
  const files = async (): Promise<Record<string, Uint8Array>> => ({
    gif: await of(flat).gif().toBuffer(),
    animation: await frames('gif'),
    'raw tiff': await of(noise(20, 13)).tiff({ compression: 'none' }).toBuffer(),
    'jpeg tiff': await of(noise(20, 13)).tiff({ compression: 'jpeg' }).toBuffer(),
    'lzw tiff': await of(noise(20, 13)).tiff({ compression: 'lzw' }).toBuffer(),
    pages: await frames('tiff'),
    avif: await of(noise(20, 13)).avif().toBuffer(),
    bmp: bmp(20, 13, 24, [...noise(20, 13).pixels]),
    'palette bmp': bmp(4, 2, 8, [0, 1, 1, 0, 1, 0, 0, 1], { between: [1, 2, 3, 0, 4, 5, 6, 0], colors: 2 }),
  });

  it('rejects every truncation, or decodes it to the same pixels', async () => {
    const surprises: string[] = [];
    for (const [name, bytes] of Object.entries(await files())) {
      const whole = await decodeImage(bytes, name);
      for (let length = 0; length < bytes.length; length++) {
        const cut = await outcome(bytes.subarray(0, length));
        if (!(cut instanceof InputError || isDeepStrictEqual(cut, whole)))
          surprises.push(`${name} cut at ${length}: ${String(cut)}`);
      }
    }
    expect(surprises).toEqual([]);
  });

  it('survives two thousand mutants, every failure typed and in time', async () => {
    const originals = Object.entries(await files());
    const surprises: string[] = [];
    for (let i = 0; i < 2000; i++) {
      const rng = new Rng(11, 'test/mutants', i);
      const [name, bytes] = originals[i % originals.length]!;
      const mutant = Uint8Array.from(bytes);
      // Headers, where lengths and offsets are, and the end, where a TIFF keeps its directory.
      for (let n = 1 + rng.int(4); n > 0; n--)
        mutant[[rng.int(mutant.length), rng.int(64), mutant.length - 1 - rng.int(200)][rng.int(3)]!] = rng.int(256);
      const begun = performance.now();
      const result = await outcome(mutant);
      const fine =
        result instanceof InputError ||
        ((result as Image).kind === 'image' &&
          (result as Image).pixels.length === (result as Image).width * (result as Image).height * 3);
      if (!fine || performance.now() - begun > 5000) surprises.push(`${name} ${i}: ${String(result)}`);
    }
    expect(surprises).toEqual([]);
  }, 30_000);

  it('has its extensions in lower case', () => {
    expect([...IMAGE_EXTENSIONS].filter((extension) => !/^[a-z]+$/.test(extension))).toEqual([]);
    for (const extension of ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp', 'tif', 'tiff', 'avif'])
      expect(IMAGE_EXTENSIONS.has(extension)).toBe(true);
  });
});
