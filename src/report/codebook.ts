// Codebook usage in reports: a table of maps and their levels, and a histogram of each codebook.
import { idsShape } from '../interfaces/tokens.js';
import { codebooksOf } from '../metrics/codebook.js';
import type { CodeSpread, CodebookUse } from '../metrics/codebook.js';
import { codeHistogram } from './histogram.js';
import { formatCount } from './format.js';
import { chartFigure, charts, table } from './html.js';
import type { Cell, Fragment, Term } from './html.js';
import { measureOf } from './measures.js';
import type { Measure } from './measures.js';

/** Returns the total number of codes: K for each level of the map. */
export const codesOf = ({ vocabSize, levels }: CodebookUse): number => vocabSize * levels;

/** The measures that {@link codebookTable} names. */
export const CODEBOOK_MEASURES: readonly Measure[] = ['usage', 'entropy', 'entropyRatio', 'perplexity'].map((name) =>
  measureOf(name),
);

/**
 * Builds a table with one row per map and one per level of the map. If there are several codecs, the first column names
 * them.
 */
export function codebookTable(owners: readonly { name?: string; maps: readonly CodebookUse[] }[]): Fragment {
  const named = owners.length > 1;
  const rows = owners.flatMap(({ name = '', maps }) =>
    maps.flatMap((map) => rowsOf(map).map((row): Cell[] => (named ? [name, ...row] : row))),
  );
  return table(
    [
      ...(named ? ['Codec'] : []),
      'Map',
      'Shape',
      'Codes',
      'Used',
      ...CODEBOOK_MEASURES.map((measure): Term =>
        measure.name === 'usage' ? { ...measure, label: 'Share' } : measure,
      ),
    ],
    rows,
  );
}

function rowsOf(map: CodebookUse): Cell[][] {
  const row = (
    name: string,
    shape: readonly number[],
    codes: number,
    { used, usage, entropy, entropyRatio, perplexity }: CodeSpread,
  ): Cell[] => [name, shape.join(' × '), codes, used, usage, entropy / Math.LN2, entropyRatio, perplexity];
  return [
    row(map.name, idsShape(map), codesOf(map), map),
    ...(map.byLevel ?? []).map((level, i) => row(levelName(map, i), map.grid, map.vocabSize, level)),
  ];
}

const levelName = ({ name }: CodebookUse, level: number): string => `${name}, level ${level + 1}`;

/**
 * Draws each codebook by id, and beside it by frequency.
 *
 * @param counts Counts of each map, [levels, K].
 */
export function codebookHistograms(maps: readonly CodebookUse[], counts: readonly Float64Array[]): Fragment[] {
  const figures = maps.flatMap((map, i) => {
    const books = codebooksOf(counts[i]!, map.vocabSize);
    return books.flatMap((book, level) => {
      const title = books.length > 1 ? levelName(map, level) : map.name;
      return [
        chartFigure(codeHistogram(book, { title }), `${title}, by code`, 'times used'),
        chartFigure(codeHistogram(book, { title, order: 'frequency' }), 'By frequency', usedText(book)),
      ];
    });
  });
  return [charts(figures)];
}

const usedText = (book: Float64Array): string =>
  `${formatCount(book.filter((count) => count > 0).length)} of ${formatCount(book.length)} codes used`;
