// The plain PNG decoder against libvips: equal pixels, or not plain.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

import * as fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import '../../../src/media/image/image.js';
import { decodePlainPng, type Samples } from '../../../src/media/image/png.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const LIMIT = 2 ** 20;

function chunk(type: string, body: Uint8Array): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length);
  sum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, sum]);
}

interface Parts {
  width: number;
  height: number;
  color: number;
  lines: Uint8Array;
  depth?: number;
  interlaced?: number;
  palette?: Uint8Array;
  extra?: Buffer[];
  /** Cuts the compressed data into so many chunks. */
  cuts?: number;
}

function png({ width, height, color, lines, depth = 8, interlaced = 0, palette, extra = [], cuts = 1 }: Parts): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([depth, color, 0, 0, interlaced], 8);
  const packed = deflateSync(lines);
  const size = Math.ceil(packed.length / cuts);
  const data = Array.from({ length: cuts }, (_, i) => chunk('IDAT', packed.subarray(i * size, (i + 1) * size)));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...extra,
    ...(palette ? [chunk('PLTE', palette)] : []),
    ...data,
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

async function byLibvips(bytes: Uint8Array): Promise<Samples> {
  const { data, info } = await sharp(bytes, { failOn: 'warning' })
    .toColourspace('srgb')
    .ensureAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels, values: Uint8Array.from(data) };
}

/** As RGBA. */
function plainly(bytes: Uint8Array): Samples | undefined {
  const samples = decodePlainPng(bytes, LIMIT);
  if (!samples) return undefined;
  const { width, height, channels, values } = samples;
  const rgba = Array.from({ length: width * height }, (_, i) => {
    const pixel = [...values.subarray(i * channels, (i + 1) * channels)];
    const [alpha] = channels % 2 === 0 ? pixel.splice(-1) : [255];
    return [...(pixel.length === 1 ? [pixel[0]!, pixel[0]!, pixel[0]!] : pixel), alpha!];
  });
  return { width, height, channels: 4, values: Uint8Array.from(rgba.flat()) };
}

/** Any bytes behind a known filter are a picture. */
const pictures = fc
  .record({
    width: fc.integer({ min: 1, max: 9 }),
    height: fc.integer({ min: 1, max: 9 }),
    color: fc.constantFrom(0, 2, 3, 4, 6),
    cuts: fc.integer({ min: 1, max: 3 }),
    seed: fc.uint8Array({ minLength: 600, maxLength: 600 }),
  })
  .map(({ seed, ...parts }) => {
    const stride = 1 + parts.width * { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[parts.color]!;
    const lines = Uint8Array.from({ length: parts.height * stride }, (_, i) =>
      i % stride === 0 ? seed[i]! % 5 : seed[i]!,
    );
    return png({
      ...parts,
      lines,
      ...(parts.color === 3 ? { palette: Uint8Array.from({ length: 768 }, (_, i) => (i * 37) % 256) } : {}),
    });
  });

describe('decodePlainPng', () => {
  it('gives the pixels libvips gives, for every color type and filter', async () => {
    await fc.assert(
      fc.asyncProperty(pictures, async (bytes) => {
        expect(plainly(bytes)).toEqual(await byLibvips(bytes));
      }),
      { numRuns: 150 },
    );
  });

  const gray = { width: 2, height: 2, color: 0, lines: Uint8Array.of(0, 1, 2, 0, 3, 4) };

  it.each<[string, Buffer]>([
    ['16 bits', png({ ...gray, depth: 16, lines: new Uint8Array(10) })],
    ['one bit', png({ ...gray, depth: 1, lines: new Uint8Array(4) })],
    ['an interlaced picture', png({ ...gray, interlaced: 1 })],
    ['a color profile', png({ ...gray, extra: [chunk('iCCP', Buffer.from('x\0\0'))] })],
    ['a transparent color', png({ ...gray, extra: [chunk('tRNS', Buffer.from([0, 1]))] })],
    ['an orientation', png({ ...gray, extra: [chunk('eXIf', Buffer.from('MM'))] })],
    ['an animation', png({ ...gray, extra: [chunk('acTL', Buffer.alloc(8))] })],
    ['an unknown filter', png({ ...gray, lines: Uint8Array.of(5, 1, 2, 0, 3, 4) })],
    ['missing lines', png({ ...gray, lines: Uint8Array.of(0, 1, 2) })],
    ['lines too many', png({ ...gray, lines: new Uint8Array(9) })],
    ['an unknown color type', png({ ...gray, color: 5 })],
    ['no width', png({ ...gray, width: 0 })],
    ['a palette too short', png({ ...gray, color: 3, palette: Uint8Array.of(1, 2, 3) })],
    ['no palette', png({ ...gray, color: 3 })],
    ['a second header', png({ ...gray, extra: [chunk('IHDR', Buffer.alloc(13))] })],
    [
      'data that does not inflate',
      Buffer.concat([
        png(gray).subarray(0, 33),
        chunk('IDAT', Buffer.from('nonsense')),
        chunk('IEND', Buffer.alloc(0)),
      ]),
    ],
    [
      'data in two places',
      Buffer.concat([
        png(gray).subarray(0, -12),
        chunk('tEXt', Buffer.from('a\0b')),
        chunk('IDAT', Buffer.alloc(0)),
        chunk('IEND', Buffer.alloc(0)),
      ]),
    ],
  ])('leaves %s to libvips', (_, bytes) => {
    expect(decodePlainPng(bytes, LIMIT)).toBeUndefined();
    expect(decodePlainPng(png(gray), LIMIT)).toBeDefined();
  });

  it('leaves images above the limit to libvips before it inflates them', () => {
    expect(decodePlainPng(png(gray), 4)).toBeDefined();
    expect(decodePlainPng(png(gray), 3)).toBeUndefined();
  });

  const hostile = join(process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'), 'hostile');
  it.skipIf(!existsSync(hostile))('agrees with libvips on a corpus of odd files', async () => {
    const files = readdirSync(hostile, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.png'));
    let plain = 0;
    for (const name of files) {
      const bytes = readFileSync(join(hostile, name));
      const samples = plainly(bytes);
      if (!samples) continue;
      plain++;
      expect({ name, ...(await byLibvips(bytes)) }).toEqual({ name, ...samples });
    }
    expect(plain).toBeGreaterThan(10);
  });
});
