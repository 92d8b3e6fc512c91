// Codebook histograms: how often each code occurs, by id or in descending order.
import { entropyOf } from '../metrics/codebook.js';
import { formatCount, formatNumber, formatTick } from './format.js';
import { SERIES_COLORS, INK, coordinate, drawing, element, label, rule } from './svg.js';
import type { Scale } from './scale.js';
import type { SvgSize } from './svg.js';

export interface HistogramOptions extends Partial<SvgSize> {
  /** What is drawn, for screen readers. */
  title?: string;
  /** `id`: in the order of ids, with unused codes marked below the axis. `frequency`: most frequent first. Default `id`. */
  order?: 'id' | 'frequency';
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/**
 * Draws how often each code of a codebook occurs, on a logarithmic axis, so that rare codes are seen next to frequent ones. The
 * dashed line shows the count that all codes would have if they were equally frequent.
 *
 * If a codebook has more codes than pixels, each pixel shows the highest count of its codes.
 *
 * @param counts How often each code occurs; nonnegative, at least one code.
 * @returns SVG, equal for equal input.
 */
export function codeHistogram(counts: ArrayLike<number>, options: HistogramOptions = {}): string {
  const { title = 'Codebook use', width = 444, height = 250, order = 'id' } = options;
  const byId = Array.from(counts);
  const shown = order === 'id' ? byId : byId.toSorted((a, b) => b - a);
  const total = byId.reduce((sum, count) => sum + count, 0);
  const scale = countScale(byId.reduce((most, count) => Math.max(most, count), 1));
  const frame: Frame = { left: 46, right: width - 18, top: 12, bottom: height - 48 };
  const slot = order === 'id' ? 0 : 2;
  const caption = order === 'id' ? 'code' : 'codes, most frequent first';
  return drawing({ width, height }, `${title}: ${codebookSummary(byId)}`, [
    ...grid(scale, frame),
    bars(shown, scale, frame, slot),
    order === 'id' ? unusedMarks(shown, frame) : '',
    evenLine(total / byId.length, scale, frame),
    label(frame.left, frame.bottom + 20, '0'),
    label(frame.right, frame.bottom + 20, formatCount(byId.length - 1), { anchor: 'end' }),
    label((frame.left + frame.right) / 2, height - 12, caption, { anchor: 'middle' }),
  ]);
}

/** `412 of 512 codes used, perplexity 230, 15,360 ids`. */
function codebookSummary(counts: ArrayLike<number>): string {
  const all = Array.from(counts);
  const used = all.filter((count) => count > 0).length;
  const total = all.reduce((sum, count) => sum + count, 0);
  return [
    `${formatCount(used)} of ${formatCount(all.length)} codes used`,
    `perplexity ${formatNumber(Math.exp(entropyOf(all)))}`,
    `${formatCount(total)} ids`,
  ].join(', ');
}

/** Room below a count of 1, in decades, so that it has a bar. */
const BELOW_ONE = 0.3;

/** A logarithmic axis from below 1, with ticks at powers of ten. */
function countScale(most: number): Scale {
  const top = Math.log10(Math.max(2, most)) + 0.05;
  const decades = Math.floor(top + 1e-9);
  const every = Math.ceil((decades + 1) / 6);
  const ticks = Array.from({ length: Math.floor(decades / every) + 1 }, (_, i) => 10 ** (i * every));
  if (decades < 1) ticks.push(2);
  return {
    low: 1,
    high: most,
    ticks: ticks.map((value) => ({ value, label: formatTick(value) })),
    place: (value) => (value <= 0 ? 0 : Math.max(0, (Math.log10(value) + BELOW_ONE) / (top + BELOW_ONE))),
  };
}

function grid(scale: Scale, frame: Frame): string[] {
  return [
    ...scale.ticks.flatMap(({ value, label: text }) => {
      const y = frame.bottom - scale.place(value) * (frame.bottom - frame.top);
      return [rule(frame.left, y, frame.right, y, 'grid'), label(frame.left - 8, y + 4, text, { anchor: 'end' })];
    }),
    rule(frame.left, frame.bottom, frame.right, frame.bottom, 'axis'),
  ];
}

/** Draws all bars as one path, with thin gaps if the bars are wide enough. */
function bars(counts: readonly number[], scale: Scale, frame: Frame, slot: number): string {
  const heights = columnsOf(counts, frame, (values) => Math.max(...values));
  const step = (frame.right - frame.left) / heights.length;
  const gap = step >= 3 ? Math.min(1, step / 5) : 0;
  const path = heights.map((count, i) => {
    if (count === 0) return '';
    const rise = Math.max(0.5, scale.place(count) * (frame.bottom - frame.top));
    const x = frame.left + i * step;
    return `M${coordinate(x)} ${coordinate(frame.bottom)}v${coordinate(-rise)}h${coordinate(step - gap)}v${coordinate(rise)}z`;
  });
  return element('path', { class: `bar s${slot}`, d: path.join(''), fill: SERIES_COLORS[slot]! });
}

/** Marks unused codes with a tick below the axis. If codes share a pixel, all of them must be unused. */
function unusedMarks(counts: readonly number[], frame: Frame): string {
  const dead = columnsOf(counts, frame, (values) => (values.every((count) => count === 0) ? 1 : 0));
  if (!dead.includes(1)) return '';
  const step = (frame.right - frame.left) / dead.length;
  const path = dead.map((is, i) =>
    is === 1
      ? `M${coordinate(frame.left + i * step)} ${coordinate(frame.bottom + 3)}h${coordinate(step)}v4h${coordinate(-step)}z`
      : '',
  );
  return element('path', { class: 'bar s1', d: path.join(''), fill: SERIES_COLORS[1] });
}

/** Returns one value per code, or one per pixel if there are more codes than pixels. */
function columnsOf(counts: readonly number[], frame: Frame, join: (values: readonly number[]) => number): number[] {
  const columns = Math.min(counts.length, Math.floor(frame.right - frame.left));
  return Array.from({ length: columns }, (_, i) =>
    join(counts.slice(Math.floor((i * counts.length) / columns), Math.floor(((i + 1) * counts.length) / columns))),
  );
}

function evenLine(value: number, scale: Scale, frame: Frame): string {
  const y = frame.bottom - scale.place(value) * (frame.bottom - frame.top);
  return element('line', {
    class: 'text-line',
    x1: frame.left,
    y1: y,
    x2: frame.right,
    y2: y,
    stroke: INK.text,
    'stroke-width': 1,
    'stroke-dasharray': '4 3',
  });
}
