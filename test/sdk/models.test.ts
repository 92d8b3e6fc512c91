import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadCodec, loadPrior } from '../../src/index.js';
import { temporaryDirectory } from '../support/tiny.js';

it.each([
  ['a pickled checkpoint', 'weights.pt', 'PK\u0003\u0004 something pickled', 'E_MODEL_FORMAT'],
  ['some other file', 'notes.txt', 'nothing', 'E_NOT_A_MODEL'],
])('refuses %s in place of a model directory, codec or prior, linked or not', async (_, name, content, code) => {
  const directory = temporaryDirectory();
  const path = join(directory, name);
  writeFileSync(path, content);
  symlinkSync(path, join(directory, 'link'));
  await expect(loadCodec(path)).rejects.toMatchObject({ code });
  await expect(loadPrior(path)).rejects.toMatchObject({ code });
  await expect(loadCodec(join(directory, 'link'))).rejects.toMatchObject({ code: 'E_NOT_A_MODEL' });
});

it('refuses a directory that is no model, and one that is not there', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'empty'));
  await expect(loadCodec(join(directory, 'empty'))).rejects.toMatchObject({ code: 'E_NOT_A_MODEL', exitCode: 2 });
  await expect(loadCodec(join(directory, 'absent'))).rejects.toMatchObject({ code: 'E_NOT_FOUND', exitCode: 2 });
});
