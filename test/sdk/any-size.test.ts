// Images that keep their sizes, through every step that touches them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  decodeImage,
  decodeTokens,
  evaluateCodec,
  inspect,
  loadCodec,
  loadPrior,
  memoryDataset,
  ShardReader,
  tokenize,
  trainCodec,
  trainPrior,
} from '../../src/index.js';
import type { Dataset, Image } from '../../src/index.js';
import { readFile } from '../../src/files/read.js';
import { noise } from '../media/image/fixtures.js';

const CODEC = {
  config: {
    height: 16,
    width: 16,
    channels: 1,
    resize: 'none',
    downsample: 4,
    hidden: 8,
    residualLayers: 1,
    residualHidden: 4,
    quantizer: { codebookSize: 16, codeDim: 4 },
  },
  training: { steps: 4, batchSize: 4, warmupSteps: 1, evalEvery: 100, checkpointEvery: 100 },
};
const PRIOR = {
  config: { nLayer: 1, nHead: 2, nEmbd: 16 },
  training: { steps: 2, batchSize: 4, warmupSteps: 1, evalEvery: 100, checkpointEvery: 100 },
};
const SIZES = [
  [40, 22],
  [9, 70],
  [16, 16],
  [5, 3],
  [31, 32],
  [64, 18],
] as const;

const path = mkdtempSync(join(tmpdir(), 'tesserae-any-size-'));
const at = (...names: string[]): string => join(path, ...names);
const named = (images: readonly Image[]): Dataset =>
  memoryDataset(
    images.map((image, i) => ({
      key: `picture-${i}`,
      media: image,
      captions: [],
      split: i % 3 === 2 ? ('test' as const) : ('train' as const),
    })),
  );
const mixed = named(SIZES.map(([width, height]) => noise(width, height, 1)));
const alike = named(Array.from({ length: 6 }, () => noise(12, 20, 1)));

beforeAll(async () => {
  writeFileSync(at('codec.json'), JSON.stringify(CODEC));
  writeFileSync(at('prior.json'), JSON.stringify(PRIOR));
  await trainCodec({ data: mixed, out: at('codec'), config: at('codec.json') });
  await tokenize({ data: mixed, codec: at('codec'), out: at('tokens'), workers: 0 });
});

afterAll(() => rmSync(path, { recursive: true, force: true }));

describe('images of any size', () => {
  it('are trained on by pieces, the same for the same seed, and evaluated', async () => {
    const again = await trainCodec({ data: mixed, out: at('again'), config: at('codec.json') });
    const { card } = await loadCodec(at('codec'));
    expect(again.fingerprint).toBe(card.fingerprint);
    expect(
      (await trainCodec({ data: mixed, out: at('other'), config: at('codec.json'), seed: 1 })).fingerprint,
    ).not.toBe(card.fingerprint);
    expect(await evaluateCodec({ codec: at('codec'), data: mixed })).toMatchObject({
      samples: 2,
      maps: [{ name: 'codes' }],
    });
  });

  it('become maps of their own shapes, with workers or without', async () => {
    const reader = await ShardReader.open(at('tokens'));
    expect(reader.maps).toEqual([{ name: 'codes', grid: [-1, -1], levels: 1, vocabSize: 16 }]);
    for (let i = 0; i < reader.size('train'); i++) {
      const { key, tokens } = reader.readBatch('train', [i])[0]!;
      const [width, height] = SIZES[Number(key.split('-')[1])]!;
      expect(tokens.media).toEqual({ kind: 'image', width, height, channels: 1 });
      expect(tokens.maps[0]!.grid).toEqual([Math.ceil(height / 4), Math.ceil(width / 4)]);
    }
    await reader.close();
    const { manifest } = await tokenize({ data: mixed, codec: at('codec'), out: at('tokens-2'), workers: 2 });
    expect(manifest.fingerprint).toBe(reader.fingerprint);
  });

  it('come back at their true sizes', async () => {
    await decodeTokens({ tokens: at('tokens'), out: at('decoded') });
    for (const [i, [width, height]] of SIZES.entries()) {
      const file = at('decoded', i % 3 === 2 ? 'test' : 'train', `picture-${i}.png`);
      expect(await decodeImage(readFile(file), file)).toMatchObject({ width, height });
    }
  });

  it('are told by inspect as open shapes', async () => {
    expect(await inspect(at('tokens'))).toMatchObject({
      kind: 'tokens',
      maps: [{ grid: [-1, -1], levels: 1 }],
      health: { ok: true },
    });
  });

  it('of different shapes are refused for a prior in one line', async () => {
    await expect(trainPrior({ tokens: at('tokens'), out: at('prior'), config: at('prior.json') })).rejects.toThrow(
      /^E_MIXED_SHAPES .*expected maps of one shape for a prior, found \[6, 10\] of "picture-0" and \[18, 3\] of "picture-1"\. Tokenize with a codec that resizes/,
    );
  });

  it('of one shape train a prior, whose images have that shape', async () => {
    await tokenize({ data: alike, codec: at('codec'), out: at('alike'), workers: 0 });
    const card = await trainPrior({ tokens: at('alike'), out: at('prior'), config: at('prior.json') });
    expect(card.maps).toMatchObject([{ grid: [5, 3] }]);
    const prior = await loadPrior(at('prior'));
    const [tokens] = await prior.generate([null]);
    // 5 x 3 codes of 4 x 4 pixels each, in the codec's channels.
    expect(tokens!.media).toEqual({ kind: 'image', width: 12, height: 20, channels: 1 });
    prior.dispose();
  });
});
