// The curves of a run, one chart for each measure.
import type { AnyMedium } from '../media/medium.js';
import { formatCount, formatNumber } from './format.js';
import { chartFigure, charts, legend } from './html.js';
import type { Fragment, LegendEntry } from './html.js';
import { lineChart } from './line-chart.js';
import type { Series } from './line-chart.js';
import { measureOf } from './measures.js';
import type { Measure } from './measures.js';
import type { MetricsRecord } from './metrics-file.js';

export interface CurveOptions {
  /** Uses logarithmic axes for positive measures that change a lot. Default true. */
  log?: boolean;
  /** The step whose weights were kept. It is marked in the charts with held-out values. */
  kept?: number;
  /** The medium whose figures are among the measures. */
  medium?: AnyMedium;
}

export interface Curves {
  /** Empty if nothing was measured. */
  body: Fragment[];
  measures: Measure[];
}

/** Small enough for two in a row, and for text that is legible on a phone. */
const SIZE = { width: 444, height: 250 };

const KINDS = [
  { name: 'training', entry: { text: 'Training, mean of ten steps', slot: 0 } },
  { name: 'held out', entry: { text: 'Held out, during training', slot: 1, look: 'dotted' } },
  { name: 'final', entry: { text: 'Held out, whole split, weights kept', slot: 2, look: 'ringed' } },
] as const satisfies readonly { name: string; entry: LegendEntry }[];

/** Draws training and held-out values of each measure, with the evaluation of the kept weights at the end. */
export function curves(
  records: readonly MetricsRecord[],
  names: readonly string[],
  { log = true, kept, medium }: CurveOptions = {},
): Curves {
  const drawn = names.flatMap((name) => {
    const series = seriesOf(records, name);
    return series.every(({ points }) => points.length === 0) ? [] : [{ measure: measureOf(name, medium), series }];
  });
  if (drawn.length === 0) return { body: [], measures: [] };
  const isSeen = KINDS.map((_, i) => drawn.some(({ series }) => series[i]!.points.length > 0));
  const isMarked = kept !== undefined && isSeen[1];
  const entries: LegendEntry[] = [
    ...KINDS.flatMap(({ entry }, i) => (isSeen[i] ? [entry] : [])),
    ...(isMarked ? [{ text: `Kept weights, step ${formatCount(kept)}`, look: 'dashed' as const }] : []),
  ];
  const figures = drawn.map(({ measure, series }) => {
    const marks = isMarked && series[1]!.points.length > 0 ? [{ x: kept, text: 'kept' }] : [];
    const svg = lineChart(series, {
      ...SIZE,
      xLabel: 'step',
      description: `${measure.label}: ${lastText(series)}`,
      legend: false,
      log: log && isSteep(series),
      marks,
    });
    return chartFigure(svg, measure, lastText(series));
  });
  return { body: [legend(entries), charts(figures)], measures: drawn.map(({ measure }) => measure) };
}

/** Measures that fall or grow by this factor are drawn on a logarithmic axis. */
const STEEP = 8;

function isSteep(series: readonly Series[]): boolean {
  const values = series.flatMap(({ points }) => points.map(({ y }) => y).filter(Number.isFinite));
  const low = values.reduce((min, value) => Math.min(min, value), Infinity);
  const high = values.reduce((max, value) => Math.max(max, value), -Infinity);
  return low > 0 && high >= STEEP * low;
}

/** The last value of the best evaluation that there is. */
function lastText(series: readonly Series[]): string {
  const last = series.map(({ points }) => points.at(-1)?.y);
  const [training, heldOut, final] = last;
  if (final !== undefined) return `held out ${formatNumber(final)}`;
  if (heldOut !== undefined) return `held out ${formatNumber(heldOut)}`;
  return training === undefined ? '' : `last ${formatNumber(training)}`;
}

function seriesOf(records: readonly MetricsRecord[], name: string): Series[] {
  const kindOf = ({ split, final }: MetricsRecord): (typeof KINDS)[number]['name'] =>
    final !== undefined ? 'final' : split === 'test' ? 'held out' : 'training';
  return KINDS.map((kind) => ({
    name: kind.name,
    heldOut: kind.name === 'held out',
    rings: kind.name === 'final',
    points: records
      .filter((record) => kindOf(record) === kind.name && typeof record[name] === 'number')
      .map((record) => ({ x: record.step, y: record[name] as number })),
  }));
}
