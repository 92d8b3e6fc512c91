// Faults found by attack and by a newcomer: each must be told, and none may lose test data, files or the command.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { openDataset } from '../../src/data/open.js';
import type { DataSummary } from '../../src/interfaces/dataset.js';
import {
  allKeys,
  codeOf,
  describeAll,
  folderOf,
  png,
  tarOf,
  temporaryFolder,
  type Files,
  type TarFile,
} from './fixtures.js';

const body = await png();

const keysOf = async (files: Files, side: 'train' | 'test'): Promise<string[]> =>
  describeAll(await openDataset(folderOf(files)), side).map(({ key }) => key);

/** Files that are counted nowhere, less those that are counted twice. */
function unaccounted({ files, media, texts, leftOut, bad }: DataSummary): number {
  return (
    files -
    media -
    texts -
    leftOut.reduce((sum, { count }) => sum + count, 0) -
    bad.filter(({ row }) => row === undefined).length
  );
}

describe('test data', () => {
  it('is not trained on through a link', async () => {
    const folder = folderOf({ 'train/0.png': body, 'train/1.png': body, 'test/2.png': body });
    symlinkSync(join(folder, 'test'), join(folder, 'all'));
    const dataset = await openDataset(folder);
    expect(describeAll(dataset, 'train').map(({ key }) => key)).toEqual(['train/0', 'train/1']);
    expect(describeAll(dataset, 'test').map(({ key }) => key)).toEqual(['test/2']);
  });

  it('is not trained on where only its rows say so', async () => {
    const rows = Array.from({ length: 8 }, (_, i) => `${i}.png,${i % 2 ? 'test' : ''}`);
    const files: Files = {
      ...Object.fromEntries(rows.map((_, i) => [`${i}.png`, body])),
      'metadata.csv': `file_name,split\n${rows.join('\n')}`,
    };
    expect(await keysOf(files, 'test')).toEqual(['1', '3', '5', '7']);
  });

  it('is not trained on where a class is on one side only', async () => {
    const names = ['train_cat_0', 'train_cat_1', 'train_dog_0', 'test_cat_0'];
    expect(await keysOf(Object.fromEntries(names.map((name) => [`${name}.png`, body])), 'test')).toEqual([
      'test_cat_0',
    ]);
  });

  it.each([
    ['train_v1', 'test_v2'],
    ['images', 'test_images'],
    ['images', 'images_test'],
  ])('is not trained on in %s and %s', async (train, test) => {
    expect(
      await keysOf({ [`${train}/0.png`]: body, [`${train}/1.png`]: body, [`${test}/2.png`]: body }, 'test'),
    ).toEqual([`${test}/2`]);
  });

  it('of folders is no class where the split is not wanted', async () => {
    const files: Files = Object.fromEntries(
      ['train/cat', 'train/dog', 'test/cat', 'test/dog', 'val/dog'].flatMap((folder) =>
        [0, 1].map((i) => [`${folder}/${i}.png`, body]),
      ),
    );
    for (const options of [{ splitBy: 'hash' as const }, { holdout: 0 }])
      expect((await openDataset(folderOf(files), options)).classes).toEqual(['cat', 'dog']);
    expect((await openDataset(folderOf(files), { holdout: 0 })).size('train')).toBe(10);
    expect((await openDataset(folderOf(files), { holdout: 0.3 })).summary!.warnings).toEqual([
      expect.stringMatching(/^--holdout 0\.3 is not used, because the dataset has a split of its own/),
    ]);
  });
});

describe('the account', () => {
  it('tells equal names in several archives apart', async () => {
    const folder = temporaryFolder();
    for (const name of ['a', 'b'])
      writeFileSync(
        join(folder, `${name}.tar`),
        await tarOf([
          { name: 'x.png', body },
          { name: 'y.png', body },
          { name: 'x.txt', body: Uint8Array.of(0xe9) },
        ]),
      );
    const { summary } = await openDataset(folder, { skipBad: true });
    expect(summary!.bad).toHaveLength(2);
    expect(unaccounted(summary!)).toBe(0);
  });

  it('counts doubles, members of other kinds, cut archives and what lies beside archives', async () => {
    const folder = temporaryFolder();
    const members: TarFile[] = [
      { name: 'x.png', body },
      { name: 'x.png', body },
      { name: 'x.png', body },
      { name: 'pipe', type: 'fifo', body: '' },
    ];
    writeFileSync(join(folder, 'a.tar'), await tarOf(members));
    writeFileSync(
      join(folder, 'b.tar'),
      (
        await tarOf([
          { name: 'y.png', body },
          { name: 'z.png', body: new Uint8Array(4000) },
        ])
      ).subarray(0, 2500),
    );
    mkdirSync(join(folder, 'photos'));
    for (let i = 0; i < 3; i++) writeFileSync(join(folder, 'photos', `${i}.png`), body);
    const dataset = await openDataset(folder, { skipBad: true });
    expect(allKeys(dataset)).toEqual(['a/x', 'b/y']);
    expect(unaccounted(dataset.summary!)).toBe(0);
    expect(dataset.summary!.leftOut).toContainEqual({
      reason: 'images next to the archives',
      media: true,
      count: 3,
      examples: ['photos/0.png', 'photos/1.png', 'photos/2.png'],
    });
  });

  it('counts what lies beside archives in folders', async () => {
    const folder = folderOf({ 'README.md': 'x', 'sub/notes.txt': 'x' });
    writeFileSync(join(folder, 'sub', 'a.tar'), await tarOf([{ name: 'x.png', body }]));
    expect(unaccounted((await openDataset(folder)).summary!)).toBe(0);
  });

  it('names the columns of metadata that say nothing', async () => {
    const { warnings } = (
      await openDataset(folderOf({ 'a.png': body, 'metadata.csv': 'file_name,beschreibung\na.png,Katze' }))
    ).summary!;
    expect(warnings).toEqual([
      'The metadata of 1 images has no known caption or class column; its columns are beschreibung. Use --captions beschreibung to select that one.',
    ]);
  });
});

describe('a command is not stopped, nor kept waiting', () => {
  it('by archives that are none', async () => {
    const folder = folderOf({ 'empty.tar': '', 'cut.tar.gz': Uint8Array.of(0x1f, 0x8b, 8) });
    writeFileSync(join(folder, 'a.tar'), await tarOf([{ name: 'x.png', body }]));
    symlinkSync('/nowhere', join(folder, 'gone.tar'));
    mkdirSync(join(folder, 'folder.tar'));
    execFileSync('mkfifo', [join(folder, 'pipe.tar')]);
    const dataset = await openDataset(folder, { skipBad: true });
    expect(allKeys(dataset)).toEqual(['a/x']);
    expect(dataset.summary!.bad.map(({ file }) => file.slice(folder.length + 1)).sort()).toEqual([
      'cut.tar.gz',
      'empty.tar',
      'gone.tar',
    ]);
    expect(unaccounted(dataset.summary!)).toBe(0);
  });

  it('by a range of archives of which some are missing', async () => {
    const folder = temporaryFolder();
    for (const name of ['00', '01'])
      writeFileSync(join(folder, `s-${name}.tar`), await tarOf([{ name: 'x.png', body }]));
    await expect(openDataset(join(folder, 's-{00..03}.tar'))).rejects.toThrow(
      /^E_NOT_FOUND .*: expected 4 files, but 2 of them are missing, the first is .*s-02\.tar\./,
    );
  });

  it('by tables of other images', async () => {
    for (const [name, text] of [
      ['metadata.jsonl', '\n'.repeat(3_000_000)],
      ['metadata.csv', `file_name\n${'b\n'.repeat(3_000_000)}`],
      ['metadata.jsonl', '{}\n'.repeat(1_000_000)],
    ] as const) {
      const started = Date.now();
      expect(await codeOf(openDataset(folderOf({ 'a.png': body, [name]: text })))).toBe('E_DATA_METADATA');
      expect(Date.now() - started).toBeLessThan(5000);
    }
  });

  it('by a file that is too large, or something else by now', async () => {
    const folder = folderOf({ 'a.png': body, 'b.png': body });
    truncateSync(join(folder, 'a.png'), 3 * 2 ** 30);
    const dataset = await openDataset(folder, { holdout: 0 });
    expect(await codeOf(dataset.read('train', 0))).toBe('E_IMAGE_TOO_LARGE');
    rmSync(join(folder, 'b.png'));
    execFileSync('mkfifo', [join(folder, 'b.png')]);
    expect(await codeOf(dataset.read('train', 1))).toBe('E_DATA_READ');
    rmSync(join(folder, 'b.png'));
    symlinkSync('/dev/zero', join(folder, 'b.png'));
    expect(await codeOf(dataset.read('train', 1))).toBe('E_DATA_READ');
  });

  it('by deep folders', async () => {
    const folder = folderOf({ 'a.png': body });
    const deep = join(folder, ...new Array<string>(400).fill('d'));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, 'b.png'), body);
    const started = Date.now();
    expect(allKeys(await openDataset(folder))).toHaveLength(2);
    expect(Date.now() - started).toBeLessThan(5000);
  });

  it('by keys that would be the same, and by chains of links', async () => {
    expect(allKeys(await openDataset(folderOf({ 'a.png': body, 'a.webp': body, 'a.png.png': body })))).toEqual([
      'a.png',
      'a.png.png',
      'a.webp',
    ]);
    const chain: TarFile[] = [
      { name: 'a.png', type: 'symlink', linkname: 'b.png', body: '' },
      { name: 'b.png', type: 'symlink', linkname: 'c.png', body: '' },
      { name: 'c.png', body },
    ];
    const path = join(folderOf({ 'x.tar': await tarOf(chain) }), 'x.tar');
    expect(allKeys(await openDataset(path))).toEqual(['a', 'b', 'c']);
  });
});
