// The training steps the benchmarks time: the project's own models with the sizes, batches and optimizers of the
// PyTorch peers in peers/.
import { randomKey, tf } from '../../src/engine/index.js';
import { ADAMW_DEFAULTS, adamW, adamWHyper, adamWSlots, gradients } from '../../src/nn/optimizer.js';
import type { AdamWConfig } from '../../src/nn/optimizer.js';
import { createParams } from '../../src/nn/params.js';
import { gptLoss, GptConfigSchema, specs } from '../../priors/gpt.js';
import { fillUniform, streamId } from '../../src/rng.js';
import { stateSpecs, trainableSpecs, VqVaeConfigSchema, vqVaeLoss } from '../../tokenizers/vqvae.js';

/** A step to compile and the arguments of every call. */
export interface TrainingStep {
  name: string;
  step: (...args: tf.Tensor[]) => { loss: tf.Tensor };
  args: tf.Tensor[];
}

const uniform = (count: number, stream: string): Float32Array => fillUniform({ seed: 1, stream: streamId(stream), step: 0 }, new Float32Array(count));

/** Sonnet's CIFAR-10 VQ-VAE: hidden 128, 2 residual layers of 32, K = 512, D = 64, EMA codebook, Adam 3e-4. */
export function vqvaeStep(batch = 32, size = 32): TrainingStep {
  const config = VqVaeConfigSchema.parse({ height: size, width: size });
  const trainable = createParams(trainableSpecs(config), 0);
  const params = { ...trainable, ...createParams(stateSpecs(config), 0) };
  const slots = adamWSlots(trainable);
  const images = tf.tensor4d(uniform(batch * size * size * 3, 'images').map((u) => 2 * u - 1), [batch, size, size, 3]);
  return {
    name: 'vqvae_step',
    step: (images, hyper, key) => {
      const { result, grads } = gradients(trainable, () => vqVaeLoss(params, images as tf.Tensor4D, key as tf.Tensor1D, 1 / 3, config));
      adamW(trainable, slots, grads, hyper as tf.Tensor1D, ADAMW_DEFAULTS);
      return { loss: result.loss };
    },
    args: [images, adamWHyper(100, 3e-4, ADAMW_DEFAULTS), randomKey(0, 1)],
  };
}

const GPT_ADAMW: AdamWConfig = { ...ADAMW_DEFAULTS, beta2: 0.96, weightDecay: 0.045, clip: 1 };

/** GPT with 4 layers, d = 256, 8 heads over 256 positions, vocabulary 1024, AdamW clipped at norm 1. */
export function gptStep(batch = 8, length = 256, vocabSize = 1024): TrainingStep {
  const config = GptConfigSchema.parse({ codes: { shape: [length], vocabSize }, nLayer: 4, nHead: 8, nEmbd: 256 });
  const params = createParams(specs(config), 0);
  const slots = adamWSlots(params);
  const codes = tf.tensor2d(Int32Array.from(uniform(batch * length, 'codes'), (u) => Math.floor(u * vocabSize)), [batch, length], 'int32');
  const condition = tf.fill([batch, 1], vocabSize, 'int32') as tf.Tensor2D;
  return {
    name: 'gpt_step',
    step: (codes, condition, hyper, key) => {
      const { result, grads } = gradients(params, () => gptLoss(params, { codes: codes as tf.Tensor2D, condition: condition as tf.Tensor2D }, key as tf.Tensor1D, config));
      adamW(params, slots, grads, hyper as tf.Tensor1D, GPT_ADAMW);
      return { loss: result.loss };
    },
    args: [codes, condition, adamWHyper(100, 3e-4, GPT_ADAMW), randomKey(0, 1)],
  };
}
