// Codebook usage in reports: a table of maps and their levels, and a histogram of each codebook.
import { idsShape } from '../interfaces/tokens.js';
import { codebooksOf } from '../metrics/codebook.js';
import type { CodeSpread, CodebookUse } from '../metrics/codebook.js';
import { histogram } from './histogram.js';
import { chartFigure, table } from './html.js';
import type { Cell, Fragment } from './html.js';

/** Returns the total number of codes: K for each level of the map. */
export const codesOf = ({ vocabSize, levels }: CodebookUse): number => vocabSize * levels;

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
      ...(named ? ['codec'] : []),
      'map',
      'shape',
      'codes',
      'in use',
      'usage',
      'entropy, bits',
      'entropy / log K',
      'perplexity',
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

/** @param counts Counts of each map, [levels, K]. */
export function codebookHistograms(maps: readonly CodebookUse[], counts: readonly Float64Array[]): Fragment[] {
  return maps.flatMap((map, i) => {
    const books = codebooksOf(counts[i]!, map.vocabSize);
    return books.map((book, level) =>
      chartFigure(histogram(book, { title: books.length > 1 ? levelName(map, level) : map.name })),
    );
  });
}
