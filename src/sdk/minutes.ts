// Turns minutes of training into a number of steps.
import { runIdentity } from '../checkpoint/store.js';
import { UsageError } from '../errors.js';
import { formatCount, formatNumber } from '../report/format.js';
import type { Pace } from '../train/loop.js';

export interface Minutes {
  minutes: number;
  /** The run's directory. A resumed run keeps the steps that it was started with. */
  out: string;
  resume?: boolean | undefined;
  /** Number of steps between evaluations. */
  evalEvery: number;
  measure: () => Promise<Pace>;
  onNote?: ((text: string) => void) | undefined;
}

/**
 * The number of steps that fit into some minutes on this machine, evaluations included.
 *
 * @throws {UsageError} E_OPTIONS unless the minutes are a number above 0.
 */
export async function stepsIn({ minutes, out, resume, evalEvery, measure, onNote }: Minutes): Promise<number> {
  if (!(minutes > 0 && Number.isFinite(minutes)))
    throw new UsageError('E_OPTIONS', `minutes: expected a number above 0, received ${String(minutes)}.`);
  const before = resume ? (runIdentity(out)?.['training'] as { steps?: number } | undefined)?.steps : undefined;
  if (before !== undefined) {
    onNote?.(`--minutes: the run goes on to the ${formatCount(before)} steps that it was started with`);
    return before;
  }
  const { step, evaluation } = await measure();
  const steps = Math.max(1, Math.floor((60 * minutes) / (step + evaluation / evalEvery)));
  onNote?.(
    `--minutes ${minutes}: ${formatCount(steps)} steps, because a step takes ${formatNumber(step)} s on this machine and an evaluation ${formatNumber(evaluation)} s`,
  );
  return steps;
}
