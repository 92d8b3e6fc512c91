import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadModel, readModelCard, saveModel } from '../../src/checkpoint/model.js';
import type { NewModelCard } from '../../src/checkpoint/model.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { fingerprint } from '../../src/checkpoint/tensors.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { IoError, TesseraeError } from '../../src/errors.js';
import { formatJson, sha256 } from '../../src/files.js';
import { sealJson } from '../../src/sealed.js';
import { FaultyFiles, SURVIVALS } from '../support/faulty-files.js';

const CARD: NewModelCard = { kind: 'codec', name: 'vqvae', config: { codebookSize: 4 }, training: { steps: 10, note: { any: ['thing'] } }, metrics: { nmse: 0.1 } };
const tensorsOf = (value: number): NamedTensors => ({ codebook: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(value, 1, 2, 3) }, usage: { dtype: 'int32', shape: [2], data: Int32Array.of(1, 2) } });

let directory: string;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'tesserae-model-')), 'm');
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true, force: true }));

/** A file system that durably holds a model in /d/m. */
function prepared(): FaultyFiles {
  const files = new FaultyFiles(['/d']);
  saveModel('/d/m', CARD, tensorsOf(0), { 'tokenizer.json': 'old' }, files);
  files.reboot('flushed only');
  return files;
}

function save(files: FaultyFiles): void {
  saveModel('/d/m', CARD, tensorsOf(5), { 'tokenizer.json': 'new' }, files);
}

function after(action: (files: FaultyFiles) => void): FaultyFiles {
  const files = prepared();
  action(files);
  return files;
}

function bytesHeld(files: FaultyFiles): number {
  return Object.values(files.snapshot()).reduce((sum, bytes) => sum + bytes.length, 0);
}

/** Changes the card of the model in `directory` and gives it a hash that fits. */
function edit(change: (card: Record<string, any>) => void): void {
  const { sha256: _, ...card } = JSON.parse(readFileSync(join(directory, 'model.json'), 'utf8')) as Record<string, any>;
  change(card);
  writeFileSync(join(directory, 'model.json'), sealJson(card));
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'none';
  } catch (error) {
    if (error instanceof TesseraeError) return error.code;
    throw error;
  }
}

test('a model comes back with its card, weights and extra files', () => {
  const card = saveModel(directory, CARD, tensorsOf(0), { 'tokenizer.json': '{"a":1}', 'blob.bin': Uint8Array.of(1, 2) });
  expect(card.fingerprint).toBe(fingerprint(CARD.config, tensorsOf(0), { 'blob.bin': sha256(Uint8Array.of(1, 2)), 'tokenizer.json': sha256('{"a":1}') }));
  const loaded = loadModel(directory, { kind: 'codec' });
  expect(loaded.card).toEqual(card);
  expect(loaded.card).toMatchObject(CARD);
  expect(loaded.tensors).toEqual(tensorsOf(0));
  expect(Buffer.from(loaded.extras['tokenizer.json']!).toString()).toBe('{"a":1}');
  expect(readdirSync(directory).sort()).toEqual(['blob.bin', 'model.json', 'model.safetensors', 'tokenizer.json']);
  expect(readModelCard(directory)).toEqual(card);
});

test('saving again replaces the model and leaves other files alone', () => {
  saveModel(directory, CARD, tensorsOf(0));
  mkdirSync(join(directory, 'checkpoints'));
  saveModel(directory, CARD, tensorsOf(5));
  expect(loadModel(directory).tensors).toEqual(tensorsOf(5));
  expect(readdirSync(directory)).toContain('checkpoints');
});

test('a stop at any call of a second save leaves the old or the new model whole', () => {
  const counted = prepared();
  save(counted);
  expect(counted.calls).toBeGreaterThan(15);
  for (const survival of SURVIVALS) {
    for (let stopAt = 1; stopAt <= counted.calls; stopAt++) {
      const files = prepared();
      files.faults = { stopAt };
      expect(() => save(files)).toThrow(IoError);
      files.reboot(survival);
      const { tensors, extras } = loadModel('/d/m', { files });
      const value = (tensors.codebook!.data as Float32Array)[0];
      expect([[0, 'old'], [5, 'new']]).toContainEqual([value, Buffer.from(extras['tokenizer.json']!).toString()]);
    }
  }
});

test('a full disk at any byte leaves the old model whole', () => {
  const needed = bytesHeld(after(save)) - bytesHeld(prepared());
  const peak = bytesHeld(prepared()) + needed; // the temporaries beside the old files
  expect(peak).toBeGreaterThan(500);
  for (let room = 0; room < peak; room += 41) {
    const files = prepared();
    files.faults = { capacity: bytesHeld(files) + room, shortWrites: 100 };
    expect(codeOf(() => save(files))).toBe('E_DISK_FULL');
    files.faults = {};
    const { tensors, extras } = loadModel('/d/m', { files });
    expect([(tensors.codebook!.data as Float32Array)[0], Buffer.from(extras['tokenizer.json']!).toString()]).toEqual([0, 'old']);
    expect(Object.keys(files.snapshot()).filter((path) => path.includes('.tmp-'))).toEqual([]);
  }
});

describe('loading refuses', () => {
  test.each<[string, string, () => void]>([
    ['changed weights', 'E_MODEL_FILE', () => writeSafetensors(join(directory, 'model.safetensors'), tensorsOf(9))],
    ['missing weights', 'E_MODEL_FILE', () => unlinkSync(join(directory, 'model.safetensors'))],
    ['a changed config', 'E_MODEL_FINGERPRINT', () => edit((card) => void (card.config.codebookSize = 5))],
    ['a newer version', 'E_MODEL_VERSION', () => edit((card) => void (card.formatVersion = '2.0'))],
    ['an unknown key', 'E_MODEL_CARD', () => edit((card) => void (card.code = 'x'))],
    ['an unknown kind', 'E_MODEL_CARD', () => edit((card) => void (card.kind = 'virus'))],
    ['a card without weights', 'E_MODEL_CARD', () => edit((card) => void (card.files = {}))],
    ['a path out of the directory', 'E_MODEL_CARD', () => edit((card) => void (card.files['../x'] = { bytes: 1, sha256: sha256('x') }))],
    ['another kind than asked for', 'E_MODEL_KIND', () => edit((card) => void (card.kind = 'prior'))],
    ['a card that is not JSON', 'E_JSON', () => writeFileSync(join(directory, 'model.json'), '{')],
  ])('%s', (_, code, change) => {
    saveModel(directory, CARD, tensorsOf(0));
    change();
    expect(codeOf(() => loadModel(directory, { kind: 'codec' }))).toBe(code);
  });

  test('weights behind a link', () => {
    saveModel(directory, CARD, tensorsOf(0));
    const weights = readFileSync(join(directory, 'model.safetensors'));
    writeFileSync(join(directory, '../elsewhere'), weights);
    unlinkSync(join(directory, 'model.safetensors'));
    symlinkSync('../elsewhere', join(directory, 'model.safetensors'));
    expect(() => loadModel(directory)).toThrow(/expected a regular file, found a link/);
  });

  test('weights that are not finite', () => {
    saveModel(directory, CARD, tensorsOf(Number.NaN));
    expect(codeOf(() => loadModel(directory))).toBe('E_TENSOR_NOT_FINITE');
  });

  test('a missing path, a directory without a model, a PyTorch file', () => {
    expect(codeOf(() => loadModel(directory))).toBe('E_NOT_FOUND');
    mkdirSync(directory);
    expect(codeOf(() => loadModel(directory))).toBe('E_NOT_A_MODEL');
    writeFileSync(join(directory, 'model.pt'), 'x');
    expect(codeOf(() => loadModel(join(directory, 'model.pt')))).toBe('E_MODEL_FORMAT');
    writeFileSync(join(directory, 'notes.txt'), 'some text');
    expect(codeOf(() => loadModel(join(directory, 'notes.txt')))).toBe('E_NOT_A_MODEL');
  });
});

test('saving refuses extra files that are not plain names, and cards that are none', () => {
  expect(codeOf(() => saveModel(directory, CARD, tensorsOf(0), { '../x': '' }))).toBe('E_MODEL_FILE');
  expect(codeOf(() => saveModel(directory, CARD, tensorsOf(0), { 'model.json': '' }))).toBe('E_MODEL_FILE');
  expect(codeOf(() => saveModel(directory, { ...CARD, name: '' }, tensorsOf(0)))).toBe('E_MODEL_CARD');
});
