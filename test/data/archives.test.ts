import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { openDataset } from '../../src/data/open.js';
import type { DatasetOptions } from '../../src/data/indexed.js';
import type { Dataset } from '../../src/interfaces/dataset.js';
import {
  allKeys,
  bytesOf,
  codeOf,
  describeAll,
  folderOf,
  idxOf,
  png,
  tarOf,
  temporaryFolder,
  type TarFile,
} from './fixtures.js';

const body = await png();

async function openBytes(tar: Uint8Array, options: DatasetOptions = {}, name = 'x.tar'): Promise<Dataset> {
  return openDataset(join(folderOf({ [name]: tar }), name), options);
}

const openTar = async (files: readonly TarFile[], options: DatasetOptions = {}): Promise<Dataset> =>
  openBytes(await tarOf(files), options);

const captionsOf = (dataset: Dataset): Record<string, string[]> =>
  Object.fromEntries(
    [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')]
      .sort((a, b) => (a.key < b.key ? -1 : 1))
      .map(({ key, captions }) => [key, captions]),
  );

describe('files of one key in an archive', () => {
  it('are joined by the name before the first dot', async () => {
    expect(
      captionsOf(
        await openTar([
          { name: 's0.input.jpg', body },
          { name: 's0.outputs.txt', body: 'cat' },
        ]),
      ),
    ).toEqual({ 's0.input': ['cat'] });
    expect(
      captionsOf(
        await openTar([
          { name: 's0.png', body },
          { name: 's0.png.txt', body: 'cat' },
        ]),
      ),
    ).toEqual({ s0: ['cat'] });
    expect(
      captionsOf(
        await openTar([
          { name: 's0.left.png', body },
          { name: 's0.right.png', body },
          { name: 's0.json', body: '{"text":"cat"}' },
        ]),
      ),
    ).toEqual({ 's0.left': ['cat'], 's0.right': ['cat'] });
  });

  it('are told apart where the dot is part of a name', async () => {
    const named = ['22', '22.05', 'v1.2_cat', 'track 2.0 (x)'];
    const dataset = await openTar(
      named.flatMap((name) => [
        { name: `${name}.png`, body },
        { name: `${name}.txt`, body: name },
      ]),
    );
    expect(captionsOf(dataset)).toEqual(Object.fromEntries(named.map((name) => [name, [name]])));
  });

  it('stay on one side of the split', async () => {
    const dataset = await openTar(
      Array.from({ length: 40 }, (_, i) => [
        { name: `s${i}.left.png`, body },
        { name: `s${i}.right.png`, body },
      ]).flat(),
      { holdout: 0.3 },
    );
    const views = (split: 'train' | 'test'): string[] =>
      describeAll(dataset, split).map(({ key }) => key.split('.')[0]!);
    expect(new Set(views('test')).size).toBeGreaterThan(3);
    expect(views('train').filter((key) => views('test').includes(key))).toEqual([]);
  });

  it('say what was left out', async () => {
    const { leftOut } = (
      await openTar([
        { name: 'a.png', body },
        { name: 'a.mask.png', body },
        { name: 'b.mp3', body: 'x' },
      ])
    ).summary!;
    expect(leftOut).toEqual([
      { reason: '.mp3 files that are not images', count: 1, examples: ['b.mp3'] },
      {
        reason: 'additional images with the same key, such as masks (KEY.mask.png)',
        count: 1,
        examples: ['a.mask.png'],
      },
    ]);
  });
});

describe('an archive from another system', () => {
  it('may carry binary attributes', async () => {
    // Longer than what the placeholder takes, so that lengths stay: the value is made binary afterwards.
    const tar = await tarOf([
      { name: 'a.png', body, pax: { 'SCHILY.xattr.com.apple.provenance': '#######' } } as TarFile,
    ]);
    tar.set([0x01, 0x02, 0xde, 0xad, 0xbe, 0xef, 0xff], tar.indexOf('#######'));
    expect(allKeys(await openBytes(tar))).toEqual(['a']);
  });

  it('may name files in Latin-1', async () => {
    const tar = await tarOf([
      { name: 'caf#.png', body },
      { name: 'caf#.txt', body: 'coffee' },
    ]);
    for (let at = tar.indexOf('caf#'); at >= 0; at = tar.indexOf('caf#')) {
      tar[at + 3] = 0xe9;
      sign(tar, at);
    }
    expect(captionsOf(await openBytes(tar))).toEqual({ café: ['coffee'] });
  });

  it('gets keys that can be written as files', async () => {
    const tar = await tarOf([
      { name: '/data/me/0.png', body },
      { name: '../up/1.png', body },
      { name: 'win\\2.png', body },
      { name: 'bell\u0007.png', body },
    ]);
    expect(allKeys(await openBytes(tar))).toEqual(['bell_', 'data/me/0', 'up/1', 'win/2']);
  });

  it('may hold hard and symbolic links', async () => {
    const files: TarFile[] = [
      { name: 'a/0.png', body },
      { name: 'a/1.png', type: 'link', linkname: 'a/0.png', body: '' },
      { name: 'b/2.png', type: 'symlink', linkname: '../a/0.png', body: '' },
    ];
    const dataset = await openTar(files, { holdout: 0 });
    expect(describeAll(dataset, 'train').map(({ key }) => key)).toEqual(['a/0', 'a/1', 'b/2']);
    expect(Buffer.compare(bytesOf(await dataset.read('train', 2)), body)).toBe(0);
    await dataset.close();
    const dangling: TarFile[] = [
      { name: 'a.png', body },
      { name: 'b.png', type: 'symlink', linkname: 'gone.png', body: '' },
    ];
    await expect(openTar(dangling)).rejects.toThrow(
      /^E_DATA_LINK .*:b\.png: expected a link to a file in the archive, found a link to "gone\.png"\..*--skip-bad/,
    );
    expect(allKeys(await openTar(dangling, { skipBad: true }))).toEqual(['a']);
  });

  it('may be several, one after another', async () => {
    const joined = Buffer.concat([await tarOf([{ name: 'a.png', body }]), await tarOf([{ name: 'b.png', body }])]);
    expect(allKeys(await openBytes(joined))).toEqual(['a', 'b']);
    const noise = Buffer.concat([await tarOf([{ name: 'a.png', body }]), Buffer.alloc(700, 7)]);
    expect((await openBytes(noise)).summary!.warnings).toEqual([
      expect.stringMatching(/700 bytes after the end of the archive were ignored\.$/),
    ]);
  });

  it('may be cut short, with what is whole kept', async () => {
    const cut = (
      await tarOf([
        { name: 'a.png', body },
        { name: 'b.png', body: new Uint8Array(5000) },
      ])
    ).subarray(0, 3000);
    expect(await codeOf(openBytes(cut))).toBe('E_TAR_TRUNCATED');
    const dataset = await openBytes(cut, { skipBad: true });
    expect([allKeys(dataset), dataset.summary!.bad.length]).toEqual([['a'], 1]);
  });

  it('may be gzipped', async () => {
    const tar = await tarOf([
      { name: 'a.png', body },
      { name: 'a.txt', body: 'cat' },
    ]);
    for (const name of ['x.tar.gz', 'x.tgz']) {
      const dataset = await openBytes(gzipSync(tar), { holdout: 0 }, name);
      expect(captionsOf(dataset)).toEqual({ a: ['cat'] });
      expect(Buffer.compare(bytesOf(await dataset.read('train', 0)), body)).toBe(0);
      await dataset.close();
    }
    expect(await codeOf(openBytes(gzipSync(tar).subarray(0, -9), {}, 'x.tar.gz'))).toBe('E_GZIP');
    const bomb = gzipSync(
      Buffer.concat([tar.subarray(0, -1024), await tarOf([{ name: 'zeros.png', body: new Uint8Array(80 << 20) }])]),
    );
    expect(await codeOf(openBytes(bomb, {}, 'x.tgz'))).toBe('E_GZIP');
  });
});

describe('several archives', () => {
  async function shards(): Promise<string> {
    const folder = temporaryFolder();
    for (const name of ['set-train-08', 'set-train-09', 'set-train-10', 'set-val-00'])
      writeFileSync(join(folder, `${name}.tar`), await tarOf([{ name: 'a.png', body }]));
    return folder;
  }

  it('are a dataset by a list, a glob and a range', async () => {
    const folder = await shards();
    const paths = ['08', '09', '10'].map((number) => join(folder, `set-train-${number}.tar`));
    for (const data of [
      paths,
      join(folder, 'set-train-*.tar'),
      join(folder, 'set-train-{08..10}.tar'),
      [paths[0]!, join(folder, 'set-train-{09,10}.tar')],
    ]) {
      expect(allKeys(await openDataset(data))).toEqual(['set-train-08/a', 'set-train-09/a', 'set-train-10/a']);
    }
    expect(await codeOf(openDataset(join(folder, 'nothing-*.tar')))).toBe('E_NOT_FOUND');
    expect(await codeOf(openDataset([folder, paths[0]!]))).toBe('E_DATA_KIND');
  });

  it('bring their split by their names, in folders too', async () => {
    const folder = await shards();
    const named = await openDataset(folder);
    expect([named.size('train'), named.size('test'), named.summary!.split]).toEqual([
      3,
      1,
      'archives named train and validation',
    ]);
    for (const [side, name] of [
      ['train', 'set-train-08'],
      ['train', 'set-train-09'],
      ['train', 'set-train-10'],
      ['test', 'set-val-00'],
    ] as const) {
      mkdirSync(join(folder, side), { recursive: true });
      renameSync(join(folder, `${name}.tar`), join(folder, side, `${name.slice(-2)}.tar`));
    }
    const nested = await openDataset(folder);
    expect([nested.kind, nested.size('train'), nested.size('test')]).toEqual(['webdataset', 3, 1]);
    expect(describeAll(nested, 'test').map(({ key }) => key)).toEqual(['test/00/a']);
  });
});

describe('a folder with odd files', () => {
  it('reads names that are not UTF-8', async () => {
    const folder = Buffer.from(folderOf({ 'a.png': body }));
    writeFileSync(Buffer.concat([folder, Buffer.from('/caf'), Buffer.of(0xe9), Buffer.from('.png')]), body);
    writeFileSync(Buffer.concat([folder, Buffer.from('/caf'), Buffer.of(0xe9), Buffer.from('.txt')]), 'coffee');
    const dataset = await openDataset(folder.toString(), { holdout: 0 });
    expect(captionsOf(dataset)).toEqual({ a: [], café: ['coffee'] });
    expect(Buffer.compare(bytesOf(await dataset.read('train', 1)), body)).toBe(0);
  });

  it('names a dangling link', async () => {
    const folder = folderOf({ 'a.png': body });
    symlinkSync('/nowhere.png', join(folder, 'gone.png'));
    await expect(openDataset(folder)).rejects.toThrow(
      /^E_DATA_LINK .*gone\.png: expected a file, found a dangling link\. Remove or repair it\. --skip-bad/,
    );
    expect(allKeys(await openDataset(folder, { skipBad: true }))).toEqual(['a']);
  });

  it('refuses two names that are one in composed Unicode', async () => {
    const folder = folderOf({ 'caf\u00e9.png': body, 'cafe\u0301.png': body });
    expect(await codeOf(openDataset(folder))).toBe('E_DATA_DUPLICATE');
    expect(allKeys(await openDataset(folder, { skipBad: true }))).toEqual(['café']);
  });
});

describe('gzipped IDX', () => {
  const files = (count: number, pixels: Uint8Array): Record<string, Uint8Array> => ({
    'train-images-idx3-ubyte.gz': gzipSync(idxOf([count, 1, 1], pixels)),
  });

  it('is refused where it declares more images than its bytes can be', async () => {
    expect(await codeOf(openDataset(folderOf(files(100_000_000, new Uint8Array(10)))))).toBe('E_IDX_SIZE');
    expect(await codeOf(openDataset(folderOf(files(0xffffffff, new Uint8Array(10)))))).toBe('E_IDX_SIZE');
    expect(
      await codeOf(
        openDataset(
          folderOf({ 'train-images-idx3-ubyte.gz': gzipSync(idxOf([100_000, 100, 100], new Uint8Array(10))) }),
        ),
      ),
    ).toBe('E_IDX_SIZE');
  });

  it('leaves no file open once it is closed', async () => {
    const folder = folderOf({
      'train-images-idx3-ubyte.gz': gzipSync(idxOf([8, 28, 28], new Uint8Array(8 * 28 * 28))),
      'train-labels-idx1-ubyte.gz': gzipSync(idxOf([8], new Uint8Array(8))),
    });
    const open = (): number => readdirSync('/proc/self/fd').length;
    await (await openDataset(folder)).close();
    const before = open();
    for (let i = 0; i < 20; i++) await (await openDataset(folder)).close();
    expect(open() - before).toBeLessThan(5);
  });

  it('brings the split of any name', async () => {
    const pixels = new Uint8Array(2 * 64);
    const names = ['emnist-letters-train', 'emnist-letters-test'];
    const dataset = await openDataset(
      folderOf(Object.fromEntries(names.map((name) => [`${name}-images-idx3-ubyte`, idxOf([2, 8, 8], pixels)]))),
    );
    expect(describeAll(dataset, 'train').map(({ key }) => key)).toEqual([
      'emnist-letters-train-000000',
      'emnist-letters-train-000001',
    ]);
    expect(dataset.size('test')).toBe(2);
    await dataset.close();
  });
});

/** Signs the header that holds position `at`. */
function sign(tar: Buffer, at: number): void {
  const start = at - (at % 512);
  tar.fill(0x20, start + 148, start + 156);
  const sum = tar.subarray(start, start + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, start + 148, 'latin1');
}
