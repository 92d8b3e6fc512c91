// Which weights a run keeps, when it stops and what it warns of: a scripted trainee, whose only weight is the number of its steps.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CheckpointStore } from '../../src/checkpoint/store.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { readMetrics } from '../../src/report/metrics-file.js';
import { runLoop } from '../../src/train/loop.js';
import type { LoopOptions, LoopSettings, Outcome, Trainee } from '../../src/train/loop.js';
import type { Alert } from '../../src/train/watch.js';
import { temporaryDirectory } from '../support/tiny.js';
import { stoppingAt } from './support.js';

interface Script {
  /** The held-out figure after each evaluation, in order; the last one stays. */
  heldOut: (number | undefined)[];
  /** The training figure of a step. Default falls. */
  training?: (step: number) => number;
  alerts?: (evaluation: number) => Alert[];
  /** Throws in the middle of this step, as a kill would end it. */
  crashAt?: number;
  samples?: number;
  settings?: Partial<LoopSettings>;
}

const EVERY = 2;
const SETTINGS: LoopSettings = { steps: 20, evalEvery: EVERY, checkpointEvery: 3, keep: 'best', patience: 0 };

class Scripted implements Trainee {
  identity = { script: 'one' };
  figure = { name: 'error', unit: 'units', training: 'error' };
  heldOut: number;
  concerns: string[] = [];
  remedy = 'more of it';
  private step_ = 0;

  constructor(private readonly script: Script) {
    this.heldOut = script.samples ?? 10;
  }

  async begin(): Promise<void> {}

  dispose(): void {}

  async step(step: number) {
    if (step === this.script.crashAt) throw new Error('killed');
    this.step_ = step;
    const error = this.script.training?.(step) ?? 1 / step;
    return { measured: { loss: error, error }, describe: () => 'nothing' };
  }

  private get evaluation(): number {
    return Math.floor(this.step_ / EVERY);
  }

  async evaluate(): Promise<Record<string, number>> {
    const { heldOut } = this.script;
    return { error: heldOut[Math.min(this.evaluation, heldOut.length) - 1] ?? Number.NaN };
  }

  alerts(): Alert[] {
    return this.script.alerts?.(this.evaluation) ?? [];
  }

  weights(): NamedTensors {
    return { w: { dtype: 'float32', shape: [1], data: Float32Array.of(this.step_) } };
  }

  adopt({ w }: NamedTensors): void {
    this.step_ = Number(w!.data[0]);
  }

  content() {
    return {
      model: this.weights(),
      optimizer: { m: { dtype: 'float32' as const, shape: [1], data: Float32Array.of(-this.step_) } },
    };
  }

  restore(model: NamedTensors): void {
    this.adopt(model);
  }
}

interface Result extends Outcome {
  /** The step whose weights the trainee held at the end. */
  held: number;
}

async function run(
  script: Script,
  options: Partial<LoopOptions> = {},
): Promise<{ result: Result; out: string; notes: string[]; steps: number[] }> {
  const trainee = new Scripted(script);
  const out = options.out ?? temporaryDirectory();
  const [notes, steps]: [string[], number[]] = [[], []];
  const settings = { ...SETTINGS, ...script.settings };
  const onStep = options.onStep;
  const result = await runLoop(
    trainee,
    settings,
    {
      ...options,
      out,
      onNote: (text) => notes.push(text),
      onStep: (step, ...rest) => (steps.push(step), onStep?.(step, ...rest)),
    },
    async (outcome) => ({ ...outcome, held: Number(trainee.weights()['w']!.data[0]) }),
  );
  return { result, out, notes, steps };
}

const FALLS_AND_RISES = [5, 4, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5];

describe('the weights that are kept', () => {
  it('are those of the best evaluation, are measured at the end, and the outcome says so', async () => {
    const { result, out, notes } = await run({ heldOut: FALLS_AND_RISES });
    expect(result).toMatchObject({
      held: 6,
      kept: { rule: 'best', step: 6, measure: 'error', figure: 3 },
      metrics: { error: 3 },
    });
    expect(readMetrics(join(out, 'metrics.jsonl')).at(-1)).toEqual({ step: 6, split: 'test', final: 1, error: 3 });
    expect(notes).toContain('kept the weights of step 6 (held out 3 units); the last ones, of step 20, are at 6.5');
  });

  it('are the last ones when these are the best, or when asked for', async () => {
    const best = await run({ heldOut: [10, 9, 8, 7, 6, 5, 4, 3, 2, 1] });
    expect(best.result).toMatchObject({ held: 20, kept: { rule: 'best', step: 20, figure: 1 } });
    expect(best.notes).toContain('kept the weights of step 20 (held out 1 units), the last and best ones');
    const last = await run({ heldOut: FALLS_AND_RISES, settings: { keep: 'last' } });
    expect(last.result).toMatchObject({ held: 20, kept: { rule: 'last', step: 20, figure: 6.5 } });
    expect(last.notes).toContain('kept the last weights, of step 20 (held out 6.5 units); those of step 6 were at 3');
  });

  it('are the earlier ones of equals, and never ones whose figure is not finite', async () => {
    expect((await run({ heldOut: [3, 3, 3] })).result.kept.step).toBe(2);
    expect((await run({ heldOut: [undefined, 4, undefined] })).result.kept).toMatchObject({ step: 4, figure: 4 });
    expect((await run({ heldOut: [undefined] })).result.kept).toMatchObject({ step: 20, figure: null });
  });

  it('are compared with the last step too, wherever the evaluations fall', async () => {
    const { result } = await run({ heldOut: [5, 4, 3, 2, 1], settings: { steps: 11, evalEvery: 4 } });
    expect(result.kept).toMatchObject({ step: 11, figure: 1 });
  });

  it('are the last ones without held-out samples, where nothing is measured and patience does not end training', async () => {
    const { result, steps } = await run({ heldOut: [], samples: 0, settings: { patience: 1 } });
    expect(result).toEqual({
      held: 20,
      kept: { rule: 'last', step: 20, measure: 'error', figure: null },
      warnings: [],
    });
    expect(steps).toHaveLength(20);
  });
});

describe('a run that is killed', () => {
  const script: Script = { heldOut: FALLS_AND_RISES };
  const bytes = (out: string): string[] =>
    [
      'metrics.jsonl',
      'checkpoints/step-20/state.json',
      'checkpoints/step-20/best.safetensors',
      'checkpoints/step-20/model.safetensors',
    ].map((name) => readFileSync(join(out, name), 'latin1'));

  it('keeps the same weights and leaves the same bytes after a resume, wherever it was killed', async () => {
    const whole = await run(script);
    for (const crashAt of [1, 4, 6, 7, 10, 20]) {
      const out = temporaryDirectory();
      await expect(run({ ...script, crashAt }, { out })).rejects.toThrow('killed');
      const resumed = await run(script, { out, resume: true });
      expect(resumed.result).toEqual(whole.result);
      expect(bytes(out)).toEqual(bytes(whole.out));
    }
  });

  it('does so when it was stopped on request between evaluations', async () => {
    const whole = await run(script);
    const out = temporaryDirectory();
    for (const step of [5, 7, 13])
      await expect(run(script, stoppingAt(step, { out, resume: step > 5 }))).rejects.toMatchObject({
        code: 'E_ABORTED',
      });
    const resumed = await run(script, { out, resume: true });
    expect(resumed.result).toEqual(whole.result);
    expect(bytes(out)).toEqual(bytes(whole.out));
  });

  it('does so when the newest checkpoint is damaged, too: each holds the best weights itself', async () => {
    const whole = await run(script);
    const out = temporaryDirectory();
    await expect(run({ ...script, crashAt: 17 }, { out })).rejects.toThrow('killed');
    rmSync(join(out, 'checkpoints', 'step-15', 'best.safetensors'));
    const resumed = await run(script, { out, resume: true });
    expect(resumed.notes[0]).toMatch(/step 15 is damaged/);
    expect(resumed.steps[0]).toBe(13);
    expect(resumed.result).toEqual(whole.result);
  });

  it('stores the best weights beside later ones only', async () => {
    const { out } = await run({ heldOut: [5, 4, 3, 2, 1, 0.9, 0.8, 0.7, 0.6, 0.5] });
    const { extras, state } = new CheckpointStore(join(out, 'checkpoints')).latest()!;
    expect(state['watch']).toMatchObject({ best: { step: 20, figure: 0.5 } });
    expect(extras).toEqual({});
  });
});

describe('patience', () => {
  const script: Script = { heldOut: FALLS_AND_RISES, settings: { patience: 3 } };

  it('ends a run after so many evaluations without a better figure, saves it, and says so', async () => {
    const { result, out, notes, steps } = await run(script);
    expect(steps.at(-1)).toBe(12);
    expect(result).toMatchObject({ stoppedAt: 12, held: 6, kept: { step: 6, figure: 3 } });
    expect(notes).toContain(
      'stopped after step 12 of 20: the held-out figure has not improved for 3 evaluations (--patience)',
    );
    expect(new CheckpointStore(join(out, 'checkpoints')).latest()!.step).toBe(12);
    expect(
      readMetrics(join(out, 'metrics.jsonl'))
        .filter(({ split }) => split === undefined)
        .map(({ step }) => step),
    ).toEqual([10, 12]);
  });

  it('starts anew with each better figure, and 0 never ends a run', async () => {
    const steps = [5, 6, 6, 4, 5, 5, 3, 4, 4, 2];
    expect((await run({ heldOut: steps, settings: { patience: 3 } })).result.stoppedAt).toBeUndefined();
    expect((await run({ heldOut: FALLS_AND_RISES })).result.stoppedAt).toBeUndefined();
  });

  it('ends a resumed run at the same step; resuming an ended run trains no further and ends the same', async () => {
    const whole = await run(script);
    const out = temporaryDirectory();
    await expect(run({ ...script, crashAt: 11 }, { out })).rejects.toThrow('killed');
    expect((await run(script, { out, resume: true })).result).toEqual(whole.result);
    const metrics = readFileSync(join(out, 'metrics.jsonl'), 'utf8');
    const again = await run(script, { out, resume: true });
    expect(again.steps).toEqual([]);
    expect(again.result).toEqual(whole.result);
    expect(readFileSync(join(out, 'metrics.jsonl'), 'utf8')).toBe(metrics);
    expect(metrics).toBe(readFileSync(join(whole.out, 'metrics.jsonl'), 'utf8'));
  });
});

describe('warnings', () => {
  const warningsOf = (notes: string[]): string[] => notes.filter((text) => text.startsWith('warning: '));

  it('tell of overfitting once it is confirmed, with the remedy, and again at the end with the last figures', async () => {
    const { notes, result } = await run({ heldOut: FALLS_AND_RISES });
    const [first, last, ...others] = warningsOf(notes);
    expect(others).toEqual([]);
    expect(first).toBe(
      'warning: overfits since step 6: held out 3 -> 4 units, training 0.1056. The best weights are kept. Remedy: more of it.',
    );
    expect(last).toBe('warning: overfits since step 6: held out 3 -> 6.5 units, training 0.05132. Remedy: more of it.');
    expect(result.warnings).toEqual([last!.slice('warning: '.length)]);
  });

  it.each<[string, Script]>([
    ['the held-out figure falls', { heldOut: [5, 4, 3, 2, 1] }],
    ['it is worse than its best by less than two percent', { heldOut: [5, 4, 3, 3.05] }],
    [
      'the training figure rises as well, as when a run diverges',
      { heldOut: FALLS_AND_RISES, training: (step) => step },
    ],
  ])('do not tell of overfitting when %s', async (_, script) => {
    const { notes, result } = await run(script);
    expect(warningsOf(notes)).toEqual([]);
    expect(result.warnings).toEqual([]);
  });

  it('tell of an alert at two evaluations in a row, once; the outcome has those of the end', async () => {
    const alert = { kind: 'collapse', text: 'it collapses' };
    const at = (...evaluations: number[]): Script => ({
      heldOut: [5, 4, 3, 2, 1, 0.9, 0.8, 0.7, 0.6, 0.5],
      alerts: (now) => (evaluations.includes(now) ? [alert] : []),
    });
    expect(warningsOf((await run(at(1, 3, 5))).notes)).toEqual([]);
    const recovered = await run(at(1, 2, 3, 6, 7));
    expect(warningsOf(recovered.notes)).toEqual(['warning: it collapses']);
    expect(recovered.result.warnings).toEqual([]);
    const final = await run(at(10));
    expect(warningsOf(final.notes)).toEqual(['warning: it collapses']);
    expect(final.result.warnings).toEqual(['it collapses']);
  });
});
