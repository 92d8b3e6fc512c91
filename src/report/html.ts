// A report as a single HTML file: styles, charts and images are embedded, and nothing is fetched. Its one script enlarges
// pictures; the page allows no other. All external text is escaped when a Fragment is built.
import type { Exhibit } from '../media/medium.js';
import { UsageError } from '../errors.js';
import { capitalized, escapeMarkup, formatNumber } from './format.js';
import type { Measure } from './measures.js';
import { STYLE } from './style.js';
import { ZOOM, ZOOM_SOURCE } from './zoom.js';

declare const escaped: unique symbol;

/** Finished markup. Only the functions of `src/report` create it. */
export type Fragment = string & { readonly [escaped]: true };

/**
 * A table cell or value. Numbers are written with four significant digits and right-aligned; null is shown as a dash.
 */
export type Cell = string | number | boolean | null;

/** What a value is: plain words, or a measure that the page explains. */
export type Term = string | Measure;

export interface ReportSection {
  title: string;
  /** A sentence below the title. */
  intro?: string;
  body: readonly Fragment[];
  /** Shows the title alone until it is opened. */
  folded?: boolean;
}

/** A page of the same run. */
export interface ReportLink {
  text: string;
  /** Relative to the page. */
  href: string;
}

export interface Report {
  title: string;
  /** What kind of page it is, above the title. */
  kicker?: string;
  /** The title of the window. Default: the page's. */
  windowTitle?: string;
  /** What the page is about, below the title: data, date, duration. */
  facts?: readonly (readonly [name: string, value: string])[];
  links?: readonly ReportLink[];
  /** The most important results. */
  summary: readonly (readonly [term: Term, value: Cell, remark?: string])[];
  sections: readonly ReportSection[];
  /** Measures that the page names, besides those of the summary. All of them are explained at its end. */
  measures?: readonly Measure[];
}

/** Renders a report as the text of one HTML file; equal for equal input. */
export function htmlReport(report: Report): string {
  const { title, kicker, windowTitle = title, facts = [], links = [], summary, sections, measures = [] } = report;
  const explained = [...summary.flatMap(([term]) => (typeof term === 'string' ? [] : [term])), ...measures];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${ZOOM_SOURCE}">
<title>${escapeMarkup(windowTitle)}</title>
<style>
${STYLE}
</style>
</head>
<body>
<main>
<header>
${kicker === undefined ? '' : `<p class="kicker">${escapeMarkup(kicker)}</p>`}
<h1>${escapeMarkup(title)}</h1>
${factsOf(facts)}
${linksOf(links)}
</header>
${summaryOf(summary)}
${sections
  .filter(({ folded }) => !folded)
  .map(sectionOf)
  .join('\n')}
${glossaryOf(explained)}
${sections
  .filter(({ folded }) => folded)
  .map(sectionOf)
  .join('\n')}
</main>
${ZOOM}
</body>
</html>
`;
}

function factsOf(facts: NonNullable<Report['facts']>): string {
  if (facts.length === 0) return '';
  const items = facts.map(
    ([name, value]) => `<div><dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd></div>`,
  );
  return `<dl class="facts">\n${items.join('\n')}\n</dl>`;
}

function linksOf(links: readonly ReportLink[]): string {
  if (links.length === 0) return '';
  const items = links.map(
    ({ text, href }) => `<li><a href="${escapeMarkup(relative(href))}">${escapeMarkup(text)}</a></li>`,
  );
  return `<nav aria-label="Reports of the same run"><ul class="links">\n${items.join('\n')}\n</ul></nav>`;
}

/** An address that cannot be anything but a path relative to the page. */
const relative = (path: string): string => `./${path.split('/').map(encodeURIComponent).join('/')}`;

function summaryOf(summary: Report['summary']): string {
  if (summary.length === 0) return '';
  const items = summary.map(
    ([term, value, remark]) =>
      `<div><dt>${termOf(term)}</dt><dd>${cellText(value)}${remark === undefined ? '' : `<small>${escapeMarkup(remark)}</small>`}</dd></div>`,
  );
  return `<dl class="summary">\n${items.join('\n')}\n</dl>`;
}

function sectionOf({ title, intro, body, folded = false }: ReportSection): string {
  const heading = `<h2>${escapeMarkup(title)}</h2>`;
  const introduction = intro === undefined ? '' : `<p>${escapeMarkup(intro)}</p>\n`;
  const content = `${introduction}${body.join('\n')}`;
  return folded
    ? `<section class="folded">\n<details>\n<summary>${heading}</summary>\n${content}\n</details>\n</section>`
    : `<section>\n${heading}\n${content}\n</section>`;
}

/** Explains measures, each once. */
function glossaryOf(measures: readonly Measure[]): string {
  const explained = [...new Map(measures.map((measure) => [anchorOf(measure), measure])).values()];
  if (explained.length === 0) return '';
  const items = explained.map(
    (measure) =>
      `<div id="${anchorOf(measure)}"><dt>${escapeMarkup(plainLabel(measure))}</dt><dd>${escapeMarkup(measure.meaning)}</dd></div>`,
  );
  return `<section>\n<h2>What the figures mean</h2>\n<dl class="glossary">\n${items.join('\n')}\n</dl>\n</section>`;
}

/** The measures of several maps or stages share one explanation. */
const anchorOf = ({ name }: Measure): string =>
  `about-${name.slice(name.lastIndexOf('.') + 1).replace(/[^A-Za-z0-9_-]/g, '_')}`;

/** The label without the map or stage. */
function plainLabel({ name, label }: Measure): string {
  if (!name.includes('.')) return label;
  return capitalized(label.slice(label.indexOf(': ') + 2));
}

/** A measure with its meaning as a tooltip, and a link to its explanation. */
export function termOf(term: Term): Fragment {
  if (typeof term === 'string') return fragment(escapeMarkup(term));
  return fragment(
    `<a class="term" href="#${anchorOf(term)}" title="${escapeMarkup(term.meaning)}">${escapeMarkup(term.label)}</a>`,
  );
}

/** Builds a paragraph of plain text. */
export function paragraph(text: string): Fragment {
  return fragment(`<p>${escapeMarkup(text)}</p>`);
}

/** Builds a paragraph that stands out. */
export function warning(text: string): Fragment {
  return fragment(`<p class="warning">${escapeMarkup(text)}</p>`);
}

/** Builds preformatted text in a fixed-width font, such as a config or a command. */
export function preformatted(text: string): Fragment {
  return fragment(`<pre tabindex="0">${escapeMarkup(text)}</pre>`);
}

export interface TableOptions {
  /** Cells to point out, as `row:column`. */
  best?: ReadonlySet<string>;
}

/** Builds a table. A column is right-aligned if every cell in it is a number or null. */
export function table(
  columns: readonly Term[],
  rows: readonly (readonly Cell[])[],
  { best }: TableOptions = {},
): Fragment {
  const numeric = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null),
  );
  const cell = (tag: 'th' | 'td', content: string, i: number, more = ''): string => {
    const classes = [numeric[i] ? 'number' : '', tag === 'td' && i === 0 && !numeric[i] ? 'name' : '', more];
    const named = classes.filter((name) => name !== '').join(' ');
    return `<${tag}${named === '' ? '' : ` class="${named}"`}>${content}</${tag}>`;
  };
  const head = columns.map((name, i) => cell('th', termOf(name), i)).join('');
  const body = rows.map(
    (row, r) =>
      `<tr>${columns.map((_, i) => cell('td', cellText(row[i] ?? null), i, best?.has(`${r}:${i}`) ? 'best' : '')).join('')}</tr>`,
  );
  return fragment(
    `<div class="scroll" tabindex="0"><table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body.join('\n')}\n</tbody>\n</table></div>`,
  );
}

function cellText(value: Cell): string {
  if (value === null) return '–';
  return escapeMarkup(typeof value === 'number' ? formatNumber(value) : String(value));
}

/**
 * Builds a figure from a chart made by {@link lineChart}, {@link codeHistogram} or {@link scatterChart}. The markup is not
 * escaped: never pass SVG from another source.
 *
 * @param value is shown at the other end of the caption.
 */
export function chartFigure(svg: string, caption?: Term, value?: string): Fragment {
  if (caption === undefined) return fragment(`<figure>\n${svg}\n</figure>`);
  const shown = value === undefined ? '' : ` <span class="value">${escapeMarkup(value)}</span>`;
  return fragment(`<figure>\n<figcaption><span>${termOf(caption)}</span>${shown}</figcaption>\n${svg}\n</figure>`);
}

/** Sets charts next to each other where there is room. */
export function charts(figures: readonly Fragment[]): Fragment {
  return fragment(`<div class="charts${figures.length === 1 ? ' one' : ''}">\n${figures.join('\n')}\n</div>`);
}

export interface LegendEntry {
  text: string;
  /** Index of the color of a series; none for a dashed line. */
  slot?: number;
  look?: 'dotted' | 'ringed' | 'dashed' | 'block';
}

/** Says what the colors of charts stand for. */
export function legend(entries: readonly LegendEntry[]): Fragment {
  const items = entries.map(({ text, slot, look }) => {
    const classes = ['swatch', ...(slot === undefined ? [] : [`s${slot}`]), ...(look ? [look] : [])].join(' ');
    return `<li><span class="${classes}"></span>${escapeMarkup(text)}</li>`;
  });
  return fragment(`<ul class="legend">\n${items.join('\n')}\n</ul>`);
}

/** One bar whose parts are as long as their values, with a legend. */
export function proportions(parts: readonly { text: string; value: number }[]): Fragment {
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  const spans = parts.map(
    ({ value }, i) =>
      `<span class="s${i}" style="flex-grow:${Math.round((1e4 * value) / Math.max(total, 1e-9))}"></span>`,
  );
  return fragment(
    `<div class="bar" aria-hidden="true">${spans.join('')}</div>\n${legend(parts.map(({ text }, slot) => ({ text, slot, look: 'block' })))}`,
  );
}

/** A picture that a click enlarges. */
export interface Picture {
  exhibit: Exhibit;
  /** What it shows, for those who cannot see it and for the enlarged picture. */
  alt: string;
}

/** Builds the button of a picture. The image's natural width is the CSS variable `--w`. */
export function zoomable({ exhibit, alt }: Picture, shownWidth?: number): Fragment {
  const text = escapeMarkup(alt);
  const open = `<button type="button" class="zoom" aria-label="Enlarge: ${text}" data-caption="${text}">`;
  if ('svg' in exhibit) return fragment(`${open}${exhibit.svg}</button>`);
  const { width, height } = sizeOfPng(exhibit.png);
  const { buffer, byteOffset, byteLength } = exhibit.png;
  const source = `data:image/png;base64,${Buffer.from(buffer, byteOffset, byteLength).toString('base64')}`;
  const scale = shownWidth === undefined ? 1 : shownWidth / width;
  const crisp = width > MOST_CRISP ? '' : ' class="crisp"';
  return fragment(
    `${open}<img${crisp} src="${source}" width="${Math.round(width * scale)}" height="${Math.round(height * scale)}" style="--w:${width}" alt="${text}"></button>`,
  );
}

/** Wider images are shown smaller than they are, for which browsers' own filter is better. */
const MOST_CRISP = 512;

/**
 * Embeds a PNG. Small images (such as grids of small samples) are enlarged by an integer factor without interpolation.
 *
 * @throws {UsageError} E_REPORT_IMAGE when the bytes are not a PNG file.
 */
export function imageFigure(png: Uint8Array, caption?: string): Fragment {
  const { width } = sizeOfPng(png);
  const scale = Math.max(1, Math.min(8, Math.floor(COMFORTABLE_WIDTH / width)));
  const picture = zoomable({ exhibit: { png }, alt: caption ?? 'Picture' }, width * scale);
  return fragment(`<figure class="picture">\n${picture}${captionOf(caption)}\n</figure>`);
}

const COMFORTABLE_WIDTH = 640;
const PNG_HEAD = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/**
 * Size of a drawing: of a PNG by its first chunk, of an SVG by its `viewBox`.
 *
 * @throws {UsageError} E_REPORT_IMAGE when the bytes are not a PNG file.
 */
export function sizeOfExhibit(exhibit: Exhibit): { width: number; height: number } {
  if ('png' in exhibit) return sizeOfPng(exhibit.png);
  const box = /viewBox="[\d.-]+[ ,]+[\d.-]+[ ,]+([\d.]+)[ ,]+([\d.]+)"/.exec(exhibit.svg);
  return { width: Number(box?.[1] ?? 160), height: Number(box?.[2] ?? 100) };
}

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

/** Marks finished markup as such. For `src/report` alone: whoever calls it answers for the escaping. */
export function fragment(markup: string): Fragment {
  return markup as Fragment;
}
