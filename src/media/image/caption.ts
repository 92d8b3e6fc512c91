// Captions in pictures: broken into lines of a width, and drawn.
import type { Image } from '../../interfaces/media.js';
import { coverageOf } from './fill.js';
import { charactersOf, drawable, outlineOf, widthOf } from './font.js';

/** A text in lines. All sizes are in pixels. */
export interface Caption {
  lines: readonly string[];
  /** Height of the font. */
  size: number;
  /** Width of the longest line. */
  width: number;
  /** Of all lines. */
  height: number;
}

/** Line height and baseline as shares of the font's height. */
const LINE = 1.3;
const BASELINE = 1;

/** Characters of a caption. More would be a text, not a caption, and the drawing would have no end. */
const LONGEST = 600;

/** Height of the smallest font that is legible. */
const SMALLEST = 10;

/** A font height for captions of pictures of a width. */
export const captionSize = (width: number): number => Math.round(Math.min(17, Math.max(13, width / 15)));

/** Width of a text on one line. */
export const captionWidth = (text: string, size: number): number => Math.ceil(widthOf(prepared(text), size));

/**
 * Breaks texts at spaces into lines of at most `width` pixels. If a word of theirs is wider than that, all are set in a
 * smaller font; what does not fit even then is broken within the word.
 */
export function captionsOf(texts: readonly string[], width: number, size: number): Caption[] {
  const words = texts.map((text) => prepared(text).split(' ').filter(Boolean));
  const widest = Math.max(0, ...words.flat().map((word) => widthOf(word, size)));
  const fitting = widest <= width ? size : Math.max(Math.min(SMALLEST, size), Math.floor((size * width) / widest));
  return words.map((own) => {
    const lines = linesOf(own, width, fitting);
    return {
      lines,
      size: fitting,
      width: Math.ceil(Math.max(0, ...lines.map((line) => widthOf(line, fitting)))),
      height: Math.ceil(lines.length * LINE * fitting),
    };
  });
}

function prepared(text: string): string {
  const characters = charactersOf(text.slice(0, 4 * LONGEST).trim());
  return drawable(characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : characters.join(''));
}

function linesOf(words: readonly string[], width: number, size: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(`${last} ${word}`, size) <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
      continue;
    }
    let rest = charactersOf(word);
    while (rest.length > 0) {
      let count = rest.length;
      while (count > 1 && widthOf(rest.slice(0, count).join(''), size) > width) count--;
      lines.push(rest.slice(0, count).join(''));
      rest = rest.slice(count);
    }
  }
  return lines;
}

/** Where a caption is drawn: its box, in which lines are at the left or in the middle. */
export interface CaptionPlace {
  left: number;
  top: number;
  width: number;
  align: 'left' | 'center';
  /** Gray value of the letters, 0 to 255. */
  ink: number;
}

/** Draws a caption into a picture. */
export function drawCaption(
  sheet: Image,
  { lines, size }: Caption,
  { left, top, width, align, ink }: CaptionPlace,
): void {
  const height = Math.ceil(LINE * size) + 1;
  lines.forEach((line, i) => {
    const room = width - widthOf(line, size);
    const x = align === 'left' ? 0 : Math.max(0, Math.round(room / 2));
    const y = top + Math.round(i * LINE * size);
    const wide = Math.ceil(x + widthOf(line, size)) + 1;
    blend(sheet, coverageOf(outlineOf(line, x, Math.round(BASELINE * size), size), wide, height), wide, left, y, ink);
  });
}

function blend(sheet: Image, coverage: Float32Array, width: number, left: number, top: number, ink: number): void {
  const { channels, pixels } = sheet;
  coverage.forEach((covered, i) => {
    const [x, y] = [left + (i % width), top + Math.floor(i / width)];
    if (covered === 0 || x < 0 || y < 0 || x >= sheet.width || y >= sheet.height) return;
    const at = (y * sheet.width + x) * channels;
    for (let c = 0; c < channels; c++) pixels[at + c] = Math.round(pixels[at + c]! * (1 - covered) + ink * covered);
  });
}
