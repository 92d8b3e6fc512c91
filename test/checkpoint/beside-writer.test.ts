// A reader beside a process that saves again and again: neither disturbs the other. The writer is the build, in a process
// of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadModel, readModelCard } from '../../src/checkpoint/model.js';
import { TesseraeError } from '../../src/errors.js';

const MODEL = new URL('../../dist/src/checkpoint/model.js', import.meta.url);
if (!existsSync(fileURLToPath(MODEL))) throw new Error(`${MODEL.href}: expected the build. Run "npm run build" first.`);

/** Saves two models in turn until told to stop, then says how often it did and what failed. */
const WRITER = `
  const { saveModel } = await import(${JSON.stringify(MODEL.href)});
  const directory = process.argv[1];
  let stop = false;
  process.stdin.on('data', () => (stop = true));
  let saves = 0;
  const failures = [];
  while (!stop) {
    const value = saves % 2;
    const data = new Float32Array(20_000).fill(value);
    try {
      saveModel(directory, { kind: 'prior', name: 'gpt', config: { value }, conditioning: 'text' }, { weight: { dtype: 'float32', shape: [data.length], data } }, { 'tokenizer.json': String(value) });
    } catch (error) {
      failures.push(error.message);
    }
    saves++;
    if (saves === 1) console.log('ready');
    await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(JSON.stringify({ saves, failures }));
  process.exit(0);
`;

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'tesserae-beside-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a model that is saved in a loop is always read whole, and no save fails', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child.stdout, 'data');
  const failures: string[] = [];
  const seen = [0, 0];
  for (const end = Date.now() + 4000; Date.now() < end; await new Promise((resolve) => setImmediate(resolve))) {
    try {
      const { card, tensors, extras } = loadModel(directory);
      const value = card.config.value as number;
      expect([(tensors.weight!.data as Float32Array)[7], Buffer.from(extras['tokenizer.json']!).toString()]).toEqual([
        value,
        String(value),
      ]);
      readModelCard(directory);
      seen[value]!++;
    } catch (error) {
      if (!(error instanceof TesseraeError)) throw error;
      failures.push(error.message);
    }
  }
  child.stdin.write('stop');
  await once(child, 'close');
  const writer = JSON.parse(said.split('\n')[1]!) as { saves: number; failures: string[] };
  expect({ reader: failures, writer: writer.failures }).toEqual({ reader: [], writer: [] });
  expect(Math.min(...seen, writer.saves)).toBeGreaterThan(5);
  expect(readdirSync(directory).sort()).toEqual(['model.json', 'model.safetensors', 'tokenizer.json']);
}, 30_000);
