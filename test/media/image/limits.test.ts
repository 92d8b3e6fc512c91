// No image takes seconds: what would is refused by what it declares, before it is decoded.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { InputError } from '../../../src/errors.js';
import type { Image } from '../../../src/interfaces/media.js';
import { decodeImage } from '../../../src/media/image/image.js';
import { fromRaw, noise, of } from './fixtures.js';

/** Milliseconds no single file may take. */
const PATIENCE = 5000;

async function timed(bytes: Uint8Array, source = 'x'): Promise<Image | Error> {
  const begun = performance.now();
  const outcome = await decodeImage(bytes, source).catch((error: Error) => error);
  expect(performance.now() - begun).toBeLessThan(PATIENCE);
  return outcome;
}

describe('decodeImage', () => {
  it('refuses a JPEG of hundreds of scans over a large image, and reads one over a small image', async () => {
    const bytes = await of(noise(64, 64)).jpeg({ progressive: true }).toBuffer();
    const end = bytes.length - 2;
    const last = bytes.lastIndexOf(Buffer.of(0xff, 0xda));
    const scans = Buffer.concat([
      bytes.subarray(0, end),
      ...Array.from({ length: 700 }, () => bytes.subarray(last, end)),
      bytes.subarray(end),
    ]);
    // What repeated scans are worth is libjpeg's to say; their number alone is no reason here.
    expect(String(await timed(scans))).not.toContain('E_IMAGE_TOO_LARGE');
    const frame = scans.indexOf(Buffer.of(0xff, 0xc2));
    scans.writeUInt16BE(8192, frame + 5);
    scans.writeUInt16BE(8192, frame + 7);
    expect(String(await timed(scans))).toContain('expected at most 100 scans of 8192 x 8192 pixels, found 7');
  });

  it('refuses images of extreme sides', async () => {
    const tall = (height: number): Promise<Buffer> =>
      sharp({ create: { width: 1, height, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
    expect(((await timed(await tall(65_535))) as Image).height).toBe(65_535);
    expect(((await timed(await tall(65_536))) as InputError).code).toBe('E_IMAGE_TOO_LARGE');
    const tiff = await fromRaw(new Uint8Array(3 * 70_000), 70_000, 1, 3)
      .tiff({ compression: 'none' })
      .toBuffer();
    expect(((await timed(tiff)) as InputError).code).toBe('E_IMAGE_TOO_LARGE');
  });

  it('reads the first page of a TIFF without visiting a hundred thousand others', async () => {
    const bytes = await of(noise(2, 2)).tiff({ compression: 'none' }).toBuffer();
    const start = bytes.readUInt32LE(4);
    const linkAt = 2 + 12 * bytes.readUInt16LE(start);
    const directory = bytes.subarray(start, start + linkAt + 4);
    const count = 100_000;
    const file = Buffer.alloc(bytes.length + count * directory.length);
    bytes.copy(file);
    for (let i = 0, link = start + linkAt; i < count; i++) {
      const at = bytes.length + i * directory.length;
      directory.copy(file, at);
      file.writeUInt32LE(at, link);
      link = at + linkAt;
    }
    const begun = performance.now();
    expect(await timed(file)).toEqual(noise(2, 2));
    // Visiting them takes several seconds; a copy of the file takes none.
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

const bombs = join(
  process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'),
  '../cases/attack/bombs',
);

describe.skipIf(!existsSync(bombs))('decodeImage on bombs of others', () => {
  it('decodes or refuses each in time', async () => {
    for (const file of readdirSync(bombs)) {
      const outcome = await timed(readFileSync(join(bombs, file)), file);
      expect(outcome instanceof Error && !(outcome instanceof InputError)).toBe(false);
    }
  });
});
