// Codebook histogram: how often each code occurs, by id and in descending order.
import { entropyOf } from '../metrics/codebook.js';
import { formatCount, formatNumber } from './format.js';
import { SERIES_COLORS, INK, coordinate, drawing, element, label, rule } from './svg.js';
import { linearScale } from './scale.js';
import type { Scale } from './scale.js';
import type { SvgSize } from './svg.js';

export interface HistogramOptions extends Partial<SvgSize> {
  title?: string;
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/**
 * Draws how often each code of a codebook occurs, twice: in the order of ids, with unused codes marked below the axis,
 * and sorted. The dashed line shows the count that all codes would have if they were equally frequent.
 *
 * If a codebook has more codes than pixels, each pixel shows the highest count of its codes.
 *
 * @param counts How often each code occurs; nonnegative, at least one code.
 * @returns SVG, equal for equal input.
 */
export function histogram(counts: ArrayLike<number>, options: HistogramOptions = {}): string {
  const { title = 'Codebook use', width = 760, height = 300 } = options;
  const byId = Array.from(counts);
  const sorted = byId.toSorted((a, b) => b - a);
  const total = byId.reduce((sum, count) => sum + count, 0);
  const scale = linearScale([0, Math.max(1, sorted[0] ?? 0)], 6, { integers: true });
  const top = 78;
  const bottom = height - 50;
  const middle = Math.round(width * 0.56);
  const left: Frame = { left: 62, right: middle - 22, top, bottom };
  const right: Frame = { left: middle + 22, right: width - 18, top, bottom };
  const uniform = total / byId.length;
  return drawing({ width, height }, title, [
    label(18, 24, title, { ink: 'text', size: 15, bold: true }),
    label(18, 44, summary(byId, total), { size: 12 }),
    ...grid(scale, left, true),
    bars(byId, scale, left, 0),
    unusedMarks(byId, left),
    uniformLine(uniform, scale, left),
    ...captions(left, byId.length, 'by code'),
    ...grid(scale, right, false),
    bars(sorted, scale, right, 2),
    uniformLine(uniform, scale, right),
    ...captions(right, byId.length, 'sorted'),
    label(left.left, top - 12, 'times used'),
  ]);
}

function summary(counts: readonly number[], total: number): string {
  const used = counts.filter((count) => count > 0).length;
  const entropy = entropyOf(counts);
  return [
    `${formatCount(used)} of ${formatCount(counts.length)} codes used`,
    `perplexity ${formatNumber(Math.exp(entropy))}`,
    counts.length > 1 ? `entropy ratio ${(entropy / Math.log(counts.length)).toFixed(3)}` : '',
    `${formatCount(total)} ids`,
  ]
    .filter((part) => part !== '')
    .join('   ·   ');
}

function grid(scale: Scale, frame: Frame, labeled: boolean): string[] {
  return scale.ticks.flatMap(({ value, label: text }) => {
    const y = frame.bottom - scale.place(value) * (frame.bottom - frame.top);
    const line = rule(frame.left, y, frame.right, y, value === 0 ? 'axis' : 'grid');
    return labeled ? [line, label(frame.left - 8, y + 4, text, { anchor: 'end' })] : [line];
  });
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

function uniformLine(value: number, scale: Scale, frame: Frame): string {
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

function captions(frame: Frame, codes: number, text: string): string[] {
  return [
    label(frame.left, frame.bottom + 22, '0'),
    label(frame.right, frame.bottom + 22, formatCount(codes - 1), { anchor: 'end' }),
    label((frame.left + frame.right) / 2, frame.bottom + 38, text, { anchor: 'middle' }),
  ];
}
