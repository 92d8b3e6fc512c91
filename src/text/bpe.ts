// Trains a byte-level BPE tokenizer on captions (Radford et al., "Language Models are Unsupervised Multitask Learners",
// section 2.2) and writes it as a Hugging Face `tokenizer.json`.
import { UsageError } from '../errors.js';
import { buildTokenizer } from './hugging-face.js';
import { learnMerges } from './merges.js';
import type { Merge } from './merges.js';
import { OWN_MODEL, WORDS, ownParts } from './own.js';
import { loadTextTokenizer } from './tokenizer.js';
import type { TextTokenizer } from './tokenizer.js';

export interface BpeOptions {
  /** Size of the vocabulary, including the 256 bytes. If there are few captions, the vocabulary may be smaller. */
  vocabSize: number;
  /**
   * Converts text to lower case and to Unicode's composed form NFC, so that "Red" and "red" get the same ids. Decoding
   * returns lower case. Default false.
   */
  lowercase?: boolean;
  /** Pairs of symbols that occur less often than this are not merged. Default 2. */
  minFrequency?: number;
}

/** The alphabet is the 256 bytes, so any text can be encoded. */
const ALPHABET_SIZE = 256;
const MAX_VOCAB_SIZE = 2 ** 20;

/**
 * Trains a byte-level BPE tokenizer on captions.
 *
 * The result depends only on the multiset of captions and on the options, not on the order of the captions or on the
 * machine. Ties between equally frequent pairs go to the lowest ids, as in {@link learnMerges}. There are no special
 * tokens, so no caption or prompt can spell one. Other libraries produce the same ids, except for letters that are
 * newer than their Unicode tables.
 *
 * @returns The tokenizer. Its `json` is the file to save.
 * @throws {UsageError} E_TEXT_VOCAB_SIZE unless vocabSize is an integer in [256, 1048576]; E_TEXT_MIN_FREQUENCY unless
 *   minFrequency is a positive integer.
 */
export function trainBpe(captions: Iterable<string>, options: BpeOptions): TextTokenizer {
  const { vocabSize, lowercase = false, minFrequency = 2 } = options;
  if (!Number.isInteger(vocabSize) || vocabSize < ALPHABET_SIZE || vocabSize > MAX_VOCAB_SIZE) {
    throw new UsageError(
      'E_TEXT_VOCAB_SIZE',
      `trainBpe: expected a vocabSize in [${ALPHABET_SIZE}, ${MAX_VOCAB_SIZE}] (256 of it are the bytes), received ${vocabSize}.`,
    );
  }
  if (!Number.isInteger(minFrequency) || minFrequency < 1) {
    throw new UsageError(
      'E_TEXT_MIN_FREQUENCY',
      `trainBpe: expected a minFrequency from 1 up, received ${minFrequency}.`,
    );
  }
  const words = countWords(captions, lowercase);
  const merges = learnMerges(Array.from(words.keys(), symbolsOf), Array.from(words.values()), {
    alphabetSize: ALPHABET_SIZE,
    mergeCount: vocabSize - ALPHABET_SIZE,
    minFrequency,
  });
  return loadTextTokenizer(`${JSON.stringify(definition(merges, lowercase), null, 1)}\n`);
}

/** Counts how often each word occurs, normalized and split as the finished tokenizer does it. */
function countWords(captions: Iterable<string>, lowercase: boolean): Map<string, number> {
  const repeats = new Map<string, number>();
  for (const caption of captions) repeats.set(caption, (repeats.get(caption) ?? 0) + 1);
  const { normalizer, pre_tokenizer: cut } = buildTokenizer({ ...definition([], lowercase), pre_tokenizer: WORDS });
  const words = new Map<string, number>();
  for (const [caption, count] of repeats) {
    const text = normalizer === null ? caption : normalizer(caption);
    for (const word of cut!(text)) words.set(word, (words.get(word) ?? 0) + count);
  }
  return words;
}

/** Returns the contents of `tokenizer.json`. */
function definition(merges: readonly Merge[], lowercase: boolean): object {
  const tokens = tokensOf(merges);
  return {
    ...ownParts(lowercase),
    model: {
      ...OWN_MODEL,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(({ left, right }) => `${tokens[left]!} ${tokens[right]!}`),
    },
  };
}

/** Returns the spelling of every id: first the bytes, then the result of each merge. */
function tokensOf(merges: readonly Merge[]): string[] {
  const tokens = [...LETTERS];
  for (const { left, right } of merges) tokens.push(tokens[left]! + tokens[right]!);
  return tokens;
}

/** Returns the ids of a word's UTF-8 bytes. */
function symbolsOf(word: string): Uint8Array {
  return new TextEncoder().encode(word).map((byte) => SYMBOL_OF_BYTE[byte]!);
}

/**
 * GPT-2's printable letter for each byte: the byte's own character if it is printable, otherwise the next unused letter
 * from U+0100.
 */
const BYTE_LETTERS: readonly string[] = byteLetters();

/** The letters by code point, as ids 0 to 255: the order of GPT-2's vocabulary and of Hugging Face's trainer. */
const LETTERS: readonly string[] = [...BYTE_LETTERS].sort();
const SYMBOL_OF_BYTE = Uint8Array.from(BYTE_LETTERS, (letter) => LETTERS.indexOf(letter));

function byteLetters(): string[] {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 256 + hidden++));
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}
