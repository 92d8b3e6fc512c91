import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { histogram } from '../../src/report/histogram.js';
import { chartFigure, htmlReport, imageFigure, paragraph, preformatted, table } from '../../src/report/html.js';
import type { Report } from '../../src/report/html.js';

const hostile = `</style></pre><script>alert("x")</script><img src=x onerror='y'>&`;
const picture = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: 'red' } })
    .png()
    .toBuffer();

async function report(text: string): Promise<Report> {
  return {
    title: text,
    subtitle: text,
    summary: [
      [text, text],
      ['NMSE', 0.0812345],
      ['none', null],
    ],
    sections: [
      {
        title: text,
        intro: text,
        body: [
          paragraph(text),
          preformatted(text),
          table(
            [text, 'n'],
            [
              [text, 1],
              ['x', null],
            ],
          ),
        ],
      },
      { title: 'drawings', body: [chartFigure(histogram([1, 2]), text), imageFigure(await picture(16, 8), text)] },
    ],
  };
}

describe('htmlReport', () => {
  it('escapes every text it is given', async () => {
    const html = htmlReport(await report(hostile));
    expect(html).not.toMatch(/<script|onerror='|<img src=x/);
    expect(html.split('&lt;script&gt;').length - 1).toBe(14); // each place it is given, and again in the head's title and the image's alt
  });

  it('fetches nothing and allows nothing to run', async () => {
    const html = htmlReport(await report('plain'));
    const addresses = Array.from(html.matchAll(/(?:src|href|url|action)\s*[=(]\s*"?([^"\s>]*)/g), (match) => match[1]!);
    expect(addresses.length).toBeGreaterThan(0);
    expect(addresses.filter((address) => !address.startsWith('data:image/png;base64,'))).toEqual([]);
    expect(html).toContain(`content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"`);
  });

  it('is well-formed and equal for equal input', async () => {
    const html = htmlReport(await report('plain'));
    const open: string[] = [];
    const crossed: string[] = [];
    for (const [, closing, name, content] of html
      .replace(/<style>.*<\/style>/s, '')
      .matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
      if (['meta', 'img'].includes(name!) || content!.endsWith('/')) continue;
      if (closing === '') open.push(name!);
      else if (open.pop() !== name) crossed.push(name!);
    }
    expect([open, crossed]).toEqual([[], []]);
    expect(htmlReport(await report('plain'))).toBe(html);
  });

  it('has the dark theme beside the light one', async () => {
    const html = htmlReport(await report('plain'));
    expect(html).toContain('@media (prefers-color-scheme: dark)');
    expect(html).toContain('.chart .bar.s0 { fill: #56b4e9; }');
  });
});

describe('table', () => {
  it('sets columns of numbers to the right and writes missing cells as a dash', () => {
    const html = table(
      ['map', 'used', 'note'],
      [
        ['top', 1234.5, 'x'],
        ['bottom', null],
      ],
    );
    expect(html).toContain('<th class="number">used</th>');
    expect(html).toContain('<td class="number">1,235</td>');
    expect(html).toContain('<tr><td>bottom</td><td class="number">–</td><td>–</td></tr>');
  });
});

describe('imageFigure', () => {
  it('enlarges small images by a whole factor and leaves large ones', async () => {
    expect(imageFigure(await picture(100, 50))).toContain('width="600" height="300"');
    expect(imageFigure(await picture(10, 10))).toContain('width="80" height="80"');
    expect(imageFigure(await picture(900, 20))).toContain('width="900" height="20"');
  });

  it('holds the very bytes', async () => {
    const png = await picture(3, 3);
    const base64 = /base64,([^"]*)"/.exec(imageFigure(new Uint8Array(png)))![1]!;
    expect(Buffer.from(base64, 'base64').equals(png)).toBe(true);
  });

  it('refuses what is not a PNG', () => {
    expect(() => imageFigure(new Uint8Array(30))).toThrow(/E_REPORT_IMAGE/);
    expect(() => imageFigure(new Uint8Array(0))).toThrow(/E_REPORT_IMAGE/);
  });
});
