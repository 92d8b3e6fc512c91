import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/memory.js';
import type { Image, Sample, Split } from '../../src/interfaces/index.js';
import { codecFamily } from '../../src/registry.js';
import { readMetrics } from '../../src/report/metrics-file.js';
import { trainCodec } from '../../src/train/codec.js';
import { CodecTrainingSchema } from '../../src/train/config.js';
import type { LoopOptions } from '../../src/train/loop.js';
import { picture, temporaryDirectory, tinyDataset, TINY_CODEC } from '../support/tiny.js';
import { newestCheckpoint, resultOf, stoppingAt, trainWithStops } from './support.js';

const family = codecFamily('vqvae');
const config = family.parseConfig(TINY_CODEC);
const dataset = tinyDataset();
const TRAINING = {
  steps: 25,
  batchSize: 4,
  learningRate: 1e-3,
  warmupSteps: 2,
  evalEvery: 7,
  evalSamples: 4,
  checkpointEvery: 6,
  augment: { flip: true, crop: 1 },
};

interface Changes {
  training?: Record<string, unknown>;
  seed?: number;
  count?: number;
}

const trainer =
  ({ training, seed = 1, count }: Changes = {}) =>
  (options: LoopOptions) =>
    trainCodec({
      ...options,
      family,
      config,
      training: CodecTrainingSchema.parse({ ...TRAINING, ...training }),
      dataset: count === undefined ? dataset : tinyDataset(count),
      seed,
    });

const train = trainer();

describe('training a codec', () => {
  it('logs means of ten steps, evaluations between, and the whole held-out split at the end', async () => {
    const out = temporaryDirectory();
    const losses: number[] = [];
    const { metrics } = await train({ out, onStep: (_, __, { loss }) => losses.push(loss) });
    const records = readMetrics(join(out, 'metrics.jsonl'));
    expect(records.map(({ step, split, final }) => [step, split, final])).toEqual([
      [7, 'test', undefined],
      [10, undefined, undefined],
      [14, 'test', undefined],
      [20, undefined, undefined],
      [21, 'test', undefined],
      [25, undefined, undefined],
      [25, 'test', undefined],
      [25, 'test', 1],
    ]);
    const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(records.filter(({ split }) => split === undefined).map(({ loss }) => loss)).toEqual([
      mean(losses.slice(0, 10)),
      mean(losses.slice(10, 20)),
      mean(losses.slice(20)),
    ]);
    expect(records.at(-1)!.nmse).toBe(metrics!['nmse']);
  });

  it('ends with the same bytes, metrics included, wherever it was stopped and resumed', async () => {
    const [whole, stopped] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole });
    const reports = await trainWithStops(train, stopped, [1, 7, 13, 20, 24]);
    expect(reports).toEqual(
      [1, 7, 13, 20, 24].map((step) =>
        expect.objectContaining({
          code: 'E_ABORTED',
          message: expect.stringContaining(`after step ${step} of 25, which is saved`),
        }),
      ),
    );
    expect(resultOf(stopped)).toEqual(resultOf(whole));
  });

  it('ends with the same bytes when a finished run is resumed', async () => {
    const out = temporaryDirectory();
    await train({ out });
    const before = resultOf(out);
    await train({ out, resume: true });
    expect(resultOf(out)).toEqual(before);
  });

  it('goes on from an older checkpoint when the newest is damaged, with the same bytes', async () => {
    const [whole, out] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole });
    await train(stoppingAt(15, { out })).catch(() => undefined);
    const path = join(out, 'checkpoints', 'step-15', 'state.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('{', '['));
    const notes: string[] = [];
    const resumed: number[] = [];
    await train({ out, resume: true, onNote: (text) => notes.push(text), onResume: (step) => resumed.push(step) });
    expect(notes.filter((text) => text.includes('damaged'))).toEqual([
      expect.stringContaining('checkpoint of step 15 is damaged'),
    ]);
    expect(resumed).toEqual([12]);
    expect(resultOf(out)).toEqual(resultOf(whole));
  });

  it('stops on a loss that is not finite, names the batch and keeps the last checkpoint', async () => {
    const out = temporaryDirectory();
    const error = await trainer({ training: { learningRate: 1e30, warmupSteps: 0, checkpointEvery: 1 } })({
      out,
    }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      name: 'DivergedError',
      code: 'E_DIVERGED',
      exitCode: 8,
      message: expect.stringMatching(/training step 2: .* for the batch picture-\d+, .*checkpoint of step 1 is intact/),
    });
    expect(newestCheckpoint(out)).toBe(1);
    expect(existsSync(join(out, 'model.json'))).toBe(false);
    expect(existsSync(join(out, '.tesserae.lock'))).toBe(false);
  });

  it.each<[string, Changes, RegExp]>([
    ['seed', { seed: 2 }, /seed 1, not 2\. Resume/],
    ['dataset', { count: 41 }, /dataset "[0-9a-f]{64}", not "[0-9a-f]{64}"\. Resume/],
    [
      'batch, whatever the learning rate',
      { training: { learningRate: 2e-3, batchSize: 8 } },
      /training\.batchSize 4, not 8\. Resume/,
    ],
  ])('refuses to resume with another %s and leaves the run as it was', async (_, changes, difference) => {
    const out = temporaryDirectory();
    await train(stoppingAt(3, { out })).catch(() => undefined);
    await expect(trainer(changes)({ out, resume: true })).rejects.toMatchObject({
      code: 'E_RESUME_MISMATCH',
      exitCode: 2,
      message: expect.stringMatching(difference),
    });
    expect(newestCheckpoint(out)).toBe(3);
  });

  it('goes on with more steps and another rate, from the middle or from the end, and says so', async () => {
    for (const [first, from] of [
      [3, 3],
      [undefined, 25],
    ] as const) {
      const out = temporaryDirectory();
      await train(first === undefined ? { out } : stoppingAt(first, { out })).catch(() => undefined);
      const notes: string[] = [];
      const longer = trainer({ training: { steps: 30, learningRate: 5e-4 } });
      const card = await longer({ out, resume: true, onNote: (text) => notes.push(text) });
      const [said] = notes.filter((text) => text.startsWith('resumed with another schedule (before: '));
      for (const part of [
        'training.learningRate 0.001, not 0.0005',
        'training.steps 25, not 30',
        `step ${from + 1} on`,
      ])
        expect(said).toContain(part);
      expect(newestCheckpoint(out)).toBe(30);
      expect(card.training).toMatchObject({ training: { steps: 30, learningRate: 5e-4 } });
      expect(readMetrics(join(out, 'metrics.jsonl')).filter(({ final }) => final !== undefined)).toHaveLength(1);
    }
  });

  it('refuses fewer steps than are done', async () => {
    const out = temporaryDirectory();
    await train(stoppingAt(10, { out })).catch(() => undefined);
    await expect(trainer({ training: { steps: 5 } })({ out, resume: true })).rejects.toThrow(
      /E_RESUME_MISMATCH .*expected at least the 10 steps that are done, received 5\. Use --finish/,
    );
  });

  it('finishes early with the model of the last checkpoint, and can still be resumed with the same bytes', async () => {
    const [whole, out] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole });
    await train(stoppingAt(10, { out })).catch(() => undefined);
    const notes: string[] = [];
    const card = await train({ out, resume: true, finish: true, onNote: (text) => notes.push(text) });
    expect(notes).toContain('finished after step 10 of 25, as --finish asks');
    expect(card.training).toMatchObject({ stoppedAt: 10, kept: { step: 7 } });
    expect(card.metrics).toMatchObject({ nmse: expect.any(Number) });
    await train({ out, resume: true });
    expect(resultOf(out)).toEqual(resultOf(whole));
  });

  it('has nothing to finish without a checkpoint', async () => {
    for (const resume of [true, false])
      await expect(train({ out: temporaryDirectory(), resume, finish: true })).rejects.toThrow(/^E_FINISH --finish /);
  });

  it('refuses a folder that holds another run, unless forced', async () => {
    const out = temporaryDirectory();
    await train(stoppingAt(3, { out })).catch(() => undefined);
    await expect(train({ out })).rejects.toMatchObject({ code: 'E_OUTPUT_EXISTS', exitCode: 2 });
    await train(stoppingAt(2, { out, force: true })).catch(() => undefined);
    expect(newestCheckpoint(out)).toBe(2);
  });
});

describe('what a codec keeps and warns of', () => {
  const trainOn = async (
    samples: Sample[],
    changes: Record<string, unknown> = {},
    quantizer: Record<string, unknown> = TINY_CODEC.quantizer,
  ) => {
    const [out, notes]: [string, string[]] = [temporaryDirectory(), []];
    const training = CodecTrainingSchema.parse({ ...TRAINING, ...changes });
    const card = await trainCodec({
      out,
      family,
      config: family.parseConfig({ ...TINY_CODEC, quantizer }),
      training,
      dataset: memoryDataset(samples),
      seed: 1,
      onNote: (text) => notes.push(text),
    });
    return { out, notes, card };
  };
  const samples = (count: number, image: (i: number) => Image, split?: (i: number) => Split): Sample[] =>
    Array.from({ length: count }, (_, i) => ({
      key: `picture-${i}`,
      media: image(i),
      captions: [],
      split: split?.(i),
    }));

  it('keeps the weights with the lowest held-out NMSE, and the last ones with an adversary', async () => {
    const { out, card } = await trainOn(
      samples(40, (i) => picture(i)),
      { learningRate: 3e-2, warmupSteps: 0, finalFraction: 1 },
    );
    const evaluations = readMetrics(join(out, 'metrics.jsonl')).flatMap(({ split, final, step, nmse }) =>
      split === 'test' && final === undefined ? [{ step, nmse: nmse as number }] : [],
    );
    const best = evaluations.reduce((a, b) => (b.nmse < a.nmse ? b : a));
    expect(card.training).toMatchObject({
      kept: { rule: 'best', step: best.step, measure: 'nmse', figure: best.nmse },
    });
    const contested = await trainOn(
      samples(40, (i) => picture(i)),
      { steps: 8, adversarial: { channels: 8, layers: 1 } },
    );
    expect(contested.card.training).toMatchObject({ training: { keep: 'last' }, kept: { rule: 'last', step: 8 } });
  });

  it('judges a vae by its bound', async () => {
    const vae = codecFamily('vae');
    const out = temporaryDirectory();
    const { quantizer: _, ...networks } = TINY_CODEC;
    const tiny = vae.parseConfig({ ...networks, latent: { kind: 'vector', size: 4 } });
    const card = await trainCodec({
      out,
      family: vae,
      config: tiny,
      training: CodecTrainingSchema.parse({ ...TRAINING, steps: 8 }),
      dataset,
      seed: 1,
    });
    const bounds = readMetrics(join(out, 'metrics.jsonl')).flatMap(({ split, final, bitsPerDim }) =>
      split === 'test' && final === undefined ? [bitsPerDim as number] : [],
    );
    expect(bounds).toHaveLength(2);
    expect(card.training!['kept']).toMatchObject({ measure: 'bitsPerDim', figure: Math.min(...bounds) });
  });

  it('warns of a collapsed codebook with the map, its codes and the remedy, and not of one in use', async () => {
    const flat = { ...picture(0), pixels: new Uint8Array(64).fill(90) };
    const split = (i: number): Split => (i % 3 === 0 ? 'test' : 'train');
    const { notes, card } = await trainOn(
      samples(60, () => flat, split),
      { evalSamples: 20 },
      { codebookSize: 256, codeDim: 4 },
    );
    // The grid of 4x4 latents of a flat image differs at its borders alone.
    const warning = expect.stringMatching(
      /^collapsed codebook "codes": only \d of 256 codes occur in the held-out codes\. Remedy: a smaller codebookSize/,
    );
    expect(notes.filter((text) => text.includes('collapsed'))).toHaveLength(1);
    expect(card.training!['warnings']).toContainEqual(warning);
    const lively = await trainOn(samples(60, (i) => picture(i), split));
    expect(lively.notes.filter((text) => text.includes('collapsed'))).toEqual([]);
  });

  it('trains without held-out images, measures nothing and says so', async () => {
    const { out, notes, card } = await trainOn(
      samples(
        30,
        (i) => picture(i),
        () => 'train',
      ),
      { steps: 8 },
    );
    expect(notes).toContainEqual(expect.stringMatching(/^warning: no held-out samples/));
    expect(card.metrics).toBeUndefined();
    expect(card.training).toMatchObject({ kept: { rule: 'last', step: 8, figure: null } });
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('No held-out samples');
  });
});
