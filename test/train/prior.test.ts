import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { priorFamily } from '../../src/registry.js';
import type { ShardReader } from '../../src/shards/reader.js';
import { PriorTrainingSchema } from '../../src/train/config.js';
import type { LoopOptions } from '../../src/train/loop.js';
import { trainPrior } from '../../src/train/prior.js';
import { CLASSES, temporaryDirectory, TINY_PRIOR } from '../support/tiny.js';
import { many, openTokens as openMade, TOKEN_MAP } from './tokens.js';
import { newestCheckpoint, resultOf, stoppingAt, trainWithStops } from './support.js';

const family = priorFamily('gpt');
const config = family.parseConfig({ ...TINY_PRIOR, codes: TOKEN_MAP, conditioning: 'label', classes: CLASSES });
const TRAINING = { steps: 23, batchSize: 4, warmupSteps: 2, evalEvery: 8, evalSamples: 4, checkpointEvery: 9, averageDecay: 0.9 };

async function openTokens(count = 30): Promise<ShardReader> {
  const reader = await openMade(many(count, (i) => ({ label: i % 2 })), { classes: CLASSES });
  onTestFinished(() => reader.close());
  return reader;
}

interface Changes {
  training?: Record<string, unknown>;
  seed?: number;
}

const trainer =
  (tokens: ShardReader, { training, seed = 1 }: Changes = {}) =>
  (options: LoopOptions) =>
    trainPrior({ ...options, family, config, training: PriorTrainingSchema.parse({ ...TRAINING, ...training }), tokens, seed });

describe('training a prior', () => {
  it.each([0, 0.9])('ends with the same bytes, metrics included, wherever it was stopped and resumed; weights averaged by %d', async (averageDecay) => {
    const [whole, stopped] = [temporaryDirectory(), temporaryDirectory()];
    const train = trainer(await openTokens(), { training: { averageDecay } });
    await train({ out: whole });
    const reports = await trainWithStops(train, stopped, [1, 8, 11, 19]);
    expect(reports).toEqual([1, 8, 11, 19].map((step) => expect.objectContaining({ code: 'E_ABORTED', message: expect.stringContaining(`after step ${step} of 23, which is saved`) })));
    expect(resultOf(stopped)).toEqual(resultOf(whole));
  });

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
    expect(error).toMatchObject({ name: 'DivergedError', code: 'E_DIVERGED', exitCode: 8, message: expect.stringMatching(/training step 2: .* for the batch sample-\d+, .*checkpoint of step 1 is intact/) });
    expect(newestCheckpoint(out)).toBe(1);
    expect(existsSync(join(out, 'model.json'))).toBe(false);
  });

  it('refuses to resume with another seed, number of steps or other tokens, and names the difference', async () => {
    const out = temporaryDirectory();
    const tokens = await openTokens();
    await trainer(tokens)(stoppingAt(5, { out })).catch(() => undefined);
    const refusal = (difference: RegExp) => ({ code: 'E_RESUME_MISMATCH', exitCode: 2, message: expect.stringMatching(difference) });
    await expect(trainer(tokens, { seed: 2 })({ out, resume: true })).rejects.toMatchObject(refusal(/seed 1, not 2\. Resume/));
    await expect(trainer(tokens, { training: { steps: 24 } })({ out, resume: true })).rejects.toMatchObject(refusal(/training\.steps 23, not 24\. Resume/));
    await expect(trainer(await openTokens(31))({ out, resume: true })).rejects.toMatchObject(refusal(/tokens "[0-9a-f]{64}", not "[0-9a-f]{64}"\. Resume/));
    expect(newestCheckpoint(out)).toBe(5);
  });
});
