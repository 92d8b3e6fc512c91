// The cards of exports, samples and demos: every flipped bit is detected.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TesseraeError } from '../../src/errors.js';
import { canonicalJson, formatJson } from '../../src/json.js';
import { sha256 } from '../../src/hash.js';
import { sealJson } from '../../src/sealed.js';
import { readExport } from '../../src/sdk/export.js';
import { inspect } from '../../src/sdk/inspect.js';
import { readSamplesCard, writeSamplesCard } from '../../src/sdk/samples-card.js';

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'tesserae-cards-'))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Every third bit: each position within a byte comes up, and the file is written a few thousand times. */
async function flipped(name: string, read: () => unknown): Promise<number> {
  const path = join(directory, name);
  const bytes = readFileSync(path);
  let refused = 0;
  await read();
  for (let bit = 0; bit < bytes.length * 8; bit += 3) {
    writeFileSync(
      path,
      bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)),
    );
    try {
      await read();
      throw new Error(`${name}: bit ${bit} passed`);
    } catch (error) {
      if (!(error instanceof TesseraeError)) throw error;
      refused++;
    }
  }
  writeFileSync(path, bytes);
  return refused;
}

test('samples.json', async () => {
  writeSamplesCard(directory, {
    command: 'generate',
    medium: 'image',
    samples: 2,
    codec: 'c0dec',
    prompts: ['ein schöner Schuh'],
    sampling: { seed: 1, temperature: 0.5 },
  });
  expect(await flipped('samples.json', () => readSamplesCard(directory))).toBeGreaterThan(500);
  rmSync(join(directory, 'samples.json'));
});

test('images.json, the card of format 1.0', async () => {
  const made = { command: 'decode', codec: 'c0dec', tokens: 't0kens' };
  const card = { format: 'tesserae-pictures', version: '1.0', pictures: 2, ...made };
  writeFileSync(join(directory, 'pictures.json'), formatJson({ ...card, fingerprint: sha256(canonicalJson(card)) }));
  expect(readSamplesCard(directory)).toMatchObject({ medium: 'image', samples: 2, ...made });
  expect(await flipped('pictures.json', () => readSamplesCard(directory))).toBeGreaterThan(300);
});

test('card.json of an export, which lists every file', async () => {
  const tokenizer = '{"model":{}}';
  const card = {
    format: 'tesserae-export',
    version: '1.1',
    kind: 'codec',
    name: 'vqvae',
    fingerprint: 'ab'.repeat(32),
    config: { hidden: 8 },
    maps: [{ name: 'codes', grid: [4], levels: 1, vocabSize: 16 }],
    functions: {},
    files: { 'tokenizer.json': { bytes: tokenizer.length, sha256: sha256(tokenizer) } },
  };
  writeFileSync(join(directory, 'card.json'), sealJson(card));
  writeFileSync(join(directory, 'tokenizer.json'), tokenizer);
  expect(await flipped('card.json', () => readExport(directory))).toBeGreaterThan(500);
  expect(await flipped('tokenizer.json', () => readExport(directory))).toBe(32);
  const { files: _, ...old } = card;
  writeFileSync(join(directory, 'card.json'), formatJson({ ...old, version: '1.0' }));
  expect(readExport(directory).version).toBe('1.0');
});

test('demo.json', async () => {
  for (const name of ['card.json', 'pictures.json']) rmSync(join(directory, name));
  writeFileSync(
    join(directory, 'demo.json'),
    sealJson({
      codec: {},
      prior: {},
      prompts: 3,
      obeyed: 2,
      seconds: { draw: 1.5 },
      picture: 'demo.png',
      report: 'report.html',
    }),
  );
  expect(await flipped('demo.json', () => inspect(directory))).toBeGreaterThan(300);
});
