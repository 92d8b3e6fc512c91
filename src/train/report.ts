// Writes the reports of finished runs.
import { basename, join, resolve } from 'node:path';
import type { ModelCard } from '../checkpoint/card.js';
import { shortFingerprint } from '../fingerprint.js';
import { formatJson } from '../json.js';
import { writeFileAtomic } from '../files/commit.js';
import type { BatchInput } from '../data/batches.js';
import type { Media } from '../interfaces/index.js';
import { samplesFrom } from '../media/floats.js';
import type { AnyMedium, Exhibit } from '../media/medium.js';
import { CODEBOOK_MEASURES, codebookHistograms, codebookTable, codesOf } from '../report/codebook.js';
import { curves } from '../report/curves.js';
import { capitalized, formatCount } from '../report/format.js';
import { gallery, pictureOf, stackGallery } from '../report/gallery.js';
import { headingOf } from '../report/heading.js';
import { htmlReport, legend, preformatted, warning } from '../report/html.js';
import type { Fragment, Picture, Report, ReportSection } from '../report/html.js';
import { measureOf, rateMeasures } from '../report/measures.js';
import { readMetrics } from '../report/metrics-file.js';
import type { MetricsRecord } from '../report/metrics-file.js';
import type { RunRecord } from './clock.js';
import type { CodecEvaluation } from './evaluate.js';
import type { Outcome } from './loop.js';
import { relatedReports, REPORT } from './related.js';

type Summary = Report['summary'][number];

/** What a codec's report shows besides its card. */
interface CodecShown extends BatchInput {
  /** Source of the samples. */
  data: string;
  record: RunRecord;
  /** Absent without held-out samples. */
  evaluation: CodecEvaluation | undefined;
}

/** Writes the report of a codec: reconstructions, curves and codebook usage. */
export async function writeCodecReport(
  out: string,
  card: ModelCard,
  outcome: Outcome,
  { medium, input, data, record, evaluation }: CodecShown,
): Promise<void> {
  const records = readMetrics(join(out, 'metrics.jsonl'));
  const sections: ReportSection[] = [];
  if (evaluation) {
    const { originals, reconstructions } = examplesOf(medium, input, evaluation.examples);
    writeExhibit(join(out, 'reconstructions'), await reconstructionSheet(medium, originals, reconstructions));
    sections.push({
      title: 'Reconstructions',
      intro: `Held-out ${medium.noun.many}, which training never saw, and what the codec makes of them.`,
      body: [await reconstructionGallery(medium, originals, reconstructions)],
    });
  }
  const names = [
    'loss',
    'nmse',
    ...namesOf(records.filter(({ split }) => split !== 'test')),
    ...medium.figures.map(({ name }) => name),
    ...Object.keys(evaluation?.measures ?? {}),
  ];
  const training = curves(records, [...new Set(names)], { kept: outcome.kept.step, medium });
  const codebook =
    evaluation && evaluation.counts.length > 0 ? codebookSection(evaluation, records, outcome.kept.step) : undefined;
  const summary = [...(evaluation ? codecSummary(medium, evaluation) : []), ...keptRows(outcome)];
  writeReport(out, {
    ...heading('Codec', out, card, record, data),
    links: relatedReports(out, [out], { kind: 'prior', codec: card.fingerprint }),
    summary,
    sections: [
      ...warningSection(outcome),
      ...sections,
      { title: 'Training', body: training.body },
      ...(codebook ? [codebook] : []),
      settings(card),
    ],
    measures: [...training.measures, ...(codebook ? CODEBOOK_MEASURES : [])],
  });
}

function writeReport(out: string, report: Report): void {
  writeFileAtomic(join(out, REPORT), htmlReport(report));
}

const heading = (
  kind: string,
  out: string,
  card: ModelCard,
  record: RunRecord,
  data: string,
): ReturnType<typeof headingOf> =>
  headingOf({
    kind,
    name: basename(resolve(out)),
    data,
    date: record.finished,
    seconds: record.seconds,
    facts: [
      ['Model', `${card.name} ${kind.toLowerCase()}`],
      ['Fingerprint', shortFingerprint(card.fingerprint)],
    ],
  });

/** Writes a drawing to `path`, with the extension of its format. */
function writeExhibit(path: string, exhibit: Exhibit): void {
  if ('png' in exhibit) writeFileAtomic(`${path}.png`, exhibit.png);
  else writeFileAtomic(`${path}.svg`, exhibit.svg);
}

function codebookSection(
  { maps, counts }: CodecEvaluation,
  records: readonly MetricsRecord[],
  kept: number,
): ReportSection {
  const usage = curves(
    records,
    namesOf(records).filter((name) => /(^|\.)(usage|perplexity)$/.test(name)),
    { log: false, kept },
  );
  return {
    title: 'Codebook',
    intro:
      'How often each code occurs in the held-out split, on a logarithmic scale. The dashed line is the count that all codes would have if they were equally frequent.',
    body: [
      codebookTable([{ maps }]),
      legend([
        { text: 'Codes in the order of their ids', slot: 0, look: 'block' },
        { text: 'Never used', slot: 1, look: 'block' },
        { text: 'Codes by frequency', slot: 2, look: 'block' },
      ]),
      ...codebookHistograms(maps, counts),
      ...usage.body,
    ],
  };
}

function codecSummary(medium: AnyMedium, { samples, nmse, quality, rate, measures, maps }: CodecEvaluation): Summary[] {
  const { nominal, empirical } = rateMeasures(medium);
  return [
    [measureOf('nmse'), nmse],
    ...medium.figures.map(({ name }): Summary => [measureOf(name, medium), quality[name] ?? null]),
    ...(rate
      ? ([
          [nominal, rate.nominal],
          [empirical, rate.empirical],
        ] satisfies Summary[])
      : []),
    ...Object.entries(measures).map(([name, value]): Summary => [measureOf(name), value]),
    ...maps.flatMap((map): Summary[] => {
      const prefix = maps.length > 1 ? `${map.name}.` : '';
      return [
        [measureOf(`${prefix}usage`), `${formatCount(map.used)} of ${formatCount(codesOf(map))}`],
        [measureOf(`${prefix}entropyRatio`), map.entropyRatio],
      ];
    }),
    [{ ...measureOf('samples'), label: `Held-out ${medium.noun.many}` }, samples],
  ];
}

/** Samples that a prior drew for its report. */
export interface DrawnSamples {
  medium: AnyMedium;
  media: Media[];
  /** One for each sample; empty without a condition. */
  prompts: string[];
  /** For each sample a held-out one of the same condition, as the codec decodes it, where there is one. */
  real?: readonly (Media | undefined)[];
}

/** What a prior's report shows besides its card. */
interface PriorShown {
  samples: DrawnSamples | undefined;
  /** Source of the samples that were tokenized. */
  data: string;
  record: RunRecord;
  /** Directories beside which the codec may lie. */
  places?: readonly string[];
}

/** Writes the report of a prior: samples, real ones beside them, and curves. */
export async function writePriorReport(
  out: string,
  card: ModelCard,
  outcome: Outcome,
  { samples, data, record, places = [] }: PriorShown,
): Promise<void> {
  const sections: ReportSection[] = [];
  if (samples && samples.media.length > 0) {
    writeExhibit(join(out, 'samples'), await samples.medium.show(samples.media, { labels: samples.prompts }));
    sections.push(await sampleSection(samples));
  }
  const records = readMetrics(join(out, 'metrics.jsonl'));
  const ofStages = namesOf(records).filter((name) => /\.(natsPerCode|accuracy)$/.test(name));
  const { metrics } = outcome;
  const measured = metrics
    ? ['natsPerCode', 'bitsPerCode', 'accuracy', ...ofStages, 'samples'].map((name): Summary => [
        measureOf(name),
        metrics[name] ?? null,
      ])
    : [];
  const training = curves(records, ['loss', 'natsPerCode', 'accuracy', 'gradientNorm', ...ofStages], {
    kept: outcome.kept.step,
  });
  writeReport(out, {
    ...heading('Prior', out, card, record, data),
    links: relatedReports(out, [out, ...places], { kind: 'codec', codec: card.codec!.fingerprint }),
    summary: [...measured, ...keptRows(outcome)],
    sections: [...warningSection(outcome), ...sections, { title: 'Training', body: training.body }, settings(card)],
    measures: training.measures,
  });
}

async function sampleSection({ medium, media, prompts, real = [] }: DrawnSamples): Promise<ReportSection> {
  const title = 'Samples';
  const picture = (sample: Media, alt: string): Promise<Picture> => pictureOf(medium, sample, alt);
  const nameOf = (i: number): string => (prompts[i] ? `, “${prompts[i]}”` : '');
  if (real.every((one) => one === undefined)) {
    const tiles = media.map(async (sample, i) => ({
      ...(await picture(sample, `Generated${nameOf(i)}`)),
      ...(prompts[i] ? { caption: prompts[i] } : {}),
    }));
    return {
      title,
      intro: 'Drawn with the weights of this page.',
      body: [gallery(await Promise.all(tiles), { trim: true })],
    };
  }
  const stacks = media.map(async (sample, i) => {
    const beside = real[i];
    return {
      pictures: [
        await picture(sample, `Generated${nameOf(i)}`),
        beside && (await picture(beside, `Held-out example${nameOf(i)}`)),
      ],
      ...(prompts[i] ? { caption: prompts[i] } : {}),
    };
  });
  return {
    title,
    intro: `Each generated ${medium.noun.one} above a real, held-out one with the same prompt, as the codec decodes it: no prior can do better than that.`,
    body: [stackGallery(['Generated', 'Held out'], await Promise.all(stacks), { trim: true })],
  };
}

/** Which weights the model has, and how training ended. */
function keptRows({ kept, stoppedAt }: Outcome): Summary[] {
  return [
    ['Weights kept', `step ${formatCount(kept.step)}`, kept.rule],
    ...(stoppedAt === undefined ? [] : ([['Stopped early', `step ${formatCount(stoppedAt)}`]] satisfies Summary[])),
  ];
}

const warningSection = ({ warnings }: Outcome): ReportSection[] =>
  warnings.length > 0 ? [{ title: 'Warnings', body: warnings.map((text) => warning(capitalized(text))) }] : [];

const settings = (card: ModelCard): ReportSection => ({
  title: 'Settings',
  folded: true,
  body: [preformatted(formatJson({ config: card.config, training: card.training }))],
});

/** The names of all measurements, in the order of appearance. */
const namesOf = (records: readonly MetricsRecord[]): string[] =>
  [...new Set(records.flatMap((record) => Object.keys(record)))].filter(
    (name) => !['step', 'split', 'final'].includes(name),
  );

function examplesOf(
  medium: AnyMedium,
  input: unknown,
  { shape, originals, reconstructions }: CodecEvaluation['examples'],
): { originals: Media[]; reconstructions: Media[] } {
  return {
    originals: samplesFrom(medium, input, originals, shape),
    reconstructions: samplesFrom(medium, input, reconstructions, shape),
  };
}

async function reconstructionGallery(
  medium: AnyMedium,
  originals: readonly Media[],
  reconstructions: readonly Media[],
): Promise<Fragment> {
  const stacks = originals.map(async (original, i) => ({
    pictures: [
      await pictureOf(medium, original, `Held-out ${medium.noun.one} ${i + 1}`),
      await pictureOf(medium, reconstructions[i]!, `Reconstruction of ${medium.noun.one} ${i + 1}`),
    ],
  }));
  return stackGallery(['Original', 'Reconstruction'], await Promise.all(stacks), { trim: true });
}

/** Maximum number of samples in a row. */
const COLUMNS = 8;

/** Draws originals in rows, each row above that of their reconstructions. */
function reconstructionSheet(medium: AnyMedium, above: readonly Media[], below: readonly Media[]): Promise<Exhibit> {
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
