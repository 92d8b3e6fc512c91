// Detects what spoils a model with any settings: too few samples, and codebooks of which few codes occur.
import type { CodebookUse } from '../metrics/codebook.js';
import { formatCount } from '../report/format.js';
import { codesOf } from '../report/codebook.js';

/** With fewer training samples, a model can only memorize them. */
const FEW_TRAINING_SAMPLES = 200;

/** With fewer held-out samples, the held-out figures are mostly chance. */
const FEW_HELD_OUT_SAMPLES = 20;

/** A codebook counts as collapsed if less than this fraction of its codes occurs (or of the codes that were counted, if they are fewer). */
const COLLAPSED_USAGE = 0.1;

export const COLLAPSE_REMEDY =
  'a smaller codebookSize, a lower learningRate, or more pressure to use all codes (ema-vq: restartBelow, rateWeight; fsq and lfq: entropyWeight)';

/** Returns a sentence for each split that is too small, with the remedy. */
export function sampleConcerns({ train, test }: { train: number; test: number }): string[] {
  const count = (n: number, what: string): string => `${formatCount(n)} ${what} ${n === 1 ? 'sample' : 'samples'}`;
  return [
    ...(train < FEW_TRAINING_SAMPLES
      ? [
          `only ${count(train, 'training')}: expect memorized samples rather than new ones. Remedy: at least ${FEW_TRAINING_SAMPLES}, better some thousands.`,
        ]
      : []),
    ...(test === 0
      ? [
          'no held-out samples: nothing is measured, the last weights are kept, and overfitting goes unnoticed. Remedy: hold out some samples, by --holdout of train codec and tokenize.',
        ]
      : []),
    ...(test > 0 && test < FEW_HELD_OUT_SAMPLES
      ? [
          `only ${count(test, 'held-out')}: the held-out figures are unreliable, and so is the choice of the best weights. Remedy: at least ${FEW_HELD_OUT_SAMPLES} (more data, or a larger --holdout).`,
        ]
      : []),
  ];
}

/** Returns "collapsed codebook \"codes\": only 12 of 512 codes occur in ...", or undefined for a codebook that is in use. */
export function collapseText(map: CodebookUse, where: string): string | undefined {
  const possible = Math.min(codesOf(map), map.codes);
  if (codesOf(map) === 1 || map.used >= COLLAPSED_USAGE * possible) return undefined;
  return `collapsed codebook "${map.name}": only ${formatCount(map.used)} of ${formatCount(codesOf(map))} codes occur in the ${where}`;
}
