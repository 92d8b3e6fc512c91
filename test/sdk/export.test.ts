import { imageMedium } from '../../src/media/image/medium.js';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeSample } from '../../src/data/decode.js';
import { openDataset } from '../../src/data/open.js';
import { exportModel, loadCodec, loadPrior } from '../../src/index.js';
import type { Image } from '../../src/index.js';
import { fromFloat32, toFloat32 } from '../../src/media/image/pixels.js';
import { imageTo } from '../../src/media/image/fit.js';
import { isExport, readExport } from '../../src/sdk/export.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.remove());

async function pictures(count: number): Promise<Image[]> {
  const raw = await Promise.all(Array.from({ length: count }, (_, i) => world.dataset.read('train', i)));
  const white: [number, number, number] = [255, 255, 255];
  return Promise.all(
    raw.map(async (one) =>
      imageTo((await decodeSample(one, imageMedium)).media as Image, {
        size: { width: 16, height: 16 },
        resize: 'contain',
        background: white,
      }),
    ),
  );
}

describe('exportModel', () => {
  it('writes a codec that any ONNX runtime runs, on any number of images', async () => {
    const card = await exportModel({ model: world.at('codec'), out: world.at('codec-onnx') });
    expect(card.functions.encoder).toMatchObject({
      file: 'encoder.onnx',
      inputs: [
        { name: 'images', dtype: 'float32', shape: ['batch', 16, 16, 3], meaning: expect.stringContaining('[-1, 1]') },
      ],
      outputs: [
        { name: 'codes', dtype: 'int32', shape: ['batch', 4, 4], meaning: 'ids of the map, row-major, in [0, 16)' },
      ],
    });
    const images = await pictures(3);
    const codec = await loadCodec(world.at('codec'));
    const tokens = await codec.encode(images);
    const encoder = await InferenceSession.create(world.at('codec-onnx', 'encoder.onnx'));
    const { codes } = await encoder.run({ images: new Tensor('float32', toFloat32(images), [3, 16, 16, 3]) });
    // Ties between codebook rows aside, which random weights do not have, the ids are the same.
    expect([...(codes!.data as Int32Array)]).toEqual(tokens.flatMap(({ maps }) => [...maps[0]!.ids]));

    const decoder = await InferenceSession.create(world.at('codec-onnx', 'decoder.onnx'));
    const decoded = await decoder.run({ codes: codes! });
    const back = fromFloat32(decoded.images!.data as Float32Array, decoded.images!.dims);
    const expected = (await codec.decode(tokens)) as Image[];
    // One level of 256: the session may sum in another order than the codec's own graph.
    back.forEach(({ pixels }, i) =>
      pixels.forEach((value, j) => expect(Math.abs(value - expected[i]!.pixels[j]!)).toBeLessThanOrEqual(1)),
    );
    codec.dispose();
  });

  it('writes a prior with its tokenizer and how it reads prompts', async () => {
    const card = await exportModel({ model: world.at('prior'), out: world.at('prior-onnx') });
    expect(Object.keys(card.functions)).toEqual(['prefill', 'step']);
    expect(card.conditions!.example!.prompt).toBe('a');
    expect(card.conditions!.example!.ids).toHaveLength(card.conditions!.none.length);
    expect(card.conditions!.example!.ids).not.toEqual(card.conditions!.none);
    expect(readFileSync(world.at('prior-onnx', 'tokenizer.json'))).toEqual(
      readFileSync(world.at('prior', 'tokenizer.json')),
    );

    const prefill = await InferenceSession.create(world.at('prior-onnx', 'prefill.onnx'));
    const { logits } = await prefill.run({
      condition: new Tensor('int32', Int32Array.from(card.conditions!.none), [1, card.conditions!.none.length]),
    });
    const prior = await loadPrior(world.at('prior'));
    const [likeliest] = await prior.generate([null], { temperature: 0 });
    const scores = [...(logits!.data as Float32Array)];
    expect(scores.indexOf(Math.max(...scores))).toBe(likeliest!.maps[0]!.ids[0]);
    prior.dispose();
  });

  it('verifies every file of an export by its card', async () => {
    const out = world.at('damaged-onnx');
    await exportModel({ model: world.at('codec'), out });
    expect(isExport(out)).toBe(true);
    expect(readExport(out).kind).toBe('codec');
    const path = join(out, 'decoder.onnx');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => readExport(out)).toThrow(expect.objectContaining({ code: 'E_MODEL_FILE' }));
  });

  it('refuses a card that names a file elsewhere', async () => {
    const out = world.at('hostile-onnx');
    await exportModel({ model: world.at('codec'), out });
    const card = JSON.parse(readFileSync(join(out, 'card.json'), 'utf8')) as {
      functions: Record<string, { file: string }>;
    };
    card.functions.decoder!.file = '../../decoder.onnx';
    writeFileSync(join(out, 'card.json'), JSON.stringify(card));
    expect(() => readExport(out)).toThrow(expect.objectContaining({ code: 'E_EXPORT_CARD' }));
  });

  it('refuses output that exists, and knows a folder that is no export', async () => {
    mkdirSync(world.at('taken'));
    writeFileSync(world.at('taken', 'card.json'), '{"format":"a birthday card"}');
    expect(isExport(world.at('taken'))).toBe(false);
    await expect(exportModel({ model: world.at('codec'), out: world.at('taken') })).rejects.toMatchObject({
      code: 'E_OUTPUT_EXISTS',
    });
    await expect(openDataset(world.at('taken'))).rejects.toMatchObject({ code: 'E_DATA_EMPTY' });
  });
});
