// Prompts of words that the prior has never seen.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadPrior } from '../../src/index.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

const models = join(import.meta.dirname, '../../fixtures/models/shapes');
let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.remove());

it('are drawn with a note that names the words', async () => {
  const prior = await loadPrior(world.at('prior'));
  const notes: string[] = [];
  await prior.generate(['a crimson circle', 'a red circle'], { onNote: (note) => notes.push(note) });
  prior.dispose();
  expect(notes).toHaveLength(1);
  expect(notes[0]).toMatch(
    /^prompt "a crimson circle": no training caption has crimson, so the prior does not know what it means\. Use words it knows, such as a, /,
  );
});

it('are refused by these words where they are too long, and not repeated at length', async () => {
  const prior = await loadPrior(models);
  const refusal = (prompt: string): Promise<string> =>
    prior.generate([prompt]).then(
      () => '',
      (error: Error) => error.message,
    );
  expect(await refusal('a crimson rhombus')).toMatch(
    /^E_PROMPT_UNKNOWN prompt "a crimson rhombus": expected words of the training captions, received crimson, rhombus, which .* such as \w+(, \w+){1,9}\.$/,
  );
  expect((await refusal(`a ${'x'.repeat(500_000)}`)).length).toBeLessThan(500);
  expect((await refusal('a red circle '.repeat(1000))).length).toBeLessThan(500);
  prior.dispose();
});

it('are cut where they are longer than a tokenizer takes, when cutting was asked for', async () => {
  const prior = await loadPrior(models);
  const notes: string[] = [];
  const [[cut], [short]] = [
    await prior.generate(['a red circle '.repeat(200_000)], { tooLong: 'cut', onNote: (note) => notes.push(note) }),
    await prior.generate(['a red circle '.repeat(1000)], { tooLong: 'cut' }),
  ];
  expect(cut!.maps[0]!.ids).toEqual(short!.maps[0]!.ids);
  expect(notes).toEqual([expect.stringMatching(/read up to "a red circle.*of its more than \d+ text tokens\.$/)]);
  const sample = { key: 'endless', tokens: cut!, captions: ['a red circle '.repeat(200_000)] };
  expect(await prior.score([sample])).toEqual(
    await prior.score([{ ...sample, captions: ['a red circle '.repeat(1000)] }]),
  );
  prior.dispose();
});
