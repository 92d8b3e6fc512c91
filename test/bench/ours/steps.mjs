// Our training steps as contestants; the GPT with the sizes, the batch and the optimizer of its peer.
import { compile, randomKey, tf } from '../../../dist/src/engine/node.js';
import { ADAMW_DEFAULTS, adamW, adamWHyper, adamWSlots, gradients } from '../../../dist/src/nn/optimizer.js';
import { createParams } from '../../../dist/src/model/params.js';
import { fillUniform, streamId } from '../../../dist/src/rng.js';
import { gptLoss, GptConfigSchema, specs } from '../../../dist/priors/gpt.js';
import { timed } from './timed.mjs';

const uniform = (count, stream) => fillUniform({ seed: 1, stream: streamId(stream), step: 0 }, new Float32Array(count));

const GPT_ADAMW = { ...ADAMW_DEFAULTS, beta2: 0.96, weightDecay: 0.045, clip: 1 };

/** GPT with 4 layers, d = 256, 8 heads over 256 positions, vocabulary 1024, AdamW clipped at norm 1. */
export function gptStep(batch = 8, length = 256, vocabSize = 1024) {
  const config = GptConfigSchema.parse({
    codes: { grid: [length], levels: 1, vocabSize },
    nLayer: 4,
    nHead: 8,
    nEmbd: 256,
  });
  const params = createParams(specs(config), 0);
  const slots = adamWSlots(params);
  const codes = tf.tensor2d(
    Int32Array.from(uniform(batch * length, 'codes'), (u) => Math.floor(u * vocabSize)),
    [batch, length],
    'int32',
  );
  const step = (codes, condition, hyper, key) => {
    const { result, grads } = gradients(params, () => gptLoss(params, { codes, given: [], condition }, key, config));
    adamW(params, slots, grads, hyper, GPT_ADAMW);
    return { loss: result.loss };
  };
  return {
    name: 'gpt_step',
    step,
    args: [codes, tf.fill([batch, 1], 0, 'int32'), adamWHyper(100, 3e-4, GPT_ADAMW), randomKey(0, 1)],
  };
}

/** A compiled step as `peer.mjs` describes contestants. */
export async function stepContestant({ name, step, args }, threads) {
  const compiled = compile(step, { name, threads });
  const once = async () => {
    const { loss } = await compiled(...args);
    const value = loss.dataSync()[0];
    loss.dispose();
    return value;
  };
  let loss = 0;
  for (let i = 0; i < 3; i++) loss = await once();
  return {
    name: 'Tesserae',
    work: 1,
    unit: 'step',
    details: { threads, loss },
    run: timed(once),
    close: () => compiled.dispose(),
  };
}
