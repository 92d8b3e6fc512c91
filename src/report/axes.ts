// The pair of axes shared by line and scatter charts.
import { label, rule } from './svg.js';
import type { Scale } from './scale.js';

/** The plot area inside the axes, in pixels. */
export interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Draws horizontal grid lines at the ticks of y, tick marks at those of x, and their labels. */
export function axes(x: Scale, y: Scale, frame: Frame): string[] {
  const horizontal = y.ticks.flatMap(({ value, label: text }) => {
    const at = frame.bottom - y.place(value) * (frame.bottom - frame.top);
    return [rule(frame.left, at, frame.right, at, 'grid'), label(frame.left - 8, at + 4, text, { anchor: 'end' })];
  });
  const vertical = x.ticks.flatMap(({ value, label: text }) => {
    const at = frame.left + x.place(value) * (frame.right - frame.left);
    return [
      rule(at, frame.bottom, at, frame.bottom + 5, 'axis'),
      label(at, frame.bottom + 19, text, { anchor: 'middle' }),
    ];
  });
  return [...horizontal, rule(frame.left, frame.bottom, frame.right, frame.bottom, 'axis'), ...vertical];
}
