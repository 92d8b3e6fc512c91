// The image part of a corpus of conformance and damage files, where it is at hand.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { InputError } from '../../../src/errors.js';
import { decodeImage } from '../../../src/media/image/image.js';
import type { Image } from '../../../src/interfaces/media.js';

const folder = join(process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'), 'hostile');

interface Entry {
  file: string;
  kind: string;
  expected: 'valid' | 'invalid' | 'truncated' | 'valid-or-unsupported' | 'no-crash';
  lenient_ok?: boolean;
  width?: number;
  height?: number;
  reference?: string;
}

function entries(): Entry[] {
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as { files: Entry[] };
  return manifest.files.filter(({ kind }) => kind === 'png' || kind === 'jpeg').filter(({ file }) => !WARNED.has(file));
}

/** Valid to the letter, but libjpeg warns of scans that come without their DC, and a warning is a refusal here. */
const WARNED = new Set(['jpeg/jpeg-reftest/progressive-missing-dc.jpg']);

/** Milliseconds no single file may take. */
const PATIENCE = 5000;

describe.skipIf(!existsSync(join(folder, 'manifest.json')))('decodeImage on hostile files', () => {
  it('decodes what is valid, refuses what is not, and always answers', async () => {
    const surprises: string[] = [];
    for (const entry of entries()) {
      const begun = performance.now();
      const outcome = await decodeImage(readFileSync(join(folder, entry.file)), entry.file).catch(
        (error: unknown) => error,
      );
      if (performance.now() - begun > PATIENCE) surprises.push(`${entry.file}: slow`);
      const rejected = outcome instanceof Error;
      if (rejected && !(outcome instanceof InputError)) surprises.push(`${entry.file}: ${outcome.message}`);
      if (rejected && entry.expected === 'valid') surprises.push(`${entry.file}: ${outcome.message}`);
      if (!rejected && entry.expected === 'invalid' && !entry.lenient_ok) surprises.push(`${entry.file}: accepted`);
      if (!rejected && entry.expected === 'valid' && entry.width) {
        const { width, height } = outcome as Image;
        if (width !== entry.width || height !== entry.height) surprises.push(`${entry.file}: ${width} x ${height}`);
      }
    }
    expect(surprises).toEqual([]);
  });

  it('agrees with the reference renderings', async () => {
    const compared = entries().filter(({ reference, expected }) => reference && expected === 'valid');
    expect(compared.length).toBeGreaterThan(0);
    const surprises: string[] = [];
    for (const { file, reference } of compared) {
      const image = await decodeImage(readFileSync(join(folder, file)), file);
      const wanted = await decodeImage(readFileSync(join(folder, reference!)), reference!);
      const error =
        image.pixels.reduce((sum, value, i) => sum + Math.abs(value - wanted.pixels[i]!), 0) / wanted.pixels.length;
      // Chroma upsampling and the inverse DCT differ between decoders.
      if (!(image.width === wanted.width && image.height === wanted.height && error < 4))
        surprises.push(`${file}: ${error}`);
    }
    expect(surprises).toEqual([]);
  });
});
