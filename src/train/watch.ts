// What a run learns from its evaluations: which weights are the best, whether training still improves them, and whether the
// model overfits. All of it is plain data that checkpoints carry, so a resumed run judges as an uninterrupted one.
import { formatCount, formatNumber } from '../report/format.js';

/** The held-out figure that tells better weights from worse ones. Lower is better. */
export interface Figure {
  /** Its name among the metrics of an evaluation, e.g. `natsPerCode`. */
  name: string;
  /** Its unit, as messages write it: `nats a code`. */
  unit: string;
  /** The training measurement that shows the same side of the model; it must fall while the held-out figure rises for the model to count as overfitting. */
  training: string;
}

/** Which weights a run keeps: those with the best held-out figure, or the last ones. */
export type KeepRule = 'best' | 'last';

/** Which weights a model holds, as its card says. */
export interface Kept {
  rule: KeepRule;
  /** The training step they are from. */
  step: number;
  /** Name of the figure that decided. */
  measure: string;
  /** Its value over the samples of a periodic evaluation; null without held-out samples. */
  figure: number | null;
}

/** Something that spoils the result, with its remedy. `kind` tells one from another over the run, e.g. `collapse codes`. */
export interface Alert {
  kind: string;
  text: string;
}

/**
 * How much worse than its best the held-out figure must be, as a share of the best, before a run counts as overfitting. The
 * same samples are measured each time, so the figures differ by less than this between evaluations of equally good weights.
 */
export const OVERFITTING_MARGIN = 0.02;

/** Evaluations in a row that must show an alert before it is told: codebooks and figures settle in the first steps. */
const CONFIRMATIONS = 2;

interface Judged {
  step: number;
  /** Null when it was not finite. */
  figure: number | null;
  /** Mean of the training measurement since the evaluation before. */
  training: number | null;
}

/** JSON, as checkpoints hold it. */
export interface WatchState {
  best?: Judged;
  last?: Judged;
  /** Evaluations since the best one. */
  misses: number;
  /** The training measurement since the last evaluation. */
  sum: number;
  count: number;
  /** By kind of alert, the evaluations in a row that showed it; -1 once it is told. */
  alerts: Record<string, number>;
}

/** Judges the evaluations of one run. */
export class Watch {
  constructor(
    readonly figure: Figure,
    private readonly patience: number,
    readonly state: WatchState = { misses: 0, sum: 0, count: 0, alerts: {} },
  ) {}

  /** Counts what a training step measured. */
  add(measured: Readonly<Record<string, number>>): void {
    this.state.sum += measured[this.figure.training] ?? Number.NaN;
    this.state.count++;
  }

  /** Takes the metrics of an evaluation. @returns whether its weights are the best so far; of equals, the earlier ones are. */
  judge(step: number, metrics: Readonly<Record<string, number>>): boolean {
    const { state } = this;
    state.last = {
      step,
      figure: finite(metrics[this.figure.name]),
      training: state.count > 0 ? finite(state.sum / state.count) : null,
    };
    state.sum = 0;
    state.count = 0;
    const isBest = state.last.figure !== null && (state.best === undefined || state.last.figure < state.best.figure!);
    if (isBest) state.best = state.last;
    state.misses = isBest ? 0 : state.misses + 1;
    return isBest;
  }

  /** No evaluation of the last `patience` was better than those before. */
  get isExhausted(): boolean {
    return this.patience > 0 && this.state.misses >= this.patience;
  }

  /** Whether the model learns its training samples at the cost of others, by the latest evaluation. */
  get overfits(): boolean {
    const { best, last } = this.state;
    if (
      !best ||
      !last ||
      best.figure === null ||
      last.figure === null ||
      best.training === null ||
      last.training === null
    )
      return false;
    return last.figure - best.figure > OVERFITTING_MARGIN * Math.abs(best.figure) && last.training < best.training;
  }

  /** "overfits since step 1,500: held out 4.91 -> 5.63 nats a code, training 3.30". */
  get overfittingText(): string {
    const { best, last } = this.state as { best: Judged; last: Judged };
    return `overfits since step ${formatCount(best.step)}: held out ${formatNumber(best.figure!)} -> ${formatNumber(last.figure!)} ${this.figure.unit}, training ${formatNumber(last.training!)}`;
  }

  /**
   * The alerts to tell after an evaluation: each once, as soon as it was seen at two evaluations in a row, or at once when `final`.
   */
  news(alerts: readonly Alert[], final: boolean): Alert[] {
    const before = this.state.alerts;
    const told = Object.entries(before).filter(([, seen]) => seen < 0);
    const seen = alerts
      .filter(({ kind }) => (before[kind] ?? 0) >= 0)
      .map((alert) => ({ alert, times: (before[alert.kind] ?? 0) + 1 }));
    const isNews = ({ times }: { times: number }): boolean => final || times >= CONFIRMATIONS;
    this.state.alerts = {
      ...Object.fromEntries(told),
      ...Object.fromEntries(seen.map((one) => [one.alert.kind, isNews(one) ? -1 : one.times])),
    };
    return seen.filter(isNews).map(({ alert }) => alert);
  }
}

const finite = (value: number | undefined): number | null => (Number.isFinite(value) ? value! : null);

/** "kept the weights of step 1,500 (held out 4.91 nats a code); the last ones, of step 4,000, are at 5.63". */
export function keptText({ rule, step, figure }: Kept, { figure: { unit }, state: { best, last } }: Watch): string {
  const value = (one: number | null): string => (one === null ? 'not finite' : formatNumber(one));
  const weights = `step ${formatCount(step)} (held out ${value(figure)} ${unit})`;
  if (last && step !== last.step)
    return `kept the weights of ${weights}; the last ones, of step ${formatCount(last.step)}, are at ${value(last.figure)}`;
  if (best && step !== best.step)
    return `kept the last weights, of ${weights}; those of step ${formatCount(best.step)} were at ${value(best.figure)}`;
  return `kept the weights of ${weights}, the last${rule === 'best' && best ? ' and best ones' : ' ones'}`;
}
