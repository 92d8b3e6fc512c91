// Line charts over training steps.
import { axes } from './axes.js';
import type { Frame } from './axes.js';
import { SERIES_COLORS, coordinate, drawing, element, label, marker, rule, textWidth } from './svg.js';
import type { SvgSize } from './svg.js';
import { linearScale, logScale } from './scale.js';
import type { Scale } from './scale.js';

export interface Point {
  x: number;
  y: number;
}

export interface Series {
  name: string;
  points: readonly Point[];
  /** Whether the values were measured on held-out samples. Such series are drawn with a dot at each point. */
  heldOut?: boolean;
  /** Draws each point as a ring, without a line: a measurement that differs from those of the other series. */
  rings?: boolean;
}

export interface LineChartOptions extends Partial<SvgSize> {
  title?: string;
  xLabel: string;
  /** Without it, the axis has no label; the page names it. */
  yLabel?: string;
  /** Text for screen readers. Default: the title or the labels. */
  description?: string;
  /** Default: true. */
  legend?: boolean;
  /** Uses a logarithmic y axis. Points at or below 0 are skipped. */
  log?: boolean;
  /** Dashed vertical lines at values of x, each with a label. */
  marks?: readonly { x: number; text: string }[];
}

/**
 * Draws series over a common pair of axes.
 *
 * Points that are not finite are skipped, and the line breaks there. A series with many more points than pixels is
 * drawn as the mean of each pixel column, over a band from the lowest to the highest value, so that no peak is lost and
 * the drawing stays small.
 *
 * @returns SVG, equal for equal input.
 */
export function lineChart(series: readonly Series[], options: LineChartOptions): string {
  const { title, xLabel, yLabel, width = 760, height = 340, log = false, marks = [] } = options;
  const hasLegend = options.legend ?? true;
  const isDrawn = ({ x, y }: Point): boolean => Number.isFinite(x) && Number.isFinite(y) && (!log || y > 0);
  const drawn = series.flatMap((one) => one.points.filter(isDrawn));
  const frame: Frame = {
    left: yLabel === undefined ? 46 : 66,
    right: width - 18,
    top: 12 + (title === undefined ? 0 : 22) + (hasLegend ? 28 : 0),
    bottom: height - 48,
  };
  const x = stepScale([...drawn.map((point) => point.x), ...marks.map((mark) => mark.x)], Math.round(width / 95));
  const ys = drawn.map((point) => point.y);
  const wanted = height < 300 ? 4 : 6;
  const y = log ? logScale(ys, wanted) : linearScale(ys, wanted);
  const toPixels = (point: Point): Point => ({
    x: frame.left + x.place(point.x) * (frame.right - frame.left),
    y: frame.bottom - y.place(point.y) * (frame.bottom - frame.top),
  });
  const curves = series.map((one, i) =>
    curve(
      segments(one.points, isDrawn).map((part) => part.map(toPixels)),
      i,
      one,
    ),
  );
  const description = options.description ?? title ?? `${yLabel ?? series[0]?.name ?? 'values'} over ${xLabel}`;
  return drawing({ width, height }, description, [
    title === undefined ? '' : label(18, 24, title, { ink: 'text', size: 15, bold: true }),
    ...(hasLegend ? legend(series, frame, title === undefined ? 20 : 46) : []),
    ...axes(x, y, frame),
    label((frame.left + frame.right) / 2, height - 12, xLabel, { anchor: 'middle' }),
    yLabel === undefined ? '' : label(18, (frame.top + frame.bottom) / 2, yLabel, { anchor: 'middle', upright: true }),
    drawn.length === 0
      ? label((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, 'no measurements', { anchor: 'middle' })
      : '',
    ...marks.map((one) => mark(frame.left + x.place(one.x) * (frame.right - frame.left), one.text, frame)),
    ...curves,
  ]);
}

/** Draws a vertical line with a label to its right, or to its left if there is no room. */
function mark(at: number, text: string, frame: Frame): string {
  const isCrowded = at + textWidth(text) + 8 > frame.right;
  return [
    rule(at, frame.top, at, frame.bottom, 'axis', '4 3'),
    label(isCrowded ? at - 5 : at + 5, frame.top + 12, text, { anchor: isCrowded ? 'end' : 'start', ink: 'text' }),
  ].join('');
}

/** Returns the x axis. Steps count from 0, so the axis starts at 0 unless the series starts far from it. */
function stepScale(values: readonly number[], wanted: number): Scale {
  const low = values.reduce((min, value) => Math.min(min, value), Infinity);
  const high = values.reduce((max, value) => Math.max(max, value), -Infinity);
  const fromZero = low > 0 && low < high / 5 ? [0] : [];
  return linearScale([...fromZero, low, high].filter(Number.isFinite), wanted, {
    integers: values.every(Number.isInteger),
    tight: true,
  });
}

/** Splits points into runs that are drawn without a break. */
function segments(points: readonly Point[], isDrawn: (point: Point) => boolean): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (isDrawn(point)) runs.at(-1)!.push(point);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function curve(runs: readonly Point[][], index: number, { heldOut = false, rings = false }: Series): string {
  if (rings) return runs.flatMap((points) => points.map((point) => ring(point, index))).join('\n');
  const slot = index % SERIES_COLORS.length;
  const color = SERIES_COLORS[slot]!;
  const line = { class: `line s${slot}`, fill: 'none', stroke: color, 'stroke-width': 1.8, 'stroke-linejoin': 'round' };
  const band = { class: `bar s${slot}`, fill: color, 'fill-opacity': 0.25 };
  const parts = runs.flatMap((points) => {
    if (points.length === 1) return [dot(points[0]!, index)];
    const columns = columnsOf(points);
    if (points.length <= DENSE * columns.length) return [element('path', { ...line, d: pathOf(points) })];
    return [
      element('path', { ...band, d: bandOf(columns) }),
      element('path', { ...line, d: pathOf(columns.map(meanOf)) }),
    ];
  });
  if (heldOut)
    parts.push(...runs.flatMap((points) => (points.length === 1 ? [] : points.map((point) => dot(point, index)))));
  return parts.join('\n');
}

/** Points per pixel from which single points cannot be distinguished. */
const DENSE = 2;

/** Groups points that share a pixel column, in order. */
function columnsOf(points: readonly Point[]): Point[][] {
  const columns: Point[][] = [];
  for (const point of points) {
    const last = columns.at(-1);
    if (last !== undefined && Math.floor(last[0]!.x) === Math.floor(point.x)) last.push(point);
    else columns.push([point]);
  }
  return columns;
}

function meanOf(points: readonly Point[]): Point {
  return { x: Math.floor(points[0]!.x) + 0.5, y: points.reduce((sum, { y }) => sum + y, 0) / points.length };
}

/** Returns the outline of the band between the lowest and the highest points. */
function bandOf(columns: readonly Point[][]): string {
  const edge = (pick: (...values: number[]) => number): Point[] =>
    columns.map((points) => ({ x: meanOf(points).x, y: points.map(({ y }) => y).reduce((a, b) => pick(a, b)) }));
  return `${pathOf([...edge(Math.min), ...edge(Math.max).toReversed()])}Z`;
}

function pathOf(points: readonly Point[]): string {
  return points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${coordinate(x)} ${coordinate(y)}`).join('');
}

const dot = (point: Point, index: number): string => marker(point, index, { radius: 3.2 });

const ring = (point: Point, index: number): string => marker(point, index, { radius: 5, ring: true });

function legend(series: readonly Series[], frame: Frame, y: number): string[] {
  let x = frame.left;
  return series.map(({ name, heldOut = false, rings = false }, i) => {
    const start = x;
    const text = heldOut && !/held.out|test/i.test(name) ? `${name} (held out)` : name;
    x += 28 + textWidth(text) + 18;
    const slot = i % SERIES_COLORS.length;
    if (rings) return [ring({ x: start + 10, y: y - 4 }, i), label(start + 27, y, text)].join('');
    const stroke = element('line', {
      class: `line s${slot}`,
      x1: start,
      y1: y - 4,
      x2: start + 20,
      y2: y - 4,
      stroke: SERIES_COLORS[slot]!,
      'stroke-width': 2,
    });
    return [stroke, heldOut ? dot({ x: start + 10, y: y - 4 }, i) : '', label(start + 27, y, text)].join('');
  });
}
