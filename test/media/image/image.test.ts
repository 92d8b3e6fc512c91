import { isDeepStrictEqual } from 'node:util';
import { crc32, deflateSync } from 'node:zlib';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { InputError, ShapeError, TesseraeError, UsageError } from '../../../src/errors.js';
import type { Image } from '../../../src/interfaces/media.js';
import { decodeImage, encodePng } from '../../../src/media/image/image.js';
import { fromFloat32, toFloat32, withChannels } from '../../../src/media/image/pixels.js';
import { resizeImage } from '../../../src/media/image/fit.js';
import { Rng } from '../../../src/rng.js';
import { fromRaw, noise, of } from './fixtures.js';

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof TesseraeError)) throw new Error(`expected a typed error, received ${String(error)}`);
  expect(error.message).not.toContain('\n');
  return error.code;
}

const pixelsOf = (image: Image): number[] => [...image.pixels];

describe('decodeImage', () => {
  it('gives back the exact pixels of a PNG and of a lossless WebP', async () => {
    const image = noise(17, 9);
    for (const bytes of [await encodePng(image), await of(image).webp({ lossless: true }).toBuffer()]) {
      expect(await decodeImage(bytes, 'x')).toEqual(image);
    }
  });

  it('decodes gray, palette, interlaced and 16-bit PNG', async () => {
    const gray = noise(12, 10, 1);
    expect(await decodeImage(await encodePng(gray), 'x', { channels: 1 })).toEqual(gray);
    expect(await decodeImage(await encodePng(gray), 'x')).toEqual(withChannels(gray, 3));
    const flat = noise(8, 8);
    flat.pixels.forEach((value, i) => (flat.pixels[i] = value & 0xc0));
    const palette = await of(flat).png({ palette: true, dither: 0, effort: 10 }).toBuffer();
    expect(palette.includes('PLTE')).toBe(true);
    expect(pixelsOf(await decodeImage(palette, 'x'))).toEqual([...flat.pixels]);
    const color = noise(12, 10);
    expect(await decodeImage(await of(color).png({ progressive: true }).toBuffer(), 'x')).toEqual(color);
    const deep = await of(color).toColourspace('rgb16').png().toBuffer();
    expect(deep[24]).toBe(16);
    expect(await decodeImage(deep, 'x')).toEqual(color);
  });

  it('lays transparent pixels over the stated background, white by default', async () => {
    const rgba = Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 255, 255, 0, 0, 128);
    const bytes = await fromRaw(rgba, 3, 1, 4).png().toBuffer();
    expect(pixelsOf(await decodeImage(bytes, 'x'))).toEqual([255, 255, 255, 255, 0, 0, 255, 127, 127]);
    const black = await decodeImage(bytes, 'x', { background: [0, 0, 0] });
    expect(pixelsOf(black)).toEqual([0, 0, 0, 255, 0, 0, 128, 0, 0]);
    const grayAlpha = await fromRaw(Uint8Array.of(9, 0, 9, 255), 2, 1, 2)
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect(pixelsOf(await decodeImage(grayAlpha, 'x', { background: [1, 2, 3] }))).toEqual([1, 2, 3, 9, 9, 9]);
  });

  it('turns a photograph upright by its EXIF orientation', async () => {
    const image = noise(16, 8);
    const tagged = await of(image).withMetadata({ orientation: 6 }).png().toBuffer();
    const upright = await decodeImage(tagged, 'x');
    expect([upright.width, upright.height]).toEqual([8, 16]);
    // Orientation 6: the first column of the upright image is the last row of the stored one.
    expect([...upright.pixels.subarray(0, 3)]).toEqual([...image.pixels.subarray(7 * 16 * 3, 7 * 16 * 3 + 3)]);
    const sized = await decodeImage(tagged, 'x', { size: { width: 8, height: 16 } });
    expect(sized).toEqual(upright);
  });

  it('converts CMYK JPEG to sRGB', async () => {
    const red = fromRaw(
      new Uint8Array(16 * 16 * 3).map((_, i) => (i % 3 === 0 ? 230 : 20)),
      16,
      16,
      3,
    );
    const image = await decodeImage(await red.toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer(), 'x');
    const [r, g, b] = image.pixels;
    expect(r).toBeGreaterThan(170);
    expect(Math.max(g!, b!)).toBeLessThan(90);
  });

  it('does not resample an image that already has the size', async () => {
    const image = noise(32, 24);
    for (const kernel of ['nearest', 'lanczos3'] as const) {
      expect(await decodeImage(await encodePng(image), 'x', { size: { width: 32, height: 24 }, kernel })).toEqual(
        image,
      );
    }
    expect(await resizeImage(image, { width: 32, height: 24 })).toBe(image);
    const large = noise(600, 600);
    const decoded = await decodeImage(await of(large).png({ compressionLevel: 1 }).toBuffer(), 'x', {
      size: { width: 600, height: 600 },
    });
    expect(Buffer.compare(decoded.pixels, large.pixels)).toBe(0);
  });

  it('names what it found instead of an image', async () => {
    const cases: Array<[string, string]> = [
      ['<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', 'SVG'],
      ['\0\0\0\x18ftypheic', 'HEIC'],
      ['%PDF-1.7', 'PDF'],
      ['hello there', 'text'],
    ];
    for (const [content, name] of cases) {
      const failure = decodeImage(Buffer.from(content), 'cat.png');
      await expect(failure).rejects.toThrow(`cat.png: expected PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF, found ${name}`);
      expect(await codeOf(failure)).toBe('E_IMAGE_FORMAT');
    }
    expect(await codeOf(decodeImage(new Uint8Array(0), 'cat.png'))).toBe('E_IMAGE_EMPTY');
  });

  it('refuses a pixel bomb before decoding it', async () => {
    const before = process.memoryUsage().rss;
    expect(await codeOf(decodeImage(pngHeader(60_000, 60_000), 'bomb.png'))).toBe('E_IMAGE_TOO_LARGE');
    expect(await codeOf(decodeImage(pngHeader(60_000, 60_000), 'bomb.png', { size: { width: 8, height: 8 } }))).toBe(
      'E_IMAGE_TOO_LARGE',
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    expect(await codeOf(decodeImage(await encodePng(noise(64, 64)), 'x', { maxPixels: 4000 }))).toBe(
      'E_IMAGE_TOO_LARGE',
    );
  });

  it('refuses sizes and backgrounds that make no sense', async () => {
    const bytes = await encodePng(noise(4, 4));
    for (const width of [0, -1, 1.5, Number.NaN, 1e6]) {
      await expect(decodeImage(bytes, 'x', { size: { width, height: 4 } })).rejects.toThrow(UsageError);
    }
    await expect(decodeImage(bytes, 'x', { background: [0, 0, 300] })).rejects.toThrow(UsageError);
  });

  it('rejects every truncation, or decodes it to the same pixels', async () => {
    const image = noise(20, 13);
    const files = {
      png: await encodePng(image),
      interlaced: await of(image).png({ progressive: true }).toBuffer(),
      palette: await of(image).png({ palette: true }).toBuffer(),
      jpeg: await of(image).jpeg().toBuffer(),
      progressive: await of(image).jpeg({ progressive: true }).toBuffer(),
      webp: await of(image).webp().toBuffer(),
      lossless: await of(image).webp({ lossless: true }).toBuffer(),
      alpha: await of(image).ensureAlpha(0.5).webp().toBuffer(),
    };
    const surprises: string[] = [];
    for (const [name, bytes] of Object.entries(files)) {
      const whole = await decodeImage(bytes, name);
      for (let length = 0; length < bytes.length; length++) {
        const outcome = await decodeImage(bytes.subarray(0, length), name).catch((reason: unknown) => reason);
        if (!(outcome instanceof InputError || isDeepStrictEqual(outcome, whole)))
          surprises.push(`${name} cut at ${length}`);
      }
    }
    expect(surprises).toEqual([]);
  });

  it('says that a file is cut short', async () => {
    const image = noise(20, 13);
    for (const bytes of [
      await encodePng(image),
      await of(image).jpeg().toBuffer(),
      await of(image).webp().toBuffer(),
    ]) {
      expect(await codeOf(decodeImage(bytes.subarray(0, bytes.length - 20), 'x'))).toBe('E_IMAGE_TRUNCATED');
    }
  });

  it('refuses a JPEG that lost the middle of its scan and kept its end marker', async () => {
    const bytes = await of(noise(64, 64)).jpeg({ quality: 95 }).toBuffer();
    const gutted = Buffer.concat([bytes.subarray(0, Math.floor(bytes.length * 0.6)), Buffer.of(0xff, 0xd9)]);
    expect(await codeOf(decodeImage(gutted, 'x'))).toBe('E_IMAGE_CORRUPT');
  });

  it('survives a thousand mutants, every failure typed', async () => {
    const image = noise(16, 12);
    const files = [await encodePng(image), await of(image).jpeg().toBuffer(), await of(image).webp().toBuffer()];
    const surprises: string[] = [];
    for (let i = 0; i < 1000; i++) {
      const rng = new Rng(7, 'test/mutants', i);
      const mutant = Uint8Array.from(files[i % 3]!);
      for (let n = 1 + rng.int(4); n > 0; n--) mutant[rng.int(mutant.length)] = rng.int(256);
      const outcome = await decodeImage(mutant, 'mutant', { size: { width: 8, height: 8 } }).catch(
        (reason: unknown) => reason,
      );
      const fine = outcome instanceof InputError || (outcome as Image).pixels?.length === 8 * 8 * 3;
      if (!fine) surprises.push(`${i}: ${String(outcome)}`);
    }
    expect(surprises).toEqual([]);
  });

  it('detects any flipped bit of a PNG', async () => {
    const bytes = await encodePng(noise(5, 4));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      await expect(decodeImage(flipped, 'x'), `bit ${bit}`).rejects.toThrow(InputError);
    }
  });
});

describe('resizeImage', () => {
  it('keeps a constant image constant, whatever the sizes, modes and kernels', async () => {
    const extent = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ w: extent, h: extent, width: extent, height: extent, value: fc.nat(255) }),
        fc.constantFrom('cover' as const, 'contain' as const, 'fill' as const),
        fc.constantFrom(
          'nearest' as const,
          'linear' as const,
          'cubic' as const,
          'mitchell' as const,
          'lanczos3' as const,
        ),
        async ({ w, h, width, height, value }, resize, kernel) => {
          const image: Image = {
            kind: 'image',
            width: w,
            height: h,
            channels: 1,
            pixels: new Uint8Array(w * h).fill(value),
          };
          const out = await resizeImage(image, { width, height, resize, kernel, background: [value, value, value] });
          expect([out.width, out.height, out.pixels.length]).toEqual([width, height, width * height]);
          expect(out.pixels.every((pixel) => pixel === value)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('agrees with libvips on a smooth image', async () => {
    const image: Image = {
      kind: 'image',
      width: 72,
      height: 72,
      channels: 1,
      pixels: Uint8Array.from({ length: 72 * 72 }, wave),
    };
    for (const size of [24, 48, 64, 71]) {
      const own = await resizeImage(image, { width: size, height: size });
      const vips = await of(image).resize(size, size).toColourspace('b-w').raw().toBuffer();
      // Borders and libvips' fixed-point weights differ; 0.2 of 255 levels on average.
      const error = own.pixels.reduce((sum, value, i) => sum + Math.abs(value - vips[i]!), 0) / vips.length;
      expect(error).toBeLessThan(0.5);
    }
  });

  it('crops the overhang, pads on the background, or stretches', async () => {
    const image: Image = {
      kind: 'image',
      width: 4,
      height: 2,
      channels: 1,
      pixels: Uint8Array.of(0, 100, 200, 50, 0, 100, 200, 50),
    };
    const cover = await resizeImage(image, { width: 2, height: 2 });
    expect(pixelsOf(cover)).toEqual([100, 200, 100, 200]);
    const contain = await resizeImage(image, { width: 4, height: 4, resize: 'contain', background: [7, 7, 7] });
    expect(pixelsOf(contain)).toEqual([7, 7, 7, 7, ...image.pixels, 7, 7, 7, 7]);
    const fill = await resizeImage(image, { width: 2, height: 2, resize: 'fill', kernel: 'nearest' });
    expect(pixelsOf(fill)).toEqual([100, 50, 100, 50]);
  });

  it('resizes a large image by libvips', async () => {
    const image = noise(700, 600);
    const out = await resizeImage(image, { width: 10, height: 10, resize: 'fill' });
    expect(out.pixels.length).toBe(300);
    const decoded = await decodeImage(await encodePng(image), 'x', { size: { width: 10, height: 10 }, resize: 'fill' });
    expect(decoded).toEqual(out);
  });

  it('enlarges a ramp to a ramp', async () => {
    const ramp: Image = {
      kind: 'image',
      width: 16,
      height: 1,
      channels: 1,
      pixels: Uint8Array.from({ length: 16 }, (_, i) => 16 * i),
    };
    const { pixels } = await resizeImage(ramp, { width: 64, height: 1, resize: 'fill', kernel: 'linear' });
    // Value at the center of target pixel i, away from the borders.
    for (let i = 4; i < 60; i++) expect(Math.abs(pixels[i]! - 16 * ((i + 0.5) / 4 - 0.5))).toBeLessThanOrEqual(0.5);
  });
});

describe('toFloat32 and fromFloat32', () => {
  it('are each other’s inverse on every value', () => {
    const image: Image = {
      kind: 'image',
      width: 16,
      height: 16,
      channels: 1,
      pixels: Uint8Array.from({ length: 256 }, (_, i) => i),
    };
    const batch = toFloat32([image, image]);
    expect([batch[0], batch[255], batch[256]]).toEqual([-1, 1, -1]);
    expect(fromFloat32(batch, [2, 16, 16, 1])).toEqual([image, image]);
  });

  it('clamps and rounds', () => {
    const [image] = fromFloat32(Float32Array.of(-7, 7, Number.NaN, 0.0001), [1, 2, 2, 1]);
    expect(pixelsOf(image!)).toEqual([0, 255, 0, 128]);
  });

  it('refuse images of different sizes and shapes that do not fit', () => {
    expect(() => toFloat32([noise(2, 2), noise(2, 3)])).toThrow(ShapeError);
    expect(() => toFloat32([noise(2, 2)], new Float32Array(3))).toThrow(ShapeError);
    expect(() => fromFloat32(new Float32Array(8), [1, 2, 2, 2])).toThrow(ShapeError);
    expect(() => fromFloat32(new Float32Array(8), [1, 2, 2, 3])).toThrow(ShapeError);
  });
});

/** A smooth picture of 72 x 72. */
function wave(_: unknown, i: number): number {
  return 128 + 100 * Math.sin((i % 72) / 9) * Math.cos(i / 72 / 11);
}

function pngHeader(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0, 0, 0, 0], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const body = deflateSync(Buffer.alloc(1000));
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', body), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, body: Buffer): Buffer {
  const tagged = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const out = Buffer.alloc(8 + body.length + 4);
  out.writeUInt32BE(body.length, 0);
  tagged.copy(out, 4);
  out.writeUInt32BE(crc32(tagged), 8 + body.length);
  return out;
}
