// The reports of finished runs.
import { join } from 'node:path';
import type { ModelCard } from '../checkpoint/card.js';
import { formatJson } from '../json.js';
import { writeFileAtomic } from '../files/commit.js';
import type { Image } from '../interfaces/index.js';
import { encodePng } from '../media/image/image.js';
import { fromFloat32 } from '../media/image/pixels.js';
import { imageGrid } from '../media/image/grid.js';
import { codebookHistograms, codebookTable, codesOf } from '../report/codebook.js';
import { formatCount } from '../report/format.js';
import { chartFigure, htmlReport, imageFigure, paragraph, preformatted } from '../report/html.js';
import type { Cell, Fragment, ReportSection } from '../report/html.js';
import { lineChart } from '../report/line-chart.js';
import { readMetrics } from '../report/metrics-file.js';
import type { MetricsRecord } from '../report/metrics-file.js';
import type { CodecEvaluation } from './evaluate.js';
import type { Outcome } from './loop.js';
import type { Kept } from './watch.js';

const EXAMPLES = 16;

/** What a codec's report shows besides its card; `examples` are missing without held-out pictures. */
interface CodecShown {
  counts: readonly Float64Array[];
  examples?: CodecEvaluation['examples'];
}

/** Curves, codebook use, and pictures beside their reconstructions. */
export async function writeCodecReport(
  path: string,
  card: ModelCard,
  outcome: Outcome,
  { counts, examples }: CodecShown,
): Promise<void> {
  const records = readMetrics(join(path, '..', 'metrics.jsonl'));
  const metrics = card.metrics as unknown as CodecEvaluation | undefined;
  const sections: ReportSection[] = [];
  if (examples) {
    const sheet = await encodePng(reconstructionSheet(examples));
    writeFileAtomic(join(path, '..', 'reconstructions.png'), sheet);
    sections.push({
      title: 'Reconstructions',
      intro: 'Held-out pictures, each above what the codec makes of it.',
      body: [imageFigure(sheet)],
    });
  }
  const names = [
    'loss',
    'nmse',
    ...namesOf(records.filter(({ split }) => split !== 'test')),
    ...Object.keys(metrics?.measures ?? {}),
  ];
  sections.push({ title: 'Training', body: curves(records, [...new Set(names)], { kept: outcome.kept }) });
  if (metrics && counts.length > 0) sections.push(codebookSection(metrics, counts, records));
  const summary = [...keptRows(outcome), ...(metrics ? codecSummary(metrics) : [])];
  writeFileAtomic(
    path,
    htmlReport({
      title: `Codec ${card.name}`,
      subtitle: card.fingerprint,
      summary,
      sections: [...warningSection(outcome), ...sections, settings(card)],
    }),
  );
}

const codebookSection = (
  metrics: CodecEvaluation,
  counts: readonly Float64Array[],
  records: readonly MetricsRecord[],
): ReportSection => ({
  title: 'Codebook',
  intro: 'How often each code occurs over the held-out split.',
  body: [
    codebookTable([{ maps: metrics.maps }]),
    ...curves(
      records,
      namesOf(records).filter((name) => /(^|\.)usage$/.test(name)),
      { log: false },
    ),
    ...codebookHistograms(metrics.maps, counts),
  ],
});

function codecSummary(metrics: CodecEvaluation): [string, Cell][] {
  return [
    ['held-out pictures', metrics.samples],
    ['NMSE', metrics.nmse],
    ['PSNR, dB', metrics.psnr],
    ['SSIM', metrics.ssim],
    ['sharpness', metrics.sharpness],
    ...(metrics.bitsPerPixel === undefined
      ? []
      : ([
          ['bits a pixel', metrics.bitsPerPixel],
          ['bits a pixel by entropy', metrics.empiricalBitsPerPixel!],
        ] as [string, Cell][])),
    ...Object.entries(metrics.measures),
    ...metrics.maps.flatMap((map): [string, Cell][] => [
      [`${map.name}: codes in use`, `${map.used} of ${codesOf(map)}`],
      [`${map.name}: entropy / log K`, map.entropyRatio],
    ]),
  ];
}

/** Curves and samples. */
export async function writePriorReport(
  out: string,
  card: ModelCard,
  outcome: Outcome,
  samples: { images: Image[]; prompts: string[] } | undefined,
): Promise<void> {
  const body: Fragment[] = [];
  if (samples && samples.images.length > 0) {
    const { width } = samples.images[0]!;
    const sheet = await encodePng(
      imageGrid(samples.images, { scale: Math.max(1, Math.round(96 / width)), labels: samples.prompts }),
    );
    writeFileAtomic(join(out, 'samples.png'), sheet);
    body.push(imageFigure(sheet));
  }
  const metrics = card.metrics as
    { natsPerCode: number; bitsPerCode: number; accuracy: number; samples: number } | undefined;
  const measured: [string, Cell][] = metrics
    ? [
        ['held-out samples', metrics.samples],
        ['nats a code', metrics.natsPerCode],
        ['bits a code', metrics.bitsPerCode],
        ['first choice right', metrics.accuracy],
      ]
    : [];
  const training = {
    title: 'Training',
    body: curves(readMetrics(join(out, 'metrics.jsonl')), ['loss', 'natsPerCode'], { kept: outcome.kept }),
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

/** Which weights the model holds, and how training ended. */
function keptRows({ kept, stoppedAt }: Outcome): [string, Cell][] {
  return [
    ['weights kept', `step ${formatCount(kept.step)} (${kept.rule})`],
    ...(stoppedAt === undefined
      ? []
      : ([['stopped by patience', `step ${formatCount(stoppedAt)}`]] as [string, Cell][])),
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

/** What was measured, in the order of appearance. */
const namesOf = (records: readonly MetricsRecord[]): string[] =>
  [...new Set(records.flatMap((record) => Object.keys(record)))].filter(
    (name) => !['step', 'split', 'final'].includes(name),
  );

interface CurveOptions {
  log?: boolean;
  /** Marked in the chart of the figure that decided. */
  kept?: Kept;
}

/** One chart for each name, training and held-out values together; logarithmic where all values allow it. */
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

/** Two rows a strip: originals above, reconstructions below. */
function reconstructionSheet({ shape, originals, reconstructions }: CodecEvaluation['examples']): Image {
  const [count, height, width, channels] = shape;
  const shown = Math.min(EXAMPLES, count);
  const head = (values: Float32Array): Image[] =>
    fromFloat32(values.slice(0, shown * height * width * channels), [shown, height, width, channels]);
  const [above, below] = [head(originals), head(reconstructions)];
  const columns = Math.min(8, shown);
  const rows: Image[] = [];
  for (let first = 0; first < shown; first += columns)
    rows.push(
      ...fill(above.slice(first, first + columns), columns),
      ...fill(below.slice(first, first + columns), columns),
    );
  return imageGrid(rows, { columns, scale: Math.max(1, Math.round(96 / width)) });
}

/** Repeats the last picture where a row is short, so that rows stay aligned. */
const fill = (images: Image[], columns: number): Image[] =>
  Array.from({ length: columns }, (_, i) => images[Math.min(i, images.length - 1)]!);
