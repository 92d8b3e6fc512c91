// What files and prompts hold must not reach the terminal as a command to it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { picture } from '../support/tiny.js';
import { encodePng } from '../../src/media/image/image.js';
import { printable } from '../../src/errors.js';
import { excerpt } from '../../src/names.js';
import { run, temporaryFolder } from './support.js';

const folder = temporaryFolder();
afterAll(folder.remove);
const models = join(import.meta.dirname, '../../fixtures/models/shapes');

/** Escape, the one-byte form of its sequences, and a mark that turns the direction of writing. */
const COMMANDS = '\u001B[31m\u009B2J\u202E';
// oxlint-disable-next-line no-control-regex
const OBEYED = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/;

it('shows prompts without what a terminal would obey, in errors and notes', async () => {
  for (const prompt of [`a ${COMMANDS}crimson rhombus`, `a red${COMMANDS} circle`]) {
    const { stdout, stderr } = await run(folder.path, [
      'generate',
      prompt,
      '--prior',
      models,
      '--out',
      'a.png',
      '--force',
    ]);
    expect(stdout).not.toMatch(OBEYED);
    expect(stderr).not.toMatch(OBEYED);
    expect(stderr).toContain('prompt "a ');
  }
});

it('repeats no more than an excerpt of a long prompt', async () => {
  // As many bytes of command line have ended the process inside the native library.
  const prompt = 'very '.repeat(20_000);
  const { code, stderr } = await run(folder.path, [
    'generate',
    prompt,
    '--prior',
    models,
    '--out',
    'b.png',
    '--too-long',
    'refuse',
  ]);
  expect(code).toBe(2);
  expect((await run(folder.path, ['generate', prompt, '--prior', models, '--out', 'b.png'])).code).toBe(0);
  expect(stderr.length).toBeLessThan(600);
});

it('shows names of files likewise, and keeps them exact in JSON', async () => {
  const data = join(folder.path, `data${COMMANDS}`);
  mkdirSync(data);
  for (let i = 0; i < 4; i++) writeFileSync(join(data, `${i}.png`), await encodePng(picture(i)));
  const told = await run(folder.path, ['inspect', `data${COMMANDS}`]);
  expect(told.code).toBe(0);
  expect(told.stdout).not.toMatch(OBEYED);
  const exact = await run(folder.path, ['inspect', `data${COMMANDS}`, '--json']);
  expect(exact.stdout).not.toMatch(OBEYED);
  expect(JSON.stringify(JSON.parse(exact.stdout))).toContain(JSON.stringify(`data${COMMANDS}`).slice(1, -1));
  const missing = await run(folder.path, ['inspect', `absent${COMMANDS}`, '--debug']);
  expect(missing.code).toBe(2);
  expect(missing.stderr).not.toMatch(OBEYED);
});

it('cuts text between characters and puts a mark for what is not printed', () => {
  expect(printable('a\u001B[31m\nb')).toBe('a?[31m?b');
  expect(excerpt('one\n two')).toBe('one two');
  expect(excerpt('🟥'.repeat(50), 9)).toBe(`${'🟥'.repeat(6)}...`);
  expect(excerpt('x'.repeat(80))).toBe('x'.repeat(80));
});
