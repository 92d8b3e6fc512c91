// Finds words of a prompt that a prior has never seen. Any text has ids, so a prior generates something for it, even if
// the words have no meaning to the prior.
import { TesseraeError } from '../errors.js';
import type { TextTokenizer } from './tokenizer.js';

/** Letters, marks and digits, with apostrophes and hyphens inside. */
const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’-][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;

/** Maximum number of words that are stored with a prior. If the captions have more, none are stored. */
const MOST_WORDS = 16_384;

/** Maximum number of words of a text that are checked; no real prompt has as many. */
const MOST_ASKED = 256;

const wordsOf = (text: string): string[] => text.normalize('NFC').toLowerCase().match(WORD) ?? [];

/**
 * Returns the words of captions in lower case, most frequent first, for {@link unknownWords}.
 *
 * @param captions Captions, each with its number of occurrences.
 * @returns undefined if there are too many words to store with a prior.
 */
export function wordsIn(captions: Iterable<readonly [caption: string, count: number]>): string[] | undefined {
  const counts = new Map<string, number>();
  for (const [caption, count] of captions) {
    for (const word of wordsOf(caption)) counts.set(word, (counts.get(word) ?? 0) + count);
    if (counts.size > MOST_WORDS) return undefined;
  }
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word]) => word);
}

/** Parses the word list of a model directory. @returns undefined for bytes that are not a list of words. */
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
 * Returns the words of a text that no training caption contains. If the words of the captions were not stored, a word
 * counts as unknown when the tokenizer has no id for it, or only pieces of one or two letters, as for words that it was
 * not trained on.
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

/** Returns the number of ids that a word takes, or Infinity if it is unknown. */
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

/** Returns some words that a prior knows: the most frequent stored words, or whole words of the vocabulary. */
export function someKnownWords(tokenizer: TextTokenizer, known: readonly string[] | undefined, most: number): string[] {
  if (known) return known.slice(0, most);
  const spelled = Array.from({ length: Math.min(tokenizer.vocabSize, 4096) }, (_, id) => tokenizer.decode([id]));
  const words = spelled.filter((token) => /^\s\p{L}{3,}$/u.test(token));
  // Shorter merges lead to longer words, so prefixes of other words are dropped.
  return words
    .filter((word) => !words.some((other) => other !== word && other.startsWith(word)))
    .map((word) => word.trim())
    .slice(0, most);
}
