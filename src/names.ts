// Names and texts in messages: long lists and texts are shortened, and the closest match for a misspelled name is
// found.
import { printable } from './errors.js';

/** Maximum number of names listed in a message. */
const LISTED = 10;

/** Joins names for a message, at most `max` of them: "a, b, c and 10,131 more". */
export function listNames(names: readonly string[], max = LISTED): string {
  const shown = names
    .slice(0, max)
    .map((name) => excerpt(name, 60))
    .join(', ');
  return names.length > max ? `${shown} and ${formatCount(names.length - max)} more` : shown;
}

/**
 * Formats an integer: `1234567` -> `1,234,567`. Independent of the locale, so the result is the same on every machine.
 */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/**
 * Returns the beginning of a text on one line, without control characters. It has at most `max` characters, including
 * the dots that mark omitted text.
 */
export function excerpt(text: string, max = 80): string {
  // Slice first, because the text may be a megabyte long.
  const characters = Array.from(printable(text.slice(0, 2 * max + 2).replace(/\s+/g, ' ')));
  return characters.length > max || text.length > 2 * max + 2
    ? `${characters.slice(0, max - 3).join('')}...`
    : characters.join('');
}

/** Only this many characters of names and texts are compared. */
const COMPARED = 60;

/** Maximum fraction of a name's letters that may differ for it to count as close. */
const CLOSE = 0.4;

/** Returns the name with the fewest edits relative to `text` or to one of its words; undefined if none is close. */
export function closestName(text: string, names: readonly string[]): string | undefined {
  const whole = text.slice(0, COMPARED).toLowerCase().trim();
  const wanted = [whole, ...whole.split(/\s+/).filter((word) => word.length > 2)];
  let best: { name: string; share: number } | undefined;
  for (const name of names) {
    const target = name.slice(0, COMPARED).toLowerCase();
    const share = Math.min(...wanted.map((one) => editDistance(one, target))) / Math.max(1, target.length);
    if (share <= CLOSE && (!best || share < best.share)) best = { name, share };
  }
  return best?.name;
}

/**
 * Returns the minimum number of insertions, deletions and replacements that turn one text into the other (Levenshtein
 * distance).
 */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}

/** True for a name that stays in its directory: letters, digits, `.`, `_`, `-`, not starting with a dot or a dash. */
export function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(name);
}

/** True for a path that may stand for several. */
export function isGlob(path: string): boolean {
  return /[*?{]|\[[^\]]+\]/.test(path);
}

/** `a sample`, `an image`. */
export function withArticle(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}

/** A number with the noun for it: `1 image`, `3 images`. */
export const counted = (count: number, noun: { one: string; many: string }): string =>
  `${count} ${count === 1 ? noun.one : noun.many}`;
