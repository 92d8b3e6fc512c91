// Drawing in SVG. Colors stand as attributes, in the light theme, so that a picture made of it needs no style sheet; the
// classes let the report's style sheet, which wins over attributes, put the dark theme in their place.
import sharp from 'sharp';
import { UsageError, messageOf } from '../errors.js';
import { escapeMarkup } from './format.js';

/** Colors of data, told apart by people who do not see red and green alike too (after Okabe and Ito, 2008). */
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

/** The same on a dark ground. */
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

/** Light theme. */
export const INK = { text: '#1c2430', muted: '#5b6675', grid: '#e3e7ec', axis: '#9aa4b1', paper: '#ffffff' } as const;

/** Dark theme. */
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

/** One element with escaped attributes; `content` is markup already. */
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

/** A whole drawing; `label` is what a screen reader says. */
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
  /** Turned a quarter to the left, about its place. */
  upright?: boolean;
}

/** Text, escaped, at its baseline. */
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

/** A straight line of a theme color. */
export function rule(x1: number, y1: number, x2: number, y2: number, ink: 'grid' | 'axis'): string {
  return element('line', { class: ink, x1, y1, x2, y2, stroke: INK[ink], 'stroke-width': 1 });
}

/** Two decimals are finer than any screen, and keep the file small and equal everywhere. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100 + 0);
}

/** Width in pixels of text of a size, near enough to set it beside other things: letters are taken as 0.62 em wide. */
export function textWidth(text: string, size = 12): number {
  return Array.from(text).length * size * 0.62;
}

/**
 * Renders a drawing on the light theme's paper.
 *
 * @param scale pixels of the picture for each pixel of the drawing.
 * @returns PNG bytes.
 * @throws {UsageError} E_REPORT_SVG when it is not SVG that can be drawn.
 */
export async function svgToPng(svg: string, scale = 2): Promise<Uint8Array> {
  try {
    const picture = sharp(Buffer.from(svg), { density: 72 * scale }).flatten({ background: INK.paper });
    return await picture.png({ compressionLevel: 9 }).toBuffer();
  } catch (error) {
    throw new UsageError(
      'E_REPORT_SVG',
      `svgToPng: expected an SVG drawing, received one that does not render (${messageOf(error)}).`,
      { cause: error },
    );
  }
}
