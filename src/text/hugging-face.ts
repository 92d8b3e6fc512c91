// The part of `@huggingface/tokenizers` that is used, typed: its own declarations import each other without file
// extensions, which TypeScript does not resolve under Node's module rules, so all of it would be `any`.
import { Tokenizer } from '@huggingface/tokenizers';

export interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[]; tokens: string[] };
  /** @param ids not empty, each known. */
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  normalizer: ((text: string) => string) | null;
  pre_tokenizer: ((text: string) => string[]) | null;
}

/** Builds the tokenizer of a parsed `tokenizer.json`; throws an Error of the library's for a kind it does not know. */
export function buildTokenizer(definition: object): HuggingFaceTokenizer {
  // Cleaning up spaces is a lossy habit of old English models; text must come back as it went in.
  return new Tokenizer(definition, { clean_up_tokenization_spaces: false }) as HuggingFaceTokenizer;
}
