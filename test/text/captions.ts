// Captions made up in the test: a few plain ones many times over, and text that careless code trips on.
import { Rng } from '../../src/rng.js';

const SIZES = ['small', 'large', 'tiny', 'huge'];
const COLORS = ['red', 'green', 'blue', 'yellow', 'violet'];
const SHAPES = ['circle', 'square', 'triangle', 'star'];
const PLACES = ['above', 'below', 'left of', 'right of'];

/** "a small red circle above a large blue square", `count` of them. */
export function plainCaptions(count: number, seed = 1): string[] {
  const rng = new Rng(seed, 'captions');
  const pick = (words: readonly string[]): string => words[rng.int(words.length)]!;
  const thing = (): string => `a ${pick(SIZES)} ${pick(COLORS)} ${pick(SHAPES)}`;
  return Array.from({ length: count }, () => `${thing()} ${pick(PLACES)} ${thing()}`);
}

/** Scripts, emoji, odd white space, control characters, quotes, digits, and the names of object properties. */
export const ODD_TEXTS: readonly string[] = [
  '',
  ' ',
  '   \t\n\r\n  two  spaces   ',
  "It's we'll they've I'M can't 'tis",
  'ÀÉÎÕÜ ß İstanbul ΟΔΥΣΣΕΥΣ ΑΣ. Ǆ ﬁ e\u0301 \u00e9 A\u030a',
  '日本語の文字 中文 한국어 ไทย العربية עברית हिन्दी',
  '😀👩‍👩‍👧‍👦🏳️‍🌈👍🏽 a😀b',
  'x\u0085y\u00a0z\u2003w\u200bv\ufeffu\u180et\u3000s',
  '\ufeffbyte order mark',
  '\u0000\u0001\u007f\u009f',
  '12345 ½ ² Ⅷ ٣ 1,000.5',
  '<|endoftext|> [PAD] </s> __proto__ constructor toString hasOwnProperty',
  'a'.repeat(300),
  '\u0301\u0301 combining first',
  '\u{10ffff}\u{1f1e6}\ufffd\uffff',
];
