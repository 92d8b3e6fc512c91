// Judges the evaluations of a run: which weights are the best, whether training still improves them, and whether the model
// overfits. Checkpoints contain all of it as plain data, so that a resumed run judges like an uninterrupted one.
import { formatCount, formatNumber } from '../report/format.js';

/** The held-out figure that decides which weights are better. Lower is better. */
export interface Figure {
  /** Its name among the metrics of an evaluation, e.g. `natsPerCode`. */
  name: string;
  /** Its unit, as messages write it: `nats per code`. */
  unit: string;
  /** The corresponding training measurement. A model counts as overfitting if this falls while the held-out figure rises. */
  training: string;
}

/** Which weights a run keeps: those with the best held-out figure, or the last ones. */
export type KeepRule = 'best' | 'last';

/** Which weights a model has, as in its card. */
export interface Kept {
  rule: KeepRule;
  /** The training step of the weights. */
  step: number;
  /** Name of the figure that decided. */
  measure: string;
  /** Its value on the samples of a periodic evaluation; null without held-out samples. */
  figure: number | null;
}

/** A problem with its remedy. `kind` identifies it over the run, e.g. `collapse codes`. */
export interface Alert {
  kind: string;
  text: string;
}

/**
 * How much worse than its best the held-out figure must be, as a fraction of the best, before a run counts as overfitting. The
 * same samples are measured each time, so the figures differ by less than this between evaluations of equally good weights.
 */
const OVERFITTING_MARGIN = 0.02;

/** Number of consecutive evaluations that must show an alert before it is reported, because figures change a lot in the first steps. */
const CONFIRMATIONS = 2;

interface Judged {
  step: number;
  /** null if it was not finite. */
  figure: number | null;
  /** Mean of the training measurement since the previous evaluation. */
  training: number | null;
}

/** The state as JSON in checkpoints. */
export interface WatchState {
  best?: Judged;
  last?: Judged;
  /** Number of evaluations since the best one. */
  misses: number;
  /** The training measurement since the last evaluation. */
  sum: number;
  count: number;
  /** For each kind of alert, the number of consecutive evaluations that showed it; -1 once it is reported. */
  alerts: Record<string, number>;
}

/** Judges the evaluations of one run. */
export class Watch {
  constructor(
    readonly figure: Figure,
    private readonly patience: number,
    readonly state: WatchState = { misses: 0, sum: 0, count: 0, alerts: {} },
  ) {}

  /** Adds the measurement of a training step. */
  add(measured: Readonly<Record<string, number>>): void {
    this.state.sum += measured[this.figure.training] ?? Number.NaN;
    this.state.count++;
  }

  /** Adds the metrics of an evaluation. @returns whether its weights are the best so far; of equal weights, the earlier ones are. */
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

  /** Whether none of the last `patience` evaluations was better than those before. */
  get isExhausted(): boolean {
    return this.patience > 0 && this.state.misses >= this.patience;
  }

  /** Whether the model overfits, according to the latest evaluation. */
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

  /** "overfits since step 1,500: held out 4.91 -> 5.63 nats per code, training 3.30". */
  get overfittingText(): string {
    const { best, last } = this.state as { best: Judged; last: Judged };
    return `overfits since step ${formatCount(best.step)}: held out ${formatNumber(best.figure!)} -> ${formatNumber(last.figure!)} ${this.figure.unit}, training ${formatNumber(last.training!)}`;
  }

  /**
   * The alerts to report after an evaluation: each once, when two consecutive evaluations showed it, or immediately if `final`.
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

/** "kept the weights of step 1,500 (held out 4.91 nats per code); the last ones, of step 4,000, are at 5.63". */
export function keptText({ rule, step, figure }: Kept, { figure: { unit }, state: { best, last } }: Watch): string {
  const value = (one: number | null): string => (one === null ? 'not finite' : formatNumber(one));
  const weights = `step ${formatCount(step)} (held out ${value(figure)} ${unit})`;
  if (last && step !== last.step)
    return `kept the weights of ${weights}; the last ones, of step ${formatCount(last.step)}, are at ${value(last.figure)}`;
  if (best && step !== best.step)
    return `kept the last weights, of ${weights}; those of step ${formatCount(best.step)} were at ${value(best.figure)}`;
  return `kept the weights of ${weights}, the last${rule === 'best' && best ? ' and best ones' : ' ones'}`;
}
