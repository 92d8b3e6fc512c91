// Where the settings of a training come from: a preset, a config, a trained model, the run that is resumed, or else advice.
import { join } from 'node:path';
import { checkpointSteps, readCheckpointState } from '../../checkpoint/store.js';
import { CorruptError, UsageError } from '../../errors.js';
import type { TrainOptions } from '../train-options.js';
import { adviceLines, recordIn, recordOf } from './advice.js';
import type { Advice, AdviceRecord } from './advice.js';

/** The settings of a training, and the advice that they come from. */
export interface Plan<P> {
  preset: P;
  advice?: AdviceRecord;
}

/**
 * The settings that are known without advice: named ones, or those that a resumed run was started with. A run from before there was advice
 * has the preset `default`.
 *
 * @param read  reads the named settings, or else the preset `default`.
 * @param parse checks recorded settings.
 */
export function knownPlan<P>(
  options: TrainOptions,
  read: (options: TrainOptions) => P,
  parse: (settings: unknown) => P,
): Plan<P> | undefined {
  const { preset, config, from, resume, out } = options;
  if (preset !== undefined || config !== undefined || from !== undefined) return { preset: read(options) };
  const identity = resume ? identityOf(out) : undefined;
  if (identity === undefined) return undefined;
  const advice = recordIn(identity);
  return advice ? { preset: parse(advice.settings), advice } : { preset: read(options) };
}

/** The plan that follows from advice, which is shown. */
export function advisedPlan<P extends object>(advice: Advice<P>, { onNote }: TrainOptions): Plan<P> {
  for (const line of adviceLines(advice)) onNote?.(line);
  return { preset: advice.settings, advice: recordOf(advice) };
}

/** What the newest intact checkpoint of a run says of its settings. Training says which ones it passes over. */
function identityOf(run: string): Record<string, unknown> | undefined {
  for (const step of checkpointSteps(run).toReversed()) {
    try {
      const { identity } = readCheckpointState(join(run, 'checkpoints', `step-${step}`));
      return identity as Record<string, unknown> | undefined;
    } catch (error) {
      if (!(error instanceof CorruptError || error instanceof UsageError)) throw error;
    }
  }
  return undefined;
}
