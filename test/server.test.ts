// The server among the examples: many visitors at once, and those who ask nonsense.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeImage } from '../src/index.js';
import { ask, startServer } from './bench/server.mjs';

let server: Awaited<ReturnType<typeof startServer>>;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.stop());

it('answers 100 requests at once, each as if it were alone, and is never busy for over 200 ms', async () => {
  const alone = await ask(server.url({ seed: 7 }));
  const image = await decodeImage(alone.bytes, 'answer');
  expect([image.width, image.height, image.channels]).toEqual([32, 32, 3]);
  await server.blocked();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(server.url({ seed: i % 10 }))));
  expect(await server.blocked()).toBeLessThan(200);
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
  answers.forEach(({ bytes }, i) => expect(bytes.equals(answers[i % 10]!.bytes)).toBe(true));
  expect(answers[7]!.bytes.equals(alone.bytes)).toBe(true);
  expect(new Set(answers.map(({ bytes }) => bytes.toString('base64'))).size).toBeGreaterThan(1);
}, 180_000);

it.each([
  ['a seed that is no number', { seed: 'x' }, /^UsageError: E_SAMPLING seed/],
  ['a prompt that is too long', { prompt: 'red '.repeat(300) }, /^UsageError: E_TEXT_TOO_LONG prompt/],
])('answers %s with status 400 and the error', async (_, query, message) => {
  const { status, bytes } = await ask(server.url(query));
  expect(String(bytes)).toMatch(message);
  expect(status).toBe(400);
});

it('outlives a visitor who leaves', async () => {
  const left = fetch(server.url({}), { signal: AbortSignal.timeout(5) });
  await expect(left).rejects.toThrow();
  expect((await ask(server.url({}))).status).toBe(200);
});
