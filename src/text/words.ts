// Which words of a prompt a prior has never seen. Text always has ids, so a prior draws something for any of it; whether it
// means anything to the prior is another matter.
import { TesseraeError } from '../errors.js';
import type { TextTokenizer } from './tokenizer.js';

/** Letters, marks and digits, with apostrophes and hyphens inside. */
const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;

/** Most words that are kept with a prior; of captions with more of them none are. */
const MOST_WORDS = 16_384;

/** Words of a text that are looked at: no prompt has as many. */
const MOST_ASKED = 256;

const wordsOf = (text: string): string[] => text.normalize('NFC').toLowerCase().match(WORD) ?? [];

/**
 * The words of captions in lower case, most frequent first, for {@link unknownWords}.
 *
 * @param captions with how often each occurs.
 * @returns undefined when there are more than a prior should carry.
 */
export function wordsIn(captions: Iterable<readonly [caption: string, count: number]>): string[] | undefined {
  const counts = new Map<string, number>();
  for (const [caption, count] of captions) {
    for (const word of wordsOf(caption)) counts.set(word, (counts.get(word) ?? 0) + count);
    if (counts.size > MOST_WORDS) return undefined;
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word]) => word);
}

/** The words of captions as they lie in a model directory. @returns undefined for bytes that are no list of words. */
export function parseWords(bytes: Uint8Array | undefined): string[] | undefined {
  if (!bytes) return undefined;
  try {
    const words: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(words) && words.every((word) => typeof word === 'string') ? words : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The words of a text that no training caption had. Where those words were not kept, a word counts as unknown when the
 * tokenizer has no id for it, or only pieces of a letter or two, which is what is left of words that it was not made for.
 */
export function unknownWords(text: string, tokenizer: TextTokenizer, known?: readonly string[]): string[] {
  const seen = known && new Set(known);
  return [...new Set(wordsOf(text))]
    .slice(0, MOST_ASKED)
    .filter((word) => (seen ? !seen.has(word) : isInPieces(word, tokenizer)));
}

function isInPieces(word: string, tokenizer: TextTokenizer): boolean {
  const letters = [...word].length;
  if (letters < 3) return !hasId(word, tokenizer);
  return Math.min(pieces(word, tokenizer), pieces(` ${word}`, tokenizer)) > letters / 2;
}

const hasId = (word: string, tokenizer: TextTokenizer): boolean => Number.isFinite(pieces(word, tokenizer));

/** How many ids a word takes; no number suffices for one that is unknown. */
function pieces(word: string, tokenizer: TextTokenizer): number {
  try {
    const ids = tokenizer.encode(word);
    return tokenizer.unknownId !== undefined && ids.includes(tokenizer.unknownId) ? Infinity : ids.length;
  } catch (error) {
    if (error instanceof TesseraeError && (error.code === 'E_TEXT_UNKNOWN' || error.code === 'E_TEXT_TOO_LONG'))
      return Infinity;
    throw error;
  }
}

/** Some words that a prior does know: of those that were kept the most frequent, else whole words of the vocabulary. */
export function someKnownWords(tokenizer: TextTokenizer, known: readonly string[] | undefined, most: number): string[] {
  if (known) return known.slice(0, most);
  const spelled = Array.from({ length: Math.min(tokenizer.vocabSize, 4096) }, (_, id) => tokenizer.decode([id]));
  const words = spelled.filter((token) => /^\s\p{L}{3,}$/u.test(token));
  // Merges lead from letters to words; what another begins with is on its way.
  return words
    .filter((word) => !words.some((other) => other !== word && other.startsWith(word)))
    .map((word) => word.trim())
    .slice(0, most);
}
