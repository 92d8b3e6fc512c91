import { describe, expect, it } from 'vitest';
import { stopGradient, tf } from '../../../src/engine/index.js';
import { quantizerNames, registerQuantizer } from '../../../src/index.js';
import type { QuantizerFamily } from '../../../src/index.js';
import { codecFamily } from '../../../src/registry.js';
import { tokenizerConformance } from '../../conformance/tokenizer.js';
import { quantizerConformance } from '../../conformance/quantizer.js';
import { TINY_CODEC } from '../../support/tiny.js';

/** One bit a position: the sign of the first channel, passed straight through. */
const sign: QuantizerFamily<{ name: 'sign' }> = {
  name: 'sign',
  parseConfig: (json) => {
    const unknown = Object.keys(json as object).find((field) => field !== 'name');
    if (unknown) throw Object.assign(new Error(`E_CONFIG quantizer sign: ${unknown}: unknown.`));
    return { name: 'sign' };
  },
  width: () => 2,
  vocabSize: () => 2,
  trainable: () => ({}),
  state: () => ({}),
  train: (p, latents, _moment, config) => {
    const ids = sign.encode(p, latents, config);
    const codes = tf.add(latents, stopGradient(tf.sub(sign.decode(p, ids, config), latents))) as tf.Tensor2D;
    return { codes, ids, loss: tf.mul(tf.mean(tf.square(latents)), 0.1) as tf.Scalar };
  },
  encode: (_p, latents) => tf.cast(tf.greater(tf.slice(latents, [0, 0], [-1, 1]), 0), 'int32') as tf.Tensor2D,
  decode: (_p, ids) => tf.tile(tf.sub(tf.mul(tf.cast(ids, 'float32'), 2), 1), [1, 2]) as tf.Tensor2D,
};

registerQuantizer(sign);

quantizerConformance({ name: 'sign' }, { bruteForce: (_p, latents) => latents.map(([first]) => [first! > 0 ? 1 : 0]) });
tokenizerConformance('vqvae', { ...TINY_CODEC, quantizer: { name: 'sign' } });

describe('a quantizer of a third party', () => {
  it('goes into any codec by its name', () => {
    expect(quantizerNames()).toEqual(
      expect.arrayContaining(['ema-vq', 'vq', 'grouped', 'residual', 'fsq', 'lfq', 'simvq', 'gumbel', 'sign']),
    );
    const family = codecFamily('vqvae');
    expect(family.maps(family.parseConfig({ ...TINY_CODEC, quantizer: { name: 'sign' } }))).toEqual([
      { name: 'codes', grid: [4, 4], levels: 1, vocabSize: 2 },
    ]);
  });

  it('keeps its name to itself, and a missing one is told', () => {
    expect(() => registerQuantizer(sign)).toThrow(
      /E_REGISTERED register quantizer: expected a new name, received "sign"/,
    );
    expect(() => codecFamily('vqvae').parseConfig({ ...TINY_CODEC, quantizer: { name: 'nothing' } })).toThrow(
      /E_CONFIG vqvae: quantizer: quantizer "nothing": expected one of ema-vq/,
    );
  });
});
