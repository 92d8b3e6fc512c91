// What the tokenizers trained here have in common: everything but their vocabulary and merges.
import { sameJson } from '../json.js';

/**
 * GPT-2's way of cutting text into words that merges never cross. It stands here in full, rather than as the `use_regex`
 * of ByteLevel, because JavaScript's own `\s` differs from Unicode's white space at U+0085 and U+FEFF: spelled out, every
 * library reads it with Unicode's.
 */
export const WORDS = {
  type: 'Split',
  pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
  behavior: 'Isolated',
  invert: false,
};

/**
 * Lower case letter by letter: the final sigma goes back to the plain one, which is all that libraries differ in when some
 * look at a letter's neighbors and some do not.
 */
const LOWERCASE = {
  type: 'Sequence',
  normalizers: [{ type: 'Lowercase' }, { type: 'Replace', pattern: { String: 'ς' }, content: 'σ' }, { type: 'NFC' }],
};

/** The parts of `tokenizer.json` around its model. */
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

/** Whether a file has exactly the steps of those trained here, whatever its vocabulary and merges. */
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
