import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage, decodeTokens, loadCodec, openDataset, ShardReader, ShardWriter } from '../../src/index.js';
import type { Image, TokenSample } from '../../src/index.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

let world: World;
beforeAll(async () => {
  // More than one batch, and keys with folders in them.
  world = await makeWorld({ count: 75, keyOf: (i) => `set ${i % 3}/shape-${i}` });
}, 60_000);
afterAll(() => world.remove());

/** Tokens of the world's codec with samples of one's own. */
async function writeTokens(out: string, change: (sample: TokenSample, i: number) => TokenSample): Promise<void> {
  const reader = await ShardReader.open(world.at('tokens'));
  const { codec, maps, source, dataset } = reader.manifest;
  const writer = await ShardWriter.open(out, { codec, maps, source, dataset, classes: ['circle', 'square'] });
  for (let i = 0; i < 3; i++) await writer.append('train', change(await reader.read('train', i), i));
  await writer.close();
  await reader.close();
}

describe('decodeTokens', () => {
  it('writes what the codec decodes, under the keys of the samples', async () => {
    const progress: number[] = [];
    const out = world.at('decoded');
    const { samples } = await decodeTokens({
      tokens: world.at('tokens'),
      out,
      onProgress: (done, total) => progress.push(done / total),
    });
    expect(samples).toBe(75);
    expect(progress.at(-1)).toBe(1);
    const reader = await ShardReader.open(world.at('tokens'));
    const codec = await loadCodec(world.at('codec'));
    for (const split of ['train', 'test'] as const) {
      const index = reader.size(split) - 1;
      const { key, tokens } = await reader.read(split, index);
      const path = world.at('decoded', split, `${key}.png`);
      expect((await decodeImage(readFileSync(path), path)).pixels).toEqual(
        ((await codec.decode(tokens)) as Image).pixels,
      );
    }
    codec.dispose();
    await reader.close();
  });

  it('gives a dataset with the split and the captions of the original', async () => {
    const dataset = await openDataset(world.at('decoded'));
    const captions = (of: typeof dataset): string[] =>
      Array.from({ length: of.size('test') }, (_, i) => of.describe('test', i).captions[0]!).sort();
    expect([dataset.size('train'), dataset.size('test')]).toEqual([
      world.dataset.size('train'),
      world.dataset.size('test'),
    ]);
    expect(captions(dataset)).toEqual(captions(world.dataset));
    await dataset.close();
  });

  it('decodes one split, and as many samples as asked for', async () => {
    expect(
      await decodeTokens({ tokens: world.at('tokens'), out: world.at('two'), split: 'train', limit: 2 }),
    ).toMatchObject({ samples: 2 });
    expect(existsSync(world.at('two', 'test'))).toBe(false);
  });

  it('keeps labels by the names of their classes, and several captions', async () => {
    await writeTokens(world.at('labeled'), (sample, i) => ({
      ...sample,
      key: `${i}`,
      captions: ['one', 'two'],
      label: i % 2,
    }));
    await decodeTokens({ tokens: world.at('labeled'), codec: world.at('codec'), out: world.at('labeled-pictures') });
    const rows = readFileSync(world.at('labeled-pictures', 'train', 'metadata.jsonl'), 'utf8')
      .trim()
      .split('\n');
    expect(JSON.parse(rows[1]!)).toEqual({ file_name: '1.png', text: ['one', 'two'], label: 'square' });
  });

  it.each(['../escape', '/etc/escape', 'a/../../escape', 'a//b', '.', 'C:\\escape', 'a\\..\\b', 'line\nbreak'])(
    'refuses a key that is no path inside the output: %j',
    async (key) => {
      const name = `hostile-${Buffer.from(key).toString('hex')}`;
      await writeTokens(world.at(name), (sample, i) => ({ ...sample, key: i === 0 ? key : `${i}` }));
      await expect(
        decodeTokens({ tokens: world.at(name), codec: world.at('codec'), out: world.at(`${name}-out`) }),
      ).rejects.toMatchObject({ code: 'E_SAMPLE_KEY', exitCode: 4 });
    },
  );

  it('asks for a codec when the tokens carry none', async () => {
    await writeTokens(world.at('bare'), (sample) => sample);
    await expect(decodeTokens({ tokens: world.at('bare'), out: world.at('bare-out') })).rejects.toMatchObject({
      code: 'E_NO_CODEC',
    });
    expect(existsSync(world.at('bare-out'))).toBe(false);
  });

  it('stops when its signal fires', async () => {
    const controller = new AbortController();
    const stopped = decodeTokens({
      tokens: world.at('tokens'),
      out: world.at('stopped'),
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({
      code: 'E_ABORTED',
      message: expect.stringContaining('after 64 of 75'),
    });
    expect(existsSync(world.at('stopped', '.tesserae.lock'))).toBe(false);
  });
});
