import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportsOf, reconstruct } from '../../src/codec/networks.js';
import { imageCore } from '../../src/media/image/core.js';
import { compile, hostValues, tf } from '../../src/engine/index.js';
import { idsShape } from '../../src/interfaces/index.js';
import type { Image, TokenMap } from '../../src/interfaces/index.js';
import { toFloat32 } from '../../src/media/image/pixels.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { disposeParams, importParams } from '../../src/model/params.js';
import { codecFamily } from '../../src/registry.js';
import { windowOf } from '../../src/media/image/window.js';
import type { Codec } from '../../src/codec/codec.js';
import { copyBlock } from '../../src/media/samples.js';
import { cutOf, innerBlock, spansOf, tilesOf, windowBlock } from '../../src/codec/tiles.js';
import type { Span } from '../../src/codec/tiles.js';
import { noise } from '../media/image/fixtures.js';
import { freshTensors, TINY_CODEC, openFamily } from '../support/tiny.js';

const family = codecFamily('vqvae');
const FINGERPRINT = 'a'.repeat(64);

const parse = (json: Record<string, unknown> = {}) => family.parseConfig({ ...TINY_CODEC, resize: 'none', ...json });
const specsOf = (config: unknown) => ({ ...family.trainable(config), ...family.state(config) });
const open = (config: unknown, tile?: number) =>
  openFamily(family, config, freshTensors(specsOf(config), 5), FINGERPRINT, { tile });

/** Networks of every kind of layer that can be cut. */
const NETWORKS: Record<string, Record<string, unknown>> = {
  f2: { downsample: 2 },
  f4: { downsample: 4, residualLayers: 2 },
  f8: { downsample: 8 },
  'one stride of 4': { downsample: 4, strides: [4] },
  'strides 4 and 2': { downsample: 8, strides: [4, 2] },
  'blocks at every resolution, a stem, nearest upsampling': {
    downsample: 4,
    blocksPerStage: 1,
    stem: 8,
    upsample: 'nearest',
    activation: 'silu',
  },
  'blocks without a stem': { downsample: 4, blocksPerStage: 2 },
};

describe('spans', () => {
  it('cover an axis once, each inner part a reach away from where its span is cut', () => {
    const positive = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        positive,
        positive,
        fc.integer({ min: 0, max: 8 }),
        fc.constantFrom(1, 2, 4),
        (extent, more, reach, multiple) => {
          const [length, tile, overlap] = [extent * multiple, (2 * reach + more) * multiple, reach * multiple];
          const spans = spansOf(length, { length: tile, reach: overlap });
          let at = 0;
          for (const { start, length: own, from, to } of spans) {
            expect(from).toBe(at);
            expect(to).toBeGreaterThan(from);
            expect(own).toBe(Math.min(tile, length));
            expect([start % multiple, to % multiple]).toEqual([0, 0]);
            expect(start === 0 ? overlap : from - start).toBeGreaterThanOrEqual(overlap);
            expect(start + own === length ? overlap : start + own - to).toBeGreaterThanOrEqual(overlap);
            at = to;
          }
          expect(at).toBe(length);
        },
      ),
    );
  });

  it('take tiles of three times the reach where less was asked for', () => {
    expect(cutOf(32, 13, 4)).toEqual({ length: 48, reach: 16 });
    expect(cutOf(255, 13, 4)).toEqual({ length: 256, reach: 16 });
  });
});

describe('the reach of a network', () => {
  it('has no bounds with attention or group norm', () => {
    expect(family.anyExtent!.reach(parse({ attentionHeads: 2 }))).toBeUndefined();
    expect(family.anyExtent!.reach(parse({ norm: 'group' }))).toBeUndefined();
  });
});

describe('tiles', () => {
  it.each(Object.entries(NETWORKS))(
    'give the ids of one pass, borders included, and its pixels: %s',
    async (_, json) => {
      const config = parse(json);
      const [multiple] = family.anyExtent!.multiple(config) as [number, number];
      const cut = cutOf(1, family.anyExtent!.reach(config)![0]!, multiple);
      const [height, width] = [cut.length + 3 * multiple, 2 * cut.length - multiple];
      const cell = [multiple, multiple];
      const image = noise(width, height, 1);
      const params = importParams('test', specsOf(config), freshTensors(specsOf(config), 5));
      const compiled = compile((images: tf.Tensor4D) => reconstruct(family, config, params, images), {
        name: 'reconstruct',
      });
      const whole = await run(compiled, image);
      const tiled = { ids: new Int32Array(whole.ids.length), pixels: new Float32Array(whole.pixels.length) };
      const tiles = tilesOf([height, width], [cut, cut]);
      expect(tiles.length).toBeGreaterThan(3);
      for (const tile of tiles) {
        const [rows, columns] = tile as [Span, Span];
        const part = await run(
          compiled,
          windowOf(image, { left: columns.start, top: rows.start, width: columns.length, height: rows.length }),
        );
        copyBlock(
          { data: part.ids, shape: [rows.length / multiple, columns.length / multiple, 1] },
          { data: tiled.ids, shape: [height / multiple, width / multiple, 1] },
          innerBlock(tile, cell),
        );
      }
      expect(tiled.ids).toEqual(whole.ids);
      // Decoding starts from the ids of one pass, as its tiles overlap where the encoder's inner parts end.
      const decode = compile(
        (ids: tf.Tensor) => exportsOf(family, config, params, imageCore).decoder!.fn(ids) as tf.Tensor,
        {
          name: 'decode',
        },
      );
      for (const tile of tiles) {
        const [h, w] = tile.map(({ length }) => length / multiple) as [number, number];
        const ids = new Int32Array(h * w);
        copyBlock(
          { data: whole.ids, shape: [height / multiple, width / multiple, 1] },
          { data: ids, shape: [h, w, 1] },
          windowBlock(tile, cell),
        );
        const input = tf.tensor3d(ids, [1, h, w], 'int32');
        const output = await decode(input);
        copyBlock(
          { data: hostValues(output) as Float32Array, shape: [h * multiple, w * multiple, 1] },
          { data: tiled.pixels, shape: [height, width, 1] },
          innerBlock(tile, [1, 1]),
        );
        tf.dispose([input, output]);
      }
      // Sums of a few hundred products in another order.
      expect(largestDifference(tiled.pixels, whole.pixels)).toBeLessThan(1e-4);
      await compiled.dispose();
      await decode.dispose();
      disposeParams(params);
    },
  );

  it('that overlap less than the reach would show', async () => {
    const config = parse({ downsample: 4, residualLayers: 2 });
    const params = importParams('test', specsOf(config), freshTensors(specsOf(config), 5));
    const compiled = compile((images: tf.Tensor4D) => reconstruct(family, config, params, images), {
      name: 'reconstruct',
    });
    const image = noise(64, 32, 1);
    const whole = await run(compiled, image);
    const part = await run(compiled, windowOf(image, { left: 0, top: 0, width: 32, height: 32 }));
    const row = (values: Float32Array, width: number): Float32Array => values.subarray(16 * width, 16 * width + 32);
    expect(largestDifference(row(part.pixels, 32), row(whole.pixels, 64))).toBeGreaterThan(1e-3);
    await compiled.dispose();
    disposeParams(params);
  });
});

describe('a codec for images of any size', () => {
  it.each([
    [1, 1],
    [2, 2],
    [7, 13],
    [50, 9],
    [33, 70],
  ])('codes %i x %i pixels and gives back as many', async (width, height) => {
    const codec = open(parse(), 16);
    const image = noise(width, height, 1);
    const tokens = await codec.encode(image);
    expect(tokens.media).toEqual({ kind: 'image', width, height, channels: 1 });
    expect(tokens.maps[0]!.grid).toEqual([Math.ceil(height / 2), Math.ceil(width / 2)]);
    expect(codec.maps(tokens.media)).toEqual([{ name: 'codes', grid: tokens.maps[0]!.grid, levels: 1, vocabSize: 16 }]);
    const decoded = (await codec.decode(tokens)) as Image;
    expect([decoded.width, decoded.height, decoded.pixels.length]).toEqual([width, height, width * height]);
    codec.dispose();
  });

  it('gives in tiles what it gives in one pass, and for several images what it gives for each', async () => {
    const [tiled, whole] = [open(parse(), 16), open(parse(), 4096)];
    const images = [noise(61, 40, 1), noise(8, 8, 1), noise(40, 61, 1), noise(16, 24, 1), noise(8, 8, 1)];
    const tokens = await whole.encode(images);
    expect(await tiled.encode(images)).toEqual(tokens);
    for (const [i, image] of images.entries()) expect(await tiled.encode(image)).toEqual(tokens[i]);
    const [inTiles, inOne] = [(await tiled.decode(tokens)) as Image[], (await whole.decode(tokens)) as Image[]];
    inTiles.forEach((image, i) => {
      const other = inOne[i]!;
      expect([image.width, image.height]).toEqual([other.width, other.height]);
      // Float rounding may tip a value over to the next of 256 levels.
      expect(largestDifference(image.pixels, other.pixels)).toBeLessThanOrEqual(1);
    });
    tiled.dispose();
    whole.dispose();
  });

  it('pads with the border’s pixels, to the right and below', async () => {
    const codec = open(parse());
    const image = noise(7, 5, 1);
    const padded = windowOf(image, { left: 0, top: 0, width: 8, height: 6 });
    expect((await codec.encode(image)).maps).toEqual((await codec.encode(padded)).maps);
    codec.dispose();
  });

  it('puts maps of several resolutions, and of several ids a position, together', async () => {
    const [tiled, whole] = [levels(16), levels(4096)];
    const image = noise(41, 23, 1);
    const tokens = await whole.encode(image);
    expect(tokens.maps.map(idsShape)).toEqual([
      [6, 11],
      [12, 22, 2],
    ]);
    expect(new Set(tokens.maps[0]!.ids).size).toBeGreaterThan(10);
    expect(await tiled.encode(image)).toEqual(tokens);
    expect(await tiled.decode(tokens)).toEqual(await whole.decode(tokens));
    await expect(
      tiled.decode({ ...tokens, maps: [tokens.maps[0]!, { ...tokens.maps[1]!, grid: [11, 24] }] }),
    ).rejects.toThrow(/E_TOKENS_SHAPE/);
    tiled.dispose();
    whole.dispose();
  });

  it('gives of two levels in tiles what it gives in one pass, the bottom conditioned on the top', async () => {
    const twoLevels = codecFamily('vqvae2');
    const config = twoLevels.parseConfig({ ...TINY_CODEC, resize: 'none' });
    const specs = { ...twoLevels.trainable(config), ...twoLevels.state(config) };
    const [tiled, whole] = [16, 4096].map((tile) =>
      openFamily(twoLevels, config, freshTensors(specs, 5), FINGERPRINT, { tile }),
    );
    const side = cutOf(16, twoLevels.anyExtent!.reach(config)![0]!, 4).length;
    const image = noise(2 * side + 3, side + 9, 1);
    const tokens = await whole!.encode(image);
    expect(tokens.maps.map(({ name }) => name)).toEqual(['top', 'bottom']);
    expect(await tiled!.encode(image)).toEqual(tokens);
    const [inTiles, inOne] = [(await tiled!.decode(tokens)) as Image, (await whole!.decode(tokens)) as Image];
    expect(largestDifference(inTiles.pixels, inOne.pixels)).toBeLessThanOrEqual(1);
    tiled!.dispose();
    whole!.dispose();
  });

  it('decodes the whole grid of codes that no image stands behind, such as a prior’s', async () => {
    const codec = open(parse());
    const tokens = await codec.encode(noise(8, 8, 1));
    const decoded = (await codec.decode({
      ...tokens,
      media: { kind: 'image', width: 4, height: 4, channels: 3 },
    })) as Image;
    expect([decoded.width, decoded.height]).toEqual([8, 8]);
    codec.dispose();
  });

  it('refuses ids beyond the vocabulary, and maps without two axes', async () => {
    const codec = open(parse());
    const tokens = await codec.encode(noise(6, 4, 1));
    const map = tokens.maps[0] as TokenMap;
    await expect(codec.decode({ ...tokens, maps: [{ ...map, ids: map.ids.map(() => 99) }] })).rejects.toThrow(
      /E_TOKENS_RANGE/,
    );
    await expect(codec.decode({ ...tokens, maps: [{ ...map, grid: [6] }] })).rejects.toThrow(/E_TOKENS_SHAPE/);
    codec.dispose();
  });

  it('takes an image in one pass when its network sees everything, and refuses a huge one', async () => {
    const codec = open(parse({ norm: 'group' }), 8);
    expect((await codec.encode(noise(30, 20, 1))).maps[0]!.grid).toEqual([10, 15]);
    const huge: Image = { kind: 'image', width: 2048, height: 1024, channels: 1, pixels: new Uint8Array(2 ** 21) };
    await expect(codec.encode(huge)).rejects.toThrow(
      /E_MEDIA_TOO_LARGE vqvae: expected images of at most 1048576 positions, received 1024 x 2048/,
    );
    codec.dispose();
  });
});

/** A codec of two maps without weights: means of 4 x 4 pixels, and of 2 x 2 pixels twice. */
function levels(tile: number): Codec {
  const spec = (name: string, grid: number[], levels = 1) => ({ name, grid, levels, vocabSize: 256 });
  const mean = (x: tf.Tensor4D, size: number): tf.Tensor4D =>
    tf.cast(tf.mul(tf.add(tf.avgPool(x, size, size, 'valid'), 1), 127), 'int32');
  const refuse = () => expect.fail('only encodes and decodes');
  const twoMaps: CodecFamily = {
    name: 'levels',
    medium: 'image',
    parseConfig: (json) => json,
    input: () => ({ height: 8, width: 8, channels: 1, background: [255, 255, 255], resize: 'none' }),
    maps: (_, [height, width] = [8, 8]) => [
      spec('top', [height! / 4, width! / 4]),
      spec('bottom', [height! / 2, width! / 2], 2),
    ],
    trainable: () => ({}),
    state: () => ({}),
    initialize: refuse,
    loss: refuse,
    encode: (_, x) => {
      const bottom = mean(x as tf.Tensor4D, 2);
      return [
        tf.squeeze(mean(x as tf.Tensor4D, 4), [3]),
        tf.concat([bottom, tf.add(bottom, tf.scalar(1, 'int32'))], 3),
      ];
    },
    decode: (_, [, bottom]) => {
      const [, height, width] = bottom!.shape as [number, number, number];
      const values = tf.sub(
        tf.div(tf.cast(tf.slice(bottom as tf.Tensor4D, [0, 0, 0, 1], [-1, -1, -1, 1]), 'float32'), 127),
        1,
      );
      return tf.image.resizeNearestNeighbor(values as tf.Tensor4D, [2 * height, 2 * width]);
    },
    anyExtent: { multiple: () => [4, 4], reach: () => [0, 0] },
  };
  return openFamily(twoMaps, {}, {}, FINGERPRINT, { tile });
}

type Reconstruct = (images: tf.Tensor4D) => Promise<{ maps: tf.Tensor[]; output: tf.Tensor }>;

async function run(compiled: Reconstruct, image: Image): Promise<{ ids: Int32Array; pixels: Float32Array }> {
  const input = tf.tensor4d(toFloat32([image]), [1, image.height, image.width, image.channels]);
  const { maps, output: images } = await compiled(input);
  const [ids, pixels] = [Int32Array.from(hostValues(maps[0]!)), Float32Array.from(hostValues(images))];
  tf.dispose([input, images, ...maps]);
  return { ids, pixels };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}
