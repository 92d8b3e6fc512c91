// The look of report pages: light, dark, narrow and printed.
import { DARK_INK, DARK_SERIES_COLORS, INK, SERIES_COLORS } from './svg.js';

const colors = (ink: Record<keyof typeof INK, string>, series: readonly string[], more: string): string =>
  [
    ...Object.entries(ink).map(([name, value]) => `--${name}: ${value};`),
    ...series.map((color, i) => `--s${i}: ${color};`),
    more,
  ].join(' ');

const DARK = colors(
  DARK_INK,
  DARK_SERIES_COLORS,
  '--ground: #0e1116; --soft: #1c2129; --link: #7cc0f5; --good: #4bd1a0; --bad: #f4886f; --shade: #05070acc;',
);

const LIGHT = colors(
  INK,
  SERIES_COLORS,
  '--ground: #fff; --soft: #f4f6f8; --link: #0868ac; --good: #00795f; --bad: #b8410b; --shade: #10151dcc;',
);

const series = SERIES_COLORS.map(
  (_, i) =>
    `.chart .line.s${i} { stroke: var(--s${i}); } .chart .dot.s${i}, .chart .bar.s${i} { fill: var(--s${i}); } .chart .ring.s${i} { stroke: var(--s${i}); } .swatch.s${i} { --color: var(--s${i}); }`,
).join('\n');

export const STYLE = `
:root { color-scheme: light dark; ${LIGHT} }
@media (prefers-color-scheme: dark) { :root { ${DARK} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif; }
main { max-width: 1008px; margin: 0 auto; padding: 56px 40px 80px; }
a { color: var(--link); text-underline-offset: 3px; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; border-radius: 4px; }
header .kicker { margin: 0 0 6px; color: var(--muted); font-size: 13px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
h1 { font-size: 36px; line-height: 1.15; margin: 0; letter-spacing: -.022em; font-weight: 680; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 22px; line-height: 1.25; margin: 0 0 6px; letter-spacing: -.012em; font-weight: 640; }
h3 { font-size: 15px; margin: 28px 0 8px; font-weight: 640; }
.facts { display: flex; flex-wrap: wrap; gap: 6px 36px; margin: 20px 0 0; padding: 0; }
.facts div { min-width: 0; }
.facts dt { color: var(--muted); font-size: 13px; line-height: 1.4; }
.facts dd { margin: 0; font-weight: 540; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.links { display: flex; flex-wrap: wrap; gap: 8px 20px; margin: 20px 0 0; padding: 0; list-style: none; font-size: 15px; }
.summary { display: flex; flex-wrap: wrap; margin: 36px 0 0; padding: 0; border-top: 1px solid var(--grid); border-bottom: 1px solid var(--grid); overflow: hidden; }
.summary div { flex: 1 1 168px; padding: 14px 20px 16px 0; margin: 0 0 -1px; border-bottom: 1px solid var(--grid); }
.summary dt { font-size: 13px; line-height: 1.4; color: var(--muted); }
.summary dd { margin: 2px 0 0; font-size: 24px; line-height: 1.25; font-weight: 620; letter-spacing: -.015em; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.summary dd small, .legend + p { font-weight: 400; letter-spacing: 0; }
.summary dd small { display: block; font-size: 13px; color: var(--muted); }
.term { color: inherit; text-decoration: underline dotted var(--axis); text-underline-offset: 3px; cursor: help; }
.term:hover { color: var(--link); text-decoration-color: currentColor; }
section { margin: 56px 0 0; }
section > p, details > p { margin: 0 0 16px; color: var(--muted); max-width: 70ch; overflow-wrap: anywhere; }
.warning { border-left: 3px solid var(--bad); padding: 2px 0 2px 14px; color: var(--text); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 13px; line-height: 1.4; color: var(--muted); overflow-wrap: anywhere; }
img { display: block; height: auto; max-width: 100%; background: var(--soft); }
img.crisp, dialog img.crisp { image-rendering: pixelated; }
.picture img { border-radius: 3px; }
.picture, .plain { margin: 20px 0; }
.picture figcaption, .plain figcaption { margin-top: 8px; }
button.zoom { display: block; padding: 0; border: 0; background: none; color: inherit; font: inherit; cursor: zoom-in; max-width: 100%; text-align: left; }
.zoom svg { display: block; width: 100%; height: auto; background: #fff; border-radius: 3px; }
.gallery { --k: var(--wide-factor); display: grid; grid-template-columns: repeat(var(--wide), var(--wide-cell)); gap: 22px 12px; margin: 20px 0 0; padding: 0; justify-content: start; }
.gallery.full { justify-content: space-between; }
.gallery img { width: calc(var(--w) * var(--k) * 1px); border-radius: 3px; }
.gallery .none { display: grid; place-content: center; width: calc(var(--w) * var(--k) * 1px); max-width: 100%; border: 1px dashed var(--grid); border-radius: 3px; color: var(--muted); font-size: 12px; }
.gallery .zoom { width: 100%; }
.gallery figcaption { margin-top: 6px; }
.gallery.tight { row-gap: 12px; }
.stack .row { display: block; height: 20px; font-size: 13px; line-height: 18px; color: var(--muted); white-space: nowrap; visibility: hidden; }
.stack * + .row { margin-top: 6px; }
.stack.first .row { visibility: visible; }
.good { color: var(--good); } .bad { color: var(--bad); }
.mark { font-weight: 640; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 32px 40px; margin: 24px 0 0; }
.charts.one { grid-template-columns: minmax(0, 620px); }
.charts figcaption { display: flex; align-items: baseline; justify-content: space-between; gap: 12px; margin: 0 0 8px; color: var(--text); font-size: 15px; font-weight: 600; }
.charts figcaption > :first-child { flex: none; max-width: 70%; }
.charts figcaption .value { color: var(--muted); font-weight: 400; font-size: 13px; font-variant-numeric: tabular-nums; text-align: right; }
.chart { display: block; width: 100%; height: auto; overflow: visible; }
.chart text.text { fill: var(--text); } .chart text.muted { fill: var(--muted); }
.chart line.grid { stroke: var(--grid); } .chart line.axis { stroke: var(--axis); } .chart line.text-line { stroke: var(--text); }
.chart .dot { stroke: var(--ground); } .chart .ring { fill: var(--ground); }
${series}
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 12px 0 0; padding: 0; list-style: none; font-size: 14px; }
.legend li { display: flex; align-items: center; gap: 8px; }
.swatch { display: inline-block; flex: none; width: 20px; height: 0; border-top: 2px solid var(--color); position: relative; }
.swatch.dotted::after { content: ''; position: absolute; width: 8px; height: 8px; left: 6px; top: -5px; border-radius: 50%; background: var(--color); }
.swatch.ringed { border: 0; height: 12px; width: 12px; border-radius: 50%; border: 2.5px solid var(--color); }
.swatch.dashed { border-top: 1.5px dashed var(--muted); }
.swatch.block { height: 12px; width: 12px; border: 0; border-radius: 3px; background: var(--color); }
.bar { display: flex; height: 12px; margin: 20px 0 0; gap: 2px; border-radius: 6px; overflow: hidden; }
.bar span { background: var(--color); min-width: 2px; }
${SERIES_COLORS.map((_, i) => `.bar .s${i} { --color: var(--s${i}); }`).join(' ')}
.scroll { overflow-x: auto; margin: 16px 0 0; }
.scroll:focus-visible { outline-offset: 0; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--muted); vertical-align: bottom; font-size: 13px; line-height: 1.35; }
th, td { padding: 8px 16px 8px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
td.name { overflow-wrap: anywhere; min-width: 7em; }
td.name, th:first-child { position: sticky; left: 0; background: var(--ground); }
td.best { font-weight: 680; } td.best::after { content: ' \\2605'; color: var(--good); font-size: 11px; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; } td.number { white-space: nowrap; }
td + p, .scroll + p { margin-top: 16px; }
.glossary { columns: 2; column-gap: 40px; margin: 16px 0 0; font-size: 14px; }
.glossary div { break-inside: avoid; padding: 0 0 14px; scroll-margin-top: 24px; }
.glossary div:target dt { color: var(--link); }
.glossary dt { font-weight: 600; } .glossary dd { margin: 0; color: var(--muted); }
details { margin: 12px 0 0; border-top: 1px solid var(--grid); border-bottom: 1px solid var(--grid); }
section + section.folded { margin-top: 56px; }
section.folded + section.folded { margin-top: -1px; }
section.folded details { margin: 0; }
summary { padding: 14px 0; cursor: pointer; font-weight: 600; }
summary h2 { display: inline; font-size: 16px; letter-spacing: 0; }
pre { overflow-x: auto; margin: 4px 0 20px; padding: 16px 18px; background: var(--soft); border-radius: 8px; font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
footer { margin: 64px 0 0; color: var(--muted); font-size: 13px; }
dialog.zoomed { border: 0; padding: 24px; max-width: 100vw; max-height: 100vh; width: 100vw; height: 100vh; background: none; color: #fff; cursor: zoom-out; overflow: auto; }
dialog.zoomed[open] { display: grid; place-content: center; justify-items: center; gap: 14px; }
dialog.zoomed::backdrop { background: var(--shade); backdrop-filter: blur(10px); }
dialog .stage { background: #fff; line-height: 0; } dialog .stage > * { max-width: none; }
dialog p { margin: 0; max-width: 64ch; text-align: center; overflow-wrap: anywhere; }
dialog .close { position: fixed; top: 14px; right: 14px; width: 40px; height: 40px; border: 0; border-radius: 50%; background: #0006; color: #fff; font-size: 16px; cursor: pointer; }
@media (max-width: 720px) {
main { padding: 32px 20px 56px; }
h1 { font-size: 28px; }
section { margin-top: 44px; }
.facts { gap: 10px 28px; }
.summary div { flex-basis: 132px; }
.summary dd { font-size: 20px; }
.gallery { --k: var(--narrow-factor); grid-template-columns: repeat(var(--narrow), var(--narrow-cell)); gap: 18px 8px; }
.stack.first .row { visibility: hidden; } .stack.first-narrow .row { visibility: visible; }
.charts { grid-template-columns: minmax(0, 1fr); gap: 28px; }
.glossary { columns: 1; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
:root { color-scheme: light; ${LIGHT} }
* { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { font-size: 11pt; } main { max-width: none; padding: 0; }
section { margin-top: 28px; } h2 { break-after: avoid; }
figure, tr, .summary div { break-inside: avoid; }
dialog, .links { display: none !important; }
}
`.trim();
