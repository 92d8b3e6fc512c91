// Training that starts from a trained model.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../src/checkpoint/model.js';
import { loadPrior, tokenize, trainCodec, trainPrior } from '../../src/index.js';
import type { TrainCodecOptions, TrainPriorOptions } from '../../src/index.js';
import { readMetrics } from '../../src/report/metrics-file.js';
import { temporaryDirectory } from '../support/tiny.js';
import { writeTokens } from '../train/tokens.js';
import { makeWorld } from './world.js';
import type { World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await makeWorld();
}, 60_000);
afterAll(() => world.remove());

/** Steps that hardly change the weights. */
const GENTLE = { steps: 2, learningRate: 1e-9, batchSize: 8 };

const settings = (config: object, kind = 'codec'): string => {
  const path = join(temporaryDirectory(), 'settings.json');
  const own = JSON.parse(readFileSync(world.at(`${kind}.json`), 'utf8')) as { config: object };
  writeFileSync(path, JSON.stringify({ ...own, config: { ...own.config, ...config } }));
  return path;
};

describe('a codec', () => {
  const tune = (options: Partial<TrainCodecOptions> = {}) => {
    const out = temporaryDirectory();
    return trainCodec({ data: world.dataset, from: world.at('codec'), out, ...GENTLE, ...options }).then((card) => ({
      card,
      out,
    }));
  };

  it('starts with the weights and the settings of the model', async () => {
    const { card, out } = await tune();
    const [before, after] = [loadModel(world.at('codec')), loadModel(out)];
    expect(card.config).toEqual(before.card.config);
    expect(card.training).toMatchObject({ from: before.card.fingerprint });
    // Weights that the optimizer trains; the codebook follows its moving averages.
    const name = Object.keys(before.tensors).find((key) => /^encoder\..*weight$/.test(key))!;
    const [old, fresh] = [before, after].map(({ tensors }) => tensors[name]!.data as Float32Array);
    expect(Math.max(...fresh!.map((value, i) => Math.abs(value - old![i]!)))).toBeLessThan(1e-6);
    expect(card.metrics!['nmse']).toBeCloseTo(before.card.metrics!['nmse'] as number, 1);
  });

  it('takes images of another size, if the settings say so', async () => {
    const { card } = await tune({ config: settings({ height: 32, width: 24 }) });
    expect(card.maps).toMatchObject([{ grid: [8, 6], vocabSize: 16 }]);
  });

  it('starts from the codec that tokens or a prior carry', async () => {
    const { card } = await tune({ from: world.at('prior') });
    expect(card.training).toMatchObject({ from: loadModel(world.at('codec')).card.fingerprint });
  });

  it.each<[string, object, RegExp]>([
    ['codebook', { quantizer: { codebookSize: 32, codeDim: 4 } }, /expected weights "quantizer\.\w+" of shape \[32/],
    ['width', { hidden: 16 }, /expected weights "encoder\.[\w.]+" of shape \[/],
    ['depth', { residualLayers: 2 }, /expected weights "encoder\.[\w.]+" of shape .*, found none/],
  ])('refuses another %s by the name of the weights', async (_, config, message) => {
    await expect(tune({ config: settings(config) })).rejects.toMatchObject({
      code: 'E_FROM',
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });

  it('refuses a codec of another family', async () => {
    await expect(tune({ preset: 'dvae-emoji-48' })).rejects.toThrow(
      /E_FROM --from .*: expected a model of dvae, which the settings name, found vqvae\./,
    );
  });

  it('is resumed like any other run, from the same model alone', async () => {
    const out = temporaryDirectory();
    const steps = { steps: 4, learningRate: 1e-3, batchSize: 8 };
    await tune({ out, ...steps });
    await expect(
      tune({ out, ...steps, resume: true, from: undefined, config: world.at('codec.json') }),
    ).rejects.toThrow(/E_RESUME_MISMATCH .*from "[0-9a-f]{64}", not undefined/);
    await tune({ out, ...steps, steps: 6, resume: true });
    expect(readMetrics(join(out, 'metrics.jsonl')).at(-1)).toMatchObject({ final: 1 });
  });
});

describe('a prior', () => {
  const tune = (options: Partial<TrainPriorOptions> = {}) => {
    const out = temporaryDirectory();
    const notes: string[] = [];
    const onNote = (text: string): void => void notes.push(text);
    return trainPrior({ tokens: world.at('tokens'), from: world.at('prior'), out, ...GENTLE, onNote, ...options }).then(
      (card) => ({ card, out, notes }),
    );
  };

  it('starts with the weights, the settings and the words of the model', async () => {
    const { card, out, notes } = await tune();
    const before = loadModel(world.at('prior'));
    expect(card.config).toEqual(before.card.config);
    expect(card.metrics!['natsPerCode']).toBeCloseTo(before.card.metrics!['natsPerCode'] as number, 3);
    expect(loadModel(out).extras['tokenizer.json']).toEqual(before.extras['tokenizer.json']);
    expect(notes).toContain(`conditioning: text, as that of ${world.at('prior')}`);
    const prior = await loadPrior(out);
    expect(await prior.generate(['a red circle'])).toHaveLength(1);
    prior.dispose();
  });

  it('says that codes of another codec mean other things', async () => {
    const codec = temporaryDirectory();
    await trainCodec({ data: world.dataset, out: codec, config: world.at('codec.json'), seed: 9 });
    const tokens = temporaryDirectory();
    await tokenize({ data: world.dataset, codec, out: tokens, workers: 0 });
    const { notes } = await tune({ tokens });
    expect(notes).toContainEqual(expect.stringMatching(/^warning: .* was trained on codes of another codec/));
  });

  it('refuses what the model cannot take', async () => {
    const labels = await writeTokens([{ label: 0 }, { label: 1, split: 'test' }], { classes: ['a', 'b'] });
    await expect(tune({ tokens: labels })).rejects.toThrow(
      /E_FROM --from .*: expected tokens with the maps of the model,/,
    );
    await expect(tune({ conditioning: 'none' })).rejects.toThrow(
      /E_FROM .*expected the conditioning text, received none/,
    );
    await expect(tune({ config: settings({ nLayer: 2 }, 'prior') })).rejects.toThrow(
      /E_FROM .*expected weights "h\.1\.[\w.]+" of shape .*, found none/,
    );
    await expect(tune({ from: world.at('codec') })).rejects.toMatchObject({ code: 'E_MODEL_KIND' });
    const copy = join(temporaryDirectory(), 'prior');
    cpSync(world.at('prior'), copy, { recursive: true });
    await expect(tune({ from: copy, tokenizer: join(copy, 'tokenizer.json') })).rejects.toThrow(/E_FROM .*--tokenizer/);
  });
});
