// The VQ-VAE with each kind of quantizer.
import { describe, expect, it } from 'vitest';
import { exportsOf } from '../../src/codec/networks.js';
import { imageCore } from '../../src/media/image/core.js';
import { exportOnnx } from '../../src/engine/index.js';
import type { tf } from '../../src/engine/index.js';
import { codecFamily } from '../../src/registry.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import { tokenizerConformance } from '../conformance/tokenizer.js';
import { TINY_CODEC } from '../support/tiny.js';

const SMALL = { codebookSize: 16, codeDim: 4 };

for (const quantizer of [
  { name: 'vq', ...SMALL, width: 8, normalize: true, gradient: 'rotation' },
  { name: 'residual', levels: 3, dropout: 0.5, quantizer: { name: 'ema-vq', ...SMALL, start: 'kmeans' } },
  { name: 'grouped', groups: 2, quantizer: { name: 'vq', codebookSize: 16, codeDim: 2 } },
  { name: 'residual', levels: 2, quantizer: { name: 'fsq', levels: [5, 3], width: 4 } },
]) {
  tokenizerConformance('vqvae', { ...TINY_CODEC, quantizer });
}

describe('a codec with several ids a position', () => {
  const family = codecFamily('vqvae');
  const config = family.parseConfig({ ...TINY_CODEC, quantizer: { name: 'residual', levels: 3, quantizer: SMALL } });

  it('promises them as a third axis of its map', () => {
    expect(family.maps(config)).toEqual([{ name: 'codes', grid: [4, 4], levels: 3, vocabSize: 16 }]);
  });

  it('names a wrong field of an inner quantizer', () => {
    const json = { ...TINY_CODEC, quantizer: { name: 'residual', quantizer: { ...SMALL, codeDims: 3 } } };
    expect(() => family.parseConfig(json)).toThrow(
      /E_CONFIG vqvae: quantizer: quantizer residual: quantizer\.0: .*codeDims/,
    );
  });
});

describe('an exported encoder', () => {
  it('searches a large codebook part by part for batches of any size', async () => {
    const family = codecFamily('vqvae');
    const config = family.parseConfig({ ...TINY_CODEC, quantizer: { codebookSize: 2000, codeDim: 4 } });
    const p = createParams({ ...family.trainable(config), ...family.state(config) }, 0);
    const { fn, inputs, outputs } = exportsOf(family, config, p, imageCore).encoder!;
    const bytes = await exportOnnx(
      (images: tf.Tensor4D) => fn(images),
      [{ dtype: 'float32', shape: inputs[0]!.shape }],
      { inputNames: ['images'], outputNames: outputs.map(({ name }) => name), dynamicAxes: { images: { 0: 'batch' } } },
    );
    expect(bytes.length).toBeGreaterThan(2000 * 4 * 4);
    disposeParams(p);
  });
});
