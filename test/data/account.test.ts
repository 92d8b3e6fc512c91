// Whatever lies in a dataset, every file and every caption of it is read or reported, and test data stay out of training.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { openDataset } from '../../src/data/open.js';
import type { DatasetOptions } from '../../src/data/indexed.js';
import type { Dataset, DataSummary, LeftOut } from '../../src/interfaces/dataset.js';
import { describeAll, png, tarOf, temporaryFolder } from './fixtures.js';

interface Made {
  name: string;
  body: string | Uint8Array;
}

/** A picture, and what lies beside it. */
interface Spec {
  side: 'train' | 'test' | 'none';
  style: number;
  extension: string;
  sidecars: string[];
  inMetadata: boolean;
}

interface Plan {
  archive: boolean;
  /** How the folders of the two sides are called, if there are such. */
  sides?: [train: string, test: string];
  deep: boolean;
  metadata?: 'csv' | 'tsv' | 'jsonl';
  columns: string[];
  pictures: Spec[];
  odd: string[];
}

const sideNames = fc.constantFrom<[string, string]>(
  ['train', 'test'],
  ['Train', 'TEST'],
  ['training', 'val'],
  ['emnist-train', 'emnist-test'],
  ['train2017', 'val2017'],
);

const specs = fc.record<Spec>({
  side: fc.constantFrom('train', 'test', 'none'),
  style: fc.nat(3),
  extension: fc.constantFrom('png', 'PNG', 'jpg', 'webp', 'gif'),
  sidecars: fc.uniqueArray(
    fc.constantFrom('txt', 'TXT', 'double', 'caption', 'json', 'nan', 'broken', 'utf16', 'empty'),
    { maxLength: 3, selector: (name) => name.toLowerCase() },
  ),
  inMetadata: fc.boolean(),
});

const plans = fc.record<Plan>({
  archive: fc.boolean(),
  sides: fc.option(sideNames, { nil: undefined }),
  deep: fc.boolean(),
  metadata: fc.option(fc.constantFrom('csv', 'tsv', 'jsonl'), { nil: undefined }),
  columns: fc.subarray(['text', 'caption', 'prompt', 'label'], { minLength: 1 }),
  pictures: fc.array(specs, { minLength: 4, maxLength: 14 }),
  odd: fc.subarray(['readme.md', '.DS_Store', 'orphan.txt', 'notes', 'dangling.png', 'missing row']),
});

/** Everything a plan puts on disk. */
interface World {
  files: Made[];
  links: string[];
  /** Captions there are: text files that hold one, and cells of caption columns. */
  captions: number;
  pictures: number;
}

function worldOf(plan: Plan, body: Uint8Array): World {
  const files: Made[] = [];
  let captions = 0;
  const rows: Array<Record<string, string>> = [];
  const cells = plan.columns.filter((column) => column !== 'label').length;
  plan.pictures.forEach(({ side, style, extension, sidecars, inMetadata }, i) => {
    const folder = plan.sides && side !== 'none' ? `${plan.sides[side === 'train' ? 0 : 1]}/` : '';
    const stem = `${plan.deep ? 'data/' : ''}${folder}${[`p${i}`, `bé ${i}`, `v1.${i}_x`, `deep/er/p${i}`][style]!}`;
    files.push({ name: `${stem}.${extension}`, body });
    for (const sidecar of sidecars) {
      const made = sidecarOf(stem, extension, sidecar, i);
      files.push(made.file);
      captions += made.captions;
    }
    if (plan.metadata && inMetadata) {
      rows.push({
        file_name: `${stem.normalize('NFC')}.${extension}`,
        ...Object.fromEntries(
          plan.columns.map((column) => [column, column === 'label' ? String(i % 2) : `${column} of ${i}`]),
        ),
      });
      captions += cells;
    }
  });
  if (plan.metadata) {
    if (plan.odd.includes('missing row'))
      rows.push({ file_name: 'gone.png', ...Object.fromEntries(plan.columns.map((column) => [column, '1'])) });
    files.push({ name: `metadata.${plan.metadata}`, body: tableOf(rows, plan.metadata, plan.columns) });
  }
  for (const odd of plan.odd)
    if (!odd.includes('row') && odd !== 'dangling.png') files.push({ name: odd, body: 'odd' });
  if (plan.odd.includes('orphan.txt')) captions++;
  return {
    files,
    links: plan.archive || !plan.odd.includes('dangling.png') ? [] : ['dangling.png'],
    captions,
    pictures: plan.pictures.length,
  };
}

function sidecarOf(stem: string, extension: string, sidecar: string, i: number): { file: Made; captions: number } {
  switch (sidecar) {
    case 'double':
      return { file: { name: `${stem}.${extension}.txt`, body: `double ${i}` }, captions: 1 };
    case 'json':
      return {
        file: { name: `${stem}.json`, body: JSON.stringify({ caption: `json ${i}`, prompt: `prompt ${i}`, width: 3 }) },
        captions: 2,
      };
    case 'nan':
      return { file: { name: `${stem}.JSON`, body: `{"score": NaN, "text": "nan ${i}"}` }, captions: 1 };
    case 'broken':
      return { file: { name: `${stem}.Json`, body: '[1, 2' }, captions: 1 };
    case 'utf16':
      return { file: { name: `${stem}.text`, body: Buffer.from(`\ufeffwide ${i}`, 'utf16le') }, captions: 1 };
    case 'empty':
      return { file: { name: `${stem}.captions`, body: ' \n' }, captions: 0 };
    default:
      return { file: { name: `${stem}.${sidecar}`, body: `\ufeff${sidecar} ${i}\n` }, captions: 1 };
  }
}

function tableOf(
  rows: ReadonlyArray<Record<string, string>>,
  kind: 'csv' | 'tsv' | 'jsonl',
  columns: readonly string[],
): string {
  if (kind === 'jsonl') return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const names = ['file_name', ...columns];
  return [names, ...rows.map((row) => names.map((name) => row[name]!))]
    .map((row) => row.join(kind === 'csv' ? ',' : '\t'))
    .join('\r\n');
}

async function write({ files, links }: World, archive: boolean): Promise<string> {
  const folder = temporaryFolder();
  if (archive) {
    const path = join(folder, 'data.tar');
    writeFileSync(path, await tarOf(files));
    return path;
  }
  for (const { name, body } of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), body);
  }
  for (const link of links) symlinkSync('/nowhere/at/all.png', join(folder, link));
  return folder;
}

/** Folders of the two sides, in keys. */
const TRAIN = /(^|[/-])train/i;
const TEST = /(^|[/-])(test|val)/i;

const total = (list: readonly LeftOut[]): number => list.reduce((sum, { count }) => sum + count, 0);

function captionsIn({ captions }: DataSummary): number {
  return Object.values(captions.used).reduce((sum, count) => sum + count, 0) + total(captions.unused);
}

function keysOf(dataset: Dataset, split: 'train' | 'test'): string[] {
  return describeAll(dataset, split).map(({ key }) => key);
}

describe('the account of a dataset', () => {
  it('has every file and caption once, and no test data in training, whatever lies there', async () => {
    const body = await png();
    let [split, withBad] = [0, 0];
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const world = worldOf(plan, body);
        const path = await write(world, plan.archive);
        const dataset = await openDataset(path, { skipBad: true }).catch((error: Error) => {
          // Where every image is spoiled there is no dataset.
          if (error.message.startsWith('E_DATA_EMPTY ')) return undefined;
          throw error;
        });
        if (!dataset) return;
        const summary = dataset.summary!;
        const bad = summary.bad.filter(({ row }) => row === undefined).length;
        expect(summary.files).toBe(world.files.length + world.links.length);
        expect(summary.media + summary.texts + total(summary.leftOut) + bad).toBe(summary.files);
        expect(summary.samples).toBe(summary.media);
        expect(dataset.size('train') + dataset.size('test')).toBe(summary.samples);
        expect(captionsIn(summary)).toBe(world.captions);
        const trained = keysOf(dataset, 'train');
        const keys = [...trained, ...keysOf(dataset, 'test')];
        const bothSides = keys.some((key) => TRAIN.test(key)) && keys.some((key) => TEST.test(key));
        expect(bothSides ? trained.filter((key) => TEST.test(key) || !TRAIN.test(key)) : []).toEqual([]);
        if (bothSides) split++;
        if (bad > 0) withBad++;
        await dataset.close();
      }),
      { numRuns: 100, seed: 8 },
    );
    // The plans do reach what they are for.
    expect(split).toBeGreaterThan(10);
    expect(withBad).toBeGreaterThan(10);
  });

  it('names the file that stops an opening, and the way around it', async () => {
    const body = await png();
    const folder = await write(
      {
        files: [
          { name: 'a.png', body },
          { name: 'b.png', body },
          { name: 'b.txt', body: Uint8Array.of(0x63, 0xe9) },
        ],
        links: ['gone.png'],
        captions: 0,
        pictures: 2,
      },
      false,
    );
    const strict = (options: DatasetOptions): Promise<unknown> => openDataset(folder, options);
    await expect(strict({})).rejects.toThrow(/^E_DATA_LINK .*gone\.png: .*--skip-bad leaves such files out\.$/);
    const { summary } = await openDataset(folder, { skipBad: true });
    expect(summary!.bad.map(({ file }) => file)).toEqual(['gone.png', 'b.txt']);
    expect(summary!.leftOut).toEqual([
      { reason: 'images whose caption or class cannot be read', media: true, count: 1, examples: ['b.png'] },
    ]);
    expect(summary!.samples).toBe(1);
  });
});
