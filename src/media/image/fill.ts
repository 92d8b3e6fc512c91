// Fills outlines with smooth edges.
import type { OutlineCommand } from './font.js';

/** Straight pieces that a curve is drawn with. At the sizes of captions, more would not show. */
const PIECES = 6;

/**
 * How much of each pixel an outline covers, 0 to 1: float32 [height, width].
 *
 * Every edge adds to the pixels of its rows the area between it and the right border, with the sign of its direction;
 * running sums along the rows then give the coverage. Exact for outlines that do not overlap.
 */
export function coverageOf(outline: readonly OutlineCommand[], width: number, height: number): Float32Array {
  const area = new Float32Array(width * height);
  for (const [x0, y0, x1, y1] of edgesOf(outline)) addEdge(area, width, height, x0, y0, x1, y1);
  const coverage = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    let sum = 0;
    for (let x = 0; x < width; x++) {
      sum += area[y * width + x]!;
      coverage[y * width + x] = Math.min(1, Math.abs(sum));
    }
  }
  return coverage;
}

type Edge = readonly [x0: number, y0: number, x1: number, y1: number];

/** The straight edges of an outline. */
function* edgesOf(outline: readonly OutlineCommand[]): Generator<Edge> {
  let [startX, startY, x, y] = [0, 0, 0, 0];
  for (const command of outline) {
    if (command.type === 'Z') {
      yield [x, y, startX, startY];
      [x, y] = [startX, startY];
      continue;
    }
    if (command.type === 'M') [startX, startY] = [command.x, command.y];
    else if (command.type === 'L') yield [x, y, command.x, command.y];
    else yield* curveEdges(x, y, command);
    [x, y] = [command.x, command.y];
  }
}

function* curveEdges(x0: number, y0: number, curve: Extract<OutlineCommand, { type: 'Q' | 'C' }>): Generator<Edge> {
  const pointAt = (t: number): [number, number] => {
    const s = 1 - t;
    const mix = (a: number, b: number, c: number, d: number): number =>
      s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d;
    if (curve.type === 'C') return [mix(x0, curve.x1, curve.x2, curve.x), mix(y0, curve.y1, curve.y2, curve.y)];
    return [s * s * x0 + 2 * s * t * curve.x1 + t * t * curve.x, s * s * y0 + 2 * s * t * curve.y1 + t * t * curve.y];
  };
  let [x, y] = [x0, y0];
  for (let i = 1; i <= PIECES; i++) {
    const [nextX, nextY] = pointAt(i / PIECES);
    yield [x, y, nextX, nextY];
    [x, y] = [nextX, nextY];
  }
}

/** Adds an edge to the areas, row by row. */
function addEdge(
  area: Float32Array,
  width: number,
  height: number,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): void {
  if (y0 === y1) return;
  const direction = y0 < y1 ? 1 : -1;
  const [topX, topY, bottomX, bottomY] = y0 < y1 ? [x0, y0, x1, y1] : [x1, y1, x0, y0];
  const slope = (bottomX - topX) / (bottomY - topY);
  for (let row = Math.max(0, Math.floor(topY)); row < Math.min(height, Math.ceil(bottomY)); row++) {
    const [from, to] = [Math.max(topY, row), Math.min(bottomY, row + 1)];
    if (to <= from) continue;
    const [a, b] = [topX + (from - topY) * slope, topX + (to - topY) * slope];
    addSpan(area, row * width, width, Math.min(a, b), Math.max(a, b), direction * (to - from));
  }
}

/** Spreads an edge's height within one row over the pixels from `left` to `right`, by the area to the right of it. */
function addSpan(area: Float32Array, start: number, width: number, left: number, right: number, height: number): void {
  const add = (x: number, value: number): void => {
    if (x < width) area[start + Math.max(0, x)] = area[start + Math.max(0, x)]! + value;
  };
  // The share of the edge left of each pixel's right side grows linearly across the span.
  let before = 0;
  for (let x = Math.floor(left); x <= Math.ceil(right); x++) {
    const total = height * (coveredUntil(x + 1, left, right) - coveredUntil(x, left, right));
    add(x, total - before);
    before = total;
  }
}

/** The integral from `left` to x of the share of an edge that lies left of each point. */
function coveredUntil(x: number, left: number, right: number): number {
  if (x <= left) return 0;
  if (x >= right) return (right - left) / 2 + (x - right);
  return (x - left) ** 2 / (2 * (right - left));
}
