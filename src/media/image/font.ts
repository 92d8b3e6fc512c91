// The font of captions: Inter, whose files come with the package, so that captions look alike on every machine. It has
// Latin, Greek, Cyrillic and Vietnamese letters, in one file each.
import { readFileSync } from 'node:fs';
import type * as opentype from 'opentype.js';
import { requireVendored, vendoredFile } from '../../vendored.js';

/** The files of the font, those most likely to be needed first. Each is read when a character asks for it. */
const SUBSETS = ['latin', 'latin-ext', 'cyrillic', 'greek', 'vietnamese', 'cyrillic-ext', 'greek-ext'];

/** A private character, which the font draws as an empty box: stands for what it has no glyph for. */
const BOX = '\uE000';

/** A segment of an outline: a line or a curve to a point, by way of up to two control points. Pixels, y downwards. */
export type OutlineCommand = opentype.PathCommand;

const loaded: opentype.Font[] = [];

/** The first file of the font that has a character. */
function fontWith(character: string): opentype.Font | undefined {
  for (let i = 0; i < SUBSETS.length; i++) {
    const font = fontAt(i);
    if (font.charToGlyphIndex(character) > 0) return font;
  }
  return undefined;
}

const fontAt = (i: number): opentype.Font => (loaded[i] ??= load(SUBSETS[i]!));

function load(subset: string): opentype.Font {
  const { parse } = requireVendored<typeof opentype>('opentype.js');
  const bytes = readFileSync(vendoredFile('@fontsource/inter', `files/inter-${subset}-400-normal.woff`));
  return parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** The characters of a text as people count them: an emoji or a letter with its accents is one. */
export const charactersOf = (text: string): string[] => Array.from(graphemes.segment(text), ({ segment }) => segment);

/** Brings a text to characters that the font has: composed, without what it lacks of accents, or else a box for each. */
export function drawable(text: string): string {
  return charactersOf(text.normalize('NFC').replace(/\s+/g, ' '))
    .map((character) => {
      if (hasAll(character)) return character;
      const base = character.normalize('NFKD').replace(/[\p{M}\p{C}]/gu, '');
      return base !== '' && hasAll(base) ? base : BOX;
    })
    .join('');
}

const hasAll = (text: string): boolean => Array.from(text).every((character) => fontWith(character) !== undefined);

/** A glyph with its place on the line. */
interface Placed {
  glyph: opentype.Glyph;
  x: number;
}

/** Sets a text glyph by glyph. Kerning would not show at the sizes of captions. */
function setLine(text: string, size: number): { glyphs: Placed[]; width: number } {
  const glyphs: Placed[] = [];
  let x = 0;
  for (const character of text) {
    const font = fontWith(character) ?? fontAt(0);
    const glyph = font.charToGlyph(character);
    glyphs.push({ glyph, x });
    x += ((glyph.advanceWidth ?? 0) * size) / font.unitsPerEm;
  }
  return { glyphs, width: x };
}

/** The width of a {@link drawable} text, in pixels. @param size height of the font in pixels. */
export const widthOf = (text: string, size: number): number => setLine(text, size).width;

/** The outline of a {@link drawable} text whose baseline starts at (x, y). */
export function outlineOf(text: string, x: number, y: number, size: number): OutlineCommand[] {
  return setLine(text, size).glyphs.flatMap((one) => one.glyph.getPath(x + one.x, y, size).commands);
}
