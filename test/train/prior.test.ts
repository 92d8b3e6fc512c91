import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../src/checkpoint/model.js';
import type { ModelCard } from '../../src/checkpoint/card.js';
import { disposeParams, importParams } from '../../src/model/params.js';
import { priorFamily } from '../../src/registry.js';
import { readMetrics } from '../../src/report/metrics-file.js';
import type { ShardReader } from '../../src/shards/reader.js';
import { ConditionSource } from '../../src/train/conditions.js';
import { PriorTrainingSchema } from '../../src/train/config.js';
import { Stages } from '../../src/prior/stages.js';
import { evaluatePrior } from '../../src/train/evaluate-prior.js';
import type { LoopOptions } from '../../src/train/loop.js';
import { trainPrior } from '../../src/train/prior.js';
import { CLASSES, temporaryDirectory, TINY_PRIOR } from '../support/tiny.js';
import { many, openTokens as openMade, TOKEN_MAP } from './tokens.js';
import type { MadeSample } from './tokens.js';
import { newestCheckpoint, resultOf, stoppingAt, trainWithStops } from './support.js';

const family = priorFamily('gpt');
const config = family.parseConfig({ ...TINY_PRIOR, codes: TOKEN_MAP, conditioning: 'label', classes: CLASSES });
const TRAINING = {
  steps: 23,
  batchSize: 4,
  warmupSteps: 2,
  evalEvery: 8,
  evalSamples: 4,
  checkpointEvery: 9,
  averageDecay: 0.9,
};

async function openTokens(count = 30): Promise<ShardReader> {
  const reader = await openMade(
    many(count, (i) => ({ label: i % 2 })),
    { classes: CLASSES },
  );
  onTestFinished(() => reader.close());
  return reader;
}

interface Changes {
  training?: Record<string, unknown>;
  seed?: number;
  config?: typeof config;
}

const trainer =
  (tokens: ShardReader, { training, seed = 1, config: own = config }: Changes = {}) =>
  (options: LoopOptions) =>
    trainPrior({
      ...options,
      family,
      config: own,
      training: PriorTrainingSchema.parse({ ...TRAINING, ...training }),
      tokens,
      seed,
    });

describe('training a prior', () => {
  it.each([0, 0.9])(
    'ends with the same bytes, metrics included, wherever it was stopped and resumed; weights averaged by %d',
    async (averageDecay) => {
      const [whole, stopped] = [temporaryDirectory(), temporaryDirectory()];
      const train = trainer(await openTokens(), { training: { averageDecay } });
      await train({ out: whole });
      const reports = await trainWithStops(train, stopped, [1, 8, 11, 19]);
      expect(reports).toEqual(
        [1, 8, 11, 19].map((step) =>
          expect.objectContaining({
            code: 'E_ABORTED',
            message: expect.stringContaining(`after step ${step} of 23, which is saved`),
          }),
        ),
      );
      expect(resultOf(stopped)).toEqual(resultOf(whole));
    },
  );

  it('gives other weights to another seed', async () => {
    const [one, two] = [temporaryDirectory(), temporaryDirectory()];
    const tokens = await openTokens();
    await trainer(tokens)({ out: one });
    await trainer(tokens, { seed: 2 })({ out: two });
    expect(resultOf(one)['model.safetensors']).not.toBe(resultOf(two)['model.safetensors']);
  });

  it('stops on a loss that is not finite, names the batch and keeps the last checkpoint', async () => {
    const out = temporaryDirectory();
    const training = { learningRate: 1e30, warmupSteps: 0, checkpointEvery: 1, averageDecay: 0 };
    const error = await trainer(await openTokens(), { training })({ out }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'DivergedError',
      code: 'E_DIVERGED',
      exitCode: 8,
      message: expect.stringMatching(/training step 2: .* for the batch sample-\d+, .*checkpoint of step 1 is intact/),
    });
    expect(newestCheckpoint(out)).toBe(1);
    expect(existsSync(join(out, 'model.json'))).toBe(false);
  });

  it('refuses to resume with another seed or other tokens, and names the difference', async () => {
    const out = temporaryDirectory();
    const tokens = await openTokens();
    await trainer(tokens)(stoppingAt(5, { out })).catch(() => undefined);
    const refusal = (difference: RegExp) => ({
      code: 'E_RESUME_MISMATCH',
      exitCode: 2,
      message: expect.stringMatching(difference),
    });
    await expect(trainer(tokens, { seed: 2 })({ out, resume: true })).rejects.toMatchObject(
      refusal(/seed 1, not 2\. Resume/),
    );
    await expect(trainer(await openTokens(31))({ out, resume: true })).rejects.toMatchObject(
      refusal(/tokens "[0-9a-f]{64}", not "[0-9a-f]{64}"\. Resume/),
    );
    expect(newestCheckpoint(out)).toBe(5);
  });
});

describe('a prior that overfits', () => {
  // Codes that nothing predicts: whatever is learned of the training samples is wrong for others.
  const map = { name: 'codes', grid: [2, 4], levels: 1, vocabSize: 32 };
  const overfitting = family.parseConfig({ ...TINY_PRIOR, nEmbd: 32, codes: map });
  const OVERFITTING = {
    steps: 40,
    batchSize: 16,
    learningRate: 1e-2,
    evalEvery: 4,
    evalSamples: 64,
    checkpointEvery: 9,
    averageDecay: 0,
  };
  const tokensOf = async (): Promise<ShardReader> => {
    const reader = await openMade(many(80), { map });
    onTestFinished(() => reader.close());
    return reader;
  };
  const natsOf = (out: string) =>
    readMetrics(join(out, 'metrics.jsonl')).flatMap(({ split, final, step, natsPerCode }) =>
      split === 'test' && final === undefined ? [{ step, nats: natsPerCode as number }] : [],
    );

  it.each([0, 0.8])(
    'keeps the weights with the best held-out figure, which the card, the report and the screen name; weights averaged by %d',
    async (averageDecay) => {
      const tokens = await tokensOf();
      const [out, notes]: [string, string[]] = [temporaryDirectory(), []];
      const card = await trainer(tokens, { config: overfitting, training: { ...OVERFITTING, averageDecay } })({
        out,
        onNote: (text) => notes.push(text),
      });
      const evaluations = natsOf(out);
      const best = evaluations.reduce((a, b) => (b.nats < a.nats ? b : a));
      const last = evaluations.at(-1)!;
      expect(best.step).toBeLessThan(last.step);
      expect(card.training).toMatchObject({
        kept: { rule: 'best', step: best.step, measure: 'natsPerCode', figure: best.nats },
        warnings: [
          expect.stringContaining('only 60 training samples'),
          expect.stringMatching(
            /^overfits since step \d+: held out .* nats per code, training .*\. Remedy: more samples, "tokenize --variants/,
          ),
        ],
      });
      // All of the held-out split is in each evaluation here, so the kept weights measure the same again.
      expect(card.metrics!['natsPerCode']).toBe(best.nats);
      const stored = loadModel(out);
      const stages = Stages.of(family, overfitting);
      const params = importParams('prior', stages.params, stored.tensors);
      const condition = new ConditionSource(family.condition(overfitting));
      const { natsPerCode } = await evaluatePrior({ stages, params, condition }, tokens, 'test');
      disposeParams(params);
      expect(natsPerCode).toBe(best.nats);
      expect(notes.at(-2)).toMatch(
        new RegExp(
          `^kept the weights of step ${best.step} \\(held out [\\d.]+ nats per code\\); the last ones, of step 40, are at [\\d.]+$`,
        ),
      );
      expect(notes.at(-1)).toMatch(/^warning: overfits since step/);
      const report = readFileSync(join(out, 'report.html'), 'utf8');
      expect(report).toContain('>kept</text>');
      expect(report).toContain('Overfits since step');
    },
  );

  it('ends with the same bytes when it is killed between evaluation and checkpoint, and elsewhere', async () => {
    const train = trainer(await tokensOf(), { config: overfitting, training: OVERFITTING });
    const [whole, killed] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole });
    let at = 0;
    for (const step of [7, 21, 37]) {
      const kill = (now: number): void => {
        if (now === step) throw new Error('killed');
      };
      await expect(train({ out: killed, resume: at > 0, onStep: kill })).rejects.toThrow('killed');
      at = step;
    }
    await train({ out: killed, resume: true });
    expect(resultOf(killed)).toEqual(resultOf(whole));
  });

  it('keeps the last weights when asked, and stops on patience when asked', async () => {
    const tokens = await tokensOf();
    const last = await trainer(tokens, { config: overfitting, training: { ...OVERFITTING, keep: 'last' } })({
      out: temporaryDirectory(),
    });
    expect(last.training).toMatchObject({ kept: { rule: 'last', step: 40 } });
    const patient = await trainer(tokens, { config: overfitting, training: { ...OVERFITTING, patience: 2 } })({
      out: temporaryDirectory(),
    });
    const { kept, stoppedAt } = patient.training as { kept: { step: number }; stoppedAt: number };
    expect(stoppedAt).toBe(kept.step + 2 * OVERFITTING.evalEvery);
    expect(stoppedAt).toBeLessThan(40);
  });
});

describe('the samples of a prior', () => {
  const notesOf = async (samples: MadeSample[]): Promise<{ notes: string[]; card: ModelCard }> => {
    const tokens = await openMade(samples, { classes: CLASSES });
    onTestFinished(() => tokens.close());
    const notes: string[] = [];
    const card = await trainer(tokens, { training: { steps: 2, checkpointEvery: 2 } })({
      out: temporaryDirectory(),
      onNote: (text) => notes.push(text),
    });
    return { notes: notes.filter((text) => text.startsWith('warning')), card };
  };

  it('are said to be too few below 200 in training and 20 held out', async () => {
    const { notes, card } = await notesOf(many(76, (i) => ({ label: i % 2 })));
    expect(notes).toEqual([
      expect.stringMatching(/only 57 training samples: .* Remedy: at least 200/),
      expect.stringMatching(/only 19 held-out samples: .*unreliable.* Remedy: at least 20/),
    ]);
    expect(card.training!['warnings']).toEqual(notes.map((text) => text.slice('warning: '.length)));
    expect((await notesOf(many(268, (i) => ({ label: i % 2 })))).notes).toEqual([]);
  });

  it('may all be for training: the last weights are kept, nothing is measured, and the run says so', async () => {
    const { notes, card } = await notesOf(many(200, (i) => ({ label: i % 2, split: 'train' })));
    expect(notes).toEqual([expect.stringContaining('no held-out samples')]);
    expect(card.metrics).toBeUndefined();
    expect(card.training).toMatchObject({ kept: { rule: 'last', step: 2, figure: null } });
  });
});
