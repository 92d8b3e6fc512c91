// Where the settings of a training come from: a preset, a config, a trained model, the run that is resumed, or else advice.
import { runIdentity } from '../../checkpoint/store.js';
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
  const identity = resume ? runIdentity(out) : undefined;
  if (identity === undefined) return undefined;
  const advice = recordIn(identity);
  return advice ? { preset: parse(advice.settings), advice } : { preset: read(options) };
}

/** The plan that follows from advice, which is shown. */
export function advisedPlan<P extends object>(advice: Advice<P>, { onNote }: TrainOptions): Plan<P> {
  for (const line of adviceLines(advice)) onNote?.(line);
  return { preset: advice.settings, advice: recordOf(advice) };
}
