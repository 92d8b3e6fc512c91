// The training loop of codecs and priors: steps, measurements, evaluations, checkpoints, resuming and stopping.
import { join } from 'node:path';
import { decodeSafetensors, encodeSafetensors } from '../checkpoint/safetensors.js';
import { CheckpointStore } from '../checkpoint/store.js';
import type { Checkpoint, CheckpointContent } from '../checkpoint/store.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { hostValues } from '../engine/index.js';
import type { tf } from '../engine/index.js';
import { AbortedError, CorruptError, DivergedError, UsageError } from '../errors.js';
import { differences, differencesText } from '../json.js';
import { openOutput } from '../output.js';
import { formatCount } from '../report/format.js';
import { appendMetrics, truncateMetrics } from '../report/metrics-file.js';
import { RUN_RECORD, RunClock } from './clock.js';
import type { RunRecord } from './clock.js';
import { keptText, Watch } from './watch.js';
import type { Alert, Figure, KeepRule, Kept, WatchState } from './watch.js';

/** The value of a scalar that a compiled step returned. */
export const scalar = (tensor: tf.Tensor): number => hostValues(tensor)[0]!;

/** The measurements of one step. Training stops if `loss` is not finite. */
export type Measured = { loss: number; [name: string]: number };

/** A trained model that a run starts with, instead of random weights. */
export interface StartingPoint {
  fingerprint: string;
  tensors: NamedTensors;
}

/** A model in training, as the loop sees it. */
export interface Trainee {
  /** The settings and data that a resumed run must share with the run on disk. */
  identity: Record<string, unknown>;
  /** The held-out figure that decides which weights are the best. */
  figure: Figure;
  /** Number of held-out samples. Without any, nothing is evaluated and the last weights are kept. */
  heldOut: number;
  /** Concerns about the data, each with its remedy. */
  concerns: readonly string[];
  /** Remedies against overfitting, as a list: `more samples, dropout`. */
  remedy: string;
  /** Called once before the first step of a new run. */
  begin(): Promise<void>;
  /** Computes step `step`, counted from 1. `describe` says what was in its batch, for error messages. */
  step(step: number): Promise<{ measured: Measured; describe: () => string }>;
  /** Measures {@link weights} on held-out samples; on all of them if `final`. */
  evaluate(final: boolean): Promise<Record<string, number>>;
  /** Problems that the latest evaluation shows. */
  alerts(): Alert[];
  /** A copy of the weights that would be kept now: the averaged ones if there are any. */
  weights(): NamedTensors;
  /** Restores what {@link weights} returned, for the last evaluation and the model. No step follows. */
  adopt(weights: NamedTensors): void;
  /** Weights, optimizer state, and other values that resuming needs. */
  content(): Pick<CheckpointContent, 'model' | 'optimizer'> & { state?: Record<string, unknown> };
  restore(model: NamedTensors, optimizer: NamedTensors, state: Record<string, unknown>): void;
  dispose(): void;
}

export interface LoopSettings {
  steps: number;
  evalEvery: number;
  checkpointEvery: number;
  /** Which weights become the model. */
  keep: KeepRule;
  /** Evaluations without a better figure after which training stops; 0 never stops. */
  patience: number;
}

/** How a run ended. */
export interface Outcome {
  /** Metrics of the kept weights over the whole held-out split; undefined without held-out samples. */
  metrics?: Record<string, number>;
  kept: Kept;
  /** The step after which `patience` or `finish` ended the run. */
  stoppedAt?: number;
  /** Problems of the result, each with its remedy. */
  warnings: string[];
}

/** What a card's `training` contains about the end of its run. */
export const outcomeOf = ({ kept, stoppedAt, warnings }: Outcome): Record<string, unknown> => ({
  kept,
  ...(stoppedAt === undefined ? {} : { stoppedAt }),
  ...(warnings.length > 0 ? { warnings } : {}),
});

/** Callbacks for what can be shown during training. */
export interface LoopEvents {
  onStep?: (step: number, steps: number, measured: Measured) => void;
  onEvaluation?: (step: number, metrics: Record<string, number>) => void;
  onResume?: (step: number) => void;
  /** Warnings begin with `warning: `. */
  onNote?: (text: string) => void;
}

export interface LoopOptions extends LoopEvents {
  /** The run's directory: metrics, checkpoints, and in the end the model. */
  out: string;
  resume?: boolean;
  /** Makes the model of the newest checkpoint, without further steps. It goes with `resume`. */
  finish?: boolean;
  force?: boolean;
  /** When it fires, the run finishes its step, saves, and throws {@link AbortedError}. */
  signal?: AbortSignal;
}

/** Files that a run owns in its directory. `force` removes them. */
const RUN_FILES = [
  'checkpoints',
  'metrics.jsonl',
  RUN_RECORD,
  'model.json',
  'model.safetensors',
  'tokenizer.json',
  'words.json',
  'report.html',
  'samples.png',
  'samples.svg',
  'reconstructions.png',
  'reconstructions.svg',
];

/** Number of steps that are averaged into one line of metrics.jsonl. */
const LOG_EVERY = 10;

/** File with the best weights, next to those of a later checkpoint. */
const BEST = 'best.safetensors';

/**
 * Trains to the last step, or until `patience` ends the run. A run that was stopped at any moment and resumed gives the same
 * bytes as an uninterrupted run.
 *
 * @returns the result of `finish`, which runs under the directory's lock when the trainee has the kept weights. The record of the
 *   run's times is for people, and does not become part of the model.
 * @throws {DivergedError} E_DIVERGED before anything that is not finite reaches the disk.
 * @throws {AbortedError} E_ABORTED after saving, when the signal fires. @throws {UsageError} E_OUTPUT_EXISTS, E_RESUME_MISMATCH.
 */
export async function runLoop<T>(
  trainee: Trainee,
  settings: LoopSettings,
  options: LoopOptions,
  finish: (outcome: Outcome, record: RunRecord) => Promise<T>,
): Promise<T> {
  if (options.finish && !options.resume) throw nothingToFinish(options.out, 'no --resume');
  const lock = openOutput(options.out, { resume: options.resume, force: options.force, owned: RUN_FILES });
  try {
    const store = new CheckpointStore(join(options.out, 'checkpoints'));
    const run = await startOf(trainee, settings, store, options);
    const clock = new RunClock(options.out, run.step > 0);
    const before = run.step;
    for (const concern of trainee.concerns) options.onNote?.(`warning: ${concern}`);
    if (options.finish && run.step === 0) throw nothingToFinish(options.out, 'no checkpoint');
    if (!options.finish) await train(trainee, settings, options, store, clock, run);
    const outcome = await conclude(trainee, settings, options, run);
    return await finish(outcome, clock.finish(run.step > before));
  } finally {
    lock.release();
  }
}

const nothingToFinish = (out: string, found: string): UsageError =>
  new UsageError(
    'E_FINISH',
    `--finish ${out}: expected --resume and a run with a checkpoint, found ${found}. Resume the run with --finish.`,
  );

/** Seconds that a step takes, and an evaluation between steps. */
export interface Pace {
  step: number;
  evaluation: number;
}

/** Number of steps before the clock starts: the first ones compile graphs and fill caches. */
const WARM_STEPS = 4;

/** Measures a trainee of its own for a few seconds, and disposes it. Nothing is written. */
export async function paceOf(trainee: Trainee): Promise<Pace> {
  try {
    return await measuredPace(trainee);
  } finally {
    trainee.dispose();
  }
}

async function measuredPace(trainee: Trainee): Promise<Pace> {
  await trainee.begin();
  for (let step = 1; step <= WARM_STEPS; step++) await trainee.step(step);
  const start = performance.now();
  const seconds = (since: number): number => (performance.now() - since) / 1000;
  let steps = 0;
  while (steps < 30 && (steps < 3 || seconds(start) < 5)) await trainee.step(WARM_STEPS + ++steps);
  const step = seconds(start) / steps;
  if (trainee.heldOut === 0) return { step, evaluation: 0 };
  await trainee.evaluate(false);
  const again = performance.now();
  await trainee.evaluate(false);
  return { step, evaluation: seconds(again) };
}

/** The progress of a run. */
interface Run {
  /** Number of steps done. */
  step: number;
  /** Measured since the last line of metrics.jsonl. */
  recent: Averages;
  watch: Watch;
  /** The weights of the best evaluation, if they are to be kept. */
  best?: NamedTensors;
}

/** Restores the newest checkpoint, or begins a new run. */
async function startOf(
  trainee: Trainee,
  settings: LoopSettings,
  store: CheckpointStore,
  options: LoopOptions,
): Promise<Run> {
  const metrics = join(options.out, 'metrics.jsonl');
  const latest = options.resume
    ? store.latest((step, error) =>
        options.onNote?.(`checkpoint of step ${step} is damaged and was passed over: ${error.message}`),
      )
    : undefined;
  if (!latest) {
    truncateMetrics(metrics, -1);
    await trainee.begin();
    return { step: 0, recent: new Averages(), watch: new Watch(trainee.figure, settings.patience) };
  }
  const { identity, recent, watch: judged, ...state } = latest.state;
  refuseOtherRun(latest, identity as Identity | undefined, trainee.identity, settings, options);
  trainee.restore(latest.model, latest.optimizer, state);
  truncateMetrics(metrics, latest.step);
  options.onResume?.(latest.step);
  const watch = new Watch(trainee.figure, settings.patience, judged as WatchState);
  return {
    step: latest.step,
    recent: new Averages(recent as Sums),
    watch,
    best: bestOf(trainee, settings, latest, watch),
  };
}

/** The best weights of a checkpoint: its own, or those in the file next to them. @throws {CorruptError} E_CHECKPOINT when they are missing. */
function bestOf(
  trainee: Trainee,
  { keep }: LoopSettings,
  { step, path, extras }: Checkpoint,
  { state }: Watch,
): NamedTensors | undefined {
  if (keep !== 'best' || state.best === undefined) return undefined;
  if (state.best.step === step) return trainee.weights();
  if (!extras[BEST])
    throw new CorruptError(
      'E_CHECKPOINT',
      `${path}: expected the weights of step ${state.best.step} in ${BEST}, found none.`,
    );
  return decodeSafetensors(extras[BEST], join(path, BEST)).tensors;
}

type Identity = Record<string, unknown>;

/** Settings of training that a resumed run may change: it goes on along the schedule that they give. */
const CHANGEABLE = ['training.steps', 'training.learningRate', 'training.evalEvery'];

/** Names what differs between the run on disk and the requested run, and says how a changed schedule goes on. */
function refuseOtherRun(
  { path, step }: Checkpoint,
  before: Identity | undefined,
  now: Identity,
  { steps }: LoopSettings,
  { onNote, finish }: LoopOptions,
): void {
  if (!before)
    throw new CorruptError('E_CHECKPOINT', `${path}: expected the run's identity in state.json, found none.`);
  const different = differences(before, now).filter(({ path: field }) => !/^advice\b/.test(field));
  const others = different.filter(({ path: field }) => !CHANGEABLE.includes(field));
  if (others.length > 0)
    throw new UsageError(
      'E_RESUME_MISMATCH',
      `--resume ${path}: the run was started with ${differencesText(others)}. Resume with the same settings, or start a new run with --force.`,
    );
  if (different.length === 0 || finish) return;
  if (steps < step)
    throw new UsageError(
      'E_RESUME_MISMATCH',
      `--resume ${path}: expected at least the ${step} steps that are done, received ${steps}. Use --finish for the model of this checkpoint.`,
    );
  onNote?.(
    `resumed with another schedule (before: ${differencesText(different)}): from step ${step + 1} on, the learning rate is that of the new one`,
  );
}

async function train(
  trainee: Trainee,
  settings: LoopSettings,
  options: LoopOptions,
  store: CheckpointStore,
  clock: RunClock,
  run: Run,
): Promise<void> {
  const { watch, recent } = run;
  const file = join(options.out, 'metrics.jsonl');
  let saved = run.step;
  const log = (step: number): void => {
    if (!recent.isEmpty) appendMetrics(file, { step, ...recent.take() });
  };
  const save = (step: number): void => {
    const { model, optimizer, state } = trainee.content();
    const extras = run.best && watch.state.best!.step !== step ? { [BEST]: encodeSafetensors(run.best) } : undefined;
    store.save(step, {
      model,
      optimizer,
      state: { ...state, identity: trainee.identity, recent: recent.state, watch: watch.state },
      extras,
    });
    clock.save();
    saved = step;
  };
  while (run.step < settings.steps && !watch.isExhausted) {
    const step = run.step + 1;
    const { measured, describe } = await trainee.step(step);
    refuseDiverged(step, measured, describe, saved);
    options.onStep?.(step, settings.steps, measured);
    recent.add(measured);
    watch.add(measured);
    const isLast = step === settings.steps;
    if (step % LOG_EVERY === 0 || isLast) log(step);
    if (trainee.heldOut > 0 && (step % settings.evalEvery === 0 || isLast))
      await evaluate(trainee, settings, options, run, step);
    run.step = step;
    const isDone = isLast || watch.isExhausted;
    if (isDone) log(step);
    if (step % settings.checkpointEvery === 0 || isDone) save(step);
    if (options.signal?.aborted && !isDone) {
      if (saved < step) save(step);
      throw new AbortedError(
        'E_ABORTED',
        `training: stopped after step ${step} of ${settings.steps}, which is saved. Continue with --resume.`,
      );
    }
  }
}

function refuseDiverged(step: number, measured: Measured, describe: () => string, saved: number): void {
  const broken = Object.entries(measured).find(([, value]) => !Number.isFinite(value));
  if (!broken) return;
  const last =
    saved > 0
      ? `The checkpoint of step ${saved} is intact: resume from it with a lower learning rate in a new run.`
      : 'Lower the learning rate.';
  throw new DivergedError(
    'E_DIVERGED',
    `training step ${step}: expected a finite ${broken[0]}, received ${broken[1]} for the batch ${describe()}. ${last}`,
  );
}

/** Evaluates, remembers the weights if they are the best, and reports problems. */
async function evaluate(
  trainee: Trainee,
  { keep, steps }: LoopSettings,
  options: LoopOptions,
  run: Run,
  step: number,
): Promise<void> {
  const { watch } = run;
  const metrics = await trainee.evaluate(false);
  appendMetrics(join(options.out, 'metrics.jsonl'), { step, split: 'test', ...metrics });
  options.onEvaluation?.(step, metrics);
  const isBest = watch.judge(step, metrics);
  if (isBest && keep === 'best') run.best = trainee.weights();
  // At the end `conclude` says so, with the last figures.
  const isEnd = step === steps || watch.isExhausted;
  const overfitting: Alert[] =
    watch.overfits && !isEnd
      ? [
          {
            kind: 'overfitting',
            text: `${watch.overfittingText}. ${keep === 'best' ? 'The best weights are kept' : 'The last weights are kept (keep: last)'}. Remedy: ${trainee.remedy}.`,
          },
        ]
      : [];
  for (const { text } of watch.news([...trainee.alerts(), ...overfitting], false)) options.onNote?.(`warning: ${text}`);
}

/** Gives the trainee the weights to keep, measures them over the whole held-out split, and reports which they are. */
async function conclude(
  trainee: Trainee,
  settings: LoopSettings,
  options: LoopOptions,
  { step, watch, best }: Run,
): Promise<Outcome> {
  const note = (text: string): void => options.onNote?.(text);
  const stoppedAt = step < settings.steps ? step : undefined;
  if (stoppedAt !== undefined && options.finish)
    note(`finished after step ${formatCount(step)} of ${formatCount(settings.steps)}, as --finish asks`);
  else if (stoppedAt !== undefined)
    note(
      `stopped after step ${formatCount(step)} of ${formatCount(settings.steps)}: the held-out figure has not improved for ${settings.patience} evaluations (--patience)`,
    );
  const chosen = (best && watch.state.best) ?? watch.state.last;
  const kept: Kept = {
    rule: trainee.heldOut === 0 ? 'last' : settings.keep,
    step: chosen?.step ?? step,
    measure: watch.figure.name,
    figure: chosen?.figure ?? null,
  };
  if (trainee.heldOut === 0) return { kept, warnings: [...trainee.concerns] };
  if (best) trainee.adopt(best);
  const metrics = await trainee.evaluate(true);
  appendMetrics(join(options.out, 'metrics.jsonl'), { step: kept.step, split: 'test', final: 1, ...metrics });
  const alerts = trainee.alerts();
  for (const { text } of watch.news(alerts, true)) note(`warning: ${text}`);
  const overfitting = watch.overfits ? [`${watch.overfittingText}. Remedy: ${trainee.remedy}.`] : [];
  note(keptText(kept, watch));
  for (const text of overfitting) note(`warning: ${text}`);
  return {
    metrics,
    kept,
    stoppedAt,
    warnings: [...trainee.concerns, ...overfitting, ...alerts.map(({ text }) => text)],
  };
}

interface Sums {
  count: number;
  /** In the order of the names in metrics.jsonl. */
  sums: [name: string, sum: number][];
}

/** Means of the measurements since the last line. */
class Averages {
  private sums: Map<string, number>;
  private count: number;

  constructor({ count, sums }: Sums = { count: 0, sums: [] }) {
    this.sums = new Map(sums);
    this.count = count;
  }

  /** JSON that the constructor takes back. */
  get state(): Sums {
    return { count: this.count, sums: [...this.sums] };
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  add(measured: Measured): void {
    for (const [name, value] of Object.entries(measured)) this.sums.set(name, (this.sums.get(name) ?? 0) + value);
    this.count++;
  }

  take(): Record<string, number> {
    const means = Object.fromEntries([...this.sums].map(([name, sum]) => [name, sum / this.count]));
    this.sums = new Map();
    this.count = 0;
    return means;
  }
}
