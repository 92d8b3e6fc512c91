// A comparison of codecs as one HTML file: figures, rate and distortion, samples, codebooks.
import { dirname, resolve } from 'node:path';
import { shortFingerprint } from '../fingerprint.js';
import type { AnyMedium, Figure } from '../media/medium.js';
import { fullMedium } from '../media/node.js';
import { frechetBias } from '../metrics/frechet.js';
import { CODEBOOK_MEASURES, codebookTable } from '../report/codebook.js';
import { capitalized, formatNumber } from '../report/format.js';
import { pictureOf, stackGallery } from '../report/gallery.js';
import { headingOf } from '../report/heading.js';
import { chartFigure, charts, htmlReport, paragraph, table } from '../report/html.js';
import type { Cell, Fragment, Report, ReportSection, Term } from '../report/html.js';
import { measureOf, rateMeasures } from '../report/measures.js';
import type { Measure } from '../report/measures.js';
import { scatterChart } from '../report/scatter-chart.js';
import { linkTo } from '../train/related.js';
import type { CodecComparison, ComparedCodec } from './compare.js';

/** Name and value of a column of the table of codecs; null if a codec has no such figure. */
export type Column = [name: string, value: (codec: ComparedCodec) => Cell];

/** The columns that at least one codec has a figure for. */
export function comparisonColumns({ codecs, medium }: Pick<CodecComparison, 'codecs' | 'medium'>): Column[] {
  const { noun, figures, rate: unit } = fullMedium(medium);
  const measures = [...new Set(codecs.flatMap((codec) => Object.keys(codec.measures)))];
  const all: Column[] = [
    ['codec', ({ name }) => name],
    ['family', ({ family }) => family],
    [noun.many, ({ shape }) => shape.join(' × ')],
    [unit.label, ({ rate }) => rate?.nominal ?? null],
    ['by entropy', ({ rate }) => rate?.empirical ?? null],
    ['NMSE', ({ nmse }) => nmse],
    ...figures.map(({ name, label }): Column => [label, ({ quality }) => quality[name] ?? null]),
    ['usage', ({ maps }) => usageCell(maps)],
    ['rFID', ({ rfid }) => rfid ?? null],
    ...measures.map((name): Column => [name, (codec) => codec.measures[name] ?? null]),
    ['encoded/s', ({ encodedPerSecond }) => encodedPerSecond],
  ];
  return all.filter(([, value]) => codecs.some((codec) => value(codec) !== null));
}

function usageCell(maps: ComparedCodec['maps']): Cell {
  if (maps.length <= 1) return maps[0]?.usage ?? null;
  return maps.map(({ name, usage }) => `${name} ${formatNumber(usage)}`).join(', ');
}

export interface ComparisonReportOptions {
  /** Where the report will be written. With it, the report links to those of the codecs that exist. */
  out?: string;
  /** When the codecs were compared. Default: the page has no date. */
  date?: Date;
}

/** Returns the text of one HTML file that needs no other files. */
export async function comparisonReport(
  comparison: CodecComparison,
  { out, date }: ComparisonReportOptions = {},
): Promise<string> {
  const { codecs, data, split } = comparison;
  const medium = fullMedium(comparison.medium);
  const { many } = medium.noun;
  const columns = comparisonColumns(comparison);
  const terms = columns.map(([name]) => termOfColumn(name, medium));
  const rows = codecs.map((codec) => columns.map(([, value]) => value(codec)));
  const sections: ReportSection[] = [
    {
      title: 'Figures',
      intro: `Each codec is measured on ${many} of its own shape, to which error and rate refer. A star marks the best of a column.`,
      body: [table(terms, unbroken(rows), { best: bestCells(medium, columns, rows) }), ...notes(medium, codecs)],
    },
    {
      title: 'Reconstructions',
      intro: `The same ${many} of the ${split} split, at the shape of the largest codec.`,
      body: [await exampleGallery(medium, comparison)],
    },
    ...rateDistortion(medium, codecs),
    ...(codecs.some(({ maps }) => maps.length > 0) ? [{ title: 'Codebooks', body: [codebookTable(codecs)] }] : []),
    {
      title: 'Models',
      body: [
        table(
          ['Codec', 'Path', 'Fingerprint'],
          codecs.map(({ name, path, fingerprint }) => [name, path, shortFingerprint(fingerprint)]),
        ),
      ],
    },
  ];
  return htmlReport({
    ...headingOf({
      kind: 'Comparison',
      name: `${codecs.length} codecs compared`,
      data,
      date: date?.toISOString(),
      facts: [
        ['Split', split === 'all' ? 'both splits' : split === 'test' ? 'held out' : 'training'],
        [capitalized(many), formatNumber(codecs[0]!.samples)],
      ],
    }),
    links:
      out === undefined ? [] : codecs.flatMap(({ name, path }) => linkTo(dirname(resolve(out)), path, 'codec', name)),
    summary: bests(medium, codecs),
    sections,
    measures: [
      ...terms.filter((term): term is Measure => typeof term !== 'string'),
      ...(codecs.some(({ maps }) => maps.length > 0) ? CODEBOOK_MEASURES : []),
    ],
  });
}

/** What the page explains of a column, by the name that the terminal shows too. */
function termOfColumn(name: string, medium: AnyMedium): Term {
  const { nominal, empirical } = rateMeasures(medium);
  const known: Record<string, Measure> = {
    [medium.rate.label]: nominal,
    'by entropy': { ...empirical, label: 'By entropy' },
    NMSE: measureOf('nmse'),
    usage: { ...measureOf('usage'), label: 'Usage' },
    rFID: measureOf('rfid'),
    'encoded/s': { ...measureOf('encodedPerSecond'), label: 'Encoded/s' },
    ...Object.fromEntries(medium.figures.map((figure) => [figure.label, measureOf(figure.name, medium)])),
  };
  if (Object.hasOwn(known, name)) return known[name]!;
  return ['codec', 'family', medium.noun.many].includes(name) ? capitalized(name) : measureOf(name, medium);
}

/** Shapes are not broken into lines. */
const unbroken = (rows: readonly Cell[][]): Cell[][] =>
  rows.map((row) => row.map((cell) => (typeof cell === 'string' ? cell.replaceAll(' × ', '\u00a0×\u00a0') : cell)));

/** The best cells of the columns in which one can be better than another. */
function bestCells(medium: AnyMedium, columns: readonly Column[], rows: readonly Cell[][]): Set<string> {
  const better: Record<string, Figure['better']> = {
    [medium.rate.label]: 'lower',
    'by entropy': 'lower',
    NMSE: 'lower',
    rFID: 'lower',
    'encoded/s': 'higher',
    ...Object.fromEntries(medium.figures.map((figure) => [figure.label, figure.better])),
  };
  const cells = columns.flatMap(([name], i) => {
    const direction = Object.hasOwn(better, name) ? better[name] : undefined;
    const values = rows.map((row) => row[i]).filter((value): value is number => typeof value === 'number');
    if (!direction || values.length < 2 || new Set(values).size === 1) return [];
    const best = direction === 'lower' ? Math.min(...values) : Math.max(...values);
    return rows.flatMap((row, r) => (row[i] === best ? [`${r}:${i}`] : []));
  });
  return new Set(cells);
}

/** The best codec by each figure. */
function bests({ figures, rate: unit }: AnyMedium, codecs: readonly ComparedCodec[]): Report['summary'] {
  const best = (
    name: string,
    better: Figure['better'],
    value: (codec: ComparedCodec) => number | undefined,
  ): [Term, Cell, string][] => {
    const measured = codecs.flatMap((codec) => {
      const own = value(codec);
      return own === undefined ? [] : [{ name: codec.name, value: own }];
    });
    measured.sort((a, b) => (better === 'higher' ? b.value - a.value : a.value - b.value));
    return measured.slice(0, 1).map((first) => [name, first.value, first.name]);
  };
  const [main] = figures;
  return [
    ...(main ? best(`Best ${main.label}`, main.better, ({ quality }) => quality[main.name]) : []),
    ...best('Best NMSE', 'lower', ({ nmse }) => nmse),
    ...best('Best rFID', 'lower', ({ rfid }) => rfid),
    ...best(`Fewest ${unit.label} by entropy`, 'lower', ({ rate }) => rate?.empirical),
    ...best('Most encoded/s', 'higher', ({ encodedPerSecond }) => encodedPerSecond),
  ];
}

function notes({ noun }: AnyMedium, codecs: readonly ComparedCodec[]): Fragment[] {
  const { features, samples } = codecs[0]!;
  const bias = features && frechetBias(samples, features.dimension);
  return [
    paragraph(`Encoded/s: ${noun.many} in memory, in batches, on the machine that wrote this report.`),
    ...(features
      ? [
          paragraph(
            `rFID: Frechet distance between originals and reconstructions in the ${features.dimension} features "${features.output}" of ${features.network} (sha256 ${features.sha256.slice(0, 12)}, pixels ${features.scaling}).${bias === undefined ? '' : ` ${bias}`}`,
          ),
        ]
      : []),
  ];
}

/** The rate by the entropy of the codes, or without codes by the divergence of the latents from their prior. */
function rateOf({ rate, measures, units }: ComparedCodec): number | undefined {
  return rate?.empirical ?? (measures['klBits'] === undefined ? undefined : measures['klBits'] / units);
}

function rateDistortion({ figures, rate: unit }: AnyMedium, codecs: readonly ComparedCodec[]): ReportSection[] {
  const main: Figure = figures[0] ?? { name: 'nmse', label: 'NMSE', better: 'lower', meaning: '' };
  const points = codecs.flatMap((codec) => {
    const [x, y] = [rateOf(codec), codec.quality[main.name] ?? codec.nmse];
    return x === undefined ? [] : [{ name: codec.name, x, y }];
  });
  if (points.length === 0) return [];
  const remark = (text: string, wanted: (codec: ComparedCodec) => boolean): Fragment[] => {
    const names = codecs.filter(wanted).map(({ name }) => name);
    return names.length > 0 ? [paragraph(`${text}: ${names.join(', ')}.`)] : [];
  };
  const body = [
    charts([
      chartFigure(
        scatterChart(points, {
          width: 480,
          height: 320,
          xLabel: `${unit.label}, by the entropy of the codes`,
          yLabel: main.label,
        }),
      ),
    ]),
    ...remark(
      'Without codes, at the bits that their latents carry by the evidence bound, which no file of them reaches',
      (codec) => codec.rate === undefined && rateOf(codec) !== undefined,
    ),
    ...remark('Without a rate', (codec) => rateOf(codec) === undefined),
  ];
  const direction = main.better === 'higher' ? 'up' : 'down';
  return [{ title: 'Rate and distortion', intro: `Further ${direction} and to the left is better.`, body }];
}

/** One stack for each sample: the original above the reconstructions of all codecs. */
async function exampleGallery(medium: AnyMedium, { examples }: CodecComparison): Promise<Fragment> {
  const stacks = examples[0]!.media.map(async (_, i) => ({
    pictures: await Promise.all(
      examples.map(({ name, media }, row) =>
        pictureOf(
          medium,
          media[i]!,
          `${row === 0 ? 'Original' : `Reconstruction by ${name}`}, ${medium.noun.one} ${i + 1}`,
        ),
      ),
    ),
  }));
  const rows = examples.map(({ name }, row) => (row === 0 ? 'Originals' : name));
  return stackGallery(rows, await Promise.all(stacks), { trim: true });
}
