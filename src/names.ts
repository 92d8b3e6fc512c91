// Names and texts inside messages: long lists and long texts are shortened, and a misspelled name finds the nearest one.
import { printable } from './errors.js';

/** Names listed in one message. */
const LISTED = 10;

/** Joins names for a message, at most `max` of them: "a, b, c and 10,131 more". */
export function listNames(names: readonly string[], max = LISTED): string {
  const shown = names
    .slice(0, max)
    .map((name) => excerpt(name, 60))
    .join(', ');
  return names.length > max ? `${shown} and ${formatCount(names.length - max)} more` : shown;
}

/** `1234567` -> `1,234,567`. The same on every machine: no locale is asked. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** The beginning of a text on one line, at most `max` characters with the dots that mark what was cut, without control characters. */
export function excerpt(text: string, max = 80): string {
  // A slice first: the text may be a megabyte.
  const characters = Array.from(printable(text.slice(0, 2 * max + 2).replace(/\s+/g, ' ')));
  return characters.length > max || text.length > 2 * max + 2
    ? `${characters.slice(0, max - 3).join('')}...`
    : characters.join('');
}

/** Longer names and texts are compared by their beginnings. */
const COMPARED = 60;

/** Share of a name's letters that may differ for it to count as close. */
const CLOSE = 0.4;

/** The name with the fewest edits from `text` or from one of its words; undefined when none is close. */
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

/** Fewest insertions, deletions and replacements that turn one text into the other (Levenshtein). */
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
