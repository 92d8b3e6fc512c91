// A codec, tokens and a prior, made through the SDK in a temporary folder in about a second.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shapeSet } from '../../fixtures/shapes.js';
import { memoryDataset, tokenize, trainCodec, trainPrior } from '../../src/index.js';
import type { Dataset } from '../../src/index.js';

export interface World {
  path: string;
  at: (...names: string[]) => string;
  dataset: Dataset;
  remove: () => void;
}

const CODEC = {
  config: {
    height: 16,
    width: 16,
    downsample: 4,
    hidden: 8,
    residualLayers: 1,
    residualHidden: 4,
    quantizer: { codebookSize: 16, codeDim: 4 },
  },
  training: { steps: 6, batchSize: 8, warmupSteps: 1, evalEvery: 100, checkpointEvery: 4 },
};
const PRIOR = {
  config: { nLayer: 1, nHead: 2, nEmbd: 16 },
  text: { vocabSize: 300 },
  training: { steps: 4, batchSize: 8, warmupSteps: 1, evalEvery: 100, checkpointEvery: 4 },
};

/** @param keyOf names sample i; folders are allowed. */
export async function makeWorld({ count = 40, keyOf = (i: number): string => `shape-${i}` } = {}): Promise<World> {
  const path = mkdtempSync(join(tmpdir(), 'tesserae-sdk-'));
  const at = (...names: string[]): string => join(path, ...names);
  const samples = shapeSet({ count, seed: 1 }).train;
  const dataset = memoryDataset(
    samples.map(({ image, caption }, i) => ({ key: keyOf(i), media: image, captions: [caption] })),
  );
  writeFileSync(at('codec.json'), JSON.stringify(CODEC));
  writeFileSync(at('prior.json'), JSON.stringify(PRIOR));
  await trainCodec({ data: dataset, out: at('codec'), config: at('codec.json') });
  await tokenize({ data: dataset, codec: at('codec'), out: at('tokens'), workers: 0 });
  await trainPrior({ tokens: at('tokens'), out: at('prior'), config: at('prior.json') });
  return { path, at, dataset, remove: () => rmSync(path, { recursive: true, force: true }) };
}
