// Builds the summary of what was found while a dataset was opened.
import type { DataSummary } from '../interfaces/dataset.js';
import { DEFAULT_HOLDOUT } from './split.js';
import type { Tally } from './tally.js';

/** What is known about the samples once labels and split are resolved. */
export interface SampleFacts {
  samples: number;
  captions: { samples: number; distinct: number };
  /** Number of samples with a class, and of classes that occur. */
  labeled: number;
  classes: number;
  /** Warnings in addition to those of the tally. */
  warnings: readonly string[];
  /** How the dataset's own split was found, for people. */
  split: string | undefined;
  holdout: number | undefined;
}

/** Builds the summary of a dataset. */
export function summaryOf(
  tally: Tally,
  { samples, captions, labeled, classes, warnings, split, holdout = DEFAULT_HOLDOUT }: SampleFacts,
): DataSummary {
  return {
    files: tally.files,
    medium: tally.medium.name,
    noun: tally.medium.noun,
    media: tally.media,
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

/** Warns about labels that were dropped because they identify samples rather than classes. */
export function idsWarning(ids: number, samples: number): string {
  return `The labels have ${ids} distinct values in ${samples} samples, so they were treated as ids, not classes, and dropped. Pass --classes if they are classes.`;
}
