// Damage to a model directory: every flipped bit of its card, and thousands of mutants of all its files. What is read is
// what was written, or there is a typed error.
import { describe, expect, test } from 'vitest';
import { loadModel, readModelCard, saveModel } from '../../src/checkpoint/model.js';
import type { NewModelCard } from '../../src/checkpoint/card.js';
import type { NamedTensors } from '../../src/checkpoint/tensors.js';
import { TesseraeError } from '../../src/errors.js';
import { writeFileAtomic } from '../../src/files/commit.js';
import { FaultyFiles } from '../support/faulty-files.js';
import { Mutator } from '../support/mutants.js';

const CARD: NewModelCard = {
  kind: 'prior',
  name: 'gpt',
  config: { nLayer: 1, conditioning: 'text', nested: { list: [1, 2.5, -3e-7], text: 'schön' } },
  codec: { fingerprint: 'ab'.repeat(32), name: 'vqvae' },
  conditioning: 'text',
  maps: [{ name: 'codes', grid: [2, 2], levels: 1, vocabSize: 16 }],
  training: { steps: 10 },
  metrics: { nats: 1.25 },
};
const TENSORS: NamedTensors = { weight: { dtype: 'float32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) } };
const NAMES = ['model.json', 'model.safetensors', 'tokenizer.json'] as const;

// In memory: a disk would take minutes.
const files = new FaultyFiles(['/d']);
const DIRECTORY = '/d/model';
saveModel(DIRECTORY, CARD, TENSORS, { 'tokenizer.json': '{"model":{"vocab":{"a":0}}}' }, files);
const originals = Object.fromEntries(NAMES.map((name) => [name, files.snapshot()[`${DIRECTORY}/${name}`]!]));
const card = originals['model.json']!;
const stored = loadModel(DIRECTORY, { files });

type Read = (directory: string, options: { files: FaultyFiles }) => unknown;

/** What comes of reading with other bytes in some files. Untyped errors pass, and fail the test. */
function outcomeOf(changed: Record<string, Uint8Array>, read: Read = loadModel): unknown {
  for (const [name, bytes] of Object.entries(changed)) files.tamper(`${DIRECTORY}/${name}`, () => bytes);
  try {
    return read(DIRECTORY, { files });
  } catch (error) {
    if (!(error instanceof TesseraeError) || error.exitCode < 2) throw error;
    return 'refused';
  } finally {
    for (const name of Object.keys(changed)) files.tamper(`${DIRECTORY}/${name}`, () => originals[name]!);
  }
}

describe('a card', () => {
  test('is refused with any one bit flipped', () => {
    const passed: number[] = [];
    for (let bit = 0; bit < card.length * 8; bit++) {
      const flipped = Buffer.from(card);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      if (outcomeOf({ 'model.json': flipped }, readModelCard) !== 'refused') passed.push(bit);
    }
    expect(card.length).toBeGreaterThan(1000);
    expect(passed).toEqual([]);
  });

  test('is refused in 2,000 other forms', () => {
    const mutator = new Mutator(1);
    for (let i = 0; i < 2000; i++)
      expect(outcomeOf({ 'model.json': mutator.mutate(card) }, readModelCard)).toBe('refused');
  });
});

test('2,000 damaged model directories are refused', () => {
  const mutator = new Mutator(2);
  for (let i = 0; i < 2000; i++) {
    const name = mutator.pick(NAMES);
    const other = mutator.pick(NAMES.filter((one) => one !== name));
    // Now and then a file lies in the place of another.
    const changed =
      i % 20 === 0
        ? { [other]: originals[name]! }
        : i % 7 === 0
          ? { [name]: mutator.mutate(originals[name]!), [other]: mutator.mutate(originals[other]!) }
          : { [name]: mutator.mutate(originals[name]!) };
    expect(outcomeOf(changed)).toBe('refused');
  }
  expect(loadModel(DIRECTORY, { files })).toEqual(stored);
});

test('with a damaged journal the model that was stored is read, or it is refused', () => {
  const mutator = new Mutator(3);
  const journal = Buffer.from(JSON.stringify(NAMES.map((name) => `${name}.tmp-1-0123456789ab`)));
  writeFileAtomic(`${DIRECTORY}/.commit.json`, journal, files);
  const outcomes = Array.from({ length: 2000 }, () => {
    files.tamper(`${DIRECTORY}/.commit.json`, () => mutator.mutate(journal));
    return outcomeOf({});
  });
  files.remove(`${DIRECTORY}/.commit.json`);
  const read = outcomes.filter((outcome) => outcome !== 'refused');
  expect(read.length).toBeGreaterThan(10);
  for (const model of read) expect(model).toEqual(stored);
});
