import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeSet } from '../../../fixtures/shapes.js';
import {
  adviseCodec,
  advisePrior,
  AbortedError,
  memoryDataset,
  tokenize,
  trainCodec,
  trainPrior,
} from '../../../src/index.js';
import type { Dataset, TrainCodecOptions } from '../../../src/index.js';
import { adviceLines, recordIn, recordOf } from '../../../src/sdk/advice/advice.js';
import { durationText } from '../../../src/report/format.js';
import { codecError, priorError } from '../../../src/sdk/advice/laws.js';
import { trainingSeconds } from '../../../src/sdk/advice/time.js';

let data: Dataset;
let out: string;
const at = (name: string): string => join(out, name);

beforeAll(() => {
  const { train } = shapeSet({ count: 60, seed: 1 });
  data = memoryDataset(
    train.map(({ image, caption }, i) => ({
      key: `shape-${i}`,
      media: image,
      captions: [caption],
      split: i < 50 ? 'train' : 'test',
    })),
  );
  out = mkdtempSync(join(tmpdir(), 'tesserae-advice-'));
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

const short = (name: string, options: Partial<TrainCodecOptions> = {}): TrainCodecOptions => ({
  data,
  out: at(name),
  steps: 6,
  batchSize: 4,
  ...options,
});

describe('advice for a codec', () => {
  it('is a preset for the data, with reasons, time and error', async () => {
    const options = { data, steps: 40, batchSize: 8 };
    const [advice, again] = [await adviseCodec(options), await adviseCodec(options)];
    expect(advice.settings).toMatchObject({
      codec: 'vqvae',
      config: { height: 32, width: 32, channels: 3 },
      training: { steps: 40 },
    });
    expect(again.settings).toEqual(advice.settings);
    expect(advice.reasons.join('; ')).toMatch(
      /^50 training images, color, 32x32 pixels, .*; 40 steps of 8 images, as asked for$/,
    );
    expect(advice.warnings).toEqual([expect.stringContaining('50 training images are few')]);
    expect(advice.seconds).toBeGreaterThan(0);
    expect(advice.error.name).toBe('nmse');
    expect(advice.error.value).toBeGreaterThan(0);
    expect(advice.error.value).toBeLessThanOrEqual(1);
    const minutes = await adviseCodec({ data, batchSize: 8, minutes: 0.02 });
    expect((minutes.settings.training as { steps: number }).steps).toBeLessThan(500);
  }, 180_000);

  it('is used by a training without settings, and recorded', async () => {
    const notes: string[] = [];
    const card = await trainCodec(short('codec', { onNote: (text) => notes.push(text) }));
    expect(notes).toContainEqual(
      expect.stringMatching(/^settings: 50 training images, color, .*; 6 steps of 4 images, as asked for$/),
    );
    expect(notes).toContainEqual(
      expect.stringMatching(/^expect: about \d+ seconds? on this machine, and a held-out NMSE of about [\d.]+\./),
    );
    expect(notes).toContainEqual(expect.stringMatching(/^warning: 50 training images are few/));
    expect(card.training).toMatchObject({
      training: { steps: 6, batchSize: 4 },
      advice: {
        settings: { codec: 'vqvae', training: { steps: 6 } },
        error: { name: 'nmse' },
        reasons: expect.any(Array),
      },
    });
  }, 180_000);

  it('stays that of the run when it is resumed', async () => {
    const stop = new AbortController();
    const options = short('stopped');
    await expect(
      trainCodec({ ...options, signal: stop.signal, onStep: (step) => void (step === 3 && stop.abort()) }),
    ).rejects.toThrow(AbortedError);
    const notes: string[] = [];
    const card = await trainCodec({ ...options, resume: true, onNote: (text) => notes.push(text) });
    expect(notes.filter((note) => /^(settings|expect):/.test(note))).toEqual([]);
    const whole = JSON.parse(readFileSync(join(at('codec'), 'model.json'), 'utf8')) as typeof card;
    expect(card.fingerprint).toBe(whole.fingerprint);
    expect(recordIn(card.training)).toMatchObject({ settings: { training: { steps: 6 } } });
    // The record is kept when the run is extended.
    const more = await trainCodec({ ...options, resume: true, steps: 8 });
    expect(more.training).toMatchObject({ training: { steps: 8 }, advice: card.training!['advice'] });
  }, 180_000);

  it('is not given where settings are named', async () => {
    const notes: string[] = [];
    const card = await trainCodec(short('named', { preset: 'shapes', onNote: (text) => notes.push(text) }));
    expect(card.training).not.toHaveProperty('advice');
    expect(notes.filter((note) => /^(settings|expect):/.test(note))).toEqual([]);
  });

  it('writes nothing', async () => {
    const files = [at('never')];
    await adviseCodec({ data, steps: 2, batchSize: 2 });
    expect(files.filter((file) => existsSync(file))).toEqual([]);
    await expect(adviseCodec({ data, steps: 0 })).rejects.toThrow(/^E_OPTIONS adviseCodec: steps/);
    await expect(adviseCodec({ data: at('nowhere') })).rejects.toThrow(/^E_NOT_FOUND/);
  });
});

describe('advice for a prior', () => {
  it('is given for tokens, used without settings, and recorded', async () => {
    await tokenize({ data, codec: at('codec'), out: at('tokens'), workers: 0 });
    const advice = await advisePrior({ tokens: at('tokens'), steps: 5, batchSize: 4 });
    expect(advice.settings).toMatchObject({
      prior: 'gpt',
      config: { nLayer: 2 },
      training: { steps: 5, batchSize: 4 },
    });
    expect(advice.reasons[0]).toMatch(
      /^50 training samples of 8x8 = 64 codes, from a vocabulary of 256, together 3,200 codes/,
    );
    expect(advice.error.name).toBe('natsPerCode');
    // A guess without any knowledge has the logarithm of the vocabulary.
    expect(advice.error.value).toBeLessThan(1.2 * Math.log(256));
    const notes: string[] = [];
    const options = {
      tokens: at('tokens'),
      out: at('prior'),
      steps: 5,
      batchSize: 4,
      onNote: (text: string) => void notes.push(text),
    };
    const card = await trainPrior(options);
    expect(notes).toContainEqual(expect.stringMatching(/^expect: .* nats per code\./));
    expect(card.training).toMatchObject({ config: { nLayer: 2 }, advice: { settings: { training: { steps: 5 } } } });
    const again = await trainPrior({ ...options, resume: true });
    expect(again.fingerprint).toBe(card.fingerprint);
    expect(again.training).toEqual(card.training);
  }, 180_000);
});

describe('what advice says', () => {
  const advice = {
    settings: { codec: 'vqvae' },
    reasons: ['a', 'b'],
    warnings: ['few.'],
    seconds: 400.4,
    error: { name: 'nmse' as const, value: 0.04567 },
  };

  it('is two lines and the warnings', () => {
    expect(adviceLines(advice)).toEqual([
      'settings: a; b',
      'expect: about 7 minutes on this machine, and a held-out NMSE of about 0.046. --preset or --config uses other settings, --minutes another time',
      'warning: few.',
    ]);
  });

  it('names times as people do', () => {
    expect([0.2, 45, 100, 5000, 20_000].map(durationText)).toEqual([
      'about 1 second',
      'about 45 seconds',
      'about 2 minutes',
      'about 83 minutes',
      'about 5.6 hours',
    ]);
  });

  it('is recorded as plain data, and refused in another form', () => {
    const record = recordOf(advice);
    expect(record).toEqual({
      settings: advice.settings,
      reasons: ['a', 'b'],
      seconds: 400,
      error: { name: 'nmse', value: 0.0457 },
    });
    expect(recordIn({ advice: JSON.parse(JSON.stringify(record)) as unknown })).toEqual(record);
    expect(recordIn({ advice: { reasons: [] } })).toBeUndefined();
    expect(recordIn(undefined)).toBeUndefined();
  });
});

describe('the laws', () => {
  it('expect less error of more steps and of easier data', () => {
    const error = (alone: number, steps: number): number =>
      codecError({ alone, together: 0.7 }, { steps, learningRate: 1e-3 }, 'color');
    expect(error(0.08, 4000)).toBeLessThan(error(0.08, 500));
    expect(error(0.04, 500)).toBeLessThan(error(0.08, 500));
    expect(error(1, 1)).toBe(1);
    const nats = (counted: number, steps: number): number =>
      priorError(counted, { steps, vocabSize: 256, learningRate: 2e-3 });
    expect(nats(3, 2000)).toBeLessThan(nats(3, 200));
    expect(nats(2, 500)).toBeLessThan(nats(3, 500));
  });

  it('sum up the time of steps, evaluations and reading', () => {
    const work = {
      pace: { step: 0.1, evaluation: 2 },
      evaluated: 100,
      steps: 1000,
      evalEvery: 500,
      evalSamples: 200,
      heldOut: 1000,
      reading: 7,
    };
    // 100 s of steps, twice 4 s and once 20 s of evaluations.
    expect(
      trainingSeconds(work) - trainingSeconds({ ...work, steps: 0, heldOut: 0, reading: 0, evaluated: 0 }),
    ).toBeCloseTo(135);
  });
});
