// A hundred calls of one loaded model at once: each has the result that it has alone, nothing leaks, and the event loop lives.
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tf } from '../../src/engine/index.js';
import { generate, loadPrior } from '../../src/index.js';
import type { LoadedCodec, LoadedPrior, Media, Tokens } from '../../src/index.js';
import { picture } from '../support/tiny.js';

const PROMPTS = ['a small red circle above a large blue square', 'a large green triangle', null];
/** Number of different calls; a hundred repeat them. */
const DIFFERENT = 10;
const HUNDRED = Array.from({ length: 100 }, (_, i) => i);
/** The longest time in milliseconds for which a call of a small model may block the event loop. */
const MOST_BLOCKED = 200;

let prior: LoadedPrior;
let codec: LoadedCodec;

beforeAll(async () => {
  prior = await loadPrior(join(import.meta.dirname, '../../fixtures/models/shapes'));
  codec = await prior.carriedCodec();
});

afterAll(() => prior.dispose());

const draw = async (i: number): Promise<{ media: Media[]; tokens: Tokens[] }> => {
  const seed = i % DIFFERENT;
  const cfg = seed === 0 ? 2 : 1;
  const { media, tokens } = await generate({
    prior,
    prompts: [PROMPTS[seed % PROMPTS.length]!],
    sampling: { seed, cfg },
  });
  return { media, tokens };
};

/** Runs the calls one after another, then a hundred at once, and compares. */
async function expectSame<T>(call: (i: number) => Promise<T>): Promise<void> {
  const alone: T[] = [];
  for (let i = 0; i < DIFFERENT; i++) alone.push(await call(i));
  expect(new Set(alone.map((one) => JSON.stringify(one))).size).toBeGreaterThan(DIFFERENT / 2);
  const tensors = tf.memory().numTensors;
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const together = await Promise.all(HUNDRED.map(call));
  delay.disable();
  together.forEach((one, i) => expect(one).toEqual(alone[i % DIFFERENT]));
  expect(tf.memory().numTensors).toBe(tensors);
  expect(delay.max / 1e6).toBeLessThan(MOST_BLOCKED);
}

it('generates', () => expectSame(draw), 180_000);

it('encodes', () => expectSame((i) => codec.encode(picture(i % DIFFERENT, 32, 3))));

it('decodes', async () => {
  const tokens = await codec.encode(Array.from({ length: DIFFERENT }, (_, i) => picture(i, 32, 3)));
  await expectSame((i) => codec.decode(tokens[i % DIFFERENT]!));
});

it('stops the calls that are asked to, and none of the others', async () => {
  const stopped = new AbortController();
  const calls = HUNDRED.slice(0, 10).map((i) =>
    generate({
      prior,
      prompts: [PROMPTS[0]!],
      sampling: { seed: 1 },
      ...(i % 2 === 0 && { signal: stopped.signal, onProgress: () => stopped.abort() }),
    }),
  );
  const results = await Promise.allSettled(calls);
  results.forEach((result, i) => {
    if (i % 2 === 0) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'E_ABORTED' } });
    else expect(result).toMatchObject({ status: 'fulfilled' });
  });
});
