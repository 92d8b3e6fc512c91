import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CorruptError, IoError, TesseraeError, UsageError } from '../../src/errors.js';
import { canonicalJson, formatJson } from '../../src/json.js';
import { sha256 } from '../../src/hash.js';
import type { TokenSample } from '../../src/interfaces/tokens.js';
import { PartReader, encodeRecord, openRecord, recordLength } from '../../src/shards/part.js';
import { ShardReader } from '../../src/shards/reader.js';
import { repair } from '../../src/shards/repair.js';
import { ShardWriter } from '../../src/shards/writer.js';
import { FaultyFiles, SURVIVALS } from '../support/faulty-files.js';
import { CARD, CODEC, appendRest, makeSample, writeDataset } from './samples.js';

const COUNTS = { train: 10, test: 3 };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tesserae-shards-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function readAll(path: string, verify?: 'structure' | 'full', files?: FaultyFiles): Promise<TokenSample[]> {
  const reader = await ShardReader.open(path, { verify, files });
  try {
    return [...(await collect(reader.stream('train'))), ...(await collect(reader.stream('test')))];
  } finally {
    await reader.close();
  }
}

/** The error a reader gives, in full: opening and every record. */
async function failure(path: string, verify?: 'structure' | 'full', files?: FaultyFiles): Promise<TesseraeError> {
  const error: unknown = await readAll(path, verify, files).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TesseraeError)) throw new Error(`expected a typed error, got ${String(error)}`);
  return error;
}

const expectedSamples = (counts = COUNTS): TokenSample[] => [
  ...Array.from({ length: counts.train }, (_, i) => makeSample('train', i)),
  ...Array.from({ length: counts.test }, (_, i) => makeSample('test', i)),
];

function datasetBytes(path: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(path)
      .sort()
      .map((name) => [name, sha256(readFileSync(join(path, name)))]),
  );
}

const flip =
  (bit: number) =>
  (bytes: Uint8Array): Uint8Array => {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    return bytes;
  };

/** A sample of one map of any shape, all zeros. */
function sampleOf(shape: [number, number]): TokenSample {
  const map = { name: 'codes', grid: [...shape], levels: 1, vocabSize: 16, ids: new Uint16Array(shape[0] * shape[1]) };
  return {
    key: shape.join('x'),
    captions: [],
    tokens: { codec: CODEC, media: { kind: 'audio', sampleRate: 1, channels: 1, frames: 1 }, maps: [map] },
  };
}

describe('writing and reading', () => {
  test('gives back every sample of every split', async () => {
    const manifest = await writeDataset(at('t'), COUNTS);
    expect(manifest.counts).toEqual(COUNTS);
    expect(manifest.parts.map(({ file, split, samples }) => [file, split, samples])).toEqual([
      ['part-00000.msgpack', 'train', 4],
      ['part-00001.msgpack', 'train', 4],
      ['part-00002.msgpack', 'train', 2],
      ['part-00003.msgpack', 'test', 3],
    ]);
    expect(await readAll(at('t'), 'full')).toEqual(expectedSamples());
    expect(readdirSync(at('t')).sort()).toEqual([...manifest.parts.map((part) => part.file), 'manifest.json'].sort());
  });

  test('reads at random and in batches, with few parts kept open', async () => {
    await writeDataset(at('t'), COUNTS);
    const reader = await ShardReader.open(at('t'), { openParts: 1 });
    expect(reader.readBatch('train', [9, 0, 5, 5])).toEqual([9, 0, 5, 5].map((i) => makeSample('train', i)));
    expect(await reader.read('test', 2)).toEqual(makeSample('test', 2));
    await expect(reader.read('test', 3)).rejects.toThrow(expect.objectContaining({ code: 'E_SAMPLE_INDEX' }));
    await expect(reader.read('test', 0.5)).rejects.toThrow(UsageError);
    await reader.close();
  });

  test('shuffles by seed and epoch alone', async () => {
    await writeDataset(at('t'), COUNTS);
    const reader = await ShardReader.open(at('t'));
    const order = reader.shuffledOrder('train', 1, 0);
    expect([...order].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(reader.shuffledOrder('train', 1, 0)).toEqual(order);
    expect(reader.shuffledOrder('train', 1, 1)).not.toEqual(order);
    expect(reader.shuffledOrder('train', 2, 0)).not.toEqual(order);
    expect((await collect(reader.stream('train', order))).map((sample) => sample.key)).toEqual(
      [...order].map((i) => `train/${i}`),
    );
    await reader.close();
  });

  test('cuts parts by bytes too, and gives a large sample a part of its own', async () => {
    const manifest = await writeDataset(at('t'), COUNTS, { shardBytes: 900, shardSamples: 100 });
    expect(manifest.parts.length).toBeGreaterThan(4);
    const tiny = await writeDataset(at('u'), COUNTS, { shardBytes: 1 });
    expect(tiny.parts.map((part) => part.samples)).toEqual(Array.from({ length: 13 }, () => 1));
    expect(await readAll(at('u'))).toEqual(expectedSamples());
  });

  test('keeps an empty split and an empty dataset', async () => {
    await writeDataset(at('t'), { train: 0, test: 2 });
    expect(await readAll(at('t'), 'full')).toEqual(expectedSamples({ train: 0, test: 2 }));
    await writeDataset(at('u'), { train: 0, test: 0 });
    expect(await readAll(at('u'), 'full')).toEqual([]);
  });

  test('admits any extent where the map says -1', async () => {
    const card = { ...CARD, maps: [{ name: 'codes', grid: [2, -1], levels: 1, vocabSize: 16 }], classes: undefined };
    const writer = await ShardWriter.open(at('t'), card);
    await writer.append('train', sampleOf([2, 5]));
    await writer.append('train', sampleOf([2, 70]));
    await expect(writer.append('train', sampleOf([3, 5]))).rejects.toThrow(/expected grid \[2, -1\], found \[3, 5\]/);
    await writer.close();
    expect((await readAll(at('t'))).map((sample) => sample.tokens.maps[0]!.grid)).toEqual([
      [2, 5],
      [2, 70],
    ]);
  });
});

describe('the writer refuses', () => {
  const wrong: [string, RegExp, (sample: TokenSample) => void][] = [
    [
      'an id beyond the vocabulary',
      /sample "train\/1": map "top": expected ids below the vocabulary of 16, found 16 at position 1/,
      (s) => void (s.tokens.maps[0]!.ids[1] = 16),
    ],
    ['another grid', /expected grid \[2\], found \[3\]/, (s) => void (s.tokens.maps[0]!.grid = [3])],
    [
      'fewer ids than the shape says',
      /expected 2 ids, received 1/,
      (s) => void (s.tokens.maps[0]!.ids = Uint16Array.of(1)),
    ],
    ['tokens of another codec', /expected tokens of codec c0dec/, (s) => void (s.tokens.codec = 'x')],
    ['a missing map', /expected 2 maps, received 1/, (s) => void s.tokens.maps.pop()],
    ['maps in another order', /expected map "top", received "bottom"/, (s) => void s.tokens.maps.reverse()],
    ['a label beyond the classes', /expected a label in \[0, 3\), found 3/, (s) => void (s.label = 3)],
    ['an empty key', /expected a key of 1 to 4096 characters/, (s) => void (s.key = '')],
    [
      'media without a size',
      /media: expected up to 32 fields of text or finite numbers/,
      (s) => void (s.tokens.media = { kind: 'image', width: Number.NaN, height: 1, channels: 1 }),
    ],
  ];

  test.each(wrong)('%s', async (_, message, change) => {
    const writer = await ShardWriter.open(at('t'), CARD);
    const sample = makeSample('train', 1);
    change(sample);
    await expect(writer.append('train', sample)).rejects.toThrow(message);
    await writer.abort();
  });

  test('a split that was left', async () => {
    const writer = await ShardWriter.open(at('t'), CARD);
    await writer.append('train', makeSample('train', 0));
    await writer.append('test', makeSample('test', 0));
    await expect(writer.append('train', makeSample('train', 1))).rejects.toThrow(
      expect.objectContaining({ code: 'E_SPLIT_ORDER' }),
    );
    await writer.abort();
  });

  test('existing output, a second writer, and a card that makes no sense', async () => {
    await writeDataset(at('t'), COUNTS);
    await expect(ShardWriter.open(at('t'), CARD)).rejects.toThrow(expect.objectContaining({ code: 'E_OUTPUT_EXISTS' }));
    const writer = await ShardWriter.open(at('u'), CARD);
    await expect(ShardWriter.open(at('u'), CARD)).rejects.toThrow(expect.objectContaining({ code: 'E_LOCKED' }));
    await writer.abort();
    await expect(
      ShardWriter.open(at('v'), { ...CARD, maps: [{ name: 'a', grid: [0], levels: 1, vocabSize: 0 }] }),
    ).rejects.toThrow(expect.objectContaining({ code: 'E_SHARD_CARD' }));
    expect(await writeDataset(at('t'), { train: 1, test: 0 }, { force: true })).toMatchObject({
      counts: { train: 1, test: 0 },
    });
    expect(readdirSync(at('t')).sort()).toEqual(['manifest.json', 'part-00000.msgpack']);
  });
});

describe('damage', () => {
  test(
    'every flipped bit of every part is detected, by reading and by full verification',
    { timeout: 30_000 },
    async () => {
      const files = new FaultyFiles(['/d']);
      await writeDataset('/d', { train: 2, test: 0 }, { files });
      const path = '/d/part-00000.msgpack';
      for (let bit = 0; bit < files.status(path)!.size * 8; bit++) {
        files.tamper(path, flip(bit));
        const error = await failure('/d', bit % 8 === 0 ? 'full' : 'structure', files);
        if (!(error instanceof CorruptError) || !/part-00000\.msgpack#(header|footer|\d+)@\d+/.test(error.message))
          throw new Error(`bit ${bit}: ${error.message}`);
        files.tamper(path, flip(bit));
      }
      expect(await readAll('/d', 'full', files)).toHaveLength(2);
    },
  );

  test('every flipped bit of the manifest is detected', async () => {
    const files = new FaultyFiles(['/d']);
    await writeDataset('/d', { train: 1, test: 0 }, { files });
    const path = '/d/manifest.json';
    for (let bit = 0; bit < files.status(path)!.size * 8; bit++) {
      files.tamper(path, flip(bit));
      const error = await failure('/d', 'structure', files);
      if (!(error instanceof CorruptError)) throw new Error(`bit ${bit}: ${error.message}`);
      files.tamper(path, flip(bit));
    }
    expect(await readAll('/d', 'full', files)).toHaveLength(1);
  });

  test(
    'every truncation is detected, and repair then recovers exactly the complete records',
    { timeout: 30_000 },
    async () => {
      const files = new FaultyFiles(['/d']);
      await writeDataset('/d/t', { train: 3, test: 0 }, { files });
      const path = '/d/t/part-00000.msgpack';
      const intact = files.snapshot()[path]!;
      const ends = [...PartReader.open(path, files).offsets].slice(1);
      for (let length = 0; length < intact.length; length++) {
        files.tamper(path, () => intact.slice(0, length));
        const error = await failure('/d/t', 'structure', files);
        expect(error).toBeInstanceOf(CorruptError);
        expect(error.message).toContain('part-00000.msgpack');
        const complete = ends.filter((end) => end <= length).length;
        const report = await repair('/d/t', '/d/r', files);
        expect(report.recovered).toEqual({ train: complete, test: 0 });
        expect(await readAll('/d/r', 'full', files)).toEqual(expectedSamples({ train: complete, test: 0 }));
        files.remove('/d/r');
      }
    },
  );

  test('names the record and the offset of a damaged payload', async () => {
    await writeDataset(at('t'), COUNTS);
    const path = at('t/part-00001.msgpack');
    const part = PartReader.open(path);
    const offset = part.offsets[2]!;
    part.close();
    const bytes = readFileSync(path);
    bytes[offset + 10]! ^= 1;
    writeFileSync(path, bytes);
    expect((await failure(at('t'))).message).toContain(`part-00001.msgpack#2@${offset}: expected crc32`);
  });

  test('a missing, swapped, duplicated, linked or foreign part is refused on opening', async () => {
    await writeDataset(at('ok'), COUNTS);
    const fresh = (): void => cpSync(at('ok'), at('t'), { recursive: true, force: true });
    const codeOf = async (): Promise<string> =>
      ShardReader.open(at('t')).then(
        () => 'opened',
        (error: TesseraeError) => error.code,
      );
    fresh();
    expect(await codeOf()).toBe('opened');
    unlinkSync(at('t/part-00001.msgpack'));
    expect(await codeOf()).toBe('E_SHARD_MISSING');
    copyFileSync(at('ok/part-00000.msgpack'), at('t/part-00001.msgpack'));
    expect(await codeOf()).toMatch(/E_SHARD_(SIZE|MISMATCH)/);
    fresh();
    copyFileSync(at('ok/part-00000.msgpack'), at('t/part-00004.msgpack'));
    expect(await codeOf()).toBe('E_SHARD_UNLISTED');
    unlinkSync(at('t/part-00004.msgpack'));
    unlinkSync(at('t/part-00001.msgpack'));
    symlinkSync(at('ok/part-00001.msgpack'), at('t/part-00001.msgpack'));
    expect(await codeOf()).toMatch(/E_SHARD_(SIZE|MISSING)/);
    unlinkSync(at('t/part-00001.msgpack'));
    truncateSync(at('t/part-00002.msgpack'), 100);
    copyFileSync(at('ok/part-00001.msgpack'), at('t/part-00001.msgpack'));
    expect(await codeOf()).toBe('E_SHARD_SIZE');
    unlinkSync(at('t/manifest.json'));
    expect(await codeOf()).toBe('E_NOT_A_DATASET');
  });

  test('two parts of equal size that changed places are refused on opening', async () => {
    const { parts } = await writeDataset(at('t'), { train: 7, test: 0 }, { shardSamples: 1 });
    expect(parts[6]!.bytes).toBe(parts[0]!.bytes);
    renameSync(at('t/part-00000.msgpack'), at('t/x'));
    renameSync(at('t/part-00006.msgpack'), at('t/part-00000.msgpack'));
    renameSync(at('t/x'), at('t/part-00006.msgpack'));
    await expect(ShardReader.open(at('t'))).rejects.toThrow(
      /E_SHARD_MISMATCH .*part-00000\.msgpack#header@0: expected part 0/,
    );
  });

  test('a manifest of the same values in another form is refused', async () => {
    await writeDataset(at('t'), { train: 1, test: 0 });
    writeFileSync(at('t/manifest.json'), JSON.stringify(JSON.parse(readFileSync(at('t/manifest.json'), 'utf8'))));
    expect(await failure(at('t'))).toMatchObject({ code: 'E_MANIFEST' });
  });

  test('a part of equal size from another run is refused, by its card or its sha256', async () => {
    await writeDataset(at('t'), { train: 1, test: 0 });
    const other = await ShardWriter.open(at('u'), CARD, { shardSamples: 4 });
    const sample = makeSample('train', 0);
    sample.tokens.maps[0]!.ids[0] = 5;
    await other.append('train', sample);
    await other.close();
    copyFileSync(at('u/part-00000.msgpack'), at('t/part-00000.msgpack'));
    expect((await failure(at('t'), 'full')).code).toBe('E_SHARD_SHA256');
    const foreign = await ShardWriter.open(
      at('v'),
      { ...CARD, codec: { ...CARD.codec, fingerprint: 'f'.repeat(64) } },
      { shardSamples: 4 },
    );
    sample.tokens.codec = 'f'.repeat(64);
    await foreign.append('train', sample);
    await foreign.close();
    copyFileSync(at('v/part-00000.msgpack'), at('t/part-00000.msgpack'));
    expect(await failure(at('t'))).toMatchObject({ code: 'E_SHARD_MISMATCH' });
    await expect(ShardReader.open(at('v'), { codec: CODEC })).rejects.toThrow(
      expect.objectContaining({ code: 'E_CODEC_MISMATCH' }),
    );
  });
});

describe('a hostile manifest', () => {
  const changes: [string, string, (manifest: Record<string, any>) => void][] = [
    ['climbs out of the directory', 'E_MANIFEST', (m) => void (m.parts[0].file = '../part-00000.msgpack')],
    ['names an absolute path', 'E_MANIFEST', (m) => void (m.parts[0].file = '/etc/passwd')],
    ['lists a part twice', 'E_MANIFEST', (m) => void m.parts.push({ ...m.parts[0] })],
    ['counts more than its parts', 'E_MANIFEST', (m) => void (m.counts.train = 99)],
    ['has an unknown key', 'E_MANIFEST', (m) => void (m.script = 'x')],
    ['is of a newer version', 'E_SHARD_VERSION', (m) => void (m.version = '3.0')],
    ['asks for a huge vocabulary', 'E_MANIFEST', (m) => void (m.maps[0].vocabSize = 2 ** 40)],
  ];

  test.each(changes)('that %s is refused even with a matching fingerprint', async (_, code, change) => {
    await writeDataset(at('t'), { train: 1, test: 0 });
    const { fingerprint, ...body } = JSON.parse(readFileSync(at('t/manifest.json'), 'utf8')) as Record<string, any>;
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    change(body);
    writeFileSync(at('t/manifest.json'), formatJson({ ...body, fingerprint: sha256(canonicalJson(body)) }));
    expect(await failure(at('t'))).toMatchObject({ code });
  });

  test('of a newer version says what it needs', async () => {
    await writeDataset(at('t'), { train: 1, test: 0 });
    const manifest = JSON.parse(readFileSync(at('t/manifest.json'), 'utf8')) as object;
    writeFileSync(at('t/manifest.json'), formatJson({ ...manifest, version: '3.1' }));
    expect((await failure(at('t'))).message).toContain('needs a Tesserae that reads format 3');
  });
});

describe('resuming', () => {
  test('after a stop at any call gives the bytes of an uninterrupted run', { timeout: 30_000 }, async () => {
    const reference = new FaultyFiles(['/d']);
    await writeDataset('/d/t', COUNTS, { files: reference });
    const calls = reference.calls;
    const expected = reference.snapshot();
    for (const survival of SURVIVALS) {
      for (let stopAt = 1; stopAt <= calls; stopAt++) {
        const files = new FaultyFiles(['/d'], { stopAt });
        await expect(writeDataset('/d/t', COUNTS, { files })).rejects.toThrow(IoError);
        files.reboot(survival);
        await writeDataset('/d/t', COUNTS, { files, resume: true });
        expect(files.snapshot()).toEqual(expected);
      }
    }
  });

  test(
    'completes after the disk was full at any point, keeping the parts that were committed',
    { timeout: 30_000 },
    async () => {
      const reference = new FaultyFiles(['/d']);
      await writeDataset('/d/t', COUNTS, { files: reference });
      const expected = reference.snapshot();
      const total = Object.values(expected).reduce((sum, bytes) => sum + bytes.length, 0);
      for (let capacity = 0; capacity < total; capacity += 97) {
        const files = new FaultyFiles(['/d'], { capacity, shortWrites: 1000 });
        await expect(writeDataset('/d/t', COUNTS, { files })).rejects.toThrow(
          expect.objectContaining({ code: 'E_DISK_FULL' }),
        );
        expect(Object.keys(files.snapshot()).filter((path) => path.includes('.tmp-'))).toEqual([]);
        files.faults = {};
        await writeDataset('/d/t', COUNTS, { files, resume: true });
        expect(files.snapshot()).toEqual(expected);
      }
    },
  );

  test('says how many samples are done and makes damaged parts again', async () => {
    await writeDataset(at('whole'), COUNTS);
    const writer = await ShardWriter.open(at('t'), CARD, { shardSamples: 4 });
    for (let i = 0; i < 9; i++) await writer.append('train', makeSample('train', i));
    await writer.abort();
    const bytes = readFileSync(at('t/part-00001.msgpack'));
    bytes[600]! ^= 8;
    writeFileSync(at('t/part-00001.msgpack'), bytes);
    const resumed = await ShardWriter.open(at('t'), CARD, { shardSamples: 4, resume: true });
    expect(resumed.done).toEqual({ train: 4, test: 0 });
    expect(resumed.discarded).toEqual(['part-00001.msgpack']);
    await appendRest(resumed, COUNTS);
    await resumed.close();
    expect(datasetBytes(at('t'))).toEqual(datasetBytes(at('whole')));
  });

  test('of a finished dataset changes nothing', async () => {
    await writeDataset(at('t'), COUNTS);
    const before = datasetBytes(at('t'));
    await writeDataset(at('t'), COUNTS, { resume: true });
    expect(datasetBytes(at('t'))).toEqual(before);
  });

  test('a finished dataset to add samples takes its manifest away until it is finished again', async () => {
    await writeDataset(at('t'), { train: 4, test: 0 });
    const writer = await ShardWriter.open(at('t'), CARD, { shardSamples: 4, resume: true });
    await writer.append('test', makeSample('test', 0));
    expect(readdirSync(at('t'))).not.toContain('manifest.json');
    await writer.abort();
    expect(await failure(at('t'))).toMatchObject({ code: 'E_NOT_A_DATASET' });
    await writeDataset(at('t'), { train: 4, test: 1 }, { resume: true });
    expect(await readAll(at('t'), 'full')).toHaveLength(5);
  });

  test('with another setting is refused with the difference', async () => {
    await writeDataset(at('t'), COUNTS);
    await expect(ShardWriter.open(at('t'), CARD, { shardSamples: 5, resume: true })).rejects.toThrow(
      /E_RESUME_MISMATCH .*the interrupted run had shardSamples 4, not 5/,
    );
    await expect(
      ShardWriter.open(at('t'), { ...CARD, dataset: 'other' }, { shardSamples: 4, resume: true }),
    ).rejects.toThrow(/the interrupted run had dataset "[0-9a-f]+", not "other"/);
  });
});

describe('repair', () => {
  test('restores a missing manifest from the headers, byte for byte', async () => {
    await writeDataset(at('t'), COUNTS);
    const before = datasetBytes(at('t'));
    unlinkSync(at('t/manifest.json'));
    await repair(at('t'), at('r'));
    expect(datasetBytes(at('r'))).toEqual(before);
  });

  test('keeps what surrounds a damaged record, with and without the footer', async () => {
    await writeDataset(at('t'), { train: 4, test: 0 });
    const path = at('t/part-00000.msgpack');
    const part = PartReader.open(path);
    const offset = part.offsets[1]!;
    part.close();
    const bytes = readFileSync(path);
    bytes[offset + 2]! ^= 64; // the length of record 1
    writeFileSync(path, bytes);
    const keys = ['train/0', 'train/2', 'train/3'];
    const byFooter = await repair(at('t'), at('r'));
    expect(byFooter.parts[0]).toMatchObject({
      recovered: 3,
      expected: 4,
      damage: [expect.stringContaining(`#1@${offset}`)],
    });
    expect((await readAll(at('r'))).map((sample) => sample.key)).toEqual(keys);
    writeFileSync(path, bytes.subarray(0, bytes.length - 1));
    const byScan = await repair(at('t'), at('s'));
    expect(byScan.recovered.train).toBe(3);
    expect((await readAll(at('s'))).map((sample) => sample.key)).toEqual(keys);
  });

  test('learns the split from the footer when the header is damaged', async () => {
    await writeDataset(at('t'), COUNTS);
    const path = at('t/part-00003.msgpack');
    const bytes = readFileSync(path);
    bytes[3]! ^= 1;
    writeFileSync(path, bytes);
    unlinkSync(at('t/manifest.json'));
    const report = await repair(at('t'), at('r'));
    expect(report.recovered).toEqual(COUNTS);
    expect(await readAll(at('r'), 'full')).toEqual(expectedSamples());
  });

  test('reports a part that is not there, and refuses when nothing says what the dataset is', async () => {
    await writeDataset(at('t'), COUNTS);
    renameSync(at('t/part-00001.msgpack'), at('elsewhere'));
    const report = await repair(at('t'), at('r'));
    expect(report.recovered).toEqual({ train: 6, test: 3 });
    expect(report.parts.find((part) => part.file === 'part-00001.msgpack')).toMatchObject({
      recovered: 0,
      expected: 4,
    });
    writeFileSync(at('part-00000.msgpack'), 'not a part');
    await expect(repair(directory, at('s'))).rejects.toThrow(expect.objectContaining({ code: 'E_REPAIR' }));
    await expect(repair(at('nothing'), at('s'))).rejects.toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
  });
});

test.each([1, 255, 256, 65_535, 65_536, 100_000])(
  'a record of %i bytes is framed as any msgpack library does',
  (length) => {
    const payload = new Uint8Array(length).fill(0x81);
    const record = encodeRecord(payload);
    expect(record[0]).toBe(0x92);
    expect(recordLength(record)).toBe(record.length);
    expect(openRecord(record)).toEqual(payload);
    expect(openRecord(record.subarray(0, -1))).toEqual(expect.any(String));
  },
);

const python = process.env.TESSERAE_PYTHON ?? 'python3';
const hasPythonMsgpack = spawnSync(python, ['-c', 'import msgpack, numpy']).status === 0;

test.runIf(hasPythonMsgpack)('the five lines of Python in FORMAT.md read a part', async () => {
  await writeDataset(at('t'), { train: 3, test: 0 });
  const page = readFileSync(join(import.meta.dirname, '../../src/shards/FORMAT.md'), 'utf8');
  const lines = /```python\n([\s\S]*?)```/.exec(page)![1]!;
  const script = `${lines}\nimport json\nprint(json.dumps([ids.tolist(), [s["key"] for s in samples], footer["samples"], samples[2]["text"]]))`;
  const { stdout, stderr } = spawnSync(python, ['-c', script], { cwd: at('t'), encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual([
    [...makeSample('train', 0).tokens.maps[0]!.ids],
    ['train/0', 'train/1', 'train/2'],
    3,
    ['one', 'two 👟'],
  ]);
});
