import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainCodec, trainPrior } from '../../src/index.js';
import { stepsIn } from '../../src/sdk/minutes.js';
import { temporaryDirectory } from '../support/tiny.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.remove());

const never = (): never => {
  throw new Error('measured');
};

describe('minutes of training', () => {
  it('are as many steps as fit, with the evaluations between them', async () => {
    const notes: string[] = [];
    const plan = {
      out: 'nowhere',
      evalEvery: 100,
      measure: async () => ({ step: 0.1, evaluation: 2 }),
      onNote: (text: string) => notes.push(text),
    };
    expect(await stepsIn({ ...plan, minutes: 10 })).toBe(5000);
    expect(notes).toEqual([
      '--minutes 10: 5,000 steps, because a step takes 0.1 s on this machine and an evaluation 2 s',
    ]);
    expect(await stepsIn({ ...plan, minutes: 1e-6 })).toBe(1);
  });

  it('do not change the steps of a run that is resumed', async () => {
    const plan = { out: world.at('codec'), evalEvery: 1, measure: never, minutes: 99 };
    expect(await stepsIn({ ...plan, resume: true })).toBe(6);
    await expect(stepsIn({ ...plan, resume: false })).rejects.toThrow('measured');
  });

  it.each([0, -1, Number.NaN, Infinity, '5'])('are refused where they are %s', async (minutes) => {
    const plan = { out: 'nowhere', evalEvery: 1, measure: never, minutes: minutes as number };
    await expect(stepsIn(plan)).rejects.toThrow(`E_OPTIONS minutes: expected a number above 0, received ${minutes}.`);
  });

  it('train a codec and a prior', async () => {
    const out = temporaryDirectory();
    const notes: string[] = [];
    const common = { minutes: 0.005, onNote: (text: string) => void notes.push(text) };
    const codec = { data: world.dataset, out: join(out, 'codec'), config: world.at('codec.json'), ...common };
    const card = await trainCodec(codec);
    const { steps } = (card.training as { training: { steps: number } }).training;
    expect(steps).toBeGreaterThan(3);
    expect(notes).toContainEqual(expect.stringMatching(/^--minutes 0\.005: [\d,]+ steps, because/));
    expect(await trainCodec({ ...codec, resume: true })).toMatchObject({ fingerprint: card.fingerprint });
    const prior = { tokens: world.at('tokens'), out: join(out, 'prior'), config: world.at('prior.json'), ...common };
    expect((await trainPrior(prior)).training).toMatchObject({ training: { steps: expect.any(Number) } });
    await expect(trainPrior({ ...prior, out: join(out, 'other'), steps: 5 })).rejects.toThrow(
      'E_OPTIONS steps and minutes: expected one of them, received both.',
    );
  });
});
