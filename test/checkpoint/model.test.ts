import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isCardSealed } from '../../src/checkpoint/card.js';
import { loadModel, readModelCard, saveModel } from '../../src/checkpoint/model.js';
import type { NewModelCard } from '../../src/checkpoint/card.js';
import { encodeSafetensors } from '../../src/checkpoint/safetensors.js';
import { fingerprint } from '../../src/checkpoint/tensors.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { IoError, LockError, TesseraeError } from '../../src/errors.js';
import { formatJson } from '../../src/json.js';
import { isTemporary, temporaryName } from '../../src/files/commit.js';
import { sha256 } from '../../src/hash.js';
import { acquireLock } from '../../src/output.js';
import { sealJson } from '../../src/sealed.js';
import { FaultyFiles, SURVIVALS } from '../support/faulty-files.js';

const CARD: NewModelCard = {
  kind: 'codec',
  name: 'vqvae',
  config: { codebookSize: 4 },
  training: { steps: 10, note: { any: ['thing'] } },
  metrics: { nmse: 0.1 },
};
const PRIOR: NewModelCard = { kind: 'prior', name: 'gpt', config: { conditioning: 'text' }, conditioning: 'text' };
const tensorsOf = (value: number): NamedTensors => ({
  codebook: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(value, 1, 2, 3) },
  usage: { dtype: 'int32', shape: [2], data: Int32Array.of(1, 2) },
});

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
  const card = saveModel(directory, CARD, tensorsOf(0), {
    'tokenizer.json': '{"a":1}',
    'blob.bin': Uint8Array.of(1, 2),
  });
  expect(card.fingerprint).toBe(
    fingerprint(CARD.config, tensorsOf(0), {
      'blob.bin': sha256(Uint8Array.of(1, 2)),
      'tokenizer.json': sha256('{"a":1}'),
    }),
  );
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
      expect([
        [0, 'old'],
        [5, 'new'],
      ]).toContainEqual([value, Buffer.from(extras['tokenizer.json']!).toString()]);
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
    expect([(tensors.codebook!.data as Float32Array)[0], Buffer.from(extras['tokenizer.json']!).toString()]).toEqual([
      0,
      'old',
    ]);
    expect(Object.keys(files.snapshot()).filter((path) => path.includes('.tmp-'))).toEqual([]);
  }
});

describe('loading refuses', () => {
  test.each<[string, string, () => void]>([
    [
      'changed weights',
      'E_MODEL_FILE',
      () => writeFileSync(join(directory, 'model.safetensors'), encodeSafetensors(tensorsOf(9))),
    ],
    ['missing weights', 'E_MODEL_FILE', () => unlinkSync(join(directory, 'model.safetensors'))],
    ['a changed config', 'E_MODEL_FINGERPRINT', () => edit((card) => void (card.config.codebookSize = 5))],
    ['a newer version', 'E_MODEL_VERSION', () => edit((card) => void (card.formatVersion = '3.0'))],
    ['an unknown key', 'E_MODEL_CARD', () => edit((card) => void (card.code = 'x'))],
    ['an unknown kind', 'E_MODEL_CARD', () => edit((card) => void (card.kind = 'virus'))],
    ['a card without weights', 'E_MODEL_CARD', () => edit((card) => void (card.files = {}))],
    [
      'a path out of the directory',
      'E_MODEL_CARD',
      () => edit((card) => void (card.files['../x'] = { bytes: 1, sha256: sha256('x') })),
    ],
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

describe('a card of format 1.0', () => {
  const old = (change: (card: Record<string, any>) => void = () => {}): void => {
    saveModel(directory, CARD, tensorsOf(0));
    const { sha256: _, ...card } = JSON.parse(readFileSync(join(directory, 'model.json'), 'utf8')) as Record<
      string,
      any
    >;
    card.formatVersion = '1.0';
    change(card);
    writeFileSync(join(directory, 'model.json'), formatJson(card));
  };

  test('is read, and known to carry no hash', () => {
    old();
    expect(isCardSealed(loadModel(directory).card)).toBe(false);
    expect(loadModel(directory).tensors).toEqual(tensorsOf(0));
  });

  test('of a prior has a fingerprint over config and weights alone', () => {
    saveModel(directory, PRIOR, tensorsOf(0), { 'tokenizer.json': '{}' });
    const { sha256: _, ...card } = JSON.parse(readFileSync(join(directory, 'model.json'), 'utf8')) as Record<
      string,
      any
    >;
    writeFileSync(
      join(directory, 'model.json'),
      formatJson({ ...card, formatVersion: '1.0', fingerprint: fingerprint(PRIOR.config, tensorsOf(0)) }),
    );
    expect(loadModel(directory).card.fingerprint).not.toBe(card.fingerprint);
  });

  test('cannot be made of a newer one by taking its hash away', () => {
    saveModel(directory, CARD, tensorsOf(0));
    const path = join(directory, 'model.json');
    const { sha256: _, ...card } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, any>;
    writeFileSync(path, formatJson(card));
    expect(codeOf(() => loadModel(directory))).toBe('E_MODEL_CARD');
  });
});

test('a prior that reads text without its tokenizer.json is neither saved nor read', () => {
  expect(() => saveModel(directory, PRIOR, tensorsOf(0))).toThrow(/E_MODEL_CARD .*expected tokenizer\.json/);
  saveModel(directory, PRIOR, tensorsOf(0), { 'tokenizer.json': '{}' });
  edit((card) => void delete card.files['tokenizer.json']);
  expect(() => readModelCard(directory)).toThrow(/E_MODEL_CARD .*expected tokenizer\.json/);
});

describe('in place of a file of ours', () => {
  test.each(['model.json', 'model.safetensors'])('a link for %s is refused', (name) => {
    saveModel(directory, CARD, tensorsOf(0));
    renameSync(join(directory, name), join(directory, '../elsewhere'));
    symlinkSync('../elsewhere', join(directory, name));
    expect(() => loadModel(directory)).toThrow(
      expect.objectContaining({ exitCode: 4, message: expect.stringMatching(/expected a regular file, found a link/) }),
    );
  });

  test.skipIf(process.platform === 'win32').each(['model.json', 'model.safetensors', '.commit.json'])(
    'a pipe for %s is refused without waiting for its other end',
    (name) => {
      saveModel(directory, CARD, tensorsOf(0));
      rmSync(join(directory, name), { force: true });
      execFileSync('mkfifo', [join(directory, name)]);
      expect(() => loadModel(directory)).toThrow(
        expect.objectContaining({ exitCode: 4, message: expect.stringMatching(/found a pipe, socket or device/) }),
      );
    },
  );
});

describe('a save that was cut short', () => {
  /** Stopped at every rename: each state in turn. */
  function* interruptedSaves(): Generator<FaultyFiles> {
    const counted = prepared();
    save(counted);
    for (let stopAt = 1; stopAt <= counted.calls; stopAt++) {
      const files = prepared();
      files.faults = { stopAt };
      expect(() => save(files)).toThrow(IoError);
      files.reboot('flushed only');
      yield files;
    }
  }

  test('is read from a directory that takes no writing, and nothing is written', () => {
    let inFlight = 0;
    for (const files of interruptedSaves()) {
      if ('/d/m/.commit.json' in files.snapshot()) inFlight++;
      const before = files.snapshot();
      files.faults = { stopAt: 1 }; // any change would throw
      expect(['old', 'new']).toContain(Buffer.from(loadModel('/d/m', { files }).extras['tokenizer.json']!).toString());
      expect(files.snapshot()).toEqual(before);
      expect(files.calls).toBe(0);
    }
    expect(inFlight).toBeGreaterThan(3);
  });

  test('is completed, and its temporaries swept, by the next save', () => {
    mkdirSync(directory);
    writeFileSync(temporaryName(join(directory, 'model.safetensors')), 'left over');
    saveModel(directory, CARD, tensorsOf(0));
    expect(readdirSync(directory).filter((name) => isTemporary(name) || name.includes('lock'))).toEqual([]);
    for (const files of interruptedSaves()) {
      saveModel('/d/m', CARD, tensorsOf(7), {}, files);
      expect((loadModel('/d/m', { files }).tensors.codebook!.data as Float32Array)[0]).toBe(7);
      expect(Object.keys(files.snapshot()).filter((path) => isTemporary(path))).toEqual([]);
    }
  });
});

test('saving is refused while another process holds the directory, and allowed to the one that holds it', () => {
  saveModel(directory, CARD, tensorsOf(0));
  writeFileSync(join(directory, '.tesserae.lock'), JSON.stringify({ pid: 1, start: 1, host: 'elsewhere' }));
  expect(() => saveModel(directory, CARD, tensorsOf(5))).toThrow(LockError);
  expect(loadModel(directory).tensors).toEqual(tensorsOf(0));
  rmSync(join(directory, '.tesserae.lock'));
  const lock = acquireLock(directory);
  saveModel(join(directory, '../m/'), CARD, tensorsOf(5));
  expect(existsSync(join(directory, '.tesserae.lock'))).toBe(true);
  lock.release();
});
