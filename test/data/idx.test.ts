import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import type { Image } from '../../src/interfaces/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { decodeSample } from '../../src/data/decode.js';
import { openDataset } from '../../src/data/open.js';
import { codeOf, describeAll, folderOf, idxOf, inputOf } from './fixtures.js';

const COUNT = 6;
const pixels = Uint8Array.from({ length: COUNT * 12 }, (_, i) => i);
const images = idxOf([COUNT, 3, 4], pixels);
const labels = idxOf([COUNT], Uint8Array.of(0, 1, 2, 9, 1, 0));

function temporaries(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`tesserae-${process.pid}-`));
}

describe('openDataset on IDX', () => {
  it('reads MNIST-style folders with their official split, zipped or not', async () => {
    for (const zip of [false, true]) {
      const name = zip ? '.gz' : '';
      const packed = (bytes: Uint8Array): Uint8Array => (zip ? gzipSync(bytes) : bytes);
      const folder = folderOf({
        [`train-images-idx3-ubyte${name}`]: packed(images),
        [`train-labels-idx1-ubyte${name}`]: packed(labels),
        [`t10k-images-idx3-ubyte${name}`]: packed(images),
        [`t10k-labels-idx1-ubyte${name}`]: packed(labels),
      });
      const dataset = await openDataset(folder);
      expect([dataset.kind, dataset.size('train'), dataset.size('test')]).toEqual(['idx', COUNT, COUNT]);
      // The classes that occur, in the order of their numbers.
      expect(dataset.classes).toEqual(['0', '1', '2', '9']);
      expect(dataset.describe('test', 3)).toEqual({ key: 't10k-000003', captions: ['a photo of a 9'], label: 3 });
      const raw = await dataset.read('train', 2);
      const stored = {
        kind: 'image',
        width: 4,
        height: 3,
        channels: 1,
        pixels: Uint8Array.from(pixels.subarray(24, 36)),
      };
      expect(raw.content).toEqual({ media: stored });
      expect((await decodeSample(raw, imageMedium)).media).toEqual(stored);
      expect((await decodeSample(raw, imageMedium, inputOf(4, 3, { channels: 1 }))).media).toEqual(stored);
      const sized = (await decodeSample(raw, imageMedium, inputOf(8, 6))).media as Image;
      expect(sized.pixels.length).toBe(8 * 6 * 3);
      await dataset.close();
    }
    expect(temporaries()).toEqual([]);
  });

  it('takes class names from classes.txt, or from the option', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `class ${i}`);
    const folder = folderOf({
      'train-images-idx3-ubyte': images,
      'train-labels-idx1-ubyte': labels,
      'classes.txt': names.join('\n'),
    });
    const own = await openDataset(folder);
    expect(own.classes).toEqual(names);
    const given = await openDataset(folder, { classes: names.map((name) => `my ${name}`), captionTemplate: '{label}' });
    expect(describeAll(given, 'train').map(({ captions }) => captions[0])).toContain('my class 9');
    expect(await codeOf(openDataset(folder, { classes: ['a', 'b'] }))).toBe('E_DATA_LABEL');
    await own.close();
    await given.close();
  });

  it('opens a single file, with and without labels, and makes a split', async () => {
    const folder = folderOf({ 'my-images-idx3-ubyte': images, 'my-labels-idx1-ubyte': labels, 'raw.bin': images });
    const labelled = await openDataset(join(folder, 'my-images-idx3-ubyte'));
    expect(labelled.size('train') + labelled.size('test')).toBe(COUNT);
    expect(labelled.size('test')).toBeGreaterThan(0);
    expect(labelled.describe('train', 0).label).toBeDefined();
    const bare = await openDataset(join(folder, 'raw.bin'));
    expect(bare.describe('train', 0)).toMatchObject({ captions: [] });
    expect(bare.classes).toBeUndefined();
    await labelled.close();
    await bare.close();
  });

  it('reads color images [N, H, W, 3]', async () => {
    const folder = folderOf({ 'train-images-idx4-ubyte': idxOf([2, 2, 2, 3], pixels.subarray(0, 24)) });
    const dataset = await openDataset(folder);
    const image = (await decodeSample(await dataset.read('train', 0), imageMedium)).media as Image;
    expect([image.width, image.height, image.channels]).toEqual([2, 2, 3]);
    await dataset.close();
  });

  it('refuses wrong magic, wrong size and labels of another count', async () => {
    const cases: Array<[string, Record<string, Uint8Array>]> = [
      ['E_IDX_MAGIC', { 'train-images-idx3-ubyte': idxOf([COUNT, 3, 4], pixels, [0, 0, 13, 3]) }],
      ['E_IDX_MAGIC', { 'train-images-idx3-ubyte': new Uint8Array(0) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': images.subarray(0, 9) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': images.subarray(0, -1) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': Buffer.concat([images, Buffer.alloc(1)]) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': idxOf([COUNT, 12], pixels) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': idxOf([0xffffffff, 0xffff, 0xffff], pixels) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte': idxOf([9, 0, 4], pixels) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte.gz': gzipSync(images.subarray(0, -1)) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte.gz': gzipSync(Buffer.concat([images, Buffer.alloc(5)])) }],
      ['E_IDX_SIZE', { 'train-images-idx3-ubyte.gz': gzipSync(images).subarray(0, -9) }],
      [
        'E_IDX_LABELS',
        { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': idxOf([5], pixels.subarray(0, 5)) },
      ],
      [
        'E_IDX_LABELS',
        { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': idxOf([COUNT], pixels.subarray(0, 5)) },
      ],
      [
        'E_IDX_LABELS',
        { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': idxOf([5], pixels.subarray(0, COUNT)) },
      ],
      ['E_IDX_LABELS', { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': images }],
      [
        'E_IDX_LABELS',
        { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte.gz': gzipSync(new Uint8Array(1e6)) },
      ],
      ['E_IDX_MAGIC', { 'train-images-idx3-ubyte': images, 'train-labels-idx1-ubyte': pixels }],
      ['E_DATA_EMPTY', { 'train-images-idx3-ubyte': idxOf([0, 3, 4], new Uint8Array(0)) }],
    ];
    const found: string[] = [];
    for (const [, files] of cases) found.push(await codeOf(openDataset(folderOf(files))));
    expect(found).toEqual(cases.map(([code]) => code));
    expect(temporaries()).toEqual([]);
  });
});
