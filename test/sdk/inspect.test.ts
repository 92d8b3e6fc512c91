import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, exportModel, inspect } from '../../src/index.js';
import type { Image } from '../../src/index.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.remove());

const HASH = expect.stringMatching(/^[0-9a-f]{64}$/);
const gray: Image = { kind: 'image', width: 5, height: 4, channels: 1, pixels: new Uint8Array(20).fill(99) };

describe('inspect', () => {
  it('knows a codec and a prior by their cards, and which codec the prior is for', async () => {
    const codec = await inspect(world.at('codec'));
    expect(codec).toMatchObject({
      kind: 'codec',
      fingerprint: HASH,
      name: 'vqvae',
      maps: [{ name: 'codes', grid: [4, 4], levels: 1, vocabSize: 16 }],
      steps: 6,
    });
    expect(codec).toHaveProperty('parameters', expect.any(Number));
    expect(await inspect(world.at('prior'))).toMatchObject({
      kind: 'prior',
      fingerprint: HASH,
      name: 'gpt',
      codec: codec.fingerprint,
      conditioning: 'text',
      steps: 4,
    });
  });

  it('verifies the copy of the codec that a prior has', async () => {
    const copy = world.at('prior-copy');
    cpSync(world.at('prior'), copy, { recursive: true });
    truncateSync(world.at('prior-copy/codec/model.safetensors'), 500);
    await expect(inspect(copy)).rejects.toMatchObject({ code: 'E_MODEL_FILE', exitCode: 4 });
    rmSync(world.at('prior-copy/codec'), { recursive: true });
    expect(await inspect(copy)).toMatchObject({ health: 'every byte verified; no copy of its codec' });
  });

  it('counts what tokens hold and verifies all of it', async () => {
    const found = await inspect(world.at('tokens'));
    expect(found).toMatchObject({
      kind: 'tokens',
      fingerprint: HASH,
      samples: { train: world.dataset.size('train'), test: world.dataset.size('test') },
      parts: 2,
      health: { ok: true },
    });
    const [map] = (found as { maps: { used: number; perplexity: number }[] }).maps;
    expect(map!.used).toBeGreaterThan(0);
    expect(map!.perplexity).toBeLessThanOrEqual(map!.used + 1e-9);
  });

  it.each<[string, (directory: string) => void, string]>([
    ['a flipped bit', (d) => flip(`${d}/part-00000.msgpack`, 1500), 'E_SHARD_RECORD'],
    ['a truncated part', (d) => truncateSync(`${d}/part-00001.msgpack`, 700), 'E_SHARD_SIZE'],
    ['a missing part', (d) => rmSync(`${d}/part-00001.msgpack`), 'E_'],
    ['a foreign part', (d) => copyFileSync(`${d}/part-00001.msgpack`, `${d}/part-00002.msgpack`), 'E_SHARD_UNLISTED'],
    ['a changed manifest', (d) => flip(`${d}/manifest.json`, 60), 'E_'],
    ['no manifest', (d) => rmSync(`${d}/manifest.json`), 'E_NOT_A_DATASET'],
  ])('reports %s of tokens in place of failing', async (what, damage, code) => {
    const directory = world.at(what);
    cpSync(world.at('tokens'), directory, { recursive: true });
    damage(directory);
    const found = await inspect(directory);
    expect(found).toMatchObject({
      kind: 'tokens',
      health: { ok: false, problem: expect.stringMatching(new RegExp(`^${code}`)) },
    });
  });

  it('refuses a damaged model', async () => {
    cpSync(world.at('codec'), world.at('damaged codec'), { recursive: true });
    flip(world.at('damaged codec', 'model.safetensors'), 3000);
    await expect(inspect(world.at('damaged codec'))).rejects.toMatchObject({ exitCode: 4 });
  });

  it('knows a run that has no model yet, from its checkpoints', async () => {
    cpSync(world.at('codec'), world.at('run'), { recursive: true });
    rmSync(world.at('run', 'model.json'));
    expect(await inspect(world.at('run'))).toMatchObject({
      kind: 'run',
      fingerprint: HASH,
      model: 'vqvae',
      step: 6,
      steps: 6,
      checkpoints: [4, 6],
      lastMetrics: { step: 6 },
      lastEvaluation: { split: 'test' },
    });
    rmSync(world.at('run', 'checkpoints'), { recursive: true });
    expect(await inspect(world.at('run'))).toMatchObject({ kind: 'run', fingerprint: null, step: 6, checkpoints: [] });
  });

  it('leaves a run it looks at as it is, a save in progress included', async () => {
    cpSync(world.at('codec'), world.at('live'), { recursive: true });
    rmSync(world.at('live', 'model.json'));
    const pending = world.at('live', 'checkpoints', 'step-9.tmp-1-0123456789ab');
    renameSync(world.at('live', 'checkpoints', 'step-6'), pending);
    expect(await inspect(world.at('live'))).toMatchObject({ kind: 'run', checkpoints: [4] });
    expect(readFileSync(`${pending}/state.json`).length).toBeGreaterThan(0);
  });

  it('knows an export and names its inputs', async () => {
    await exportModel({ model: world.at('codec'), out: world.at('onnx') });
    const { fingerprint } = await inspect(world.at('codec'));
    expect(await inspect(world.at('onnx'))).toMatchObject({
      kind: 'export',
      fingerprint,
      functions: [{ name: 'encoder', inputs: ['images [batch, 16, 16, 3]'] }, { name: 'decoder' }],
    });
  });

  it('describes a folder of images, its classes and its first sample', async () => {
    for (const [name, count] of [
      ['cat', 3],
      ['dog', 2],
    ] as const) {
      mkdirSync(world.at('animals', name), { recursive: true });
      for (let i = 0; i < count; i++) writeFileSync(world.at('animals', name, `${i}.png`), await encodePng(gray));
    }
    const found = await inspect(world.at('animals'));
    expect(found).toMatchObject({
      kind: 'dataset',
      fingerprint: HASH,
      format: 'folder',
      classes: [
        { name: 'cat', samples: 3 },
        { name: 'dog', samples: 2 },
      ],
      captions: { samples: 5, distinct: 2 },
      medium: 'image',
      first: { media: { width: 5, height: 4 }, caption: expect.stringMatching(/^a photo of a (cat|dog)$/) },
    });
    expect(await inspect(world.at('animals', 'cat', '0.png'))).toMatchObject({
      kind: 'sample',
      fingerprint: HASH,
      format: 'png',
      media: { kind: 'image', width: 5, height: 4 },
    });
  });

  it('says what it expected of anything else', async () => {
    writeFileSync(world.at('notes.txt'), 'nothing of ours');
    await expect(inspect(world.at('notes.txt'))).rejects.toMatchObject({ code: 'E_DATA_KIND', exitCode: 3 });
    await expect(inspect(world.at('nowhere'))).rejects.toMatchObject({ code: 'E_NOT_FOUND', exitCode: 2 });
  });
});

function flip(path: string, index: number): void {
  const bytes = readFileSync(path);
  bytes[index]! ^= 1;
  writeFileSync(path, bytes);
}
