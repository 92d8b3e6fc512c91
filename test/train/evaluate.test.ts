import { describe, expect, it, onTestFinished } from 'vitest';
import { memoryDataset } from '../../src/data/memory.js';
import { tf } from '../../src/engine/index.js';
import type { Dataset, TokenMapSpec } from '../../src/interfaces/index.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { evaluateCodec, figuresOf, loggedFigures } from '../../src/train/evaluate.js';
import { FeatureExtractor } from '../../src/features/extractor.js';
import { picture } from '../support/tiny.js';
import { colors, writeNetwork } from '../features/networks.js';

/** More than a batch, so that the last one is padded. */
const COUNT = 70;
const held = memoryDataset(
  Array.from({ length: COUNT }, (_, i) => ({ key: `p${i}`, media: picture(i), captions: [], split: 'test' as const })),
);

/** Half as bright, 8x8 gray; ids and measures as a test says. */
function family(
  maps: TokenMapSpec[],
  ids: (images: tf.Tensor4D) => tf.Tensor[],
  measures?: CodecFamily['measures'],
): CodecFamily {
  // What is decoded is what was encoded, not what its ids say.
  let seen: tf.Tensor | undefined;
  return {
    name: 'faded',
    medium: 'image',
    parseConfig: (json) => json,
    input: () => ({ width: 8, height: 8, channels: 1, background: [0, 0, 0], resize: 'contain' }),
    maps: () => maps,
    trainable: () => ({}),
    state: () => ({}),
    initialize: () => undefined,
    loss: () => expect.fail('evaluation needs no loss'),
    encode: (_, images) => {
      seen = images;
      return ids(images as tf.Tensor4D);
    },
    decode: () => tf.mul(seen!, 0.5),
    latents: { shapes: () => [[8, 8, 1]], encode: (_, images) => [images], decode: (_, [z]) => tf.mul(z!, 0.5) },
    measures,
  };
}

const brightness = (images: tf.Tensor4D): tf.Tensor1D => tf.mean(images, [1, 2, 3]);
const evaluate = (codec: CodecFamily, dataset: Dataset = held, options = {}) =>
  evaluateCodec(codec, {}, {}, dataset, 'test', options);

/** The id 0 everywhere, over [B, ..shape]. */
const zeros = (images: tf.Tensor4D, shape: number[]): tf.Tensor =>
  tf.cast(
    tf.mul(tf.zeros([images.shape[0], ...shape]), tf.reshape(brightness(images), [-1, ...shape.map(() => 1)])),
    'int32',
  );

describe('evaluateCodec', () => {
  it('measures a codec without codes, and averages what its family measures', async () => {
    const evaluation = await evaluate(
      family(
        [],
        () => [],
        (_, images) => ({ brightness: brightness(images as tf.Tensor4D) }),
      ),
    );
    expect(evaluation).toMatchObject({
      samples: COUNT,
      maps: [],
      counts: [],
      quality: { ssim: expect.any(Number) as number },
    });
    expect(evaluation).not.toHaveProperty('rate');
    const pixels = Array.from({ length: COUNT }, (_, i) => [...picture(i).pixels]).flat();
    // The rows that fill up the last batch are not counted.
    expect(evaluation.measures).toEqual({
      brightness: expect.closeTo(
        pixels.reduce((sum, value) => sum + value / 127.5 - 1, 0) / pixels.length,
        5,
      ) as number,
    });
    expect(loggedFigures(evaluation)).toEqual({
      nmse: evaluation.nmse,
      psnr: evaluation.quality['psnr'],
      ssim: evaluation.quality['ssim'],
      sharpness: evaluation.quality['sharpness'],
      ...evaluation.measures,
    });
  });

  it('measures each map and each level, and sums their bits', async () => {
    const maps = [
      { name: 'top', grid: [1, 1], levels: 1, vocabSize: 4 },
      { name: 'bottom', grid: [2, 2], levels: 2, vocabSize: 16 },
    ];
    // top: two codes by brightness; bottom: always 0
    const ids = (images: tf.Tensor4D): tf.Tensor[] => [
      tf.reshape(tf.cast(tf.greater(brightness(images), -0.3), 'int32'), [-1, 1, 1]),
      zeros(images, [2, 2, 2]),
    ];
    const evaluation = await evaluate(family(maps, ids));
    const [top, bottom] = evaluation.maps;
    expect(top).toMatchObject({ name: 'top', codes: COUNT, used: 2, usage: 0.5 });
    const none = { used: 1, usage: 1 / 16, entropy: 0, entropyRatio: 0, perplexity: 1 };
    expect(bottom).toMatchObject({
      name: 'bottom',
      codes: 8 * COUNT,
      used: 2,
      usage: 2 / 32,
      entropy: 0,
      byLevel: [none, none],
    });
    expect(evaluation.rate).toEqual({
      name: 'bitsPerPixel',
      nominal: (1 * 2 + 8 * 4) / 64,
      empirical: expect.closeTo(top!.entropy / Math.LN2 / 64, 12) as number,
    });
    expect(figuresOf(evaluation)).toMatchObject({
      samples: COUNT,
      psnr: evaluation.quality['psnr'],
      bitsPerPixel: (1 * 2 + 8 * 4) / 64,
      empiricalBitsPerPixel: evaluation.rate!.empirical,
    });
    expect(evaluation.counts.map(({ length }) => length)).toEqual([4, 32]);
    expect(loggedFigures(evaluation)).toMatchObject({
      'top.usage': 0.5,
      'bottom.usage': 2 / 32,
      'top.perplexity': top!.perplexity,
      'bottom.perplexity': 1,
    });
  });

  it('keeps the first images and what the codec makes of them', async () => {
    const { examples } = await evaluate(family([], () => []));
    expect(examples.shape).toEqual([16, 8, 8, 1]);
    expect([...examples.originals.subarray(64, 128)]).toEqual(
      [...picture(1).pixels].map((value) => expect.closeTo(value / 127.5 - 1, 6) as number),
    );
    expect(examples.reconstructions).toEqual(examples.originals.map((value) => value / 2));
  });

  it('adds the distance of features with a network', async () => {
    const features = await FeatureExtractor.open(await writeNetwork(colors), { scaling: 'signed' });
    onTestFinished(() => features.dispose());
    const { rfid, features: source } = await evaluate(
      family([], () => []),
      held,
      { features },
    );
    // Gray: three equal features, of means m and m / 2 and deviations s and s / 2.
    const means = Array.from(
      { length: COUNT },
      (_, i) => [...picture(i).pixels].reduce((sum, value) => sum + value / 127.5 - 1, 0) / 64,
    );
    const mean = means.reduce((sum, value) => sum + value, 0) / COUNT;
    const variance = means.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (COUNT - 1);
    // 2 digits: reconstructions are seen in 256 levels
    expect(rfid).toBeCloseTo(3 * (mean / 2) ** 2 + (3 * variance) / 4, 2);
    expect(source).toMatchObject({ network: 'network.onnx', dimension: 3, scaling: 'signed' });
    expect(await evaluate(family([], () => []))).not.toHaveProperty('rfid');
  });

  it('tells how far it is, to the end, also past images that are left out', async () => {
    const told: number[][] = [];
    const bad: string[] = [];
    const { samples } = await evaluate(
      family([], () => []),
      damaged((index) => index === 3),
      { onProgress: (...at: number[]) => told.push(at), onBad: (_: Error, { key }: { key: string }) => bad.push(key) },
    );
    expect({ samples, bad }).toEqual({ samples: COUNT - 1, bad: ['p3'] });
    expect(told).toEqual([
      [64, COUNT],
      [COUNT, COUNT],
    ]);
  });

  it('refuses a split none of whose images is usable', async () => {
    await expect(
      evaluate(
        family([], () => []),
        damaged(() => true),
        { onBad: () => undefined },
      ),
    ).rejects.toMatchObject({ code: 'E_DATA_ALL_BAD', exitCode: 3 });
  });
});

/** The pictures, of which some are no longer. */
function damaged(isBad: (index: number) => boolean): Dataset {
  return {
    ...held,
    kind: 'memory',
    source: 'damaged',
    fingerprint: 'damaged',
    size: (split) => held.size(split),
    describe: (split, index) => held.describe(split, index),
    read: async (split, index) => {
      const raw = await held.read(split, index);
      return isBad(index) ? { ...raw, content: { bytes: Uint8Array.of(1, 2, 3) } } : raw;
    },
    close: () => held.close(),
  };
}
