// Thousands of mutants of a dataset of tokens: its manifest, parts and list of rejects. What is read is what was written,
// or there is a typed error; so too for resuming, which ends with the undisturbed bytes or refuses.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TesseraeError } from '../../src/errors.js';
import { writeFileAtomic } from '../../src/files/commit.js';
import type { TokenSample } from '../../src/interfaces/tokens.js';
import { ShardReader } from '../../src/shards/reader.js';
import { repair } from '../../src/shards/repair.js';
import { ShardWriter } from '../../src/shards/writer.js';
import { FaultyFiles } from '../support/faulty-files.js';
import { Mutator } from '../support/mutants.js';
import { CARD, makeSample } from './samples.js';

/** Of each input of a split, whether it is left out. Ten training samples, three held out. */
const INPUTS = { train: [0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0], test: [1, 0, 0, 0, 1] } as const;
const SPLITS = ['train', 'test'] as const;

/** Goes on with a run from where its directory says. */
async function finish(files: FaultyFiles, options: { resume?: boolean; parts?: number } = {}): Promise<void> {
  const writer = await ShardWriter.open('/d', CARD, { shardSamples: 4, files, resume: options.resume });
  for (const split of SPLITS) {
    for (let index = writer.seen(split); index < INPUTS[split].length; index++) {
      if (INPUTS[split][index])
        await writer.reject({ split, index, key: `${split}/${index}`, error: 'E_IMAGE_CORRUPT of the test' });
      else await writer.append(split, makeSample(split, index));
      const committed = files.list('/d').filter((name) => name.endsWith('.msgpack')).length;
      if (committed === options.parts) return; // killed
    }
  }
  await writer.close();
}

async function dataset(): Promise<FaultyFiles> {
  const files = new FaultyFiles(['/d']);
  await finish(files);
  return files;
}

async function contentOf(files: FaultyFiles): Promise<TokenSample[]> {
  const reader = await ShardReader.open('/d', { verify: 'full', files });
  const samples: TokenSample[] = [];
  for (const split of SPLITS) for await (const sample of reader.stream(split)) samples.push(sample);
  await reader.close();
  return samples;
}

async function outcome<T>(action: () => Promise<T>): Promise<T | 'refused'> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof TesseraeError) || error.exitCode < 2) throw error;
    return 'refused';
  }
}

const whole = await dataset();
const originals = whole.snapshot();
const names = Object.keys(originals);

describe('a finished dataset', () => {
  test('binds its list of rejects', async () => {
    expect(names.sort()).toEqual([
      '/d/manifest.json',
      ...[0, 1, 2, 3].map((part) => `/d/part-0000${part}.msgpack`),
      '/d/rejects.jsonl',
    ]);
    expect(await contentOf(whole)).toHaveLength(13);
  });

  test('is refused in 2,000 damaged forms', async () => {
    const mutator = new Mutator(1);
    for (let i = 0; i < 2000; i++) {
      const name = mutator.pick(names);
      whole.tamper(name, (bytes) => mutator.mutate(bytes));
      expect({ name, outcome: await outcome(() => contentOf(whole)) }).toEqual({ name, outcome: 'refused' });
      whole.tamper(name, () => originals[name]!);
    }
    expect(await contentOf(whole)).toHaveLength(13);
  });

  test('is refused without its list of rejects, and with the list of another', async () => {
    whole.remove('/d/rejects.jsonl');
    expect(await outcome(() => contentOf(whole))).toBe('refused');
    writeFileAtomic('/d/rejects.jsonl', Buffer.concat([originals['/d/rejects.jsonl']!, Buffer.from('\n')]), whole);
    expect(await outcome(() => contentOf(whole))).toBe('refused');
    whole.tamper('/d/rejects.jsonl', () => originals['/d/rejects.jsonl']!);
  });
});

describe('a run that is resumed', () => {
  const killed = async (parts: number): Promise<FaultyFiles> => {
    const files = new FaultyFiles(['/d']);
    await finish(files, { parts });
    return files;
  };

  test('ends with the undisturbed bytes after a kill at every part', async () => {
    for (const parts of [1, 2, 3]) {
      const files = await killed(parts);
      await finish(files, { resume: true });
      expect(files.snapshot()).toEqual(originals);
    }
  });

  test('is refused without its list of rejects, or with a damaged one, and writes no sample again', async () => {
    for (const damage of [
      (): Buffer => Buffer.alloc(0),
      (bytes: Uint8Array): Uint8Array => bytes.subarray(0, 20),
      (bytes: Uint8Array): Uint8Array => Buffer.from(Buffer.from(bytes).toString().replace('"index":2', '"index":3')),
    ]) {
      const files = await killed(3);
      files.tamper('/d/rejects.jsonl', damage);
      await expect(finish(files, { resume: true })).rejects.toMatchObject({
        code: 'E_REJECTS',
        exitCode: 4,
        message: expect.stringContaining('--force'),
      });
    }
    const files = await killed(3);
    files.remove('/d/rejects.jsonl');
    await expect(finish(files, { resume: true })).rejects.toThrow(
      /E_REJECTS .*expected the \d skipped samples that .*found none/,
    );
  });

  test('over 400 damaged directories ends with the undisturbed bytes, or is refused', async () => {
    const mutator = new Mutator(2);
    let finished = 0;
    const before = (await killed(3)).snapshot();
    for (let i = 0; i < 400; i++) {
      const files = new FaultyFiles(['/d']);
      for (const [path, bytes] of Object.entries(before))
        if (!path.includes('.tmp-')) writeFileAtomic(path, bytes, files);
      const name = mutator.pick(Object.keys(files.snapshot()));
      files.tamper(name, (bytes) => mutator.mutate(bytes));
      if ((await outcome(() => finish(files, { resume: true }))) === 'refused') continue;
      finished++;
      expect(files.snapshot()).toEqual(originals);
    }
    expect(finished).toBeGreaterThan(50);
  });
});

describe('a key that is there twice', () => {
  test('is refused when it is written', async () => {
    const writer = await ShardWriter.open('/d', CARD, { files: new FaultyFiles(['/d']) });
    await writer.append('train', makeSample('train', 1));
    await expect(writer.append('train', makeSample('train', 1))).rejects.toMatchObject({
      code: 'E_DUPLICATE_KEY',
      exitCode: 2,
    });
    await expect(writer.append('test', makeSample('train', 1))).rejects.toMatchObject({ code: 'E_DUPLICATE_KEY' });
    await expect(
      writer
        .reject({ split: 'train', index: 5, key: 'a', error: '' })
        .then(() => writer.reject({ split: 'train', index: 5, key: 'b', error: '' })),
    ).rejects.toMatchObject({ code: 'E_REJECT_ORDER' });
  });

  test('is found in a dataset that has it, and left out by repair', async () => {
    const files = new FaultyFiles(['/d', '/out']);
    // Two runs that knew nothing of each other, one part each.
    const manifests = [];
    for (const start of [0, 2]) {
      const writer = await ShardWriter.open('/d', CARD, { shardSamples: 4, files, force: true });
      for (let i = 0; i < 4; i++) await writer.append('train', makeSample('train', start + i));
      manifests.push(await writer.close());
      if (start === 0) files.rename('/d/part-00000.msgpack', '/d/first');
    }
    files.rename('/d/part-00000.msgpack', '/d/part-00001.msgpack');
    files.rename('/d/first', '/d/part-00000.msgpack');
    files.remove('/d/manifest.json');
    const report = await repair('/d', '/out', files);
    expect(report.recovered).toEqual({ train: 6, test: 0 });
    expect(report.parts.flatMap(({ damage }) => damage)).toEqual(
      ['repeats sample "train/2"', 'repeats sample "train/3"'].map((what) => expect.stringContaining(what)),
    );
  });
});

/** Written by version 0.1.0 of Tesserae before the list of rejects was bound: three samples in two parts, never to be written anew. */
const OLD = join(import.meta.dirname, 'fixtures/format-1.0');
const CURRENT = join(import.meta.dirname, 'fixtures/format-2.0');

describe('a dataset of format 2.0', () => {
  test('is read and verified', async () => {
    const reader = await ShardReader.open(CURRENT, { verify: 'full' });
    expect(reader.manifest.version).toBe('2.0');
    const samples = reader.readBatch('train', [0, 1, 2]);
    expect(samples.map(({ key, captions, tokens }) => [key, captions[0], ...tokens.maps[0]!.ids])).toEqual(
      [0, 1, 2].map((i) => [`k${i}`, `caption ${i}`, i, i + 1]),
    );
    expect(samples[1]!.tokens.maps[1]).toMatchObject({ name: 'bottom', grid: [2, 3], levels: 2, vocabSize: 70_000 });
    expect(samples[1]!.tokens.maps[1]!.ids[11]).toBe((11 * 7919 * 2) % 70_000);
    await reader.close();
  });
});

describe('a dataset of format 1.0', () => {
  test('is refused with the command that makes it anew', async () => {
    await expect(ShardReader.open(OLD)).rejects.toMatchObject({
      code: 'E_SHARD_VERSION',
      message: expect.stringContaining(
        'Tokenize again: tesserae tokenize --data test --codec CODEC --out NEW',
      ) as string,
    });
  });

  test('is not resumed', async () => {
    const files = new FaultyFiles(['/d']);
    for (const name of ['part-00000.msgpack', 'part-00001.msgpack'])
      writeFileAtomic(`/d/${name}`, readFileSync(join(OLD, name)), files);
    await expect(ShardWriter.open('/d', CARD, { shardSamples: 2, files, resume: true })).rejects.toMatchObject({
      code: 'E_SHARD_VERSION',
    });
  });
});
