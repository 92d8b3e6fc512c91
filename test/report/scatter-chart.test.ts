import { describe, expect, it } from 'vitest';
import { scatterChart } from '../../src/report/scatter-chart.js';
import { textWidth } from '../../src/report/svg.js';

const labels = { xLabel: 'bits per pixel', yLabel: 'PSNR' };
const count = (svg: string, part: string): number => svg.split(part).length - 1;

interface Text {
  x: number;
  y: number;
  name: string;
}

const textsOf = (svg: string): Text[] =>
  Array.from(svg.matchAll(/<text class="text" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<\/text>/g), ([, x, y, name]) => ({
    x: Number(x),
    y: Number(y),
    name: name!,
  }));

describe('scatterChart', () => {
  it('draws each point as a dot with its name, better ones further up', () => {
    const svg = scatterChart(
      [
        { name: 'low', x: 0.5, y: 20 },
        { name: 'high', x: 1, y: 30 },
      ],
      labels,
    );
    const [low, high] = Array.from(
      svg.matchAll(/<circle class="dot s\d" cx="([\d.]+)" cy="([\d.]+)"/g),
      ([, x, y]) => ({ x: Number(x), y: Number(y) }),
    );
    expect(high!.x).toBeGreaterThan(low!.x);
    expect(high!.y).toBeLessThan(low!.y);
    expect(textsOf(svg).map(({ name }) => name)).toEqual(['low', 'high']);
    expect(svg).toContain('>bits per pixel</text>');
  });

  it('keeps the names of near points apart and inside', () => {
    const points = Array.from({ length: 6 }, (_, i) => ({ name: `codec number ${i}`, x: 1 + i / 1000, y: 25 }));
    const texts = textsOf(scatterChart([...points, { name: 'far', x: 0, y: 10 }], labels)).filter(
      ({ name }) => name !== 'far',
    );
    texts.forEach((one, i) => {
      expect(one.x + textWidth(one.name)).toBeLessThanOrEqual(760);
      for (const other of texts.slice(0, i))
        expect(Math.abs(one.y - other.y) >= 12 || Math.abs(one.x - other.x) >= textWidth(one.name)).toBe(true);
    });
  });

  it('leaves out what is not finite, takes one point, and says when there is none', () => {
    const svg = scatterChart(
      [
        { name: 'one', x: 1, y: 1 },
        { name: 'perfect', x: 2, y: Infinity },
      ],
      labels,
    );
    expect(count(svg, '<circle')).toBe(1);
    expect(svg).not.toMatch(/NaN|Infinity|perfect/);
    expect(scatterChart([], labels)).toContain('no measurements');
  });

  it('escapes names and draws the same every time', () => {
    const draw = (): string => scatterChart([{ name: '</svg><script>', x: 1, y: 1 }], { ...labels, title: '<b>' });
    expect(draw()).not.toMatch(/<script|<b>/);
    expect(draw()).toBe(draw());
  });
});
