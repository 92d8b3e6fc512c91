// Tokenizing alone and in worker threads. Workers are started from a file, so these tests run the build, and nothing of
// src/ that knows TF.js, which has room for one engine only.
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeSet } from '../../fixtures/shapes.js';
import type * as Sdk from '../../src/index.js';
import type { Image, RawSample, SampleContent } from '../../src/index.js';
import { encodePng } from '../../src/media/image/image.js';
import type * as Pools from '../../src/sdk/encoder-pool.js';
import type * as Models from '../../src/sdk/models.js';
import { errorsOf, MAIN, run, sha256Of, succeed, temporaryFolder, until, writeInputs } from '../cli/support.js';

const build = new URL('../../dist/src/', import.meta.url);
const { loadCodec, ShardReader, tokenize } = (await import(new URL('index.js', build).href)) as typeof Sdk;
const { openEncoderPool } = (await import(new URL('sdk/encoder-pool.js', build).href)) as typeof Pools;
const { loadCodecFiles } = (await import(new URL('sdk/models.js', build).href)) as typeof Models;

/** Places of pictures cut short: within batches, at the end of a split, at the start of the next. */
const BAD = { train: [3, 64, 99], test: [0, 70, 149] };
const COUNTS = { train: 100, test: 150 };

const folder = temporaryFolder();
const world = { path: folder.path, at: (...names: string[]): string => join(folder.path, ...names) };
beforeAll(async () => {
  await writeInputs(world.path);
  await succeed(world.path, ['train', 'codec', '--data', 'data', '--out', 'codec', '--config', 'codec.json']);
  const pictures = await Promise.all(shapeSet({ count: 10, seed: 2 }).train.map(({ image }) => encodePng(image)));
  for (const split of ['train', 'test'] as const) {
    for (const folder of ['good', 'bad']) mkdirSync(world.at(folder, split), { recursive: true });
    for (let i = 0; i < COUNTS[split]; i++) {
      const name = `${String(i).padStart(3, '0')}.png`;
      const picture = pictures[i % pictures.length]!;
      writeFileSync(world.at('good', split, name), picture);
      writeFileSync(world.at('bad', split, name), BAD[split].includes(i) ? picture.subarray(0, 60) : picture);
    }
  }
  await tokenize({ ...job('bad', 'whole'), skipBad: true });
}, 60_000);
afterAll(folder.remove);

/** sha256 of the shards, their manifest and the list of rejects. */
function shardsOf(out: string): Record<string, string> {
  const names = readdirSync(world.at(out)).filter((name) => /^part-|^manifest\.json$|^rejects\.jsonl$/.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, sha256Of(world.at(out, name))]));
}

const job = (data: string, out: string, workers = 0) => ({
  data: world.at(data),
  codec: world.at('codec'),
  out: world.at(out),
  workers,
});

describe('tokenize', () => {
  it('writes the same bytes with any number of workers', async () => {
    for (const workers of [0, 1, 2, 3])
      expect(await tokenize(job('good', `good-${workers}`, workers))).toMatchObject({ samples: COUNTS, rejected: 0 });
    expect(Object.keys(shardsOf('good-0'))).toEqual([
      'manifest.json',
      expect.stringMatching(/^part-00000/),
      expect.stringMatching(/^part-00001/),
    ]);
    for (const workers of [1, 2, 3]) expect(shardsOf(`good-${workers}`)).toEqual(shardsOf('good-0'));
  });

  it('encodes as the codec does, image by image', async () => {
    await tokenize(job('good', 'checked', 2));
    const codec = await loadCodec(world.at('codec'));
    const reader = await ShardReader.open(world.at('checked'));
    const [image] = shapeSet({ count: 10, seed: 2 }).train.map((scene) => scene.image);
    expect((await reader.read('train', 0)).tokens).toEqual((await codec.encode([image!]))[0]);
    await reader.close();
    codec.dispose();
  });

  it.each([0, 2])('leaves out bad samples with skipBad and lists them in order, %i workers', async (workers) => {
    const told: string[] = [];
    const result = await tokenize({
      ...job('bad', `skipped-${workers}`, workers),
      skipBad: true,
      onReject: ({ code }, key) => told.push(`${code} ${key}`),
    });
    expect(result).toMatchObject({ samples: { train: 97, test: 147 }, rejected: 6 });
    const rejects = readFileSync(world.at(`skipped-${workers}`, 'rejects.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rejects.map(({ split, index }) => [split, index])).toEqual([
      ...BAD.train.map((i) => ['train', i]),
      ...BAD.test.map((i) => ['test', i]),
    ]);
    expect(told).toEqual(rejects.map(({ key, error }) => `${String(error).split(' ')[0]} ${String(key)}`));
    expect(rejects.every(({ error }) => /^E_IMAGE_\w+ .*\d{3}\.png/.test(String(error)))).toBe(true);
    const reader = await ShardReader.open(world.at(`skipped-${workers}`));
    expect(reader.size('train')).toBe(97);
    await reader.close();
    expect(shardsOf(`skipped-${workers}`)).toEqual(shardsOf('whole'));
  });

  it.each([0, 2])(
    'stops at the first bad sample without skipBad and writes nothing past it, %i workers',
    async (workers) => {
      const out = `stopped-${workers}`;
      await expect(tokenize(job('bad', out, workers))).rejects.toMatchObject({
        name: 'InputError',
        code: expect.stringMatching(/^E_IMAGE_/),
        exitCode: 3,
        message: expect.stringContaining('003.png'),
      });
      expect(Object.keys(shardsOf(out))).toEqual([]);
      expect(existsSync(world.at(out, '.tesserae.lock'))).toBe(false);
    },
  );

  it.each([0, 2])(
    'resumes after kill -9 in the middle with the same shards and rejects, %i workers',
    async (workers) => {
      const out = `killed-${workers}`;
      const { data, codec } = job('bad', out);
      const args = [
        'tokenize',
        '--data',
        data,
        '--codec',
        codec,
        '--out',
        out,
        '--skip-bad',
        '--workers',
        `${workers}`,
      ];
      const child = spawn(process.execPath, [MAIN, ...args], {
        cwd: world.path,
        env: { ...process.env, TESSERAE_THREADS: '1' },
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.on('close', resolve));
      // The first split is committed, and a reject of the second is listed.
      const rejects = world.at(out, 'rejects.jsonl');
      await until(
        () => existsSync(rejects) && readFileSync(rejects, 'utf8').includes('"test"'),
        'a reject of the second split',
      );
      child.kill('SIGKILL');
      await ended;
      const resumed = await run(world.path, [...args, '--resume']);
      expect({ code: resumed.code, stderr: resumed.stderr }).toMatchObject({
        code: 7,
        stderr: expect.stringContaining('rejects.jsonl'),
      });
      expect(shardsOf(out)).toEqual(shardsOf('whole'));
    },
  );

  it('leaves out a file that goes away while it works', async () => {
    const data = world.at('going');
    cpSync(world.at('good'), data, { recursive: true });
    const result = await tokenize({
      ...job('going', 'gone', 2),
      skipBad: true,
      onSummary: () => rmSync(join(data, 'train', '007.png')),
    });
    expect(result).toMatchObject({ samples: { ...COUNTS, train: COUNTS.train - 1 }, rejected: 1 });
    expect(JSON.parse(readFileSync(world.at('gone', 'rejects.jsonl'), 'utf8'))).toMatchObject({
      split: 'train',
      key: 'train/007',
      error: expect.stringMatching(/^E_NOT_FOUND .*007\.png/),
    });
  });

  it('without its rejects.jsonl, or with a damaged one, is not resumed: nothing is written twice', async () => {
    await tokenize({ ...job('bad', 'lost'), skipBad: true });
    const before = shardsOf('lost');
    for (const damage of [
      () => rmSync(world.at('lost', 'rejects.jsonl')),
      () => writeFileSync(world.at('lost', 'rejects.jsonl'), '{"split"'),
    ]) {
      damage();
      const { code, stderr } = await run(world.path, [
        'tokenize',
        '--data',
        world.at('bad'),
        '--codec',
        world.at('codec'),
        '--out',
        'lost',
        '--skip-bad',
        '--resume',
      ]);
      expect({ code, errors: errorsOf(stderr) }).toEqual({
        code: 4,
        errors: [expect.stringMatching(/^E_REJECTS lost.rejects\.jsonl: expected the 5 skipped samples .*--force\.$/)],
      });
      const inspected = await run(world.path, ['inspect', 'lost']);
      expect(inspected).toMatchObject({ code: 4, stderr: expect.stringContaining('E_REJECTS') });
      expect(shardsOf('lost')).toMatchObject(
        Object.fromEntries(Object.entries(before).filter(([name]) => name !== 'rejects.jsonl')),
      );
    }
  });

  it('refuses a codec that a link leads to, and sweeps what a kill left beside its copy', async () => {
    await tokenize(job('good', 'linked'));
    writeFileSync(world.at('linked', 'codec', 'model.json.tmp-1-0123456789ab'), 'left over');
    await tokenize({ ...job('good', 'linked'), resume: true });
    expect(readdirSync(world.at('linked', 'codec')).sort()).toEqual(['model.json', 'model.safetensors']);
    renameSync(world.at('linked', 'codec'), world.at('linked-codec'));
    symlinkSync(world.at('linked-codec'), world.at('linked', 'codec'));
    await expect(loadCodec(world.at('linked'))).rejects.toMatchObject({
      code: 'E_MODEL_FILE',
      exitCode: 4,
      message: expect.stringContaining('found a link'),
    });
  });

  it('exits 3 with one line for a bad sample, workers or not', async () => {
    for (const workers of ['0', '2']) {
      const { code, stderr } = await run(world.path, [
        'tokenize',
        '--data',
        'bad',
        '--codec',
        'codec',
        '--out',
        `exits-${workers}`,
        '--workers',
        workers,
      ]);
      expect({ code, stderr }).toEqual({
        code: 3,
        stderr: expect.stringMatching(
          /E_IMAGE_\w+ .*003\.png.*Nothing past it was written; --skip-bad leaves such samples out, with --resume from here on\.\n$/,
        ),
      });
    }
  });
});

describe('worker threads', () => {
  const pieceOf = (samples: readonly RawSample[]) => [{ samples, release: () => undefined }];
  const rawOf = (content: SampleContent): RawSample => ({ key: 'one', source: 'one.png', content, captions: [] });
  const raw = (bytes: Uint8Array): RawSample => rawOf({ bytes });

  it('that cannot start say why by a typed error, to later batches too', async () => {
    const stored = loadCodecFiles(world.at('codec'));
    const pool = openEncoderPool({ ...stored, tensors: {} }, 2);
    try {
      await expect(pool.encode(pieceOf([raw(new Uint8Array(9))]))).rejects.toMatchObject({
        name: 'CorruptError',
        exitCode: 4,
      });
      await expect(pool.encode(pieceOf([raw(new Uint8Array(9))]))).rejects.toMatchObject({ name: 'CorruptError' });
    } finally {
      await pool.close();
    }
  });

  it('tell a bug in one batch by its message and stack, and go on with the next', async () => {
    const pool = openEncoderPool(loadCodecFiles(world.at('codec')), 2);
    const alone = openEncoderPool(loadCodecFiles(world.at('codec')), 0);
    try {
      const broken = [raw(null as unknown as Uint8Array)];
      const error = (await alone.encode(pieceOf(broken)).catch((reason: unknown) => reason)) as Error;
      await expect(pool.encode(pieceOf(broken))).rejects.toMatchObject({
        message: error.message,
        stack: expect.stringContaining('decodeWithOriginal'),
      });
      const decoded: Image = { kind: 'image', width: 4, height: 4, channels: 3, pixels: new Uint8Array(48) };
      const fit = [rawOf({ media: decoded }), raw(new Uint8Array(5))];
      const [encoded] = (await alone.encode(pieceOf(fit))) as { key: string; tokens: object }[];
      expect(await pool.encode(pieceOf(fit))).toMatchObject([
        { key: 'one', tokens: encoded!.tokens },
        { key: 'one', error: { name: 'InputError' } },
      ]);
    } finally {
      await alone.close();
      await pool.close();
    }
  });

  it('end by themselves, used or not', async () => {
    const unused = openEncoderPool(loadCodecFiles(world.at('codec')), 2);
    await unused.close();
    const used = openEncoderPool(loadCodecFiles(world.at('codec')), 2);
    expect(await used.encode(pieceOf([raw(new Uint8Array(9))]))).toMatchObject([
      { key: 'one', error: { exitCode: 3 } },
    ]);
    await used.close();
    await expect(used.encode(pieceOf([raw(new Uint8Array(9))]))).rejects.toMatchObject({ code: 'E_WORKER' });
  });
});
