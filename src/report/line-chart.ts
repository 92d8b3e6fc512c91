// Curves over training steps.
import { INK, SERIES_COLORS, coordinate, drawing, element, label, rule, textWidth } from './svg.js';
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
  /** Measured on samples the model was not trained on: drawn with a dot at each point. */
  heldOut?: boolean;
}

export interface LineChartOptions extends Partial<SvgSize> {
  title?: string;
  xLabel: string;
  yLabel: string;
  /** Logarithmic y axis; points at or below 0 are left out. */
  log?: boolean;
}

/** The inside of the axes, in pixels. */
interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/**
 * Draws series over a common pair of axes.
 *
 * Points that are not finite are left out, and the curve with them breaks. Series of more points than pixels are thinned
 * to the lowest and highest of each pixel, so no peak is lost and the drawing stays small.
 *
 * @returns SVG, equal for equal input.
 */
export function lineChart(series: readonly Series[], options: LineChartOptions): string {
  const { title, width = 760, height = 340, log = false } = options;
  const isDrawn = ({ x, y }: Point): boolean => Number.isFinite(x) && Number.isFinite(y) && (!log || y > 0);
  const drawn = series.flatMap((one) => one.points.filter(isDrawn));
  const frame: Frame = { left: 66, right: width - 18, top: title === undefined ? 40 : 62, bottom: height - 48 };
  const x = linearScale(drawn.map((point) => point.x), 8, false);
  const ys = drawn.map((point) => point.y);
  const y = log ? logScale(ys, 6) : linearScale(ys, 6);
  const toPixels = (point: Point): Point => ({
    x: frame.left + x.place(point.x) * (frame.right - frame.left),
    y: frame.bottom - y.place(point.y) * (frame.bottom - frame.top),
  });
  const curves = series.map((one, i) => curve(segments(one.points, isDrawn).map((part) => part.map(toPixels)), i, one.heldOut ?? false));
  return drawing({ width, height }, title ?? `${options.yLabel} over ${options.xLabel}`, [
    title === undefined ? '' : label(18, 24, title, { ink: 'text', size: 15, bold: true }),
    ...legend(series, frame, title === undefined ? 20 : 46),
    ...axes(x, y, frame),
    label((frame.left + frame.right) / 2, height - 12, options.xLabel, { anchor: 'middle' }),
    label(18, (frame.top + frame.bottom) / 2, options.yLabel, { anchor: 'middle', upright: true }),
    drawn.length === 0 ? label((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, 'no measurements', { anchor: 'middle' }) : '',
    ...curves,
  ]);
}

/** Runs of points that are all drawn. */
function segments(points: readonly Point[], isDrawn: (point: Point) => boolean): Point[][] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (isDrawn(point)) runs.at(-1)!.push(point);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function axes(x: Scale, y: Scale, frame: Frame): string[] {
  const horizontal = y.ticks.flatMap(({ value, label: text }) => {
    const at = frame.bottom - y.place(value) * (frame.bottom - frame.top);
    return [rule(frame.left, at, frame.right, at, 'grid'), label(frame.left - 8, at + 4, text, { anchor: 'end' })];
  });
  const vertical = x.ticks.flatMap(({ value, label: text }) => {
    const at = frame.left + x.place(value) * (frame.right - frame.left);
    return [rule(at, frame.bottom, at, frame.bottom + 5, 'axis'), label(at, frame.bottom + 19, text, { anchor: 'middle' })];
  });
  return [...horizontal, rule(frame.left, frame.bottom, frame.right, frame.bottom, 'axis'), ...vertical];
}

function curve(runs: readonly Point[][], index: number, heldOut: boolean): string {
  const color = SERIES_COLORS[index % SERIES_COLORS.length]!;
  const style = { class: `line s${index % SERIES_COLORS.length}`, fill: 'none', stroke: color, 'stroke-width': heldOut ? 1.5 : 1.8, 'stroke-linejoin': 'round' };
  const kept = runs.map(thinned);
  const lines = kept.filter((run) => run.length > 1).map((run) => element('path', { ...style, d: pathOf(run) }));
  const dotted = heldOut ? kept.flat() : kept.filter((run) => run.length === 1).flat();
  return [...lines, ...dotted.map((point) => dot(point, index))].join('\n');
}

function pathOf(points: readonly Point[]): string {
  return points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${coordinate(x)} ${coordinate(y)}`).join('');
}

function dot({ x, y }: Point, index: number): string {
  const slot = index % SERIES_COLORS.length;
  return element('circle', { class: `dot s${slot}`, cx: x, cy: y, r: 3.2, fill: SERIES_COLORS[slot]!, stroke: INK.paper, 'stroke-width': 1.2 });
}

/** At most the first, lowest, highest and last point of each column of pixels, in order. */
function thinned(points: Point[]): Point[] {
  const kept: Point[] = [];
  for (let start = 0, end = 0; start < points.length; start = end) {
    const column = Math.floor(points[start]!.x);
    while (end < points.length && Math.floor(points[end]!.x) === column) end++;
    kept.push(...outline(points.slice(start, end)));
  }
  return kept;
}

function outline(points: Point[]): Point[] {
  if (points.length <= 4) return points;
  let low = 0;
  let high = 0;
  for (const [i, { y }] of points.entries()) {
    if (y < points[low]!.y) low = i;
    if (y > points[high]!.y) high = i;
  }
  const chosen = new Set([0, low, high, points.length - 1]);
  return points.filter((_, i) => chosen.has(i));
}

function legend(series: readonly Series[], frame: Frame, y: number): string[] {
  let x = frame.left;
  return series.map(({ name, heldOut = false }, i) => {
    const start = x;
    const text = heldOut && !/held.out|test/i.test(name) ? `${name} (held out)` : name;
    x += 28 + textWidth(text) + 18;
    const slot = i % SERIES_COLORS.length;
    const stroke = element('line', { class: `line s${slot}`, x1: start, y1: y - 4, x2: start + 20, y2: y - 4, stroke: SERIES_COLORS[slot]!, 'stroke-width': 2 });
    return [stroke, heldOut ? dot({ x: start + 10, y: y - 4 }, i) : '', label(start + 27, y, text)].join('');
  });
}
