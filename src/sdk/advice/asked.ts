// What is asked for takes the place of what was picked: steps, minutes, samples in a step.
import { formatCount } from '../../report/format.js';
import type { Pace } from '../../train/loop.js';
import { stepsIn } from '../minutes.js';

interface Length {
  steps: number;
  batchSize: number;
}

/** The steps that fit into the minutes that are asked for, or else those of the training. */
export async function stepsAsked(
  { minutes, onNote }: { minutes?: number; onNote?: (text: string) => void },
  { steps, evalEvery }: { steps: number; evalEvery: number },
  pace: Pace,
): Promise<number> {
  return minutes === undefined ? steps : stepsIn({ minutes, out: '', evalEvery, measure: async () => pace, onNote });
}

/** The reasons of a choice. The last one is about its length, and gives way to a length that was asked for. */
export const reasonsAsked = (
  reasons: string[],
  picked: Length,
  { steps, batchSize }: Length,
  what: string,
): string[] =>
  steps === picked.steps && batchSize === picked.batchSize
    ? reasons
    : [...reasons.slice(0, -1), `${formatCount(steps)} steps of ${batchSize} ${what}, as asked for`];
