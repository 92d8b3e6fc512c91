// Seeded damage to everything a dataset is read from: each mutant opens or is refused in one typed line, soon.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';

import type * as Open from '../../src/data/open.js';
import { EXIT } from '../../src/errors.js';
import { Mutator } from '../support/mutants.js';
import { folderOf, idxOf, isTyped, png, tarOf, type Files } from './fixtures.js';

// Parquet is read in a thread, which runs the built files.
const { openDataset } = (await import(new URL('../../dist/src/data/open.js', import.meta.url).href)) as typeof Open;

const COUNT = 2000;

/** Half of them each for the two kinds of tables and of IDX files; fewer for those that take a thread, or differ in their gzip alone. */
const FEWER: Readonly<Record<string, number>> = {
  csv: COUNT / 2,
  jsonl: COUNT / 2,
  'train-images-idx3-ubyte': COUNT / 2,
  'train-labels-idx1-ubyte': COUNT / 2,
  parquet: 60,
  gz: 250,
};

/** Opens each mutant of `file` in `folder`, strictly and leniently by turns, and reads its first sample. */
async function survive(
  folder: string,
  file: string,
  bytes: Uint8Array,
  data = folder,
): Promise<{ opened: number; refused: number }> {
  const count = FEWER[file.slice(file.lastIndexOf('.') + 1)] ?? COUNT;
  const mutator = new Mutator(11);
  const result = { opened: 0, refused: 0 };
  for (let i = 0; i < count; i++) {
    writeFileSync(join(folder, file), mutator.mutate(bytes));
    const fault = await openAndRead(data, i % 2 === 1).catch((error: unknown) => error);
    if (fault !== undefined && !isTyped(fault))
      throw new Error(`mutant ${i}: expected a typed error`, { cause: fault });
    expect({ i, exit: fault?.exitCode ?? EXIT.input, lines: fault?.message.split('\n').length ?? 1 }).toEqual({
      i,
      exit: EXIT.input,
      lines: 1,
    });
    result[fault ? 'refused' : 'opened']++;
  }
  return result;
}

async function openAndRead(data: string, skipBad: boolean): Promise<undefined> {
  const dataset = await openDataset(data, { skipBad });
  try {
    if (dataset.size('train') > 0) await dataset.read('train', 0);
  } finally {
    await dataset.close();
  }
}

const column = (name: string, data: string[]): { name: string; data: string[]; type: 'STRING' } => ({
  name,
  data,
  type: 'STRING',
});

describe('mutants open or are refused in one typed line', { timeout: 120_000 }, () => {
  it.each<[string, string, () => Promise<Uint8Array>, string?]>([
    [
      'of a tar',
      'x.tar',
      async () =>
        tarOf([
          { name: 'a.png', body: await png() },
          { name: `${'long/'.repeat(30)}b.png`, body: await png(2) },
          { name: 'a.txt', body: 'cat' },
          { name: 'b.json', body: '{"text":"dog","label":3}' },
          { name: 'c.png', type: 'link', linkname: 'a.png', body: '' },
        ]),
      'x.tar',
    ],
    [
      'of a gzipped tar',
      'x.tar.gz',
      async () =>
        gzipSync(
          await tarOf([
            { name: 'a.png', body: await png() },
            { name: 'a.txt', body: 'cat' },
          ]),
        ),
      'x.tar.gz',
    ],
    ['of IDX pictures', 'train-images-idx3-ubyte', async () => idxOf([3, 4, 4], new Uint8Array(48))],
    [
      'of gzipped IDX pictures',
      'train-images-idx3-ubyte.gz',
      async () => gzipSync(idxOf([3, 4, 4], new Uint8Array(48))),
    ],
    ['of IDX labels', 'train-labels-idx1-ubyte', async () => idxOf([3], Uint8Array.of(0, 1, 2))],
    [
      'of metadata.csv',
      'metadata.csv',
      async () => Buffer.from('file_name,text,label\na.png,"a cat, sitting",3\nb.png,"a ""dog""",4\n'),
    ],
    [
      'of metadata.jsonl',
      'metadata.jsonl',
      async () =>
        Buffer.from(
          '{"file_name":"a.png","text":["a cat","sitting"],"label":"x"}\n{"file_name":"b.png","caption":{"raw":"é"},"score":NaN}\n',
        ),
    ],
    [
      'of metadata.parquet',
      'metadata.parquet',
      async () =>
        new Uint8Array(
          parquetWriteBuffer({ columnData: [column('file_name', ['a.png', 'b.png']), column('text', ['cat', 'dog'])] }),
        ),
    ],
  ])('%s', async (_, file, make, data) => {
    const labels: Files =
      file === 'train-labels-idx1-ubyte' ? { 'train-images-idx3-ubyte': idxOf([3, 4, 4], new Uint8Array(48)) } : {};
    const folder = folderOf({
      ...(file.startsWith('metadata') && { 'a.png': await png(), 'b.png': await png() }),
      ...labels,
    });
    const started = Date.now();
    const { opened, refused } = await survive(
      folder,
      file,
      await make(),
      data === undefined ? folder : join(folder, data),
    );
    // Damage of both kinds was tried: what can be read around, and what cannot.
    expect(Math.min(opened, refused)).toBeGreaterThan(0);
    expect(existsSync(folder)).toBe(true);
    // 60 s for 2,000 openings is far above what they take: a mutant that hangs or crawls shows.
    expect(Date.now() - started).toBeLessThan(60_000);
  });
});
