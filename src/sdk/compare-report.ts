// A comparison of codecs as one HTML file: figures, rate and distortion, samples, codebooks.
import { shortFingerprint } from '../fingerprint.js';
import type { AnyMedium, Figure } from '../media/medium.js';
import { fullMedium } from '../media/node.js';
import { frechetBias } from '../metrics/frechet.js';
import { codebookTable } from '../report/codebook.js';
import { formatNumber } from '../report/format.js';
import { chartFigure, exhibitFigure, htmlReport, paragraph, table } from '../report/html.js';
import type { Cell, Fragment, ReportSection } from '../report/html.js';
import { scatterChart } from '../report/scatter-chart.js';
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

/** Returns the text of one HTML file that needs no other files. */
export async function comparisonReport(comparison: CodecComparison): Promise<string> {
  const { codecs, data, split } = comparison;
  const medium = fullMedium(comparison.medium);
  const { many } = medium.noun;
  const columns = comparisonColumns(comparison);
  const rows = codecs.map((codec) => columns.map(([, value]) => value(codec)));
  const sections: ReportSection[] = [
    {
      title: 'Figures',
      intro: `Each codec is measured on ${many} of its own shape, to which error and rate refer.`,
      body: [
        table(
          columns.map(([name]) => name),
          rows,
        ),
        ...notes(medium, codecs),
      ],
    },
    ...rateDistortion(medium, codecs),
    {
      title: 'Reconstructions',
      intro: `The same ${many} of the ${split} split, at the shape of the largest codec.`,
      body: await exampleRows(medium, comparison),
    },
    ...(codecs.some(({ maps }) => maps.length > 0) ? [{ title: 'Codebooks', body: [codebookTable(codecs)] }] : []),
    {
      title: 'Models',
      body: [
        table(
          ['codec', 'path', 'fingerprint'],
          codecs.map(({ name, path, fingerprint }) => [name, path, shortFingerprint(fingerprint)]),
        ),
      ],
    },
  ];
  return htmlReport({
    title: `${codecs.length} codecs compared`,
    subtitle: `${data}, ${split === 'all' ? 'both splits' : `${split} split`}, ${codecs[0]!.samples} ${many}`,
    summary: bests(medium, codecs),
    sections,
  });
}

/** The best codec by each figure. */
function bests({ figures, rate: unit }: AnyMedium, codecs: readonly ComparedCodec[]): [string, Cell][] {
  const best = (
    name: string,
    better: Figure['better'],
    value: (codec: ComparedCodec) => number | undefined,
  ): [string, Cell][] => {
    const measured = codecs.flatMap((codec) => {
      const own = value(codec);
      return own === undefined ? [] : [{ name: codec.name, value: own }];
    });
    measured.sort((a, b) => (better === 'higher' ? b.value - a.value : a.value - b.value));
    return measured.slice(0, 1).map((first) => [name, `${formatNumber(first.value)}, ${first.name}`]);
  };
  const [main] = figures;
  return [
    ...(main ? best(`best ${main.label}`, main.better, ({ quality }) => quality[main.name]) : []),
    ...best('best NMSE', 'lower', ({ nmse }) => nmse),
    ...best('best rFID', 'lower', ({ rfid }) => rfid),
    ...best(`fewest ${unit.label} by entropy`, 'lower', ({ rate }) => rate?.empirical),
    ...best('most encoded/s', 'higher', ({ encodedPerSecond }) => encodedPerSecond),
  ];
}

function notes({ noun, rate, figures }: AnyMedium, codecs: readonly ComparedCodec[]): Fragment[] {
  const { features, samples } = codecs[0]!;
  const bias = features && frechetBias(samples, features.dimension);
  return [
    paragraph(
      `${capitalized(rate.label)}: log2 K for every code, and by the entropy of the codes over the split. NMSE is the squared error divided by the variance of the split. ${figures.map(({ meaning }) => meaning).join(' ')} Encoded/s: ${noun.many} in memory, in batches, on the machine that wrote this report.`,
    ),
    ...(features
      ? [
          paragraph(
            `rFID: Frechet distance between originals and reconstructions in the ${features.dimension} features "${features.output}" of ${features.network} (sha256 ${features.sha256.slice(0, 12)}, pixels ${features.scaling}).${bias === undefined ? '' : ` ${bias}`}`,
          ),
        ]
      : []),
  ];
}

const capitalized = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

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
    chartFigure(scatterChart(points, { xLabel: `${unit.label}, by the entropy of the codes`, yLabel: main.label })),
    ...remark(
      'Without codes, at the bits that their latents carry by the evidence bound, which no file of them reaches',
      (codec) => codec.rate === undefined && rateOf(codec) !== undefined,
    ),
    ...remark('Without a rate', (codec) => rateOf(codec) === undefined),
  ];
  const direction = main.better === 'higher' ? 'up' : 'down';
  return [{ title: 'Rate and distortion', intro: `Further ${direction} and to the left is better.`, body }];
}

/** One figure for each codec, all of one shape, so that reconstructions stand below their originals. */
async function exampleRows(medium: AnyMedium, { examples, codecs }: CodecComparison): Promise<Fragment[]> {
  return Promise.all(
    examples.map(async ({ name, media }, i) =>
      exhibitFigure(await medium.show(media, { columns: media.length }), captionOf(medium, name, codecs[i - 1])),
    ),
  );
}

function captionOf({ figures: [main], rate: unit }: AnyMedium, name: string, codec: ComparedCodec | undefined): string {
  if (!codec) return name;
  const quality = main
    ? `${main.label} ${formatNumber(codec.quality[main.name] ?? NaN)}`
    : `NMSE ${formatNumber(codec.nmse)}`;
  return `${name}: ${quality}${codec.rate ? `, ${formatNumber(codec.rate.empirical)} ${unit.label}` : ''}`;
}
