// Some steps of a `tokenizer.json` run differently in this library than in Hugging Face's own. They are rewritten as
// steps that run the same way; those that cannot be rewritten are rejected.
import { refusal } from './definition.js';
import type { Definition } from './definition.js';

type Step = Record<string, unknown> & { type?: unknown };

/**
 * Returns a definition that produces the same ids as Hugging Face's library.
 *
 * @throws {CorruptError} E_TEXT_TOKENIZER for steps that would produce different ids.
 */
export function translated(definition: Definition): Definition {
  const { model, pre_tokenizer: cut } = definition;
  if (model['type'] === 'BPE' && model['continuing_subword_prefix'])
    throw unsupported('a BPE model with a "continuing_subword_prefix"');
  if (model['type'] === 'Unigram' && model['byte_fallback'] === true)
    throw unsupported('a Unigram model with "byte_fallback"');
  return { ...definition, pre_tokenizer: cut === null ? null : cutting(cut as Step) };
}

const unsupported = (what: string): Error => refusal(`a tokenizer of a supported kind, received ${what}`);

function cutting(step: Step): Step {
  switch (step.type) {
    case 'Sequence':
      return {
        ...step,
        pretokenizers: (step['pretokenizers'] as Step[]).filter((inner) => inner !== null).map(cutting),
      };
    // The library's own pattern does not recognize letters beyond ASCII.
    case 'Whitespace':
      return matches(`[${WORD}]+|[^${WORD}\\p{White_Space}]+`);
    case 'CharDelimiterSplit':
      return split({
        type: 'Split',
        pattern: { String: String(step['delimiter']) },
        behavior: 'Removed',
        invert: false,
      });
    case 'Metaspace':
      return metaspace(step);
    case 'Digits':
      return isolated(step['individual_digits'] === true ? '\\p{N}' : '\\p{N}+');
    case 'Punctuation':
      return split({
        type: 'Split',
        pattern: { Regex: PUNCTUATION },
        behavior: step['behavior'] ?? 'Isolated',
        invert: false,
      });
    case 'Split':
      return split(step);
    default:
      return step;
  }
}

/** Characters of words, as defined by Unicode's annex 18. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200C\\u200D';
const PUNCTUATION = '[\\p{P}\\u0021-\\u002F\\u003A-\\u0040\\u005B-\\u0060\\u007B-\\u007E]';

const isolated = (regex: string): Step => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

/** Keeps what matches and drops what lies between. */
const matches = (regex: string): Step => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Removed',
  invert: true,
});

/**
 * A word starts at each mark, unless `split` is off. Old files use `add_prefix_space` to say whether the first word
 * gets a mark.
 */
function metaspace(step: Step): Step {
  const scheme = step['prepend_scheme'] ?? (step['add_prefix_space'] === false ? 'never' : 'always');
  const marked = { ...step, prepend_scheme: scheme };
  if (step['split'] === false) return marked;
  const mark = String(step['replacement'] ?? '\u2581').replace(/[\\\]^-]/g, '\\$&');
  return { type: 'Sequence', pretokenizers: [marked, matches(`[${mark}][^${mark}]*|[^${mark}]+`)] };
}

/** Rewrites a Split. The library supports only the behaviors Removed and Isolated. */
function split(step: Step): Step {
  const behavior = String(step['behavior'] ?? 'Isolated').toLowerCase();
  const { Regex: regex, String: text = '' } = step['pattern'] as { Regex?: string; String?: string };
  const source = regex ?? text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // A string pattern would keep the removed text, so it becomes a regular expression.
  if (behavior === 'removed') return { ...step, pattern: { Regex: source } };
  // Isolated pieces are the same whether the pattern is inverted or not.
  if (behavior === 'isolated') return isolated(source);
  if (behavior === 'contiguous' && step['invert'] !== true) return isolated(`(?:${source})+`);
  throw unsupported(`a pre-tokenizer with the behavior "${String(step['behavior'])}"`);
}
