// What every image codec must do, whatever its quantizer.
import { describe, expect, it } from 'vitest';
import type { Codec } from '../../src/codec/codec.js';
import { reconstruct } from '../../src/codec/networks.js';
import { compile, hostValues, tf } from '../../src/engine/index.js';
import { CorruptError } from '../../src/errors.js';
import { codeCount, specOf } from '../../src/interfaces/index.js';
import type { Image, ImageInput } from '../../src/interfaces/index.js';
import { imageMedium } from '../../src/media/image/medium.js';
import { loadModel, saveModel } from '../../src/checkpoint/model.js';
import type { CodecFamily } from '../../src/model/codec.js';
import { createParams, disposeParams, importParams } from '../../src/model/params.js';
import { codecFamily } from '../../src/registry.js';
import { maxDifference, freshTensors, picture, temporaryDirectory, openFamily } from '../support/tiny.js';

const FINGERPRINT = 'f'.repeat(64);

/** @param json a config that is quick to compute, of square images. */
export function tokenizerConformance(name: string, json: Record<string, unknown>): void {
  describe(`${name} conforms`, () => {
    const family: CodecFamily = codecFamily(name);
    const config = family.parseConfig(json);
    const specs = { ...family.trainable(config), ...family.state(config) };
    const [height, width, channels] = imageMedium.itemShape(family.input(config) as ImageInput) as [
      number,
      number,
      1 | 3,
    ];
    const open = () => openFamily(family, config, freshTensors(specs), FINGERPRINT);
    const pictures = Array.from({ length: 5 }, (_, i) => picture(i, height, channels));

    it('gives maps of the promised names, shapes and ranges', async () => {
      const codec = open();
      const tokens = await codec.encode(pictures);
      expect(tokens).toHaveLength(pictures.length);
      for (const one of tokens) {
        expect(one.codec).toBe(FINGERPRINT);
        expect(one.maps.map(specOf)).toEqual(codec.maps());
        for (const map of one.maps) {
          expect(map.ids).toHaveLength(codeCount(map));
          expect(Math.max(...map.ids)).toBeLessThan(map.vocabSize);
        }
      }
      codec.dispose();
    });

    it('encodes an image alone as in a batch, and repeatedly the same', async () => {
      const codec = open();
      const batch = await codec.encode(pictures);
      expect(await codec.encode(pictures)).toEqual(batch);
      for (const [i, one] of pictures.entries()) expect(await codec.encode(one)).toEqual(batch[i]);
      codec.dispose();
    });

    it('decodes to images of its own size', async () => {
      const codec = open();
      const decoded = (await codec.decode(await codec.encode(pictures))) as Image[];
      expect(decoded.map((image) => [image.width, image.height, image.channels, image.pixels.length])).toEqual(
        pictures.map(() => [width, height, channels, width * height * channels]),
      );
      codec.dispose();
    });

    it('accepts images of other sizes and channels', async () => {
      const codec = open();
      const odd = picture(3, height * 2, channels === 1 ? 3 : 1);
      const tokens = await codec.encode(odd);
      expect(tokens.media).toEqual({ kind: 'image', width: odd.width, height: odd.height, channels: odd.channels });
      expect(tokens.maps[0]!.grid).toEqual(codec.maps()[0]!.grid);
      codec.dispose();
    });

    it('refuses tokens of another codec and ids beyond the vocabulary', async () => {
      const codec = open();
      const tokens = await codec.encode(pictures[0]!);
      await expect(codec.decode({ ...tokens, codec: '0'.repeat(64) })).rejects.toThrow(CorruptError);
      const bad = tokens.maps.map((map) => ({ ...map, ids: map.ids.map(() => map.vocabSize) }));
      await expect(codec.decode({ ...tokens, maps: bad })).rejects.toThrow(/E_TOKENS_RANGE/);
      codec.dispose();
    });

    it('is the same after saving and loading', async () => {
      const directory = temporaryDirectory();
      const card = saveModel(
        directory,
        { kind: 'codec', name, config: config as Record<string, unknown> },
        freshTensors(specs),
      );
      const { tensors } = loadModel(directory);
      const [before, after] = [
        openFamily(family, config, freshTensors(specs), card.fingerprint),
        openFamily(family, family.parseConfig(card.config), tensors, card.fingerprint),
      ];
      expect(await after.encode(pictures)).toEqual(await before.encode(pictures));
      before.dispose();
      after.dispose();
    });

    it('computes compiled what it computes eagerly', async () => {
      const params = importParams('test', specs, freshTensors(specs));
      const images = tf.randomUniform([2, height, width, channels], -1, 1, 'float32', 7) as tf.Tensor4D;
      const run = (engine: 'onnxruntime' | 'reference') =>
        compile((x: tf.Tensor4D) => reconstruct(family, config, params, x), { engine })(images);
      const [native, reference] = [await run('onnxruntime'), await run('reference')];
      native.maps.forEach((map, i) => expect(hostValues(map)).toEqual(hostValues(reference.maps[i]!)));
      // Sums of a few hundred products in another order: a few float32 ulps.
      expect(maxDifference(native.output, reference.output)).toBeLessThan(1e-4);
      disposeParams(params);
    });

    it('leaks no tensor', async () => {
      const codec = open();
      await codec.decode(await codec.encode(pictures));
      const before = tf.memory().numTensors;
      for (let i = 0; i < 3; i++) await codec.decode(await codec.encode(pictures));
      expect(tf.memory().numTensors).toBe(before);
      codec.dispose();
    });

    it.runIf(family.lastLayer)('names the kernel that makes its outputs, which is trained', () => {
      expect(Object.keys(family.trainable(config))).toContain(family.lastLayer!(config));
    });

    const anySize = family.anyExtent && family.parseConfig({ ...json, resize: 'none' });
    // Without a reach, the network sees everything, and there are no tiles.
    it.runIf(anySize && family.anyExtent?.reach(anySize))('encodes large images in tiles as in one pass', async () => {
      const large = picture(1, 6 * height, channels);
      const [tiled, whole] = [height, 16 * height].map((tile) =>
        openFamily(family, anySize, freshTensors(specs), FINGERPRINT, { tile }),
      ) as [Codec, Codec];
      const tokens = await whole.encode(large);
      expect(await tiled.encode(large)).toEqual(tokens);
      expect(await tiled.decode(tokens)).toEqual(await whole.decode(tokens));
      tiled.dispose();
      whole.dispose();
    });

    it('has a finite loss that reaches every weight', async () => {
      const params = createParams(specs, 1);
      const trainable = Object.fromEntries(Object.keys(family.trainable(config)).map((key) => [key, params[key]!]));
      const images = tf.randomUniform([4, height, width, channels], -1, 1, 'float32', 3) as tf.Tensor4D;
      const key = tf.tensor1d([0, 1], 'int32');
      const { value, grads } = tf.variableGrads(
        () => family.loss(params, { inputs: images, key, progress: tf.scalar(0.5), dataVariance: 1 }, config).loss,
        Object.values(trainable),
      );
      expect(Number.isFinite(value.dataSync()[0]!)).toBe(true);
      for (const [label, variable] of Object.entries(trainable))
        expect.soft(tf.max(tf.abs(grads[variable.name]!)).dataSync()[0], label).toBeGreaterThan(0);
      disposeParams(params);
    });
  });
}
