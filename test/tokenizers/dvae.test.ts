import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/index.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import { codecFamily } from '../../src/registry.js';
import { tokenizerConformance } from '../conformance/tokenizer.js';

const TINY = { height: 8, width: 8, channels: 1, downsample: 2, hidden: 8, blocksPerGroup: 1 };
const QUANTIZER = { codebookSize: 16, codeDim: 4 };

tokenizerConformance('dvae', { ...TINY, quantizer: QUANTIZER });
tokenizerConformance('dvae', { ...TINY, quantizer: { name: 'ema-vq', ...QUANTIZER }, reconstruction: { kind: 'mse' } });

const family = codecFamily('dvae');
const parse = (json: Record<string, unknown> = {}): Record<string, unknown> =>
  family.parseConfig({ ...TINY, quantizer: QUANTIZER, ...json }) as Record<string, unknown>;

describe('the dVAE config', () => {
  it('takes relaxed choices, without a price on sure ones, where no quantizer is named', () => {
    expect(parse().quantizer).toMatchObject({
      name: 'gumbel',
      codebookSize: 16,
      klWeight: 0,
      temperature: { start: 1, end: 1 / 16 },
    });
    expect(parse({ quantizer: { name: 'ema-vq' } }).quantizer).toMatchObject({ name: 'ema-vq' });
  });

  it('measures images by the logit-Laplace likelihood where no loss is named', () => {
    expect(parse().reconstruction).toEqual({ kind: 'logit-laplace', epsilon: 0.1, minScale: 0.1 });
    expect(parse({ reconstruction: { epsilon: 0.2 } }).reconstruction).toMatchObject({
      kind: 'logit-laplace',
      epsilon: 0.2,
    });
    expect(parse({ reconstruction: { kind: 'mse' } }).reconstruction).toEqual({ kind: 'mse' });
  });

  it('refuses sizes that are no multiple of the downsampling', () => {
    expect(() => parse({ height: 9 })).toThrow(/E_CONFIG dvae: .*multiples of downsample/);
  });

  it.each([
    ['quantizer', 7],
    ['quantizer', null],
    ['reconstruction', 'mse'],
    ['hiden', 8],
  ])('names the field that is wrong: %s %j', (field, value) => {
    expect(() => parse({ [field]: value })).toThrow(new RegExp(`E_CONFIG dvae: .*${field}`));
  });

  it.each([2, 4, 8, 16])('codes an image at one %ith of its side', (downsample) => {
    expect(family.maps(parse({ height: 32, width: 16, downsample }))[0]!.grid).toEqual([
      32 / downsample,
      16 / downsample,
    ]);
  });
});

describe('the networks of the dVAE', () => {
  it('double their channels at each coarser resolution and work at a quarter of them within blocks', () => {
    const specs = family.trainable(parse({ height: 16, width: 16, downsample: 4, hidden: 8, blocksPerGroup: 2 }));
    const shapes = Object.fromEntries(Object.entries(specs).map(([name, { shape }]) => [name, shape]));
    expect(shapes['encoder.input.weight']).toEqual([7, 7, 1, 8]);
    expect(shapes['encoder.group.2.0.skip.weight']).toEqual([1, 1, 16, 32]);
    expect(shapes['encoder.group.2.1.skip.weight']).toBeUndefined();
    expect(shapes['encoder.group.2.0.conv.0.weight']).toEqual([3, 3, 16, 8]);
    expect(shapes['encoder.group.2.0.conv.3.weight']).toEqual([1, 1, 8, 32]);
    expect(shapes['decoder.group.0.0.conv.0.weight']).toEqual([1, 1, 32, 8]);
    expect(shapes['decoder.group.2.1.conv.3.weight']).toEqual([3, 3, 2, 8]);
    // Means and log scales of one channel.
    expect(shapes['decoder.output.weight']).toEqual([1, 1, 8, 2]);
  });

  it('give images of the promised shape and a reconstruction that the loss was computed on', () => {
    const config = parse({ quantizer: { codebookSize: 16, codeDim: 8, diversity: 0 } });
    const params = createParams({ ...family.trainable(config), ...family.state(config) }, 0);
    const images = tf.randomUniform([3, 8, 8, 1], -1, 1, 'float32', 1) as tf.Tensor4D;
    const { loss, nmse, reconstruction, terms } = family.loss(
      params,
      { inputs: images, key: tf.tensor1d([0, 1], 'int32'), progress: tf.scalar(0), dataVariance: 0.5 },
      config,
    );
    expect(reconstruction.shape).toEqual(images.shape);
    expect(nmse.dataSync()[0]).toBeCloseTo(
      tf.mean(tf.squaredDifference(reconstruction, images)).dataSync()[0]! / 0.5,
      5,
    );
    // Without prices on sure choices and uneven use, nothing else is in the loss.
    expect(loss.dataSync()[0]).toBeCloseTo(terms!.reconstructionLoss!.dataSync()[0]!, 5);
    disposeParams(params);
  });
});
