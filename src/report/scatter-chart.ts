// Scatter charts of named points, e.g. rate against distortion.
import { axes } from './axes.js';
import type { Frame } from './axes.js';
import { drawing, label, marker, textWidth } from './svg.js';
import type { SvgSize } from './svg.js';
import { linearScale } from './scale.js';

export interface NamedPoint {
  name: string;
  x: number;
  y: number;
}

export interface ScatterChartOptions extends Partial<SvgSize> {
  title?: string;
  xLabel: string;
  yLabel: string;
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/**
 * Draws each point as a dot with its name next to it. Names avoid dots and other names where there is room. Points that
 * are not finite are skipped.
 *
 * @returns SVG, equal for equal input.
 */
export function scatterChart(points: readonly NamedPoint[], options: ScatterChartOptions): string {
  const { title, width = 760, height = 400 } = options;
  const drawn = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const frame: Frame = { left: 66, right: width - 24, top: title === undefined ? 24 : 46, bottom: height - 48 };
  const x = linearScale(
    drawn.map((point) => point.x),
    Math.round(width / 95),
  );
  const y = linearScale(
    drawn.map((point) => point.y),
    6,
  );
  const placed = drawn.map((point) => ({
    ...point,
    x: frame.left + x.place(point.x) * (frame.right - frame.left),
    y: frame.bottom - y.place(point.y) * (frame.bottom - frame.top),
  }));
  return drawing({ width, height }, title ?? `${options.yLabel} over ${options.xLabel}`, [
    title === undefined ? '' : label(18, 24, title, { ink: 'text', size: 15, bold: true }),
    ...axes(x, y, frame),
    label((frame.left + frame.right) / 2, height - 12, options.xLabel, { anchor: 'middle' }),
    label(18, (frame.top + frame.bottom) / 2, options.yLabel, { anchor: 'middle', upright: true }),
    drawn.length === 0
      ? label((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, 'no measurements', { anchor: 'middle' })
      : '',
    ...placed.map(dot),
    ...names(placed, { left: 0, right: width, top: frame.top - 20, bottom: frame.bottom }),
  ]);
}

const RADIUS = 5;

const dot = (point: NamedPoint, index: number): string => marker(point, index, { radius: RADIUS });

/** Places each name at its first free position, or at its first position if none is free. */
function names(points: readonly NamedPoint[], room: Box): string[] {
  const taken = points.map(({ x, y }): Box => ({
    left: x - RADIUS,
    right: x + RADIUS,
    top: y - RADIUS,
    bottom: y + RADIUS,
  }));
  return points.map(({ name: whole, x, y }) => {
    const name = shortened(whole, Math.floor((room.right - room.left) / textWidth('x')) - 2);
    const places = placesFor(x, y, textWidth(name));
    const free = places.find((box) => isWithin(box, room) && !taken.some((other) => overlap(box, other)));
    const box = free ?? places.find((one) => isWithin(one, room)) ?? places[0]!;
    taken.push(box);
    return label(box.left, box.bottom - 4, name, { ink: 'text' });
  });
}

/** A text of at most `most` letters, of which the end tells more than the beginning. */
function shortened(text: string, most: number): string {
  const letters = Array.from(text);
  return letters.length <= most ? text : `…${letters.slice(1 - most).join('')}`;
}

/** Candidate positions: right, left, above, below, and up to four lines away. */
function placesFor(x: number, y: number, width: number): Box[] {
  const at = (left: number, middle: number): Box => ({
    left,
    right: left + width,
    top: middle - 8,
    bottom: middle + 8,
  });
  const beside = RADIUS + 5;
  return [
    at(x + beside, y),
    at(x - beside - width, y),
    ...[-16, 16, -32, 32, -48, 48, -64, 64].flatMap((down) => [
      at(x - width / 2, y + down),
      at(x + beside, y + down),
      at(x - beside - width, y + down),
    ]),
  ];
}

const isWithin = (box: Box, room: Box): boolean =>
  box.left >= room.left && box.right <= room.right && box.top >= room.top && box.bottom <= room.bottom;

const overlap = (a: Box, b: Box): boolean =>
  a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
