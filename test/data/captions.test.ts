import { describe, expect, it } from 'vitest';
import { parquetWriteBuffer } from 'hyparquet-writer';

import type * as Open from '../../src/data/open.js';
import type { DatasetOptions } from '../../src/data/indexed.js';
import { codeOf, describeAll, folderOf, png, type Files } from './fixtures.js';

// Parquet is read in a thread, which runs the built files.
const { openDataset } = (await import(new URL('../../dist/src/data/open.js', import.meta.url).href)) as typeof Open;

const body = await png();

/** Captions by key. */
async function captionsOf(files: Files, options: DatasetOptions = {}): Promise<Record<string, string[]>> {
  const dataset = await openDataset(folderOf(files), options);
  const all = [...describeAll(dataset, 'train'), ...describeAll(dataset, 'test')];
  return Object.fromEntries(all.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ key, captions }) => [key, captions]));
}

async function summaryOf(files: Files, options: DatasetOptions = {}) {
  return (await openDataset(folderOf(files), options)).summary!;
}

describe('captions of a folder', () => {
  it.each<[string, Files]>([
    ['a text file', { 'a.txt': 'cat' }],
    ['a text file in capitals', { 'a.TXT': 'cat' }],
    ['a text file named after the picture with its extension', { 'a.png.txt': 'cat' }],
    ['a .caption file', { 'a.caption': 'cat' }],
    ['a .json beside it', { 'a.json': '{"caption": "cat", "score": NaN}' }],
    ['nested captions', { 'a.json': '{"captions": [[{"raw": "cat"}]]}' }],
    ['the column text', { 'metadata.csv': 'file_name,text\na.png,cat' }],
    ['the column Prompt', { 'metadata.csv': 'file_name,Prompt\na.png,cat' }],
    ['the column transcription', { 'metadata.jsonl': '{"file_name": "a.png", "transcription": "cat"}' }],
    ['a column of file names of its own', { 'metadata.jsonl': '{"image_file_name": "a.png", "text": "cat"}' }],
    ['semicolons', { 'metadata.csv': 'file_name;text\r\na.png;cat\r\n' }],
    ['tabs', { 'metadata.tsv': 'file_name\ttext\na.png\tcat' }],
    ['capitals and a byte order mark', { 'Metadata.CSV': '\ufefffile_name,text\na.png,cat' }],
  ])('are read from %s', async (_, files) => {
    expect(await captionsOf({ 'a.png': body, ...files })).toEqual({ a: ['cat'] });
  });

  it('are read from Parquet', async () => {
    const column = (name: string, data: string[]): { name: string; data: string[]; type: 'STRING' } => ({
      name,
      data,
      type: 'STRING',
    });
    const table = new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          column('file_name', ['a.png', 'b.png']),
          column('prompt', ['cat', 'dog']),
          column('blob', ['x', 'y']),
        ],
      }),
    );
    expect(await captionsOf({ 'a.png': body, 'b.png': body, 'metadata.parquet': table })).toEqual({
      a: ['cat'],
      b: ['dog'],
    });
    expect(await captionsOf({ 'a.png': body, 'b.png': body, 'metadata.parquet': table }, { captions: 'blob' })).toEqual(
      { a: ['x'], b: ['y'] },
    );
    expect(await codeOf(openDataset(folderOf({ 'a.png': body, 'metadata.parquet': table.subarray(0, -20) })))).toBe(
      'E_DATA_METADATA',
    );
  });

  it('match names whatever their Unicode form', async () => {
    const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
    expect(await captionsOf({ [`${decomposed}.png`]: body, [`${composed}.txt`]: 'coffee' })).toEqual({
      [composed]: ['coffee'],
    });
    expect(
      await captionsOf({ [`${decomposed}.png`]: body, 'metadata.csv': `file_name,text\n${composed}.png,coffee` }),
    ).toEqual({ [composed]: ['coffee'] });
  });

  it('are taken from the source that is asked for', async () => {
    const files: Files = {
      'a_red-bird_12.png': body,
      'a_red-bird_12.txt': 'text',
      'a_red-bird_12.tags': 'tags',
      'metadata.csv': 'file_name,text,prompt,blurb\na_red-bird_12.png,column,prompt,blurb',
    };
    const taken = async (captions?: string): Promise<string[]> =>
      Object.values(await captionsOf(files, { captions }))[0]!;
    expect(await taken()).toEqual(['column']);
    expect(await taken('prompt')).toEqual(['prompt']);
    expect(await taken('blurb')).toEqual(['blurb']);
    expect(await taken('.txt')).toEqual(['text']);
    expect(await taken('tags')).toEqual(['tags']);
    expect(await taken('filename')).toEqual(['a red bird']);
    await expect(taken('nothing')).rejects.toThrow(
      /^E_DATA_CAPTIONS captions: expected "filename", a column \(available: blurb, file_name, prompt, text\) or an extension of text files \(available: \.txt\), received "nothing"/,
    );
  });

  it('that are not used are told', async () => {
    const { captions, leftOut } = await summaryOf({
      'a.png': body,
      'a.txt': 'one\ntwo',
      'a.caption': 'x',
      'a.json': '{"prompt": "y"}',
      'lonely.txt': 'z',
    });
    expect(captions).toMatchObject({ samples: 1, distinct: 2, used: { '.txt': 1 } });
    expect(captions.unused).toEqual([
      { reason: '.txt files without an image of the same name', count: 1, examples: ['lonely.txt'] },
      { reason: 'captions of .caption not used', count: 1, examples: ['a.caption'] },
      { reason: 'captions of .json column prompt not used', count: 1, examples: ['a.json'] },
    ]);
    expect(leftOut.map(({ reason }) => reason)).toEqual([
      '.txt files without an image of the same name',
      '.caption files not used',
      '.json files not used',
    ]);
  });

  it('in other encodings are refused by name, or left out', async () => {
    const files = (text: Uint8Array): Files => ({ 'a.png': body, 'b.png': body, 'b.txt': text });
    const wide = Buffer.from('\ufeffcat', 'utf16le');
    await expect(openDataset(folderOf(files(wide)))).rejects.toThrow(
      /^E_DATA_TEXT .*b\.txt: expected UTF-8 text, found UTF-16\. Save the file as UTF-8\. --skip-bad/,
    );
    await expect(openDataset(folderOf(files(Uint8Array.of(0x63, 0xe9))))).rejects.toThrow(
      'found another encoding (Windows-1252, perhaps)',
    );
    expect(await captionsOf(files(wide), { skipBad: true })).toEqual({ a: [] });
  });

  it('pass over a .json that cannot be used, where there are others', async () => {
    for (const json of ['[1]', '{"label": [1]}', '{"caption": {"x": 1}}', '{']) {
      expect(await captionsOf({ 'a.png': body, 'a.txt': 'cat', 'a.json': json })).toEqual({ a: ['cat'] });
      expect(await codeOf(openDataset(folderOf({ 'a.png': body, 'a.json': json })))).toBe('E_DATA_METADATA');
    }
  });
});

describe('metadata with bad rows', () => {
  it('loses those rows alone', async () => {
    const rows = [
      '{"file_name": "a.png", "text": "cat"}',
      '{"file_name": "gone.png"}',
      '{"file_name": "b.png", "label": [1]}',
      '{"file_name": "../c.png"}',
      'x',
      `${'['.repeat(100_000)}`,
    ];
    const files: Files = { 'a.png': body, 'b.png': body, 'metadata.jsonl': rows.join('\n') };
    expect(await captionsOf(files, { skipBad: true })).toEqual({ a: ['cat'] });
    const { bad, leftOut } = await summaryOf(files, { skipBad: true });
    expect(bad.map(({ row }) => row)).toEqual([5, 6, 2, 3, 4]);
    expect(leftOut).toEqual([
      { reason: 'images whose metadata cannot be used', media: true, count: 1, examples: ['b.png'] },
    ]);
    const csv: Files = { 'a.png': body, 'b.png': body, 'metadata.csv': 'file_name,text\na.png,cat,more\nb.png,dog' };
    expect(await captionsOf(csv, { skipBad: true })).toEqual({ a: [], b: ['dog'] });
  });
});

describe('labels of a folder', () => {
  it('are the classes that occur', async () => {
    const files: Files = {
      'a.png': body,
      'b.png': body,
      'c.png': body,
      'metadata.csv': 'file_name,label\na.png,30\nb.png,4\nc.png,30',
    };
    const dataset = await openDataset(folderOf(files));
    expect(dataset.classes).toEqual(['4', '30']);
  });

  it('are no ids of the samples', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `p${String(i).padStart(2, '0')}`);
    const files: Files = {
      ...Object.fromEntries(names.map((name) => [`${name}.png`, body])),
      'metadata.csv': `file_name,text,label\n${names.map((name, i) => `${name}.png,mug ${i},${10_000 + 7 * i}`).join('\n')}`,
    };
    const dataset = await openDataset(folderOf(files));
    expect([dataset.classes, dataset.describe('train', 0).label]).toEqual([undefined, undefined]);
    expect(dataset.summary!.warnings).toEqual([
      expect.stringMatching(
        /^The labels have 20 distinct values in 20 samples, so they were treated as ids, not classes, and dropped\./,
      ),
    ]);
    const named = await openDataset(folderOf(files), { classes: Array.from({ length: 10_134 }, (_, i) => `c${i}`) });
    expect(named.describe('train', 0).label).toBeGreaterThanOrEqual(10_000);
  });

  it('come from class folders around a few stray images', async () => {
    const files: Files = {
      'cat/0.png': body,
      'cat/1.png': body,
      'dog/0.png': body,
      'dog/1.png': body,
      'preview.png': body,
    };
    const dataset = await openDataset(folderOf(files));
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect(dataset.summary!.warnings).toEqual(['1 image is outside the class folders and has no class: preview.png.']);
    const loose = await summaryOf({ 'cat/0.png': body, 'dog/0.png': body, '1.png': body });
    expect(loose.warnings).toEqual([
      'The folders (cat, dog) were not used as classes, because 1 of 3 images are in none of them.',
    ]);
  });

  it('come from class folders below the split and below a folder around them', async () => {
    for (const around of ['', 'data/']) {
      const files: Files = {
        [`${around}Train/cat/0.png`]: body,
        [`${around}Train/dog/1.png`]: body,
        [`${around}Val/cat/2.png`]: body,
      };
      const dataset = await openDataset(folderOf(files));
      expect([dataset.classes, dataset.size('train'), dataset.size('test')]).toEqual([['cat', 'dog'], 2, 1]);
    }
  });
});

describe('the split of a folder', () => {
  it('is a hash of the names where it is asked for, of any size', async () => {
    const files: Files = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`${i % 2 ? 'train' : 'test'}/${i}.png`, body]),
    );
    const own = await openDataset(folderOf(files));
    expect([own.size('train'), own.size('test'), own.summary!.split]).toEqual([10, 10, 'folders named train and test']);
    const none = await openDataset(folderOf(files), { splitBy: 'hash', holdout: 0 });
    expect([none.size('train'), none.size('test'), none.summary!.split]).toEqual([
      20,
      0,
      'none, all samples are for training',
    ]);
    const half = await openDataset(folderOf(files), { splitBy: 'hash', holdout: 0.5 });
    expect(half.summary!.split).toBe('50 % held out by a hash of the names');
  });

  it('is the column of the metadata', async () => {
    const dataset = await openDataset(
      folderOf({ 'a.png': body, 'b.png': body, 'metadata.csv': 'file_name,split\na.png,validation\nb.png,train' }),
    );
    expect(describeAll(dataset, 'test').map(({ key }) => key)).toEqual(['a']);
  });
});
