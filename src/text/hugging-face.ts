// Types for the parts of `@huggingface/tokenizers` that are used here. The package's own declarations import each other
// without file extensions, which TypeScript does not resolve under Node's module rules, so everything would be `any`.
import { Tokenizer } from '@huggingface/tokenizers';

export interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: unknown[]; tokens: string[] };
  /** @param ids Known ids, at least one. */
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: ((text: string) => string[]) | null;
}

/** WordLevel stores its unknown token in the model, but the library looks for it in its settings. */
interface Built {
  model?: { unk_token?: unknown };
}

/**
 * Builds the tokenizer of a parsed `tokenizer.json`. The library throws a plain Error for kinds that it does not know.
 */
export function buildTokenizer(definition: object): HuggingFaceTokenizer {
  const unknown = (definition as Built).model?.unk_token;
  // Cleaning up spaces is lossy; decoding must return the text that was encoded.
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

/** Internals of the library that are corrected here. */
interface Inside {
  model: Model;
  added_tokens_map: ReadonlyMap<string, { single_word: boolean }>;
  splitter_unnormalized: Splitter;
  splitter_normalized: Splitter;
}

interface Splitter {
  /** Splits text at added tokens. The result contains the tokens and the text between them. */
  split(text: string): string[];
}

const WORD_END = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]$/u;
const WORD_START = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]/u;

/** Prevents an added token marked `single_word` from matching inside another word, where it is ordinary text. */
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

/**
 * Merges adjacent unknown characters into one unknown token within each word. The library would also merge them across
 * words.
 */
function fuseWithinWords(model: Model): void {
  if (!model.fuse_unk) return;
  const ofWords = model._call.bind(model);
  model._call = (words) => words.flatMap((word) => ofWords([word]));
}
