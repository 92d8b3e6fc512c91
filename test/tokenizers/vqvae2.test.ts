import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Codec } from '../../src/codec/codec.js';
import { reconstruct } from '../../src/codec/networks.js';
import { shapeSet } from '../../fixtures/shapes.js';
import { exportModel, loadCodec, memoryDataset, tokenize, trainCodec, trainPrior } from '../../src/index.js';
import { idsShape, specOf } from '../../src/interfaces/index.js';
import type { Image } from '../../src/interfaces/index.js';
import { toFloat32 } from '../../src/media/image/pixels.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import { codecFamily } from '../../src/registry.js';
import { Rng } from '../../src/rng.js';
import { ShardReader } from '../../src/shards/reader.js';
import { tf } from '../../src/engine/index.js';
import { tokenizerConformance } from '../conformance/tokenizer.js';
import { freshTensors, maxDifference, TINY_CODEC, temporaryDirectory, openFamily } from '../support/tiny.js';

const family = codecFamily('vqvae2');

tokenizerConformance('vqvae2', TINY_CODEC);

describe('the VQ-VAE-2 config', () => {
  const parse = (json: Record<string, unknown>): unknown => family.parseConfig({ ...TINY_CODEC, ...json });

  it('gives a coarse map and one twice as fine', () => {
    expect(family.maps(parse({ height: 128, width: 64, downsample: 4 }))).toMatchObject([
      { name: 'top', grid: [16, 8] },
      { name: 'bottom', grid: [32, 16] },
    ]);
  });

  it('uses one quantizer for both levels, or one for each', () => {
    expect(family.maps(parse({ quantizer: { codebookSize: 32 } })).map((map) => map.vocabSize)).toEqual([32, 32]);
    expect(
      family
        .maps(parse({ topQuantizer: { codebookSize: 64 }, bottomQuantizer: { codebookSize: 8 } }))
        .map((map) => map.vocabSize),
    ).toEqual([64, 8]);
  });

  it('refuses sizes whose top map has no whole cells', () => {
    expect(() => parse({ height: 6 })).toThrow(/E_CONFIG vqvae2: .*twice downsample/);
  });

  it('names a field of a level that it does not know', () => {
    expect(() => parse({ topQuantizer: { codebokSize: 8 } })).toThrow(/E_CONFIG.*topQuantizer.*codebokSize/);
  });
});

describe('the two maps', () => {
  const config = family.parseConfig(TINY_CODEC);
  const images = tf.randomUniform([3, 8, 8, 1], -1, 1, 'float32', 5) as tf.Tensor4D;

  it('both change the image; the bottom one is chosen in the light of the top one', () => {
    const p = createParams({ ...family.trainable(config), ...family.state(config) }, 0);
    const latents = family.latents!.encode(p, images, config);
    expect(latents.map(({ shape }) => shape)).toEqual([
      [3, 2, 2, 4],
      [3, 4, 4, 4],
    ]);
    const pictures = reconstruct(family, config, p, images).output;
    expect(maxDifference(family.latents!.decode(p, latents, config), pictures)).toBeLessThan(1e-6);
    const [top, bottom] = latents as [tf.Tensor, tf.Tensor];
    for (const changed of [
      [tf.mul(top, -3), bottom],
      [top, tf.mul(bottom, -3)],
    ]) {
      expect(maxDifference(family.latents!.decode(p, changed, config), pictures)).toBeGreaterThan(1e-3);
    }
    // Another codebook of the top map moves the latents of the bottom one.
    p['topQuantizer.codebook']!.assign(tf.mul(p['topQuantizer.codebook']!, -2));
    expect(maxDifference(family.latents!.encode(p, images, config)[1]!, bottom)).toBeGreaterThan(1e-3);
    disposeParams(p);
  });
});

describe('images of any size', () => {
  it('have both maps at their own size, in tiles as in one pass', async () => {
    const config = family.parseConfig({ ...TINY_CODEC, resize: 'none' });
    const tensors = freshTensors({ ...family.trainable(config), ...family.state(config) }, 5);
    const [tiled, whole] = [16, 4096].map((tile) => openFamily(family, config, tensors, 'f'.repeat(64), { tile })) as [
      Codec,
      Codec,
    ];
    // Tiles are three times as large as what a code depends on to one side, 28 pixels here.
    const rng = new Rng(1, 'test.noise');
    const image: Image = {
      kind: 'image',
      width: 150,
      height: 30,
      channels: 1,
      pixels: Uint8Array.from({ length: 150 * 30 }, () => rng.int(256)),
    };
    const tokens = await whole.encode(image);
    expect(tokens.maps.map(idsShape)).toEqual([
      [8, 38],
      [16, 76],
    ]);
    expect(await tiled.encode(image)).toEqual(tokens);
    const [inTiles, inOne] = [await tiled.decode(tokens), await whole.decode(tokens)] as [Image, Image];
    expect([inTiles.width, inTiles.height]).toEqual([150, 30]);
    // Float rounding may tip a value over to the next of 256 levels.
    expect(maxDifference(inTiles.pixels, inOne.pixels)).toBeLessThanOrEqual(1);
    tiled.dispose();
    whole.dispose();
  });

  it('are seen whole by codecs in which everything depends on everything', () => {
    const reach = (json: Record<string, unknown>): number[] | undefined =>
      family.anyExtent!.reach(family.parseConfig({ ...TINY_CODEC, ...json }));
    expect(reach({ attentionHeads: 2 })).toBeUndefined();
    // Encoders and decoder of the levels: 5 + 10 + 12; the image's decoder: 4 + 4 + 2.
    expect(reach({})).toEqual([27, 27]);
  });
});

describe('a trained VQ-VAE-2', () => {
  it('tokenizes to shards of two maps, decodes them, and exports both', async () => {
    const directory = temporaryDirectory();
    const at = (...names: string[]): string => join(directory, ...names);
    mkdirSync(at('codec'), { recursive: true });
    const dataset = memoryDataset(
      shapeSet({ count: 24, seed: 1 }).train.map(({ image, caption }, i) => ({
        key: `shape-${i}`,
        media: image,
        captions: [caption],
      })),
    );
    const config = {
      height: 16,
      width: 16,
      hidden: 8,
      residualLayers: 1,
      residualHidden: 4,
      quantizer: { codebookSize: 16, codeDim: 4 },
      bottomQuantizer: { codebookSize: 300, codeDim: 4 },
    };
    writeFileSync(
      at('preset.json'),
      JSON.stringify({
        codec: 'vqvae2',
        config,
        training: { steps: 4, batchSize: 8, evalEvery: 100, checkpointEvery: 100 },
      }),
    );
    await trainCodec({ data: dataset, out: at('codec'), config: at('preset.json') });
    await tokenize({ data: dataset, codec: at('codec'), out: at('tokens'), workers: 0 });

    const shards = await ShardReader.open(at('tokens'));
    const { tokens, key } = shards.readBatch('train', [0])[0]!;
    await shards.close();
    expect(tokens.maps.map(specOf)).toEqual([
      { name: 'top', grid: [2, 2], levels: 1, vocabSize: 16 },
      { name: 'bottom', grid: [4, 4], levels: 1, vocabSize: 300 },
    ]);
    const codec = await loadCodec(at('codec'));
    const original = shapeSet({ count: 24, seed: 1 }).train[Number(key.split('-')[1])]!.image as Image;
    expect((await codec.encode(original)).maps).toEqual(tokens.maps);
    expect(await codec.decode(tokens)).toMatchObject({ width: 16, height: 16, channels: 3 });

    await exportModel({ model: at('codec'), out: at('onnx') });
    const session = await InferenceSession.create(at('onnx', 'encoder.onnx'));
    const small: Image = (await codec.decode(tokens)) as Image;
    const exported = await session.run({ images: new Tensor('float32', toFloat32([small]), [1, 16, 16, 3]) });
    expect(exported.top!.dims).toEqual([1, 2, 2]);
    expect([...(exported.bottom!.data as Int32Array)]).toEqual([...(await codec.encode(small)).maps[1]!.ids]);
    const decoder = await InferenceSession.create(at('onnx', 'decoder.onnx'));
    expect((await decoder.run({ top: exported.top!, bottom: exported.bottom! })).images!.dims).toEqual([1, 16, 16, 3]);
    codec.dispose();

    await expect(trainPrior({ tokens: at('tokens'), out: at('prior') })).rejects.toThrow(/E_PRIOR_MAPS/);
  }, 60_000);
});
