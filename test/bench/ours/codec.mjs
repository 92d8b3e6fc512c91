// A codec preset as the trainer sets it up: weights, optimizer, discriminator, its training step and its encoder.
import { compile, randomKey, tf } from '../../../dist/src/engine/node.js';
import { adamW, adamWHyper, adamWSlots, gradients } from '../../../dist/src/nn/optimizer.js';
import { createParams } from '../../../dist/src/model/params.js';
import { codecFamily } from '../../../dist/src/registry.js';
import { fillUniform, streamId } from '../../../dist/src/rng.js';
import { codecPreset } from '../../../dist/src/sdk/presets.js';
import { exportsOf } from '../../../dist/src/codec/networks.js';
import { mediumNamed } from '../../../dist/src/media/registry.js';
import { Discriminator } from '../../../dist/src/train/discriminator.js';
import { adamWConfig, CodecTrainingSchema } from '../../../dist/src/train/config.js';

/** Of uniform pixels in [-1, 1]. */
export const DATA_VARIANCE = 1 / 3;
/** Of the training; schedules are in the middle of theirs. */
export const PROGRESS = 0.5;

export function codecOf(preset, seed = 0) {
  const { codec, config: json, training: settings } = codecPreset({ preset });
  const family = codecFamily(codec);
  const config = family.parseConfig(json);
  const training = CodecTrainingSchema.parse(settings);
  const trainable = createParams(family.trainable(config), seed);
  const discriminator = training.adversarial && new Discriminator(config.channels, training.adversarial, seed);
  const params = { ...trainable, ...createParams(family.state(config), seed) };
  return { family, config, training, seed, trainable, params, discriminator, slots: adamWSlots(trainable) };
}

/** float32 [B, H, W, C] of k / 127.5 - 1. */
export function randomImages({ height, width, channels }, batch, seed = 0) {
  const values = fillUniform(
    { seed, stream: streamId('pictures'), step: 0 },
    new Float32Array(batch * height * width * channels),
  );
  return tf.tensor4d(
    values.map((u) => Math.floor(256 * u) / 127.5 - 1),
    [batch, height, width, channels],
  );
}

/**
 * A training step without a perceptual term, as `train codec` takes it.
 *
 * @returns the step, uncompiled, and its arguments; the step gives the loss, and the gradients where they are asked for.
 */
export function codecStep(
  { family, config, training, seed, trainable, params, discriminator, slots },
  { withGradients = false } = {},
) {
  const adam = adamWConfig(training);
  const objective = (batch) => {
    const losses = family.loss(params, batch, config);
    if (!discriminator) return losses;
    const { term } = discriminator.objective(losses.loss, losses.reconstruction, trainable[family.lastLayer(config)]);
    return { ...losses, loss: tf.add(losses.loss, term) };
  };
  const step = (images, hyper, key, progress, discriminatorHyper) => {
    const { result, grads } = gradients(trainable, () =>
      objective({ inputs: images, key, progress, dataVariance: DATA_VARIANCE }),
    );
    adamW(trainable, slots, grads, hyper, adam);
    if (discriminatorHyper) discriminator.update(images, result.reconstruction, discriminatorHyper);
    return { loss: result.loss, ...(withGradients && { grads }) };
  };
  const discriminatorHyper = discriminator?.hyper(training.steps, training.steps, 1) ?? null;
  const args = [
    randomImages(config, training.batchSize, seed),
    adamWHyper(100, training.learningRate, adam),
    randomKey(seed, 1),
    tf.scalar(PROGRESS),
    discriminatorHyper,
  ];
  return { name: 'codec_step', step, args };
}

/** float32 [B, H, W, C] -> ids of each map, as the product compiles it; of the VAE, means and log variances. */
export const compiledEncoder = ({ family, config, params }, threads) =>
  compile(exportsOf(family, config, params, mediumNamed(family.medium)).encoder.fn, {
    name: 'codec_encode',
    freeze: true,
    threads,
  });
