import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tf } from '../../src/engine/index.js';
import type { Image } from '../../src/interfaces/index.js';
import { toFloat32 } from '../../src/media/image/pixels.js';
import { FeatureExtractor, FrechetMeter } from '../../src/features/extractor.js';
import type { FeatureOptions } from '../../src/features/extractor.js';
import { picture, temporaryDirectory } from '../support/tiny.js';
import { colors, maps, writeNetwork } from './networks.js';

async function open(path: string, options: FeatureOptions = {}): Promise<FeatureExtractor> {
  const extractor = await FeatureExtractor.open(path, options);
  onTestFinished(() => extractor.dispose());
  return extractor;
}

const images = (count: number, channels: 1 | 3 = 3): Image[] =>
  Array.from({ length: count }, (_, i) => picture(i, 8, channels));

/** Mean of a channel in [-1, 1]. */
const meanOf = ({ pixels, channels }: Image, channel: number): number => {
  const values = pixels.filter((_, i) => i % channels === channel % channels);
  return values.reduce((sum, value) => sum + value, 0) / values.length / 127.5 - 1;
};

const closeTo = (rows: number[][]) => rows.map((row) => row.map((value) => expect.closeTo(value, 5) as number));

describe('FeatureExtractor', () => {
  it.each([
    ['rows', colors],
    ['maps, averaged over their places', maps],
  ])('gives one vector a picture, from %s', async (_, network) => {
    const extractor = await open(await writeNetwork(network), { scaling: 'signed' });
    const pictures = images(37);
    expect((await extractor.features(pictures)).map((row) => [...row])).toEqual(
      closeTo(pictures.map((one) => [0, 1, 2].map((c) => meanOf(one, c)))),
    );
  });

  it('scales pixels as asked, and repeats gray', async () => {
    const path = await writeNetwork(colors);
    const [image] = images(1, 1) as [Image];
    const mean = (meanOf(image, 0) + 1) / 2;
    for (const [scaling, expected] of [
      ['unit', [mean, mean, mean]],
      ['byte', [mean, mean, mean].map((value) => value * 255)],
      ['imagenet', [(mean - 0.485) / 0.229, (mean - 0.456) / 0.224, (mean - 0.406) / 0.225]],
    ] as const) {
      expect([...(await (await open(path, { scaling })).features([image]))[0]!]).toEqual(
        expected.map((value) => expect.closeTo(value, 3) as number),
      );
    }
  });

  it('fills up a fixed batch, whose repeats it does not count', async () => {
    const pictures = images(6);
    const [fixed, dynamic] = [
      await open(await writeNetwork(colors, { shape: [4, 3, 8, 8], open: {} })),
      await open(await writeNetwork(colors)),
    ];
    expect(await fixed.features(pictures)).toEqual(await dynamic.features(pictures));
  });

  it('brings images to the size of the network', async () => {
    const shape = [2, 3, 5, 7] as [number, number, number, number];
    const extractor = await open(await writeNetwork((x) => tf.reshape(x, [-1, 3 * 5 * 7]), { shape, open: {} }), {
      scaling: 'signed',
    });
    const flat: Image = { ...picture(0, 8, 3), pixels: new Uint8Array(8 * 8 * 3).fill(255) };
    const [vector] = await extractor.features([flat]);
    expect([...vector!]).toEqual(new Array(3 * 5 * 7).fill(1));
  });

  it('takes the output that is named, and tells which', async () => {
    const path = await writeNetwork((x) => [colors(x), tf.mul(colors(x), 10)], {}, ['first', 'second']);
    const [first, second] = [
      await open(path, { scaling: 'signed' }),
      await open(path, { scaling: 'signed', output: 'second' }),
    ];
    const [one, ten] = [(await first.features(images(1)))[0]!, (await second.features(images(1)))[0]!];
    expect([...ten]).toEqual([...one].map((value) => expect.closeTo(10 * value, 5) as number));
    expect(second.source).toEqual({
      network: 'network.onnx',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      output: 'second',
      scaling: 'signed',
    });
  });

  it('refuses a file that is no network, and one that is missing', async () => {
    const path = join(temporaryDirectory(), 'notes.onnx');
    writeFileSync(path, 'not a network');
    await expect(open(path)).rejects.toMatchObject({
      code: 'E_FEATURES_FILE',
      exitCode: 3,
      message: expect.stringContaining('notes.onnx: expected an ONNX network') as string,
    });
    await expect(open(`${path}.gone`)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it.each<[string, () => Promise<string>, FeatureOptions, RegExp]>([
    [
      'gray planes',
      () => writeNetwork((x) => tf.mean(x, [2, 3]), { shape: [2, 1, 8, 8] }),
      {},
      /expected one input, float32 \[B, 3, H, W\], found "images" float32 \[batch, 1, 8, 8\]/,
    ],
    [
      'no output of that name',
      () => writeNetwork(colors),
      { output: 'pool5' },
      /expected an output "pool5", found "output"/,
    ],
    [
      'an unknown scaling',
      () => writeNetwork(colors),
      { scaling: 'caffe' as never },
      /feature scaling: expected one of/,
    ],
  ])('refuses a network with %s', async (_, network, options, message) => {
    await expect(open(await network(), options)).rejects.toMatchObject({
      code: 'E_FEATURES',
      exitCode: 2,
      message: expect.stringMatching(message) as string,
    });
  });

  it('refuses an output that holds no features', async () => {
    const extractor = await open(await writeNetwork((x) => tf.reshape(x, [-1, 3, 64])));
    await expect(extractor.features(images(2))).rejects.toMatchObject({
      code: 'E_FEATURES',
      message: expect.stringContaining('received [2, 3, 64]. Name another output.') as string,
    });
  });
});

describe('FrechetMeter', () => {
  it('is 0 for perfect reconstructions, and the closed form for a change of brightness', async () => {
    const network = await open(await writeNetwork((x) => tf.slice(colors(x), [0, 0], [-1, 1])), { scaling: 'byte' });
    const originals = toFloat32(images(10));
    const [perfect, darker] = [new FrechetMeter(network), new FrechetMeter(network)];
    await perfect.add(originals, originals, [10, 8, 8, 3]);
    expect(perfect.result().rfid).toBeCloseTo(0, 8);
    // every level one lower: means one apart, deviations equal
    await darker.add(
      originals,
      originals.map((value) => value - 1 / 127.5),
      [10, 8, 8, 3],
    );
    expect(darker.result()).toEqual({
      rfid: expect.closeTo(1, 4) as number,
      features: { ...network.source, dimension: 1 },
    });
  });

  it('needs two images', async () => {
    const meter = new FrechetMeter(await open(await writeNetwork(colors)));
    const originals = toFloat32(images(1));
    await meter.add(originals, originals, [1, 8, 8, 3]);
    expect(() => meter.result()).toThrow(/E_METRIC_EMPTY .*at least two images, received 1/);
  });
});
