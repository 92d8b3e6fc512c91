// Displays training runs of codecs and priors.
import type { Progress } from '../report/progress.js';
import { formatNumber } from '../report/format.js';
import type { LoopEvents } from '../train/loop.js';
import type { Session } from './session.js';

/** Shows progress on stderr: a bar with rate, losses and remaining time, and a line for each evaluation. */
export function trainingEvents(session: Session, label: string): LoopEvents & { finish(): void } {
  let initial = 0;
  let progress: Progress | undefined;
  const note = (text: string): void => (progress ? progress.note(text) : session.note(text));
  return {
    onResume: (step) => {
      initial = step;
      note(`${label}: resumed after step ${step}`);
    },
    onStep: (step, steps, measured) => {
      progress ??= session.progress({ label, total: steps, unit: 'steps', initial });
      progress.update(step, shownOf(measured));
    },
    onEvaluation: (step, metrics) => note(`step ${step}, held out: ${metricsText(metrics)}`),
    onNote: note,
    finish: () => progress?.finish(),
  };
}

/** Returns the values that fit into the progress line. */
export function shownOf(measured: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(measured).filter(([name]) => name !== 'gradientNorm'));
}

/** Formats metrics: `nmse 0.1234  psnr 21.3`. */
export function metricsText(metrics: Record<string, unknown>): string {
  const numbers = Object.entries(metrics).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return numbers.map(([name, value]) => `${name} ${formatNumber(value)}`).join('  ');
}

/** Formats the held-out metrics of a finished run, if there are any. */
export function heldOutLines(metrics: Record<string, unknown> | undefined): string[] {
  return metrics ? [`held out: ${metricsText(metrics)}`] : [];
}

/** Returns which weights a model contains, the warnings of its training and the advice it followed, for `--json`. */
export function endOf({ training }: { training?: Record<string, unknown> }): Record<string, unknown> {
  return {
    kept: training?.['kept'],
    stoppedAt: training?.['stoppedAt'],
    warnings: training?.['warnings'] ?? [],
    advice: training?.['advice'],
  };
}
