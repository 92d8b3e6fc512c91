// IDX folders with something wrong in them: pipes, folders and links in place of files, names in upper case, bad files among
// good ones, and files that announce millions of images for nothing.
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { IndexedDataset, type DatasetOptions } from '../../src/data/indexed.js';
import { openDataset } from '../../src/data/open.js';
import type { Dataset } from '../../src/interfaces/dataset.js';
import { describeAll, folderOf, idxOf, temporaryFolder, type Files } from './fixtures.js';

const COUNT = 6;
const images = idxOf(
  [COUNT, 3, 4],
  Uint8Array.from({ length: COUNT * 12 }, (_, i) => i),
);
const labels = idxOf([COUNT], Uint8Array.of(0, 1, 2, 9, 1, 0));
const [IMAGES, LABELS] = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'];
const whole: Files = { [IMAGES]: images, [LABELS]: labels };

async function withData<T>(files: Files | string, options: DatasetOptions, use: (dataset: Dataset) => T): Promise<T> {
  const dataset = await openDataset(typeof files === 'string' ? files : folderOf(files), options);
  try {
    return use(dataset);
  } finally {
    await dataset.close();
  }
}

const summaryOf = (files: Files | string, options: DatasetOptions = { skipBad: true }) =>
  withData(files, options, ({ summary }) => {
    const { files: found, media, texts, leftOut, bad } = summary!;
    expect(found).toBe(media + texts + leftOut.reduce((sum, { count }) => sum + count, 0) + bad.length);
    return summary!;
  });

describe('what is no file in an IDX folder', () => {
  const kinds: Array<[string, string, (path: string) => void]> = [
    ['a pipe', 'a pipe', (path) => execFileSync('mkfifo', [path])],
    ['a folder', 'a folder', (path) => mkdirSync(path)],
    ['a dangling link', 'a dangling link', (path) => symlinkSync('nowhere', path)],
    ['a link to itself', 'a link to itself', (path) => symlinkSync(path, path)],
  ];
  const names = [IMAGES, LABELS, `${LABELS}.gz`, 'classes.txt'];
  const cases = kinds.flatMap(([kind, found, make]) => names.map((name) => ({ kind, found, make, name })));

  it.skipIf(process.platform === 'win32').each(cases)(
    '$kind named $name is refused by its path, and left out with skipBad',
    { timeout: 5000 },
    async ({ found, make, name }) => {
      const folder = folderOf({ 't10k-images-idx3-ubyte': images, ...(name === IMAGES ? {} : { [IMAGES]: images }) });
      make(join(folder, name));
      await expect(openDataset(folder)).rejects.toMatchObject({
        name: 'InputError',
        code: 'E_IDX_FILE',
        exitCode: 3,
        message: expect.stringContaining(`${join(folder, name)}: expected a file`),
      });
      const { bad, samples } = await summaryOf(folder);
      expect(bad).toEqual([{ file: name, error: expect.stringContaining(`found ${found}`) }]);
      expect(samples).toBe(name === 'classes.txt' ? 2 * COUNT : COUNT);
    },
  );
});

describe('bad IDX files among good ones', () => {
  it('take their images with them, with skipBad', async () => {
    const test: Files = { 't10k-images-idx3-ubyte': images, 't10k-labels-idx1-ubyte': labels };
    const badImages = await summaryOf({ ...test, ...whole, [IMAGES]: images.subarray(0, 30) });
    expect(badImages).toMatchObject({
      samples: COUNT,
      bad: [{ file: IMAGES, error: expect.stringContaining('E_IDX_SIZE') }],
      leftOut: [{ reason: 'files that are not read', examples: [LABELS] }],
    });
    const badLabels = await summaryOf({ ...test, ...whole, [LABELS]: labels.subarray(0, 9) });
    expect(badLabels).toMatchObject({
      samples: COUNT,
      bad: [{ file: LABELS, error: expect.stringContaining('E_IDX_LABELS') }],
      leftOut: [{ reason: 'image files whose labels file is bad', media: true, examples: [IMAGES] }],
    });
    const badClasses = await summaryOf({ ...whole, 'classes.txt': 'cat\ndog\ncat\n' });
    expect(badClasses).toMatchObject({
      samples: COUNT,
      classes: 4,
      bad: [{ file: 'classes.txt', error: expect.stringContaining('E_IDX_CLASSES') }],
    });
    await expect(openDataset(folderOf({ ...whole, [LABELS]: images }), { skipBad: true })).rejects.toMatchObject({
      code: 'E_DATA_EMPTY',
      message: expect.stringContaining(LABELS),
    });
  });
});

describe('names in upper case', () => {
  it('find their labels', async () => {
    const upper = Object.fromEntries(
      Object.entries({ ...whole, 'classes.txt': Array.from({ length: 10 }, (_, i) => `c${i}`).join('\n') }).map(
        ([name, content]) => [name.toUpperCase(), content],
      ),
    );
    expect(await summaryOf(upper)).toMatchObject({ samples: COUNT, labeled: COUNT, texts: 2, leftOut: [] });
    const mixed = { 'Train-Images.idx3-ubyte.GZ': gzipSync(images), 'Train-Labels.idx1-ubyte.GZ': gzipSync(labels) };
    expect(await withData(mixed, {}, (dataset) => dataset.classes)).toEqual(['0', '1', '2', '9']);
  });
});

describe('many images', () => {
  /** Zeros that take no room on disk. */
  function sparse(count: number): string {
    const folder = temporaryFolder();
    const file = openSync(join(folder, IMAGES), 'w');
    writeSync(file, idxOf([count, 8, 8], new Uint8Array(0)));
    ftruncateSync(file, 16 + count * 64);
    closeSync(file);
    return folder;
  }

  it('that a file announces for nothing are refused at once', { timeout: 5000 }, async () => {
    const zipped = folderOf({ [`${IMAGES}.gz`]: gzipSync(idxOf([300_000, 8, 8], new Uint8Array(300_000 * 64))) });
    for (const folder of [sparse(16_700_000), zipped])
      await expect(openDataset(folder)).rejects.toMatchObject({
        code: 'E_IDX_SIZE',
        exitCode: 3,
        message: expect.stringContaining('images'),
      });
  });

  it('cost little each', { timeout: 10_000 }, async () => {
    const folder = sparse(1_000_000);
    const before = process.memoryUsage().rss;
    const start = performance.now();
    expect(await withData(folder, { holdout: 0 }, (dataset) => dataset.size('train'))).toBe(1_000_000);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });
});

describe('samples of IDX', () => {
  it('have the order, captions and fingerprint that the same samples have in any other dataset', async () => {
    const variants: DatasetOptions[] = [
      {},
      { holdout: 0 },
      { holdout: 0.001 },
      { holdout: 0.999 },
      { limit: 2 },
      { splitBy: 'hash' },
      { captionTemplate: 'the {label}' },
      { classes: Array.from({ length: 10 }, (_, i) => `"c"${i}`) },
    ];
    const many = {
      'é"-images-idx3-ubyte': idxOf([40, 1, 2], new Uint8Array(80)),
      'é"-labels-idx1-ubyte': idxOf(
        [40],
        Uint8Array.from({ length: 40 }, (_, i) => i),
      ),
    };
    for (const files of [
      whole,
      many,
      { 'a-images-idx3-ubyte': images, 'b-images-idx3-ubyte': images, 'b-labels-idx1-ubyte': labels },
      { [IMAGES]: idxOf([1, 3, 4], new Uint8Array(12)) },
    ] satisfies Files[]) {
      for (const options of variants) {
        if (files === many && options.classes) continue;
        await withData(files, options, (dataset) => {
          const entries = Object.keys(files)
            .filter((name) => name.includes('images'))
            .sort()
            .flatMap((name) => {
              const label = (files as Files)[name.replace('images-idx3', 'labels-idx1')] as Uint8Array | undefined;
              const [prefix] = name.split('-');
              const pictures = (files as Files)[name] as Buffer;
              return Array.from({ length: pictures.readUInt32BE(4) }, (_, i) => ({
                key: `${prefix}-${String(i).padStart(6, '0')}`,
                captions: [],
                label: label?.[8 + i],
                bytes: pictures.readUInt32BE(8) * pictures.readUInt32BE(12),
              }));
            });
          const expected = new IndexedDataset(
            {
              kind: 'idx',
              medium: 'image',
              source: dataset.source,
              entries,
              sourceOf: () => '',
              read: async () => ({ bytes: new Uint8Array(0) }),
            },
            options,
          );
          expect(dataset.fingerprint).toBe(expected.fingerprint);
          for (const split of ['train', 'test'] as const)
            expect(describeAll(dataset, split)).toEqual(describeAll(expected, split));
          const { samples, labeled, classes, split, warnings } = expected.summary;
          expect(dataset.summary).toMatchObject({ samples, labeled, classes, split, warnings });
        });
      }
    }
  });
});
