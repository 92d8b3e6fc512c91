// How jobs open their datasets.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shapeSet } from '../../fixtures/shapes.js';
import { readModelCard } from '../../src/checkpoint/model.js';
import { tokenize, trainCodec } from '../../src/index.js';
import { loadModel } from '../../src/checkpoint/model.js';
import { encodePng } from '../../src/media/image/image.js';
import { dataOptionsFor, splittingOf } from '../../src/sdk/dataset.js';
import type { DataOptions } from '../../src/sdk/dataset.js';
import { evaluateCodecOn } from '../../src/sdk/evaluate.js';

const folder = mkdtempSync(join(tmpdir(), 'tesserae-split-'));
const at = (...names: string[]): string => join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  mkdirSync(at('data'));
  for (const [i, { image }] of shapeSet({ count: 30, seed: 1 }).train.entries())
    writeFileSync(at('data', `${i}.png`), await encodePng(image));
  const config = {
    height: 16,
    width: 16,
    downsample: 4,
    hidden: 8,
    residualLayers: 1,
    residualHidden: 4,
    quantizer: { codebookSize: 16, codeDim: 4 },
  };
  writeFileSync(
    at('codec.json'),
    JSON.stringify({
      config,
      training: { steps: 4, batchSize: 8, warmupSteps: 1, evalEvery: 100, checkpointEvery: 4 },
    }),
  );
});

describe('the split of a codec', () => {
  it('is remembered, so that its training samples never count as held out', async () => {
    await trainCodec({ data: at('data'), out: at('half'), config: at('codec.json'), holdout: 0.5 });
    expect(readModelCard(at('half')).training!['split']).toEqual({ holdout: 0.5 });
    const own = await evaluateCodecOn({ codec: at('half'), data: at('data') });
    const asked = await evaluateCodecOn({ codec: at('half'), data: at('data'), holdout: 0.5 });
    const other = await evaluateCodecOn({ codec: at('half'), data: at('data'), holdout: 0.1 });
    expect(own.samples).toBe(asked.samples);
    expect(own.samples).toBeGreaterThan(2 * other.samples);
    const { samples } = await tokenize({ data: at('data'), codec: at('half'), out: at('tokens'), workers: 0 });
    expect(samples.test).toBe(own.samples);
  });

  it('leaves nothing to measure where nothing is held out, and says what there is', async () => {
    await trainCodec({ data: at('data'), out: at('all'), config: at('codec.json'), holdout: 0 });
    await expect(evaluateCodecOn({ codec: at('all'), data: at('data') })).rejects.toThrow(
      /^E_DATA_EMPTY .*: expected samples in the test split, found none\. Measure the training samples with --split train\.$/,
    );
    expect((await evaluateCodecOn({ codec: at('all'), data: at('data'), split: 'train' })).samples).toBe(30);
  });

  it('gives way to one that is asked for', () => {
    const [plain, asking]: DataOptions[] = [{ limit: 3 }, { holdout: 0.2, limit: 3 }];
    const { card } = loadModel(at('half'));
    const own = { card: { ...card, training: { split: { holdout: 0 } } } };
    const medium = 'image';
    expect(dataOptionsFor(own, asking!)).toEqual({ ...asking, medium });
    expect(dataOptionsFor(own, plain!)).toEqual({ limit: 3, holdout: 0, medium });
    expect(dataOptionsFor({ card: { ...card, training: undefined } }, plain!)).toEqual({ ...plain, medium });
    expect(splittingOf({ splitBy: undefined, holdout: undefined })).toBeUndefined();
  });
});
