// The loop that codecs and priors share: steps, measurements, evaluations, checkpoints, resuming, stopping.
import { join } from 'node:path';
import { CheckpointStore } from '../checkpoint/store.js';
import type { CheckpointContent } from '../checkpoint/store.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { hostValues } from '../engine/index.js';
import type { tf } from '../engine/index.js';
import { AbortedError, CorruptError, DivergedError, UsageError } from '../errors.js';
import { canonicalJson } from '../files.js';
import { openOutput } from '../output.js';
import { appendMetrics, truncateMetrics } from '../report/metrics-file.js';

/** The value of a scalar a compiled step returned. */
export const scalar = (tensor: tf.Tensor): number => hostValues(tensor)[0]!;

/** What one step measured; `loss` decides whether training goes on. */
export type Measured = { loss: number; [name: string]: number };

/** A run as the loop sees it. */
export interface Trainee {
  /** Everything that, if it changed, would make a resumed run another run. Compared on resume. */
  identity: Record<string, unknown>;
  /** Called once before the first step of a new run. */
  begin(): Promise<void>;
  /** Computes step `step`, counted from 1. `describe` says what was in its batch, for error messages. */
  step(step: number): Promise<{ measured: Measured; describe: () => string }>;
  /** Measures on held-out samples; on all of them when `final`. */
  evaluate(final: boolean): Promise<Record<string, number>>;
  /** Weights and optimizer state, and extra values that resuming needs. */
  content(): Pick<CheckpointContent, 'model' | 'optimizer'> & { state?: Record<string, unknown> };
  restore(model: NamedTensors, optimizer: NamedTensors, state: Record<string, unknown>): void;
}

export interface LoopSettings {
  steps: number;
  evalEvery: number;
  checkpointEvery: number;
}

/** Told of everything worth showing. */
export interface LoopEvents {
  onStep?: (step: number, steps: number, measured: Measured) => void;
  onEvaluation?: (step: number, metrics: Record<string, number>) => void;
  onResume?: (step: number) => void;
  onNote?: (text: string) => void;
}

export interface LoopOptions extends LoopEvents {
  /** The run's directory: metrics, checkpoints, and in the end the model. */
  out: string;
  resume?: boolean;
  force?: boolean;
  /** Finishes the step, saves and throws {@link AbortedError}. */
  signal?: AbortSignal;
}

/** Files a run owns in its directory; `force` removes them. */
const RUN_FILES = ['checkpoints', 'metrics.jsonl', 'model.json', 'model.safetensors', 'tokenizer.json', 'report.html', 'samples.png', 'reconstructions.png'];

/** Steps averaged into one line of metrics.jsonl. */
const LOG_EVERY = 10;

/**
 * Trains to the last step. A run that was stopped at any moment and resumed ends with the bytes of one that was not.
 *
 * @returns the metrics of the final evaluation; `finish` runs under the directory's lock.
 * @throws {DivergedError} E_DIVERGED before anything that is not finite reaches the disk.
 * @throws {AbortedError} E_ABORTED after saving, when the signal fires. @throws {UsageError} E_OUTPUT_EXISTS, E_RESUME_MISMATCH.
 */
export async function runLoop<T>(trainee: Trainee, settings: LoopSettings, options: LoopOptions, finish: (metrics: Record<string, number>) => Promise<T>): Promise<T> {
  const lock = openOutput(options.out, { resume: options.resume, force: options.force, owned: RUN_FILES });
  try {
    const store = new CheckpointStore(join(options.out, 'checkpoints'));
    await train(trainee, settings, options, store, await startOf(trainee, store, options));
    const metrics = await trainee.evaluate(true);
    appendMetrics(join(options.out, 'metrics.jsonl'), { step: settings.steps, split: 'test', final: 1, ...metrics });
    return await finish(metrics);
  } finally {
    lock.release();
  }
}

/** Where training goes on. */
interface Start {
  /** Steps done. */
  step: number;
  /** Measured since the last line of metrics.jsonl. */
  recent: Averages;
}

/** Restores the newest checkpoint, or begins. */
async function startOf(trainee: Trainee, store: CheckpointStore, options: LoopOptions): Promise<Start> {
  const metrics = join(options.out, 'metrics.jsonl');
  const latest = options.resume ? store.latest((step, error) => options.onNote?.(`checkpoint of step ${step} is damaged and was passed over: ${error.message}`)) : undefined;
  if (!latest) {
    truncateMetrics(metrics, -1);
    await trainee.begin();
    return { step: 0, recent: new Averages() };
  }
  const { identity, recent, ...state } = latest.state;
  refuseOtherRun(latest.path, identity as Record<string, unknown>, trainee.identity);
  trainee.restore(latest.model, latest.optimizer, state);
  truncateMetrics(metrics, latest.step);
  options.onResume?.(latest.step);
  return { step: latest.step, recent: new Averages(recent as Sums) };
}

/** Names what differs between the run on disk and the run asked for. */
function refuseOtherRun(path: string, before: Record<string, unknown> | undefined, now: Record<string, unknown>): void {
  if (!before) throw new CorruptError('E_CHECKPOINT', `${path}: expected the run's identity in state.json, found none.`);
  const differences = differencesOf(before, now, '');
  if (differences.length === 0) return;
  throw new UsageError('E_RESUME_MISMATCH', `--resume ${path}: the run was started with ${differences.slice(0, 4).join('; ')}. Resume with the same settings, or start a new run with --force.`);
}

function differencesOf(before: unknown, now: unknown, path: string): string[] {
  if (canonicalJson(before ?? null) === canonicalJson(now ?? null)) return [];
  const nested = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!nested(before) || !nested(now)) return [`${path} ${JSON.stringify(before)}, not ${JSON.stringify(now)}`];
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((name) => differencesOf(before[name], now[name], path ? `${path}.${name}` : name));
}

async function train(trainee: Trainee, settings: LoopSettings, options: LoopOptions, store: CheckpointStore, { step: start, recent }: Start): Promise<void> {
  const file = join(options.out, 'metrics.jsonl');
  let saved = start;
  const save = (step: number): void => {
    const { model, optimizer, state } = trainee.content();
    store.save(step, { model, optimizer, state: { ...state, identity: trainee.identity, recent: recent.state } });
    saved = step;
  };
  for (let step = start + 1; step <= settings.steps; step++) {
    const { measured, describe } = await trainee.step(step);
    const broken = Object.entries(measured).find(([, value]) => !Number.isFinite(value));
    if (broken) {
      const last = saved > 0 ? `The checkpoint of step ${saved} is intact: resume from it with a lower learning rate in a new run.` : 'Lower the learning rate.';
      throw new DivergedError('E_DIVERGED', `training step ${step}: expected a finite ${broken[0]}, received ${broken[1]} for the batch ${describe()}. ${last}`);
    }
    options.onStep?.(step, settings.steps, measured);
    recent.add(measured);
    if (step % LOG_EVERY === 0 || step === settings.steps) appendMetrics(file, { step, ...recent.take() });
    if (step % settings.evalEvery === 0 && step < settings.steps) {
      const metrics = await trainee.evaluate(false);
      appendMetrics(file, { step, split: 'test', ...metrics });
      options.onEvaluation?.(step, metrics);
    }
    if (step % settings.checkpointEvery === 0 || step === settings.steps) save(step);
    if (options.signal?.aborted && step < settings.steps) {
      if (saved < step) save(step);
      throw new AbortedError('E_ABORTED', `training: stopped after step ${step} of ${settings.steps}, which is saved. Continue with --resume.`);
    }
  }
}

interface Sums {
  count: number;
  /** In the order of the names in metrics.jsonl. */
  sums: [name: string, sum: number][];
}

/** Means of measurements since the last look. */
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
