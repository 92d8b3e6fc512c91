import { describe, expect, it } from 'vitest';
import { CodebookMeter } from '../../src/metrics/codebook.js';
import { codebookHistograms, codebookTable, codesOf } from '../../src/report/codebook.js';

const top = new CodebookMeter({ name: 'top', grid: [1, 1], levels: 1, vocabSize: 4 });
top.add([0, 1]);
const bottom = new CodebookMeter({ name: 'bottom', grid: [1, 1], levels: 2, vocabSize: 8 });
bottom.add([0, 7, 1, 7]);
const maps = [top.result(), bottom.result()];

const rowsOf = (html: string): string[][] =>
  Array.from(html.matchAll(/<tr>(.*?)<\/tr>/g), ([, row]) =>
    Array.from(row!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g), ([, cell]) => cell!.replace(/<[^>]*>/g, '')),
  );

describe('codebookTable', () => {
  it('has a row for each map and each of its levels', () => {
    const [head, ...rows] = rowsOf(codebookTable([{ maps }]));
    expect(head).toEqual(['Map', 'Shape', 'Codes', 'Used', 'Share', 'Entropy, bits', 'Entropy ratio', 'Perplexity']);
    expect(rows).toEqual([
      ['top', '1 × 1', '4', '2', '0.5', '1', '0.5', '2'],
      ['bottom', '1 × 1 × 2', '16', '3', '0.1875', '0.5', '0.1667', '1.414'],
      ['bottom, level 1', '1 × 1', '8', '2', '0.25', '1', '0.3333', '2'],
      ['bottom, level 2', '1 × 1', '8', '1', '0.125', '0', '0', '1'],
    ]);
    expect(maps.map(codesOf)).toEqual([4, 16]);
  });

  it('names the owners when there are several', () => {
    const rows = rowsOf(
      codebookTable([
        { name: 'one', maps: maps.slice(0, 1) },
        { name: 'other', maps: [] },
        { name: 'third', maps: maps.slice(0, 1) },
      ]),
    );
    expect(rows.map(([owner]) => owner)).toEqual(['Codec', 'one', 'third']);
  });
});

describe('codebookHistograms', () => {
  it('draws each codebook by itself', () => {
    const figures = codebookHistograms(maps, [top.counts, bottom.counts]);
    const html = figures.join('');
    expect(html.split('<svg').length - 1).toBe(6);
    for (const title of ['top', 'bottom, level 1', 'bottom, level 2'])
      expect(html.split(`aria-label="${title}: `).length - 1).toBe(2);
    expect(html).toContain('1 of 8 codes used');
  });
});
