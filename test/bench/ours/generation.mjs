// Our token-by-token generation as a contestant: the prior's own decoder and the product's sampling loop.
import { setDefaultThreads } from '../../../dist/src/engine/node.js';
import { createParams } from '../../../dist/src/model/params.js';
import { PriorModel } from '../../../dist/src/prior/model.js';
import { gpt } from '../../../dist/priors/gpt-model.js';
import { GptConfigSchema, specs } from '../../../dist/priors/gpt.js';
import { generateCodes } from '../../../dist/src/sample/generate.js';
import { timed } from './timed.mjs';

const PROMPT = 64;
const NEW = 256;

/** d = 512, 8 layers, 8 heads over 320 positions: a prompt of 64 tokens, 256 codes of 1024, top-k 100. */
export async function generationContestant(batch, threads) {
  setDefaultThreads(threads);
  const config = GptConfigSchema.parse({
    codes: { grid: [NEW], levels: 1, vocabSize: 1024 },
    conditioning: 'text',
    text: { length: PROMPT - 1, vocabSize: 256 },
    nLayer: 8,
    nHead: 8,
    nEmbd: 512,
  });
  const params = createParams(specs(config), 0);
  const parameters = Object.values(params).reduce((sum, { size }) => sum + size, 0);
  const model = new PriorModel(gpt, config, params);
  const condition = Int32Array.from({ length: PROMPT }, (_, i) => 1 + ((i * 37) % 256));
  const task = {
    model,
    conditions: Array.from({ length: batch }, () => condition),
    unconditional: condition,
  };
  let seed = 0;
  const once = () => generateCodes(task, { topK: 100, seed: seed++, batchSize: batch });
  await once();
  return {
    name: `Tesserae batch ${batch}`,
    work: batch * NEW,
    unit: 'tokens',
    details: { threads, parameters },
    run: timed(once),
    close: () => model.dispose(),
  };
}
