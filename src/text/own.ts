// The parts that all tokenizers trained here share: everything except vocabulary and merges.
import { sameJson } from '../json.js';

/**
 * GPT-2's pattern for splitting text into words, which merges never cross. It is written out, rather than requested by
 * the `use_regex` option of ByteLevel, because JavaScript's own `\s` differs from Unicode's white space at U+0085 and
 * U+FEFF. With the explicit pattern, every library uses Unicode's definition.
 */
export const WORDS = {
  type: 'Split',
  pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
  behavior: 'Isolated',
  invert: false,
};

/**
 * Converts text to lower case letter by letter. The final sigma is replaced by the ordinary one, because libraries
 * differ there: some look at neighboring letters and some do not.
 */
const LOWERCASE = {
  type: 'Sequence',
  normalizers: [{ type: 'Lowercase' }, { type: 'Replace', pattern: { String: 'ς' }, content: 'σ' }, { type: 'NFC' }],
};

/** The parts of `tokenizer.json` other than its model. */
export const ownParts = (lowercase: boolean) => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: lowercase ? LOWERCASE : null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [WORDS, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }],
  },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
});

export const OWN_MODEL = {
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
};

/** Whether a file has exactly the steps of the tokenizers trained here, whatever its vocabulary and merges. */
export function isOwn({
  model,
  added_tokens: added,
  normalizer,
  pre_tokenizer: cut,
  decoder,
}: {
  model: Record<string, unknown>;
  added_tokens: unknown[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  decoder: unknown;
}): boolean {
  const { vocab: _vocab, merges: _merges, ...rest } = model;
  const own = ownParts(normalizer !== null);
  return (
    added.length === 0 &&
    sameJson([rest, normalizer, cut, decoder], [OWN_MODEL, own.normalizer, own.pre_tokenizer, own.decoder])
  );
}
