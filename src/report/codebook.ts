// Codebook usage in reports: a table of maps and their depths, and a histogram of each codebook.
import { codebooksOf } from '../metrics/codebook.js';
import type { CodeSpread, CodebookUse } from '../metrics/codebook.js';
import { histogram } from './histogram.js';
import { chartFigure, table } from './html.js';
import type { Cell, Fragment } from './html.js';

/** Returns the total number of codes: K times the depth of the map. */
export const codesOf = ({ vocabSize, depths }: CodebookUse): number => vocabSize * (depths?.length ?? 1);

/**
 * Builds a table with one row per map and one per depth of the map. If there are several codecs, the first column names
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
  const depths = map.depths ?? [];
  return [
    row(map.name, map.shape, codesOf(map), map),
    ...depths.map((depth, i) => row(depthName(map, i), map.shape.slice(0, 2), map.vocabSize, depth)),
  ];
}

const depthName = ({ name }: CodebookUse, depth: number): string => `${name}, depth ${depth + 1}`;

/** @param counts Counts of each map, [depth, K]. */
export function codebookHistograms(maps: readonly CodebookUse[], counts: readonly Float64Array[]): Fragment[] {
  return maps.flatMap((map, i) => {
    const books = codebooksOf(counts[i]!, map.vocabSize);
    return books.map((book, depth) =>
      chartFigure(histogram(book, { title: books.length > 1 ? depthName(map, depth) : map.name })),
    );
  });
}
