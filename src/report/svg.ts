// SVG drawing. Colors are attributes in the light theme, so that an image rendered from the SVG needs no style sheet.
// Classes let the report's style sheet, which takes precedence over attributes, apply the dark theme.
import { escapeMarkup } from './format.js';

/** Colors of data series, distinguishable by people with red-green color blindness (after Okabe and Ito, 2008). */
export const SERIES_COLORS = [
  '#0868ac',
  '#d1590a',
  '#00876c',
  '#a8418c',
  '#8a6d00',
  '#3a9bd9',
  '#6b5b95',
  '#555555',
] as const;

/** The same for a dark background. */
export const DARK_SERIES_COLORS = [
  '#56b4e9',
  '#f0934e',
  '#2fc6a0',
  '#dd8cc4',
  '#e0c341',
  '#9fd3f5',
  '#b3a4e0',
  '#b0b0b0',
] as const;

/** Colors of the light theme. */
export const INK = { text: '#1c2430', muted: '#5b6675', grid: '#e3e7ec', axis: '#9aa4b1', paper: '#ffffff' } as const;

/** Colors of the dark theme. */
export const DARK_INK = {
  text: '#e6e9ee',
  muted: '#9aa5b4',
  grid: '#2b323c',
  axis: '#566070',
  paper: '#161a20',
} as const;

const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

export interface SvgSize {
  /** Pixels. */
  width: number;
  height: number;
}

/** Returns one element. Attributes are escaped; `content` is already markup. */
export function element(
  name: string,
  attributes: Record<string, string | number | undefined>,
  content?: string,
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeMarkup(value!)}"`)
    .join('');
  return content === undefined ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** Returns the mark of a point of a series: filled with its color, or a ring of it. The colors repeat after the last one. */
export function marker(
  { x, y }: { x: number; y: number },
  index: number,
  { radius, ring = false }: { radius: number; ring?: boolean },
): string {
  const slot = index % SERIES_COLORS.length;
  const color = SERIES_COLORS[slot]!;
  return element('circle', {
    class: `${ring ? 'ring' : 'dot'} s${slot}`,
    cx: x,
    cy: y,
    r: radius,
    fill: ring ? INK.paper : color,
    stroke: ring ? color : INK.paper,
    'stroke-width': ring ? 2.4 : 1.2,
  });
}

/** Returns a complete drawing. `label` is the text for screen readers. */
export function drawing(size: SvgSize, label: string, content: readonly string[]): string {
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    class: 'chart',
    viewBox: `0 0 ${size.width} ${size.height}`,
    width: size.width,
    height: size.height,
    role: 'img',
    'aria-label': label,
    'font-family': FONT,
    'font-size': 12,
  };
  return element('svg', attributes, `\n${content.filter((part) => part !== '').join('\n')}\n`);
}

export interface TextStyle {
  anchor?: 'start' | 'middle' | 'end';
  ink?: 'text' | 'muted';
  size?: number;
  bold?: boolean;
  /** Rotates the text by 90 degrees counterclockwise about its position. */
  upright?: boolean;
}

/** Returns escaped text at its baseline. */
export function label(x: number, y: number, text: string, style: TextStyle = {}): string {
  const { anchor = 'start', ink = 'muted', size, bold = false, upright = false } = style;
  return element(
    'text',
    {
      class: ink,
      x,
      y,
      fill: INK[ink],
      'text-anchor': anchor,
      'font-size': size,
      'font-weight': bold ? 600 : undefined,
      transform: upright ? `rotate(-90 ${coordinate(x)} ${coordinate(y)})` : undefined,
    },
    escapeMarkup(text),
  );
}

/** Returns a straight line in a theme color, dashed if there is a pattern. */
export function rule(x1: number, y1: number, x2: number, y2: number, ink: 'grid' | 'axis', dashes?: string): string {
  return element('line', {
    class: ink,
    x1,
    y1,
    x2,
    y2,
    stroke: INK[ink],
    'stroke-width': 1,
    'stroke-dasharray': dashes,
  });
}

/** Rounds to two decimals, which is finer than any screen and keeps the file small and identical on every machine. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100 + 0);
}

/**
 * Estimates the width of text in pixels for placing it next to other elements. Assumes that letters are 0.62 em wide.
 */
export function textWidth(text: string, size = 12): number {
  return Array.from(text).length * size * 0.62;
}
