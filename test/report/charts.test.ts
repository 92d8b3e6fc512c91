import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { codeHistogram } from '../../src/report/histogram.js';
import { lineChart } from '../../src/report/line-chart.js';

const labels = { xLabel: 'step', yLabel: 'loss' };
const line = (count: number, f: (x: number) => number): { x: number; y: number }[] =>
  Array.from({ length: count }, (_, i) => ({ x: i + 1, y: f(i + 1) }));
const count = (svg: string, part: string): number => svg.split(part).length - 1;

const draw = (): string =>
  lineChart([{ name: '<b>&"', points: line(5, (x) => x) }], { ...labels, title: '</svg><script>' });

describe('lineChart', () => {
  it('draws each series as a line, with a dot at each held-out point', () => {
    const svg = lineChart(
      [
        { name: 'train', points: line(50, (x) => 1 / x) },
        { name: 'eval', points: line(5, (x) => 2 / x), heldOut: true },
      ],
      labels,
    );
    expect(count(svg, '<path class="line s0"')).toBe(1);
    expect(count(svg, '<path class="line s1"')).toBe(1);
    expect(count(svg, '<circle class="dot s1"')).toBe(5 + 1); // and one in the legend
    expect(svg).toContain('>eval (held out)</text>');
    expect(svg).toContain('>step</text>');
  });

  it('marks a place of x by an upright line and a word, left of the line where the right has no room', () => {
    const svg = (x: number): string =>
      lineChart([{ name: 'eval', points: line(100, (step) => step), heldOut: true }], {
        ...labels,
        marks: [{ x, text: 'kept' }],
      });
    const placeOf = (x: number): { at: number; anchor: string; word: number } => {
      const text = /<text[^>]* x="([\d.]+)"[^>]*text-anchor="(\w+)"[^>]*>kept<\/text>/.exec(svg(x))!;
      const rule = [...svg(x).matchAll(/<line class="axis" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"/g)].find(
        ([, from, to]) => from === to && Math.abs(Number(from) - Number(text[1])) < 6,
      )!;
      return { at: Number(rule[1]), anchor: text[2]!, word: Number(text[1]) };
    };
    const [middle, end] = [placeOf(50), placeOf(100)];
    expect(middle.anchor).toBe('start');
    expect(middle.word).toBeGreaterThan(middle.at);
    expect(end.anchor).toBe('end');
    expect(end.word).toBeLessThan(end.at);
    expect(end.at).toBeGreaterThan(middle.at);
  });

  it('draws a measurement of another kind as a ring without a line', () => {
    const svg = lineChart(
      [
        { name: 'held out', points: line(5, (x) => x), heldOut: true },
        { name: 'final', points: [{ x: 3, y: 2.5 }], rings: true },
      ],
      { xLabel: 'step', legend: false, description: 'loss: final 2.5' },
    );
    expect(count(svg, '<circle class="ring s1"')).toBe(1);
    expect(count(svg, '<path class="line s1"')).toBe(0);
    expect(svg).toContain('aria-label="loss: final 2.5"');
    expect(svg).not.toContain('>final</text>');
  });

  it('breaks a curve at what is not finite and leaves it out', () => {
    const svg = lineChart(
      [{ name: 'loss', points: line(9, (x) => (x === 5 ? Number.NaN : x === 9 ? Infinity : x)) }],
      labels,
    );
    expect(count(svg, '<path')).toBe(2);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('leaves out what has no logarithm', () => {
    const svg = lineChart([{ name: 'loss', points: line(9, (x) => x - 3) }], { ...labels, log: true });
    expect(count(svg, '<path')).toBe(1);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });

  it('stays small for long runs and keeps their peaks', () => {
    const points = line(200_000, (x) => (x === 77_777 ? 9 : 1 + (x % 7) / 100));
    const svg = lineChart([{ name: 'loss', points }], labels);
    expect(svg.length).toBeLessThan(60_000);
    expect(svg).toContain('fill-opacity="0.25"');
    const highest = Math.min(...Array.from(svg.matchAll(/[ML][\d.]+ ([\d.]+)/g), (match) => Number(match[1])));
    expect(highest).toBeLessThan(80); // 9 of 10 up an axis that ends at pixel 40
  });

  it('says so when there is nothing to draw', () => {
    expect(lineChart([], labels)).toContain('no measurements');
    expect(lineChart([{ name: 'loss', points: [] }], { ...labels, log: true })).toContain('no measurements');
  });

  it('escapes names and draws the same every time', () => {
    expect(draw()).toContain('&lt;b&gt;&amp;&quot;');
    expect(draw()).not.toContain('<script');
    expect(draw()).toBe(draw());
  });
});

describe('codeHistogram', () => {
  const bars = (svg: string): { slot: string; heights: number[] }[] =>
    Array.from(svg.matchAll(/<path class="bar s(\d)" d="([^"]*)"/g), (match) => ({
      slot: match[1]!,
      heights: Array.from(match[2]!.matchAll(/v-([\d.]+)h/g), ([, height]) => Number(height)),
    }));

  it('draws the codes by id and marks those never used', () => {
    const svg = codeHistogram([5, 0, 10, 0]);
    const [byId] = bars(svg);
    expect(byId!.slot).toBe('0');
    expect(byId!.heights).toHaveLength(2);
    expect(byId!.heights[1]).toBeGreaterThan(byId!.heights[0]!);
    expect(count(/<path class="bar s1" d="([^"]*)"/.exec(svg)![1]!, 'M')).toBe(2);
    expect(svg).toContain('aria-label="Codebook use: 2 of 4 codes used, perplexity 1.89, 15 ids"');
  });

  it('draws them by frequency, on a logarithmic axis', () => {
    const [sorted, ...others] = bars(codeHistogram([1, 100, 10], { order: 'frequency' }));
    expect([sorted!.slot, others]).toEqual(['2', []]);
    const [high, middle, low] = sorted!.heights;
    expect(high! - middle!).toBeCloseTo(middle! - low!, 1);
    expect(low).toBeGreaterThan(5);
  });

  it('holds codebooks of one code, of many, and unused ones', async () => {
    for (const counts of [[0], [7], new Float64Array(512), Float64Array.from({ length: 65_536 }, (_, i) => i % 977)]) {
      for (const order of ['id', 'frequency'] as const) {
        const svg = codeHistogram(counts, { order, width: 760 });
        expect(svg).not.toMatch(/NaN|Infinity/);
        expect(svg.length).toBeLessThan(60_000);
        expect((await sharp(Buffer.from(svg)).metadata()).width).toBe(760);
      }
    }
  });
});
