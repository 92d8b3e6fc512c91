// Measures captions in text tokens: how many of these a prior should read, and which captions are longer.
import { UsageError } from '../errors.js';
import { excerpt } from '../names.js';
import { formatCount } from '../report/format.js';
import { beginningOf } from '../text/beginning.js';
import { named } from './conditions.js';
import type { TokenSurvey } from './survey.js';

/** Fraction of captions that the text of a prior should hold completely if the others are far longer. */
const COVERED = 0.995;

/** A caption is an outlier if it is this many times as long as the longest of the others. */
const OUTLIER = 2;

/** Minimum number of captions for which the longest one may be an outlier. */
const ENOUGH_TO_COMPARE = 10;

/** The lengths of the captions of a survey, in text tokens. */
export interface CaptionLengths {
  longest: number;
  /** True if the longest caption has even more tokens, because only its beginning was encoded. */
  isLonger: boolean;
  /** The sample with the longest caption, and its caption. */
  key: string;
  caption: string;
  /** Number of captions of more than `length` tokens, counting repetitions. */
  above(length: number): number;
  /** The length that holds all captions, or all except outliers; at most `limit`. */
  fitted(limit: number): number;
}

/** The part of a tokenizer that lengths need. */
interface Measure {
  encode(caption: string): ArrayLike<unknown>;
  /** Maximum number of characters. Only the beginning of longer captions is measured. */
  longestText?: number;
}

/** Measures the captions with a tokenizer. @throws {TesseraeError} naming the sample whose caption cannot be encoded. */
export function captionLengths({ captions }: Pick<TokenSurvey, 'captions'>, text: Measure): CaptionLengths {
  const measured = (caption: string, key: string): number =>
    named(key, () => text.encode(beginningOf(caption, text)).length);
  const all = [...captions]
    .map(([caption, { all: times, key }]) => ({ caption, key, times, length: measured(caption, key) }))
    .sort((a, b) => b.length - a.length);
  const [first] = all;
  const total = all.reduce((sum, { times }) => sum + times, 0);
  const longest = first?.length ?? 0;
  return {
    longest,
    isLonger: first !== undefined && beginningOf(first.caption, text) !== first.caption,
    key: first?.key ?? '',
    caption: first?.caption ?? '',
    above: (length) => all.reduce((sum, one) => sum + (one.length > length ? one.times : 0), 0),
    fitted: (limit) => {
      const rest = afterOutliers(all, total < ENOUGH_TO_COMPARE ? 0 : Math.max(1, Math.floor((1 - COVERED) * total)));
      return Math.max(1, Math.min(limit, longest > OUTLIER * rest ? rest : longest));
    },
  };
}

/** The longest caption after at most `spared` others. */
function afterOutliers(sorted: readonly { length: number; times: number }[], spared: number): number {
  let left = spared;
  for (const { length, times } of sorted) {
    left -= times;
    if (left < 0) return length;
  }
  return sorted.at(-1)?.length ?? 0;
}

/** "3 captions cut to 1,024 text tokens (longest 6,120, sample p7)". */
export function cutText(lengths: CaptionLengths, length: number): string {
  const cut = lengths.above(length);
  return `${formatCount(cut)} ${cut === 1 ? 'caption' : 'captions'} cut to ${formatCount(length)} text tokens (longest ${longestOf(lengths)}, sample ${excerpt(lengths.key)})`;
}

const longestOf = ({ longest, isLonger }: CaptionLengths): string =>
  `${isLonger ? 'more than ' : ''}${formatCount(longest)}`;

/** @throws {UsageError} E_TEXT_TOO_LONG naming the sample with the longest caption, when it has more tokens than `length`. */
export function refuseTooLong(lengths: CaptionLengths, length: number): void {
  const { longest, isLonger, key, caption } = lengths;
  if (longest <= length && !isLonger) return;
  const received = `expected at most ${formatCount(length)} text tokens in a caption, received ${longestOf(lengths)} ("${excerpt(caption)}")`;
  throw new UsageError(
    'E_TEXT_TOO_LONG',
    `sample "${excerpt(key)}": ${received}. Shorten the caption, raise text.length in the settings (at most 1,024), or pass --too-long cut.`,
  );
}
