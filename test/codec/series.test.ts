// A codec at work on a medium from outside, along one axis: fixed lengths in batches, any length in tiles.
import { describe, expect, it } from 'vitest';
import { Codec } from '../../src/codec/codec.js';
import { tf } from '../../src/engine/index.js';
import type { Tokens } from '../../src/interfaces/index.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { Rng } from '../../src/rng.js';
import * as tesserae from '../../src/index.js';
import { seriesMedium } from '../support/series.mjs';
import type { Series, SeriesInput } from '../support/series.mjs';

const series = seriesMedium(tesserae);

/** Codes a pair of samples by two levels, the mean of each of two channels, after a mean over three samples. */
const means: CodecFamily<SeriesInput> = {
  name: 'means',
  medium: 'series',
  parseConfig: (json) => json as SeriesInput,
  input: (config) => config,
  maps: (config, [length] = [config.length]) => [{ name: 'codes', grid: [length! / 2], levels: 2, vocabSize: 256 }],
  trainable: () => ({}),
  state: () => ({}),
  initialize: () => undefined,
  loss: () => expect.fail('the test does not train'),
  encode: (_, inputs) => {
    const smooth = pooled(inputs as tf.Tensor3D, 3, 1);
    const codes = tf.round(tf.mul(tf.add(pooled(smooth, 2, 2), 1), 127));
    return [tf.cast(tf.clipByValue(codes, 0, 255), 'int32')];
  },
  decode: (_, [ids]) => {
    const [batch, length, levels] = ids!.shape as [number, number, number];
    const values = tf.sub(tf.div(tf.cast(ids!, 'float32'), 127), 1);
    return tf.reshape(tf.stack([values, values], 2), [batch, 2 * length, levels]);
  },
  anyExtent: { multiple: () => [2], reach: () => [1] },
};

/** Means over stretches of samples. float32 [B, T, C] -> [B, T / stride, C]. */
function pooled(x: tf.Tensor3D, size: number, stride: number): tf.Tensor3D {
  const [batch, length, channels] = x.shape;
  const flat = tf.avgPool(tf.reshape(x, [batch, length, 1, channels]) as tf.Tensor4D, [size, 1], [stride, 1], 'same');
  return tf.reshape(flat, [batch, length / stride, channels]);
}

function noise(length: number, seed = 1): Series {
  const rng = new Rng(seed, 'test.series');
  const values = Float32Array.from({ length: 2 * length }, () => 2 * rng.uniform() - 1);
  return { kind: 'series', interval: 0.02, channels: 2, values };
}

const open = (fit: SeriesInput['fit'], tile?: number): Codec<SeriesInput> =>
  new Codec({
    family: means,
    config: { length: 16, channels: 2, interval: 0.02, fit },
    medium: series,
    params: {},
    fingerprint: 'a'.repeat(64),
    tile,
  });

describe('a codec of series', () => {
  it('codes batches of one length, with the axes and levels of its codes', async () => {
    const codec = open('length');
    const tokens = await codec.encode([noise(16), noise(40, 2)]);
    expect(tokens.map(({ media }) => media)).toEqual([
      { kind: 'series', length: 16, channels: 2, interval: 0.02 },
      { kind: 'series', length: 40, channels: 2, interval: 0.02 },
    ]);
    expect(tokens.map(({ maps }) => [maps[0]!.grid, maps[0]!.levels, maps[0]!.ids.length])).toEqual([
      [[8], 2, 16],
      [[8], 2, 16],
    ]);
    const decoded = (await codec.decode(tokens)) as Series[];
    expect(decoded.map(({ interval, values }) => [interval, values.length])).toEqual([
      [0.02, 32],
      [0.02, 32],
    ]);
    codec.dispose();
  });

  it.each([1, 2, 7, 300, 1001])('codes %i samples in tiles as in one pass, and gives back as many', async (length) => {
    const [tiled, whole] = [open('none', 16), open('none', 4096)];
    const media = noise(length);
    const tokens = (await whole.encode(media)) as Tokens;
    expect(tokens.maps[0]!.grid).toEqual([Math.ceil(length / 2)]);
    expect(await tiled.encode(media)).toEqual(tokens);
    expect(tiled.maps(tokens.media)).toEqual([
      { name: 'codes', grid: [Math.ceil(length / 2)], levels: 2, vocabSize: 256 },
    ]);
    const [inTiles, inOne] = [(await tiled.decode(tokens)) as Series, (await whole.decode(tokens)) as Series];
    expect(inTiles.values).toHaveLength(2 * length);
    expect(inTiles).toEqual(inOne);
    tiled.dispose();
    whole.dispose();
  });

  it('refuses tokens of another medium', async () => {
    const codec = open('none');
    const tokens = (await codec.encode(noise(8))) as Tokens;
    const media = { kind: 'image', width: 8, height: 8, channels: 1 };
    await expect(codec.decode({ ...tokens, media })).rejects.toMatchObject({ code: 'E_TOKENS_SHAPE' });
    codec.dispose();
  });
});
