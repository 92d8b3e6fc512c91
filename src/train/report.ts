// Writes the reports of finished runs.
import { join } from 'node:path';
import type { ModelCard } from '../checkpoint/card.js';
import { formatJson } from '../json.js';
import { writeFileAtomic } from '../files/commit.js';
import type { BatchInput } from '../data/batches.js';
import type { Media } from '../interfaces/index.js';
import { samplesFrom } from '../media/floats.js';
import type { AnyMedium, Exhibit } from '../media/medium.js';
import { codebookHistograms, codebookTable, codesOf } from '../report/codebook.js';
import { formatCount } from '../report/format.js';
import { chartFigure, exhibitFigure, htmlReport, paragraph, preformatted } from '../report/html.js';
import type { Cell, Fragment, ReportSection } from '../report/html.js';
import { lineChart } from '../report/line-chart.js';
import { readMetrics } from '../report/metrics-file.js';
import type { MetricsRecord } from '../report/metrics-file.js';
import type { CodecEvaluation } from './evaluate.js';
import type { Outcome } from './loop.js';
import type { Kept } from './watch.js';

/** What a codec's report shows besides its card. */
interface CodecShown extends BatchInput {
  /** Absent without held-out samples. */
  evaluation: CodecEvaluation | undefined;
}

/** Writes the report of a codec: curves, codebook usage, and samples with their reconstructions. */
export async function writeCodecReport(
  out: string,
  card: ModelCard,
  outcome: Outcome,
  { medium, input, evaluation }: CodecShown,
): Promise<void> {
  const records = readMetrics(join(out, 'metrics.jsonl'));
  const sections: ReportSection[] = [];
  if (evaluation) {
    const sheet = await reconstructionSheet(medium, input, evaluation.examples);
    writeExhibit(join(out, 'reconstructions'), sheet);
    sections.push({
      title: 'Reconstructions',
      intro: `Held-out ${medium.noun.many}, each above its reconstruction.`,
      body: [exhibitFigure(sheet)],
    });
  }
  const names = [
    'loss',
    'nmse',
    ...namesOf(records.filter(({ split }) => split !== 'test')),
    ...Object.keys(evaluation?.measures ?? {}),
  ];
  sections.push({ title: 'Training', body: curves(records, [...new Set(names)], { kept: outcome.kept }) });
  if (evaluation && evaluation.counts.length > 0) sections.push(codebookSection(evaluation, records));
  const summary = [...keptRows(outcome), ...(evaluation ? codecSummary(medium, evaluation) : [])];
  writeFileAtomic(
    join(out, 'report.html'),
    htmlReport({
      title: `Codec ${card.name}`,
      subtitle: card.fingerprint,
      summary,
      sections: [...warningSection(outcome), ...sections, settings(card)],
    }),
  );
}

/** Writes a drawing to `path`, with the extension of its format. */
function writeExhibit(path: string, exhibit: Exhibit): void {
  if ('png' in exhibit) writeFileAtomic(`${path}.png`, exhibit.png);
  else writeFileAtomic(`${path}.svg`, exhibit.svg);
}

const codebookSection = ({ maps, counts }: CodecEvaluation, records: readonly MetricsRecord[]): ReportSection => ({
  title: 'Codebook',
  intro: 'How often each code occurs over the held-out split.',
  body: [
    codebookTable([{ maps }]),
    ...curves(
      records,
      namesOf(records).filter((name) => /(^|\.)usage$/.test(name)),
      { log: false },
    ),
    ...codebookHistograms(maps, counts),
  ],
});

function codecSummary(
  { noun, figures, rate: unit }: AnyMedium,
  { samples, nmse, quality, rate, measures, maps }: CodecEvaluation,
): [string, Cell][] {
  const rates: [string, Cell][] = rate
    ? [
        [unit.label, rate.nominal],
        [`${unit.label} by entropy`, rate.empirical],
      ]
    : [];
  return [
    [`held-out ${noun.many}`, samples],
    ['NMSE', nmse],
    ...figures.map(({ name, label }): [string, Cell] => [label, quality[name] ?? null]),
    ...rates,
    ...Object.entries(measures),
    ...maps.flatMap((map): [string, Cell][] => [
      [`${map.name}: codes in use`, `${map.used} of ${codesOf(map)}`],
      [`${map.name}: entropy / log K`, map.entropyRatio],
    ]),
  ];
}

/** Samples that a prior drew for its report. */
export interface DrawnSamples {
  medium: AnyMedium;
  media: Media[];
  prompts: string[];
}

/** Writes the report of a prior: curves and samples. */
export async function writePriorReport(
  out: string,
  card: ModelCard,
  outcome: Outcome,
  samples: DrawnSamples | undefined,
): Promise<void> {
  const body: Fragment[] = [];
  if (samples && samples.media.length > 0) {
    const sheet = await samples.medium.show(samples.media, { labels: samples.prompts });
    writeExhibit(join(out, 'samples'), sheet);
    body.push(exhibitFigure(sheet));
  }
  const records = readMetrics(join(out, 'metrics.jsonl'));
  const ofStages = namesOf(records).filter((name) => /\.(natsPerCode|accuracy)$/.test(name));
  const { metrics } = outcome;
  const row = (label: string, name: string): [string, Cell] => [label, metrics?.[name] ?? null];
  const measured = metrics
    ? [
        row('held-out samples', 'samples'),
        row('nats per code', 'natsPerCode'),
        row('bits per code', 'bitsPerCode'),
        row('first choice correct', 'accuracy'),
        ...ofStages.map((name) => row(name, name)),
      ]
    : [];
  const training = {
    title: 'Training',
    body: curves(records, ['loss', 'natsPerCode', ...ofStages], { kept: outcome.kept }),
  };
  const sections = [
    ...warningSection(outcome),
    ...(body.length > 0 ? [{ title: 'Samples', body }] : []),
    training,
    settings(card),
  ];
  writeFileAtomic(
    join(out, 'report.html'),
    htmlReport({
      title: `Prior ${card.name}`,
      subtitle: card.fingerprint,
      summary: [...keptRows(outcome), ...measured],
      sections,
    }),
  );
}

/** Which weights the model has, and how training ended. */
function keptRows({ kept, stoppedAt }: Outcome): [string, Cell][] {
  return [
    ['weights kept', `step ${formatCount(kept.step)} (${kept.rule})`],
    ...(stoppedAt === undefined
      ? []
      : ([['stopped early, after', `step ${formatCount(stoppedAt)}`]] as [string, Cell][])),
  ];
}

const warningSection = ({ warnings }: Outcome): ReportSection[] =>
  warnings.length > 0
    ? [{ title: 'Warnings', body: warnings.map((text) => paragraph(`${text[0]!.toUpperCase()}${text.slice(1)}`)) }]
    : [];

const settings = (card: ModelCard) => ({
  title: 'Settings',
  body: [preformatted(formatJson({ config: card.config, training: card.training }))],
});

/** The names of all measurements, in the order of appearance. */
const namesOf = (records: readonly MetricsRecord[]): string[] =>
  [...new Set(records.flatMap((record) => Object.keys(record)))].filter(
    (name) => !['step', 'split', 'final'].includes(name),
  );

interface CurveOptions {
  log?: boolean;
  /** The kept weights, which are marked in the chart of the figure that decided. */
  kept?: Kept;
}

/** One chart for each name, with training and held-out values; logarithmic if all values are positive. */
function curves(
  records: readonly MetricsRecord[],
  names: readonly string[],
  { log = true, kept }: CurveOptions = {},
): Fragment[] {
  return names.flatMap((name) => {
    const series = [false, true].map((heldOut) => ({
      name: heldOut ? 'held out' : 'training',
      heldOut,
      points: records
        .filter(
          (record) =>
            (record.split === 'test') === heldOut && record.final === undefined && typeof record[name] === 'number',
        )
        .map((record) => ({ x: record.step, y: record[name] as number })),
    }));
    const drawn = series.filter(({ points }) => points.length > 0);
    const positive = drawn.every(({ points }) => points.every(({ y }) => y > 0));
    return drawn.length > 0
      ? [
          chartFigure(
            lineChart(drawn, {
              title: name,
              xLabel: 'step',
              yLabel: name,
              log: log && positive,
              marks: kept?.measure === name ? [{ x: kept.step, text: 'kept' }] : [],
            }),
          ),
        ]
      : [];
  });
}

/** Maximum number of samples in a row. */
const COLUMNS = 8;

/** Draws originals in rows, each row above that of their reconstructions. */
function reconstructionSheet(
  medium: AnyMedium,
  input: unknown,
  { shape, originals, reconstructions }: CodecEvaluation['examples'],
): Promise<Exhibit> {
  const above = samplesFrom(medium, input, originals, shape);
  const below = samplesFrom(medium, input, reconstructions, shape);
  const columns = Math.min(COLUMNS, above.length);
  const rows: Media[] = [];
  for (let first = 0; first < above.length; first += columns)
    for (const samples of [above, below]) rows.push(...fill(samples.slice(first, first + columns), columns));
  return medium.show(rows, { columns });
}

/** Repeats the last sample of a short row, so that rows stay aligned. */
function fill(samples: readonly Media[], columns: number): Media[] {
  const last = samples.at(-1);
  return last ? [...samples, ...new Array<Media>(columns - samples.length).fill(last)] : [];
}
