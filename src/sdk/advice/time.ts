// How long a whole training takes, from the time of a few steps.
import type { Pace } from '../../train/loop.js';

export interface Work {
  /** Seconds of a step, and of an evaluation of `evaluated` held-out samples. */
  pace: Pace;
  evaluated: number;
  steps: number;
  /** Number of steps between evaluations, and held-out samples in each. */
  evalEvery: number;
  evalSamples: number;
  /** Number of held-out samples, all of which are measured at the end. */
  heldOut: number;
  /** Seconds to read and decode everything once, and each time again what does not fit into memory. */
  reading: number;
}

/** Compiling graphs, starting and writing the report. */
const OVERHEAD = 3;

/** Seconds of a training. */
export function trainingSeconds({ pace, evaluated, steps, evalEvery, evalSamples, heldOut, reading }: Work): number {
  const each = evaluated > 0 ? pace.evaluation / evaluated : 0;
  const between = Math.ceil(steps / evalEvery) * Math.min(evalSamples, heldOut);
  return OVERHEAD + steps * pace.step + each * (between + heldOut) + reading;
}
