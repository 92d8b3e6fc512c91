// What opening a dataset found, put together at its end.
import type { DataSummary } from '../interfaces/dataset.js';
import { DEFAULT_HOLDOUT } from './split.js';
import type { Tally } from './tally.js';

/** What is known of the samples once labels and split are settled. */
export interface Settled {
  samples: number;
  captions: { samples: number; distinct: number };
  /** Samples with a class, and the classes that occur. */
  labeled: number;
  classes: number;
  /** Besides those of the tally. */
  warnings: readonly string[];
  /** How the dataset's own split was found, for people. */
  split: string | undefined;
  holdout: number | undefined;
}

/** The account of an opening. */
export function summaryOf(
  tally: Tally,
  { samples, captions, labeled, classes, warnings, split, holdout = DEFAULT_HOLDOUT }: Settled,
): DataSummary {
  return {
    files: tally.files,
    pictures: tally.pictures,
    texts: tally.texts,
    leftOut: tally.leftOut.list,
    bad: tally.bad,
    samples,
    captions: { ...captions, used: tally.usedCaptions, unused: tally.unusedCaptions.list },
    labeled,
    classes,
    formats: tally.formats,
    split:
      split ??
      (holdout === 0
        ? 'none, all samples are for training'
        : `${Math.round(holdout * 1e6) / 1e4} % held out by a hash of the names`),
    warnings: [...tally.warnings, ...warnings],
  };
}

/** Labels that were dropped, because they say which sample it is and not of which kind. */
export function idsWarning(ids: number, samples: number): string {
  return `The labels are ${ids} different numbers on ${samples} samples: they were taken for ids, not classes, and dropped. Name the classes (--classes) if they are classes.`;
}
