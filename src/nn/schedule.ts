export interface ScheduleConfig {
  learningRate: number;
  /** Number of steps of linear growth from 0. */
  warmupSteps: number;
  /** Fraction of the peak learning rate at the last step. */
  finalFraction: number;
}

/** Linear warm-up, then half a cosine down to `finalFraction`. `step` counts from 1 to `steps`. */
export function cosineSchedule(
  step: number,
  steps: number,
  { learningRate, warmupSteps, finalFraction }: ScheduleConfig,
): number {
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  return learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
