// A prior of two stages through the ordinary jobs: one stage appends code by code, the other refines, given the first.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeSet } from '../../fixtures/shapes.js';
import * as tesserae from '../../src/index.js';
import { priorConformance } from '../conformance/prior.js';
import '../support/two-stages.js';

const MAPS = [
  { name: 'top', grid: [2, 2], levels: 1, vocabSize: 8 },
  { name: 'bottom', grid: [4, 4], levels: 1, vocabSize: 16 },
];

priorConformance('two-stages', { maps: MAPS, width: 32 });

const path = mkdtempSync(join(tmpdir(), 'tesserae-two-stages-'));
const at = (...names: string[]): string => join(path, ...names);
afterAll(() => rmSync(path, { recursive: true, force: true }));

const QUANTIZER = { codebookSize: 16, codeDim: 4 };
const CODEC = {
  codec: 'vqvae2',
  config: {
    height: 16,
    width: 16,
    downsample: 4,
    hidden: 8,
    residualLayers: 1,
    residualHidden: 4,
    quantizer: QUANTIZER,
  },
  training: { steps: 6, batchSize: 8, warmupSteps: 1, evalEvery: 100, checkpointEvery: 100 },
};
const PRIOR = {
  prior: 'two-stages',
  config: { width: 32 },
  text: { vocabSize: 300 },
  training: { steps: 60, batchSize: 8, warmupSteps: 1, learningRate: 1e-2, evalEvery: 20, checkpointEvery: 20 },
};
const train = (out: string, more: Partial<tesserae.TrainPriorOptions> = {}) =>
  tesserae.trainPrior({ tokens: at('tokens'), out: at(out), config: at('prior.json'), ...more });

beforeAll(async () => {
  const data = tesserae.memoryDataset(
    shapeSet({ count: 40, seed: 1 }).train.map(({ image, caption }, i) => ({
      key: `shape-${i}`,
      media: image,
      captions: [caption],
    })),
  );
  writeFileSync(at('codec.json'), JSON.stringify(CODEC));
  writeFileSync(at('prior.json'), JSON.stringify(PRIOR));
  await tesserae.trainCodec({ data, out: at('codec'), config: at('codec.json') });
  await tesserae.tokenize({ data, codec: at('codec'), out: at('tokens'), workers: 0 });
  await train('prior');
}, 120_000);

describe('a prior of two stages', () => {
  it('learns both stages, and says how well', async () => {
    const { metrics, maps, conditioning } = tesserae.readModelCard(at('prior'));
    expect(maps!.map(({ name }) => name)).toEqual(['top', 'bottom']);
    expect(conditioning).toBe('text');
    const evaluation = await tesserae.evaluatePrior({ prior: at('prior'), tokens: at('tokens') });
    expect(evaluation).toEqual(metrics);
    const [coarse, fine] = [evaluation['coarse.natsPerCode']!, evaluation['fine.natsPerCode']!];
    // 4 codes of the top map, 16 of the bottom one.
    expect(evaluation.natsPerCode).toBeCloseTo((4 * coarse + 16 * fine) / 20, 6);
    for (const nats of [coarse, fine]) expect(nats).toBeLessThan(0.9 * Math.log(16));
    expect(readFileSync(at('prior', 'report.html'), 'utf8')).toContain('>fine: nats per code</a>');
  });

  it('scores a sample as its stages do', async () => {
    const prior = await tesserae.loadPrior(at('prior'));
    const tokens = await tesserae.ShardReader.open(at('tokens'));
    const samples = tokens.readBatch('test', [...Array(tokens.size('test')).keys()]);
    const nats = await prior.score(samples);
    const { natsPerCode } = await tesserae.evaluatePrior({ prior: at('prior'), tokens: at('tokens') });
    expect(nats.reduce((a, b) => a + b, 0) / nats.length).toBeCloseTo(natsPerCode, 5);
    prior.dispose();
    await tokens.close();
  });

  it('resumes to the same weights', async () => {
    const controller = new AbortController();
    const onStep = (step: number): void => {
      if (step === 40) controller.abort();
    };
    await expect(train('resumed', { signal: controller.signal, onStep })).rejects.toMatchObject({ code: 'E_ABORTED' });
    await train('resumed', { resume: true });
    expect(readFileSync(at('resumed', 'model.safetensors'))).toEqual(readFileSync(at('prior', 'model.safetensors')));
  });

  it('generates tokens of both maps, by seed', async () => {
    const prompts = ['a small red circle'];
    const draw = (seed: number, more = {}) =>
      tesserae.generate({ prior: at('prior'), prompts, sampling: { n: 3, seed, tooLong: 'cut', ...more } });
    const [one, again, other] = [await draw(1), await draw(1, { batchSize: 2 }), await draw(2)];
    expect(again.tokens).toEqual(one.tokens);
    expect(other.tokens).not.toEqual(one.tokens);
    expect(one.tokens[0]!.maps.map(({ name, ids }) => [name, ids.length])).toEqual([
      ['top', 4],
      ['bottom', 16],
    ]);
    expect(one.media).toHaveLength(3);
    expect((await draw(1, { cfg: 3 })).tokens).not.toEqual(one.tokens);
  });

  it('exports the functions of both stages', async () => {
    const card = await tesserae.exportModel({ model: at('prior'), out: at('onnx') });
    expect(Object.keys(card.functions)).toEqual(['coarse_step', 'fine_predict']);
    expect(card.functions['fine_predict']!.inputs.map(({ name }) => name)).toEqual(['codes', 'coarse_codes']);
  });

  it('leaves GPT to tokens of one map', async () => {
    writeFileSync(
      at('gpt.json'),
      JSON.stringify({ ...PRIOR, prior: 'gpt', config: { nLayer: 1, nHead: 2, nEmbd: 16 } }),
    );
    await expect(train('gpt', { config: at('gpt.json') })).rejects.toThrow(
      /E_PRIOR_MAPS .*expected tokens with one map, received 2/,
    );
  });
});
