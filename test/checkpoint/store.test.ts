import { describe, expect, test } from 'vitest';
import { CheckpointStore, readCheckpointState } from '../../src/checkpoint/store.js';
import type { CheckpointContent } from '../../src/checkpoint/store.js';
import { IoError, TesseraeError } from '../../src/errors.js';
import { formatJson } from '../../src/json.js';
import { FaultyFiles, SURVIVALS, failsWithIoError } from '../support/faulty-files.js';

function contentOf(value: number): CheckpointContent {
  return {
    model: { w: { dtype: 'float32', shape: [2], data: Float32Array.of(value, 1) } },
    optimizer: { 'w.m': { dtype: 'float32', shape: [2], data: Float32Array.of(0, value) } },
    state: { step: value, nested: { best: [1, 2] } },
    extras: { 'tokenizer.json': `{"v":${value}}` },
  };
}

const flipLast = (bytes: Uint8Array): Uint8Array => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1);

const open = (files: FaultyFiles, keep = 2): CheckpointStore => new CheckpointStore('/d/checkpoints', { keep, files });

/** What a checkpoint was saved with, or `undefined`; fails when its parts do not belong together. */
function valueOf(store: CheckpointStore): number | undefined {
  const found = store.latest();
  if (found === undefined) return undefined;
  const value = found.state.step as number;
  const { model, optimizer, extras } = contentOf(value);
  expect(found.model).toEqual(model);
  expect(found.optimizer).toEqual(optimizer);
  expect(Buffer.from(found.extras['tokenizer.json']!).toString()).toBe(extras!['tokenizer.json']);
  return value;
}

test('the latest checkpoint comes back whole and older ones are pruned', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  expect(store.latest()).toBeUndefined();
  for (const step of [5, 10, 9, 100]) store.save(step, contentOf(step));
  expect(store.steps()).toEqual([10, 100]);
  expect(valueOf(store)).toBe(100);
  expect(store.load(10).state).toEqual(contentOf(10).state);
});

test('a step saved again is replaced', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  store.save(5, contentOf(5));
  store.save(5, contentOf(6));
  expect(valueOf(store)).toBe(6);
  expect(files.list('/d/checkpoints')).toEqual(['step-5']);
});

test('a damaged checkpoint is skipped, and told of', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  store.save(1, contentOf(1));
  store.save(2, contentOf(2));
  for (const name of ['model.safetensors', 'optimizer.safetensors', 'state.json', 'tokenizer.json', 'MANIFEST.json']) {
    const path = `/d/checkpoints/step-2/${name}`;
    files.tamper(path, flipLast);
    const told: [number, TesseraeError][] = [];
    expect(store.latest((step, error) => told.push([step, error]))?.step).toBe(1);
    expect(told).toEqual([[2, expect.any(TesseraeError)]]);
    expect(told[0]![1].message).toContain(name);
    files.tamper(path, flipLast);
  }
  files.remove('/d/checkpoints/step-2/MANIFEST.json');
  expect(store.latest()?.step).toBe(1);
});

test('a directory renamed to another step does not pass for it', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  store.save(1, contentOf(1));
  files.rename('/d/checkpoints/step-1', '/d/checkpoints/step-9');
  expect(store.latest()).toBeUndefined();
});

function run(files: FaultyFiles, steps: readonly [number, number][], committed: number[] = []): void {
  const store = open(files);
  for (const [step, value] of steps) {
    store.save(step, contentOf(value));
    committed.push(value);
  }
}

describe('a stop at any call', () => {
  test.each<[string, [number, number][]]>([
    [
      'of a run of saves loses nothing that was committed',
      [
        [1, 1],
        [2, 2],
        [3, 3],
        [4, 4],
      ],
    ],
    [
      'of saving a step again leaves the old or the new',
      [
        [1, 1],
        [2, 2],
        [2, 3],
        [2, 4],
      ],
    ],
  ])('%s', (_, steps) => {
    const counted = new FaultyFiles(['/d']);
    run(counted, steps);
    for (const survival of SURVIVALS) {
      for (let stopAt = 1; stopAt <= counted.calls; stopAt++) {
        const files = new FaultyFiles(['/d'], { stopAt });
        const committed: number[] = [];
        expect(() => run(files, steps, committed)).toThrow(IoError);
        files.reboot(survival);
        const store = open(files);
        const last = committed.at(-1) ?? 0;
        expect([last, last + 1]).toContain(valueOf(store) ?? 0);
        expect(files.list('/d/checkpoints').filter((name) => name.includes('.tmp-'))).toEqual([]);
        store.save(50, contentOf(50));
        expect(valueOf(store)).toBe(50);
      }
    }
  });
});

test('a full disk or a failing call keeps what was committed, and the next save works', () => {
  const counted = new FaultyFiles(['/d']);
  const first = open(counted);
  first.save(1, contentOf(1));
  const [before, used] = [
    counted.calls,
    Object.values(counted.snapshot()).reduce((sum, bytes) => sum + bytes.length, 0),
  ];
  first.save(2, contentOf(2));
  const faults = [
    ...Array.from({ length: counted.calls - before }, (_, i) => ({ failAt: before + 1 + i, code: 'EIO' })),
    ...Array.from({ length: 30 }, (_, i) => ({ capacity: used + i * 31, shortWrites: 64 })),
  ];
  let failures = 0;
  for (const fault of faults) {
    const files = new FaultyFiles(['/d']);
    const store = open(files);
    store.save(1, contentOf(1));
    files.faults = fault;
    if (failsWithIoError(() => store.save(2, contentOf(2)))) failures++;
    files.faults = {};
    expect([1, 2]).toContain(valueOf(store));
    store.save(3, contentOf(3));
    expect(valueOf(open(files))).toBe(3);
  }
  expect(failures).toBeGreaterThan(40);
});

test('misuse is refused', () => {
  const files = new FaultyFiles(['/d']);
  expect(() => open(files, 1)).toThrow(expect.objectContaining({ code: 'E_CHECKPOINT_KEEP' }));
  const store = open(files);
  expect(() => store.save(-1, contentOf(1))).toThrow(expect.objectContaining({ code: 'E_CHECKPOINT_STEP' }));
  expect(() => store.save(1, { ...contentOf(1), extras: { '../x': '' } })).toThrow(
    expect.objectContaining({ code: 'E_CHECKPOINT_FILE' }),
  );
  expect(() => store.load(7)).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
  expect(files.list('/d/checkpoints')).toEqual([]);
});

test('any one flipped bit of a checkpoint is detected, in its manifest and its state', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  store.save(7, contentOf(7));
  for (const name of ['MANIFEST.json', 'state.json']) {
    const path = `/d/checkpoints/step-7/${name}`;
    const bytes = files.snapshot()[path]!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      files.tamper(path, (original) => original.with(bit >> 3, original[bit >> 3]! ^ (1 << (bit & 7))));
      expect(() => store.load(7), `${name}, bit ${bit}`).toThrow(TesseraeError);
      expect(() => readCheckpointState('/d/checkpoints/step-7', files)).toThrow(TesseraeError);
      files.tamper(path, () => bytes);
    }
  }
  expect(readCheckpointState('/d/checkpoints/step-7', files)).toEqual(contentOf(7).state);
});

test('a checkpoint of format 1.0, whose manifest carries no hash, is read', () => {
  const files = new FaultyFiles(['/d']);
  const store = open(files);
  store.save(7, contentOf(7));
  files.tamper('/d/checkpoints/step-7/MANIFEST.json', (bytes) => {
    const { sha256: _, ...manifest } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return Buffer.from(formatJson({ ...manifest, formatVersion: '1.0' }));
  });
  expect(valueOf(store)).toBe(7);
});
