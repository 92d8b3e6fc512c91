// A report as a single HTML file: styles, charts and images are embedded, nothing is fetched, and there are no scripts.
// All external text is escaped when a Fragment is built.
import type { Exhibit } from '../media/medium.js';
import { UsageError } from '../errors.js';
import { escapeMarkup, formatNumber } from './format.js';
import { DARK_INK, DARK_SERIES_COLORS, INK } from './svg.js';

declare const escaped: unique symbol;

/** Finished markup. Only the functions of this file create it. */
export type Fragment = string & { readonly [escaped]: true };

/**
 * A table cell or value. Numbers are written with four significant digits and right-aligned; null is shown as a dash.
 */
export type Cell = string | number | boolean | null;

export interface ReportSection {
  title: string;
  /** A sentence below the title. */
  intro?: string;
  body: readonly Fragment[];
}

export interface Report {
  title: string;
  /** A line below the title that describes the run and its data. */
  subtitle?: string;
  /** Names and values of the most important results. */
  summary: readonly (readonly [name: string, value: Cell])[];
  sections: readonly ReportSection[];
}

/** Renders a report as the text of one HTML file; equal for equal input. */
export function htmlReport(report: Report): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeMarkup(report.title)}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<header>
<h1>${escapeMarkup(report.title)}</h1>
${report.subtitle === undefined ? '' : `<p class="subtitle">${escapeMarkup(report.subtitle)}</p>`}
</header>
${summaryOf(report.summary)}
${report.sections.map(sectionOf).join('\n')}
</main>
</body>
</html>
`;
}

function summaryOf(summary: Report['summary']): string {
  if (summary.length === 0) return '';
  const items = summary.map(([name, value]) => `<div><dt>${escapeMarkup(name)}</dt><dd>${cellText(value)}</dd></div>`);
  return `<dl class="summary">\n${items.join('\n')}\n</dl>`;
}

function sectionOf({ title, intro, body }: ReportSection): string {
  const introduction = intro === undefined ? '' : `<p>${escapeMarkup(intro)}</p>\n`;
  return `<section>\n<h2>${escapeMarkup(title)}</h2>\n${introduction}${body.join('\n')}\n</section>`;
}

/** Builds a paragraph of plain text. */
export function paragraph(text: string): Fragment {
  return fragment(`<p>${escapeMarkup(text)}</p>`);
}

/** Builds preformatted text in a fixed-width font, such as a config or a command. */
export function preformatted(text: string): Fragment {
  return fragment(`<pre>${escapeMarkup(text)}</pre>`);
}

/** Builds a table. A column is right-aligned if every cell in it is a number or null. */
export function table(columns: readonly string[], rows: readonly (readonly Cell[])[]): Fragment {
  const numeric = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null),
  );
  const cell = (tag: 'th' | 'td', content: string, i: number): string =>
    `<${tag}${numeric[i] ? ' class="number"' : ''}>${content}</${tag}>`;
  const head = columns.map((name, i) => cell('th', escapeMarkup(name), i)).join('');
  const body = rows.map((row) => `<tr>${columns.map((_, i) => cell('td', cellText(row[i] ?? null), i)).join('')}</tr>`);
  return fragment(
    `<div class="scroll"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body.join('\n')}\n</tbody>\n</table></div>`,
  );
}

function cellText(value: Cell): string {
  if (value === null) return '–';
  return escapeMarkup(typeof value === 'number' ? formatNumber(value) : String(value));
}

/**
 * Builds a figure from a chart made by {@link lineChart}, {@link histogram} or {@link scatterChart}. The markup is not
 * escaped: never pass SVG from another source.
 */
export function chartFigure(svg: string, caption?: string): Fragment {
  return fragment(`<figure>\n${svg}${captionOf(caption)}\n</figure>`);
}

/**
 * Embeds a PNG. Small images (such as grids of small samples) are enlarged by an integer factor without interpolation.
 *
 * @throws {UsageError} E_REPORT_IMAGE when the bytes are not a PNG file.
 */
export function imageFigure(png: Uint8Array, caption?: string): Fragment {
  const { width, height } = sizeOfPng(png);
  const scale = Math.max(1, Math.min(8, Math.floor(COMFORTABLE_WIDTH / width)));
  const source = `data:image/png;base64,${Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64')}`;
  const image = `<img src="${source}" width="${width * scale}" height="${height * scale}" alt="${escapeMarkup(caption ?? 'image')}">`;
  return fragment(`<figure>\n${image}${captionOf(caption)}\n</figure>`);
}

/** Embeds a drawing of samples. */
export function exhibitFigure(exhibit: Exhibit, caption?: string): Fragment {
  return 'png' in exhibit ? imageFigure(exhibit.png, caption) : chartFigure(exhibit.svg, caption);
}

const COMFORTABLE_WIDTH = 640;
const PNG_HEAD = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Reads width and height from the PNG's first chunk, where they have fixed positions. */
function sizeOfPng(png: Uint8Array): { width: number; height: number } {
  if (png.length < 24 || PNG_HEAD.some((byte, i) => png[i] !== byte)) {
    throw new UsageError(
      'E_REPORT_IMAGE',
      `imageFigure: expected a PNG file, received ${png.length} bytes of something else. Encode the image as PNG first.`,
    );
  }
  const view = new DataView(png.buffer, png.byteOffset);
  return { width: Math.max(1, view.getUint32(16)), height: Math.max(1, view.getUint32(20)) };
}

function captionOf(caption: string | undefined): string {
  return caption === undefined ? '' : `\n<figcaption>${escapeMarkup(caption)}</figcaption>`;
}

function fragment(markup: string): Fragment {
  return markup as Fragment;
}

const STYLE = `
:root { --text: ${INK.text}; --muted: ${INK.muted}; --line: ${INK.grid}; --axis: ${INK.axis}; --paper: ${INK.paper}; --ground: #f5f6f8; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 27px; line-height: 1.25; margin: 0; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 8px; }
.subtitle { color: var(--muted); margin: 6px 0 0; overflow-wrap: anywhere; }
.summary { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 1px; margin: 24px 0; padding: 0; background: var(--line); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.summary div { background: var(--paper); padding: 12px 16px; }
.summary dt { color: var(--muted); font-size: 12.5px; }
.summary dd { margin: 2px 0 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 20px 24px; margin: 20px 0; }
section p { margin: 0 0 12px; color: var(--muted); max-width: 68ch; }
figure { margin: 12px 0 20px; }
figure:last-child { margin-bottom: 4px; }
figcaption { color: var(--muted); font-size: 13px; margin-top: 6px; }
figure svg { display: block; max-width: 100%; height: auto; }
img { display: block; max-width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; margin: 4px 0 12px; }
th { text-align: left; font-weight: 600; font-size: 13px; color: var(--muted); }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; }
pre { overflow-x: auto; margin: 4px 0 12px; padding: 12px 14px; background: var(--ground); border-radius: 6px; font: 13px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; }
@media (prefers-color-scheme: dark) {
:root { --text: ${DARK_INK.text}; --muted: ${DARK_INK.muted}; --line: ${DARK_INK.grid}; --axis: ${DARK_INK.axis}; --paper: ${DARK_INK.paper}; --ground: #0f1216; }
.chart text.text { fill: var(--text); } .chart text.muted { fill: var(--muted); }
.chart line.grid { stroke: var(--line); } .chart line.axis { stroke: var(--axis); } .chart line.text-line { stroke: var(--text); }
.chart .dot { stroke: var(--paper); }
${seriesStyle(DARK_SERIES_COLORS)}
}
@media print { body { background: #fff; } section, .summary { break-inside: avoid; } }
`.trim();

function seriesStyle(colors: readonly string[]): string {
  return colors
    .map(
      (color, i) => `.chart .line.s${i} { stroke: ${color}; } .chart .dot.s${i}, .chart .bar.s${i} { fill: ${color}; }`,
    )
    .join('\n');
}
