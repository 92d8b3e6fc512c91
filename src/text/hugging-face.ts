// The part of `@huggingface/tokenizers` that is used, typed: its own declarations import each other without file
// extensions, which TypeScript does not resolve under Node's module rules, so all of it would be `any`.
import { Tokenizer } from '@huggingface/tokenizers';

export interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: unknown[]; tokens: string[] };
  /** @param ids not empty, each known. */
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: ((text: string) => string[]) | null;
}

/** The model is WordLevel's own way of saying what unknown words become; the library looks for it in its settings. */
interface Built {
  model?: { unk_token?: unknown };
}

/** Builds the tokenizer of a parsed `tokenizer.json`; throws an Error of the library's for a kind it does not know. */
export function buildTokenizer(definition: object): HuggingFaceTokenizer {
  const unknown = (definition as Built).model?.unk_token;
  // Cleaning up spaces is a lossy habit of old English models; text must come back as it went in.
  const tokenizer = new Tokenizer(definition, {
    clean_up_tokenization_spaces: false,
    ...(typeof unknown === 'string' && { unk_token: unknown }),
  }) as HuggingFaceTokenizer & Inside;
  fuseWithinWords(tokenizer.model);
  const added = tokenizer.added_tokens_map;
  if ([...added.values()].some((token) => token.single_word))
    for (const splitter of [tokenizer.splitter_unnormalized, tokenizer.splitter_normalized])
      keepWordsWhole(splitter, added);
  return tokenizer;
}

/** What of the library's own is set right. */
interface Inside {
  model: Model;
  added_tokens_map: ReadonlyMap<string, { single_word: boolean }>;
  splitter_unnormalized: Splitter;
  splitter_normalized: Splitter;
}

interface Splitter {
  /** Text in pieces: added tokens, and what lies between. */
  split(text: string): string[];
}

const WORD_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]$/u;
const WORD_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]/u;

/** An added token that is a word of its own is none within another word, where it is text like what is around it. */
function keepWordsWhole(splitter: Splitter, added: ReadonlyMap<string, { single_word: boolean }>): void {
  const split = splitter.split.bind(splitter);
  splitter.split = (text) => {
    const pieces = split(text);
    const isWithin = (i: number): boolean => WORD_END.test(pieces[i - 1] ?? '') || WORD_START.test(pieces[i + 1] ?? '');
    const kept: string[] = [];
    let followsText = false;
    for (const [i, piece] of pieces.entries()) {
      const token = added.get(piece);
      const isText = token === undefined || (token.single_word && isWithin(i));
      if (isText && followsText) kept[kept.length - 1] += piece;
      else kept.push(piece);
      followsText = isText;
    }
    return kept;
  };
}

interface Model {
  fuse_unk: boolean;
  _call(words: string[]): string[];
}

/** Unknown characters side by side become one unknown token: within a word, where the library joins those of several words too. */
function fuseWithinWords(model: Model): void {
  if (!model.fuse_unk) return;
  const ofWords = model._call.bind(model);
  model._call = (words) => words.flatMap((word) => ofWords([word]));
}
