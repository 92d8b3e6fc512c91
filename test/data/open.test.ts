import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { decodeSample } from '../../src/data/decode.js';
import { openDataset } from '../../src/data/open.js';
import { encodePng } from '../../src/media/image/image.js';
import type { Image } from '../../src/interfaces/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { noise } from '../media/image/fixtures.js';
import {
  allKeys,
  codeOf,
  describeAll,
  folderOf,
  inputOf,
  png,
  tarOf,
  temporaryFolder,
  type Files,
} from './fixtures.js';

describe('openDataset on a folder', () => {
  it('finds images recursively, sorted, with captions from text files', async () => {
    const a = await png(1);
    const folder = folderOf({
      'b.png': a,
      'a/z.PNG': a,
      'a/z.txt': '\ufeffone\r\n\r\n two \n',
      'c.txt': 'orphan',
      '.hidden.png': a,
      'notes.md': 'x',
    });
    const dataset = await openDataset(folder, { holdout: 0.0001 });
    expect(dataset.kind).toBe('folder');
    expect(allKeys(dataset)).toEqual(['a/z', 'b']);
    const all = [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')];
    expect(all.find(({ key }) => key === 'a/z')!.captions).toEqual(['one', 'two']);
    expect(all.find(({ key }) => key === 'b')!.captions).toEqual([]);
  });

  it('does not depend on the order in which files were made', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `p${i}.png`);
    const bytes = await png();
    const files = (order: readonly string[]): string =>
      folderOf(Object.fromEntries(order.map((name) => [name, bytes])));
    const one = await openDataset(files(names));
    const two = await openDataset(files([...names].reverse()));
    expect(describeAll(two, 'train')).toEqual(describeAll(one, 'train'));
    expect(describeAll(two, 'test')).toEqual(describeAll(one, 'test'));
    expect(two.fingerprint).toBe(one.fingerprint);
  });

  it('changes its fingerprint with captions, keys, sizes and labels', async () => {
    const bytes = await png();
    const base = { 'x/a.png': bytes, 'y/b.png': bytes };
    const variants: Files[] = [
      base,
      { ...base, 'x/a.txt': 'hello' },
      { 'x/a.png': bytes, 'y/c.png': bytes },
      { ...base, 'y/b.png': await png(2, 9, 9) },
      { 'x/a.png': bytes, 'x/b.png': bytes },
    ];
    const prints = await Promise.all(variants.map(async (files) => (await openDataset(folderOf(files))).fingerprint));
    expect(new Set(prints).size).toBe(variants.length);
  });

  it('takes class subfolders as labels, captioned by template', async () => {
    const bytes = await png();
    const folder = folderOf({
      'cat/1.png': bytes,
      'cat/2.png': bytes,
      'ant/1.png': bytes,
      'dog/deep/1.png': bytes,
      'dog/2.png': bytes,
      'dog/2.txt': 'a good dog',
    });
    const dataset = await openDataset(folder, { captionTemplate: 'one {label}!' });
    expect(dataset.classes).toEqual(['ant', 'cat', 'dog']);
    const all = [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')].sort((a, b) =>
      a.key < b.key ? -1 : 1,
    );
    expect(all).toEqual([
      { key: 'ant/1', captions: ['one ant!'], label: 0 },
      { key: 'cat/1', captions: ['one cat!'], label: 1 },
      { key: 'cat/2', captions: ['one cat!'], label: 1 },
      { key: 'dog/2', captions: ['a good dog'], label: 2 },
      { key: 'dog/deep/1', captions: ['one dog!'], label: 2 },
    ]);
  });

  it('takes no class from a lone folder or from folders beside loose images', async () => {
    const bytes = await png();
    const lone: Files = { 'images/1.png': bytes, 'images/2.png': bytes };
    const loose: Files = { 'x/1.png': bytes, 'y/1.png': bytes, '3.png': bytes };
    for (const files of [lone, loose]) {
      const dataset = await openDataset(folderOf(files));
      expect(dataset.classes).toBeUndefined();
      expect(dataset.describe('train', 0).captions).toEqual([]);
    }
  });

  it('keeps the split of train and test folders and leaves out the rest', async () => {
    const bytes = await png();
    for (const side of ['test', 'val', 'valid', 'validation']) {
      const folder = folderOf({
        'train/x/1.png': bytes,
        'train/y/2.png': bytes,
        [`${side}/x/3.png`]: bytes,
        'extra/4.png': bytes,
      });
      const dataset = await openDataset(folder);
      expect(describeAll(dataset, 'train').map(({ key }) => key)).toEqual(['train/x/1', 'train/y/2']);
      expect(describeAll(dataset, 'test').map(({ key }) => key)).toEqual([`${side}/x/3`]);
      expect(dataset.classes).toEqual(['x', 'y']);
    }
  });

  it('reads metadata.csv and metadata.jsonl', async () => {
    const bytes = await png();
    const csv = '\ufefffile_name,text,label\na.png,"a cat, sitting",feline\nsub/b.png,,canine\n';
    const jsonl =
      '{"file_name":"a.png","text":["a cat, sitting"],"label":"feline"}\n\n{"file_name":"./sub/b.png","label":"canine"}\n';
    const prints: string[] = [];
    const tables: Files[] = [{ 'metadata.csv': csv }, { 'metadata.jsonl': jsonl }];
    for (const metadata of tables) {
      const dataset = await openDataset(folderOf({ 'a.png': bytes, 'sub/b.png': bytes, ...metadata }));
      prints.push(dataset.fingerprint);
      const all = [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')].sort((x, y) =>
        x.key < y.key ? -1 : 1,
      );
      expect(all).toEqual([
        { key: 'a', captions: ['a cat, sitting'], label: 1 },
        { key: 'sub/b', captions: ['a photo of a canine'], label: 0 },
      ]);
    }
    expect(prints[0]).toBe(prints[1]);
  });

  it('refuses metadata that does not fit', async () => {
    const bytes = await png();
    const bad: Array<Record<string, string>> = [
      { 'metadata.csv': 'name,text\na.png,x\n' },
      { 'metadata.csv': 'file_name,text\nmissing.png,x\n' },
      { 'metadata.csv': 'file_name,text\n../a.png,x\n' },
      { 'metadata.csv': 'file_name,text\na.png,x\na.png,y\n' },
      { 'metadata.csv': 'file_name,text\na.png,"x\n' },
      { 'metadata.csv': 'file_name,text\na.png,x,y\n' },
      { 'metadata.jsonl': '{"file_name":"a.png"' },
      { 'metadata.jsonl': '[1]' },
      { 'metadata.jsonl': '{"file_name":"a.png","text":{"x":1}}' },
      { 'metadata.jsonl': '{"file_name":"a.png","label":[1]}' },
      { 'metadata.jsonl': '{"file_name":3}' },
    ];
    for (const files of bad)
      expect(await codeOf(openDataset(folderOf({ 'a.png': bytes, ...files })))).toBe('E_DATA_METADATA');
    const latin1 = Uint8Array.of(0x63, 0xe9);
    expect(await codeOf(openDataset(folderOf({ 'a.png': bytes, 'a.txt': latin1 })))).toBe('E_DATA_TEXT');
  });

  it('tells images of one name apart', async () => {
    const bytes = await png();
    expect(allKeys(await openDataset(folderOf({ 'a.png': bytes, 'a.webp': bytes, 'b.png': bytes })))).toEqual([
      'a.png',
      'a.webp',
      'b',
    ]);
  });

  it('follows links, entering each folder once', async () => {
    const folder = folderOf({ 'a.png': await png() });
    mkdirSync(join(folder, 'd'));
    symlinkSync(folder, join(folder, 'd', 'loop'));
    symlinkSync(join(folder, 'a.png'), join(folder, 'd', 'b.png'));
    expect(allKeys(await openDataset(folder))).toEqual(['a', 'd/b']);
  });

  it('reads what was described, decoded on demand', async () => {
    const image = noise(7, 5);
    const folder = folderOf({ 'a.png': await encodePng(image) });
    const dataset = await openDataset(folder);
    expect(dataset.size('test')).toBe(0);
    const raw = await dataset.read('train', 0);
    expect(raw.source).toBe(join(folder, 'a.png'));
    expect(await decodeSample(raw, imageMedium)).toEqual({
      key: 'a',
      captions: [],
      media: image,
      original: { kind: 'image', width: 7, height: 5, channels: 3 },
    });
    expect(await codeOf(dataset.read('train', 1))).toBe('E_DATA_INDEX');
  });

  it('keeps the first samples of each split under a limit', async () => {
    const bytes = await png();
    const folder = folderOf(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${i}.png`, bytes])));
    const all = await openDataset(folder, { holdout: 0.5 });
    const some = await openDataset(folder, { holdout: 0.5, limit: 3 });
    expect(describeAll(some, 'train')).toEqual(describeAll(all, 'train').slice(0, 3));
    expect(describeAll(some, 'test')).toEqual(describeAll(all, 'test').slice(0, 3));
    expect(some.fingerprint).not.toBe(all.fingerprint);
  });
});

describe('openDataset on anything else', () => {
  it('says in one line what is wrong', async () => {
    const bytes = await png();
    const files = folderOf({ 'a.png': bytes, 'a.svg': '<svg/>', 'note.txt': 'x', 'empty.tar': '' });
    expect(await codeOf(openDataset(join(files, 'nothing')))).toBe('E_NOT_FOUND');
    expect(await codeOf(openDataset(join(files, 'note.txt', 'below')))).toBe('E_NOT_FOUND');
    expect(await codeOf(openDataset(join(files, 'a.png')))).toBe('E_DATA_KIND');
    await expect(openDataset(join(files, 'a.svg'))).rejects.toThrow('found SVG');
    expect(await codeOf(openDataset(join(files, 'empty.tar')))).toBe('E_DATA_KIND');
    expect(await codeOf(openDataset([]))).toBe('E_DATA_EMPTY');
    expect(await codeOf(openDataset([join(files, 'a.png')]))).toBe('E_DATA_KIND');
    expect(await codeOf(openDataset(temporaryFolder()))).toBe('E_DATA_EMPTY');
    await expect(openDataset(folderOf({ 'a.svg': '<svg/>', 'b.svg': '', c: '' }))).rejects.toThrow(
      'found 3 files, 2 of them .svg',
    );
  });

  it('refuses options that make no sense', async () => {
    const folder = folderOf({ 'a.png': await png() });
    for (const options of [
      { holdout: -0.1 },
      { holdout: 1 },
      { holdout: Number.NaN },
      { limit: 0 },
      { limit: 1.5 },
      { captionTemplate: 'x' },
      { classes: ['a', 'a'] },
      { captions: '' },
      { splitBy: 'x' as 'hash' },
    ]) {
      expect(await codeOf(openDataset(folder, options))).toBe('E_DATA_OPTIONS');
    }
  });

  it('says when a file disappears after opening', async () => {
    const folder = folderOf({ 'a.png': await png() });
    const dataset = await openDataset(folder);
    rmSync(join(folder, 'a.png'));
    expect(await codeOf(dataset.read('train', 0))).toBe('E_NOT_FOUND');
  });

  it('opens a folder of archives, each with its own keys', async () => {
    const bytes = await png();
    const folder = folderOf({
      'one.tar': await tarOf([{ name: 'a.png', body: bytes }]),
      'two.tar': await tarOf([{ name: 'a.png', body: bytes }]),
    });
    const dataset = await openDataset(folder);
    expect(dataset.kind).toBe('webdataset');
    expect(allKeys(dataset)).toEqual(['one/a', 'two/a']);
    await dataset.close();
  });
});

const shared = process.env['TESSERAE_DATA'] ?? join(import.meta.dirname, '../../../shared/data');

describe.skipIf(!existsSync(join(shared, 'tiles')))('openDataset on real data', () => {
  it('opens every kind, and decodes from both ends', async () => {
    const kinds: Array<[string, number]> = [
      ['emoji/noto-emoji-72.tar', 3233],
      ['tiles/dcss-tiles-32.tar', 2983],
      ['cifar10/cifar10-lossless.tar', 1000],
      ['fashion-mnist', 70000],
      ['kodak', 4],
    ];
    for (const [path, count] of kinds) {
      const dataset = await openDataset(join(shared, path));
      expect(dataset.size('train') + dataset.size('test')).toBe(count);
      for (const [split, index] of [
        ['train', 0],
        ['train', dataset.size('train') - 1],
        ['test', 0],
      ] as const) {
        const sample = await decodeSample(await dataset.read(split, index), imageMedium, inputOf(16, 16));
        expect((sample.media as Image).pixels.length).toBe(16 * 16 * 3);
      }
      await dataset.close();
    }
  });
});
