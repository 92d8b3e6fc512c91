import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportOnnx, tf } from '../../src/engine/index.js';
import { trainCodec } from '../../src/index.js';
import type { TrainCodecOptions } from '../../src/index.js';
import { temporaryDirectory, TINY_CODEC, tinyDataset } from '../support/tiny.js';
import { resultOf, stoppingAt, trainWithStops } from '../train/support.js';

const dataset = tinyDataset(20);
const TRAINING = {
  steps: 6,
  batchSize: 4,
  warmupSteps: 2,
  evalEvery: 50,
  evalSamples: 4,
  checkpointEvery: 5,
  adversarial: { startFraction: 0.5, channels: 8, layers: 1 },
};

/** A folder with settings and a feature network of random filters. */
async function world(seed = 1): Promise<{ network: string; settings: (training?: Record<string, unknown>) => string }> {
  const folder = temporaryDirectory();
  const kernel = tf.randomNormal([3, 3, 3, 6], 0, 0.3, 'float32', seed) as tf.Tensor4D;
  const maps = (x: tf.Tensor4D): tf.Tensor =>
    tf.transpose(tf.relu(tf.conv2d(tf.transpose(x, [0, 2, 3, 1]), kernel, 1, 'same')), [0, 3, 1, 2]);
  const network = join(folder, 'network.onnx');
  writeFileSync(network, await exportOnnx(maps, [{ dtype: 'float32', shape: [1, 3, 8, 8] }]));
  return {
    network,
    settings: (training = {}) => {
      const path = join(folder, 'settings.json');
      writeFileSync(
        path,
        JSON.stringify({ codec: 'vqvae', config: TINY_CODEC, training: { ...TRAINING, ...training } }),
      );
      return path;
    },
  };
}

const train = (options: Omit<TrainCodecOptions, 'data' | 'out'> & { out?: string }) =>
  trainCodec({ data: dataset, out: temporaryDirectory(), seed: 1, ...options });

describe('training with a perceptual term', () => {
  it('lowers the distance of the features, beside an adversary later on, and resumes to the same bytes', async () => {
    const { network, settings } = await world();
    const config = settings({ steps: 14, learningRate: 2e-3, perceptual: { weight: 100, scaling: 'unit' } });
    const measured: Record<string, number>[] = [];
    const without: Record<string, number>[] = [];
    const [whole, stopped] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: whole, config, features: network, onStep: (_, __, values) => measured.push(values) });
    expect(Object.keys(measured.at(-1)!)).toEqual([
      'loss',
      'nmse',
      'perceptual',
      'adversarial',
      'lambda',
      'discriminatorReal',
      'discriminatorMade',
      'gradientNorm',
    ]);
    await trainWithStops((options) => train({ ...options, config, features: network }), stopped, [9]);
    expect(resultOf(stopped)).toEqual(resultOf(whole));

    const light = settings({ steps: 14, learningRate: 2e-3, perceptual: { weight: 1e-6, scaling: 'unit' } });
    await train({ config: light, features: network, onStep: (_, __, values) => without.push(values) });
    // The last step before the adversary joins, on the same batch.
    expect(measured[6]!.perceptual).toBeLessThan(without[6]!.perceptual!);
  });

  it('is off without a network, says so once, and trains as if it were not configured', async () => {
    const { settings } = await world();
    const [plain, off] = [temporaryDirectory(), temporaryDirectory()];
    await train({ out: plain, config: settings() });
    const notes: string[] = [];
    await train({ out: off, config: settings({ perceptual: {} }), onNote: (text) => notes.push(text) });
    expect(notes.filter((text) => text.includes('perceptual'))).toEqual([
      'perceptual term: off, as no feature network is named',
    ]);
    expect(readFileSync(join(off, 'model.safetensors'))).toEqual(readFileSync(join(plain, 'model.safetensors')));
  });

  it('is on when a network is named, whatever the settings; its name and digest are in the model card', async () => {
    const { network, settings } = await world();
    const card = await train({ config: settings(), features: network, featureScaling: 'signed' });
    expect(card.training).toMatchObject({
      training: { perceptual: { weight: 1, scaling: 'signed' } },
      features: { network: 'network.onnx', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
  });

  it('does not resume with another network', async () => {
    const [{ network, settings }, other] = [await world(1), await world(2)];
    const out = temporaryDirectory();
    await train({ ...stoppingAt(3, { out }), config: settings(), features: network }).catch(() => undefined);
    await expect(train({ out, resume: true, config: settings(), features: other.network })).rejects.toMatchObject({
      code: 'E_RESUME_MISMATCH',
      message: expect.stringContaining('features.sha256'),
    });
  });

  it('names a network that cannot be used before it writes anything', async () => {
    const { settings } = await world();
    const path = join(temporaryDirectory(), 'text.onnx');
    writeFileSync(path, 'no network');
    await expect(train({ config: settings(), features: path })).rejects.toMatchObject({
      code: 'E_ONNX_FILE',
      message: expect.stringContaining(path),
    });
    await expect(train({ config: settings(), features: `${path}.missing` })).rejects.toMatchObject({ exitCode: 2 });
  });
});
