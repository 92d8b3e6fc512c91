import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { gallery, stackGallery } from '../../src/report/gallery.js';
import { headingOf } from '../../src/report/heading.js';
import { codeHistogram } from '../../src/report/histogram.js';
import {
  chartFigure,
  htmlReport,
  imageFigure,
  legend,
  paragraph,
  preformatted,
  proportions,
  table,
  warning,
} from '../../src/report/html.js';
import type { Report } from '../../src/report/html.js';
import { measureOf } from '../../src/report/measures.js';

const hostile = `</style></pre><script>alert("x")</script><img src=x onerror='y'>&`;
const picture = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: 'red' } })
    .png()
    .toBuffer();

/** The script that enlarges pictures, which every page has. */
const SCRIPT = /<script>([^]*?)<\/script>/;

async function report(text: string): Promise<Report> {
  const picture8 = { exhibit: { png: await picture(8, 8) }, alt: text };
  return {
    ...headingOf({ kind: text, name: text, data: text, facts: [[text, text]] }),
    links: [{ text, href: text }],
    summary: [
      [text, text, text],
      [{ name: text, label: text, meaning: text }, 1],
      [measureOf('nmse'), 0.0812345],
      ['none', null],
    ],
    sections: [
      {
        title: text,
        intro: text,
        body: [
          paragraph(text),
          warning(text),
          preformatted(text),
          legend([{ text, slot: 0 }]),
          proportions([{ text, value: 1 }]),
          gallery([{ ...picture8, caption: text, verdict: { good: false, text } }]),
          stackGallery([text, text], [{ pictures: [picture8, undefined], caption: text }]),
          table(
            [text, 'n'],
            [
              [text, 1],
              ['x', null],
            ],
          ),
        ],
      },
      { title: text, folded: true, body: [] },
      {
        title: 'drawings',
        body: [
          chartFigure(codeHistogram([1, 2], { title: text }), text, text),
          imageFigure(await picture(16, 8), text),
        ],
      },
    ],
  };
}

describe('htmlReport', () => {
  it('escapes every text it is given', async () => {
    const html = htmlReport(await report(hostile)).replace(SCRIPT, '');
    expect(html).not.toMatch(/<script|onerror='|<img src=x/);
    const given = htmlReport(await report('needle')).split('needle').length - 1;
    expect(html.split(/&lt;script&gt;|script%3E/).length - 1).toBeGreaterThan(30);
    expect(given).toBeGreaterThan(30);
    expect(html).toContain('href="./%3C');
  });

  it('fetches nothing and lets no script run but its own', async () => {
    const html = htmlReport(await report('plain'));
    const addresses = Array.from(html.matchAll(/(?:src|href|url|action)\s*[=(]\s*"?([^"\s>]*)/g), (match) => match[1]!);
    expect(addresses.length).toBeGreaterThan(0);
    expect(addresses.filter((address) => !/^(data:image\/png;base64,|#about-|\.\/plain$)/.test(address))).toEqual([]);
    const script = SCRIPT.exec(html)![1]!;
    const hash = createHash('sha256').update(script).digest('base64');
    expect(html).toContain(
      `content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'"`,
    );
    expect(html.split('<script').length - 1).toBe(1);
  });

  it('is well-formed and equal for equal input', async () => {
    const html = htmlReport(await report('plain'));
    const open: string[] = [];
    const crossed: string[] = [];
    for (const [, closing, name, content] of html
      .replace(/<style>.*<\/style>/s, '')
      .replace(SCRIPT, '')
      .matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
      if (['meta', 'img', 'br'].includes(name!) || content!.endsWith('/')) continue;
      if (closing === '') open.push(name!);
      else if (open.pop() !== name) crossed.push(name!);
    }
    expect([open, crossed]).toEqual([[], []]);
    expect(htmlReport(await report('plain'))).toBe(html);
  });

  it('has the dark theme beside the light one', async () => {
    const html = htmlReport(await report('plain'));
    expect(html).toContain('@media (prefers-color-scheme: dark)');
    expect(html).toMatch(/prefers-color-scheme: dark\) { :root {[^}]*--s0: #56b4e9;/);
    expect(html).toContain('.chart .bar.s0 { fill: var(--s0); }');
  });

  it('names each measure with a tooltip, and explains it once', () => {
    const nmse = measureOf('nmse');
    const html = htmlReport({
      title: 'x',
      summary: [
        [nmse, 1],
        [measureOf('a.usage'), 1],
        [measureOf('b.usage'), 1],
      ],
      sections: [],
      measures: [nmse],
    });
    expect(html).toContain(`<a class="term" href="#about-nmse" title="${nmse.meaning}">NMSE</a>`);
    expect(html.split(`<dd>${nmse.meaning}</dd>`).length - 1).toBe(1);
    expect(html).toContain('>a: codes in use</a>');
    expect(html.split('<div id="about-usage"><dt>Codes in use</dt>').length - 1).toBe(1);
  });

  it('says data, day and duration in the title of the window', () => {
    const { windowTitle, facts } = headingOf({
      kind: 'Codec',
      name: 'run',
      data: '/data/photos/, more/emoji.tar',
      date: '2026-11-27T10:00:00Z',
      seconds: 481,
    });
    expect(windowTitle).toBe('Codec run · photos, emoji.tar · November 27, 2026 · 8 min 1 s');
    expect(facts).toEqual([
      ['Data', 'photos, emoji.tar'],
      ['Date', 'November 27, 2026'],
      ['Duration', '8 min 1 s'],
    ]);
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
    expect(html).toContain('<tr><td class="name">bottom</td><td class="number">–</td><td>–</td></tr>');
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
