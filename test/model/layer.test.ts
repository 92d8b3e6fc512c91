// What layers say of themselves is what they do: their weights, their names, and how far they see, by brute force.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, hostValues, tf } from '../../src/engine/index.js';
import { gridAttention } from '../../src/nn/attention2d.js';
import { conv, convTranspose, maxPool, repeat, resizedConv } from '../../src/nn/conv.js';
import { chain, named, pointwise, reachOf, through, together, weight } from '../../src/model/layer.js';
import type { Layer, Range } from '../../src/model/layer.js';
import { linear } from '../../src/nn/linear.js';
import { groupNorm, layerNorm } from '../../src/nn/norm.js';
import { createParams, disposeParams } from '../../src/model/params.js';
import { residual, residualStack } from '../../src/nn/residual.js';
import { sizeOf } from '../../src/shape.js';
import { decoder, encoder } from '../../tokenizers/networks.js';
import type { Network } from '../../tokenizers/networks.js';
import { codecFamily } from '../../src/registry.js';
import { maxDifference, TINY_CODEC } from '../support/tiny.js';

/**
 * The inputs along an axis on which each output depends: with weights all alike and no biases nothing cancels, so an
 * output moves with an input exactly when it depends on it.
 */
function dependences(layer: Layer, length: number, axes: 1 | 2, axis: 0 | 1, channels: number): Set<number>[] {
  const params = createParams(layer.params, 0);
  for (const [name, variable] of Object.entries(params))
    variable.assign(tf.fill(variable.shape, name.endsWith('weight') ? 0.1 : 0));
  const across = axes === 1 ? [length] : axis === 0 ? [length, 8] : [8, length];
  const touched = tf.tidy(() => {
    // One sample for each position: all of that position is 1, the rest 0.
    const ones = tf.reshape(tf.eye(length), [length, ...across.map((_, i) => (i === axis ? length : 1)), 1]);
    const input = tf.tile(ones, [1, ...across.map((extent, i) => (i === axis ? 1 : extent)), channels]);
    const output = layer.apply(params, input);
    const others = output.shape.map((_, i) => i).filter((i) => i !== 0 && i !== axis + 1);
    return tf.max(tf.abs(output), others); // [length, outputs]
  });
  disposeParams(params);
  const values = hostValues(touched);
  const outputs = touched.shape[1]!;
  const inputs = Array.from({ length }, (_, i) => i);
  return Array.from({ length: outputs }, (_, o) => new Set(inputs.filter((i) => values[i * outputs + o]! > 0)));
}

const rangeOf = (first: number, last: number): number[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);

/** The outputs of a layer that depend on other inputs than it says, cut off at the borders. */
function wrongSights(
  layer: Layer,
  length: number,
  { axes = 2, channels = 1 }: { axes?: 1 | 2; channels?: number } = {},
): string[] {
  return (axes === 1 ? ([0] as const) : ([0, 1] as const)).flatMap((axis) =>
    dependences(layer, length, axes, axis, channels).flatMap((inputs, output) => {
      const { first, last } = layer.sees({ first: output, last: output }, axis) as Range;
      const said = rangeOf(Math.max(0, first), Math.min(length - 1, last));
      return `${[...inputs]}` === `${said}`
        ? []
        : [`output ${output} of axis ${axis}: depends on ${[...inputs]}, sees ${said}`];
    }),
  );
}

const relu = pointwise((x) => tf.relu(x));

describe('layers see what moves their outputs', () => {
  /** Layers with the number of their input channels. */
  const LAYERS: [string, Layer, channels: number][] = [
    ['a convolution', conv(3, 1, 2), 1],
    ['a convolution of several channels', conv(3, 3, 2), 3],
    ['a convolution of even size and stride 2', conv(4, 1, 2, { stride: 2 }), 1],
    ['a convolution of stride 4', conv(8, 1, 1, { stride: 4 }), 1],
    ['one of 7', conv(7, 1, 1), 1],
    ['a transposed convolution', convTranspose(4, 2, 1, 2), 1],
    ['a transposed convolution of stride 4', convTranspose(8, 4, 1, 1), 1],
    ['a transposed convolution of odd size', convTranspose(5, 2, 1, 1), 1],
    ['repeated cells', repeat(3), 1],
    ['repeated cells and a convolution', resizedConv(3, 2, 1, 1), 1],
    ['a maximum', maxPool(2), 1],
    ['a residual block', residual(conv(3, 1, 1)), 1],
    ['a stack of them', residualStack(2, 1, 2), 1],
  ];

  it.each(LAYERS)('%s', (_, layer, channels) => expect(wrongSights(layer, 16, { channels })).toEqual([]));

  it.each(LAYERS)('compiled as eagerly: %s', async (_, layer, channels) => {
    const params = createParams(layer.params, 3);
    const x = tf.randomNormal([2, 16, 16, channels], 0, 1, 'float32', 4) as tf.Tensor4D;
    const run = (engine: 'onnxruntime' | 'reference') =>
      compile((input: tf.Tensor4D) => layer.apply(params, input), { engine })(x);
    // Sums of a few dozen products in another order.
    expect(maxDifference(await run('onnxruntime'), await run('reference'))).toBeLessThan(1e-5);
    disposeParams(params);
  });

  it.each<[string, Layer]>([
    ['a convolution', conv(3, 1, 2, { axes: 1 })],
    ['a strided convolution', conv(8, 1, 1, { stride: 4, axes: 1 })],
    ['a transposed convolution', convTranspose(4, 2, 1, 1, { axes: 1 })],
  ])('%s along one axis', (_, layer) => expect(wrongSights(layer, 16, { axes: 1 })).toEqual([]));

  /** A random layer that halves, doubles or keeps the extent; networks of these divide and multiply 24 by 8 at most. */
  const kinds = {
    keep: () => conv(3, 1, 1),
    wide: () => conv(5, 1, 1),
    one: () => conv(1, 1, 1),
    halve: () => conv(4, 1, 1, { stride: 2 }),
    pool: () => maxPool(2),
    double: () => convTranspose(4, 2, 1, 1),
    repeat: () => resizedConv(3, 2, 1, 1),
    block: () => residual(chain({ conv: conv(3, 1, 1), relu })),
  };

  it('random chains, exactly', () => {
    const kind = fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[]));
    fc.assert(
      fc.property(fc.array(kind, { minLength: 1, maxLength: 6 }), (names) => {
        fc.pre(names.filter((name) => name === 'halve' || name === 'pool').length <= 3);
        const network = chain(Object.fromEntries(names.map((name, i) => [`${i}`, kinds[name]()])));
        expect(wrongSights(network, 24)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it.each<[string, Record<string, unknown>]>([
    ['f4', { downsample: 4, residualLayers: 2 }],
    ['one stride of 4', { downsample: 4, strides: [4] }],
    [
      'a stem, blocks everywhere, nearest upsampling',
      { downsample: 4, blocksPerStage: 1, stem: 8, upsample: 'nearest', activation: 'silu' },
    ],
  ])('the networks of a codec: %s', (_, json) => {
    const n = codecFamily('vqvae').parseConfig({ ...TINY_CODEC, height: 32, width: 32, ...json }) as Network;
    expect(wrongSights(encoder(n, 1, 2, 1), 96)).toEqual([]);
    expect(wrongSights(decoder(n, 2, 1, 1), 12, { channels: 2 })).toEqual([]);
  });

  it('attention and group normalization see everything, and so do networks with them', () => {
    const range = { first: 3, last: 3 };
    for (const layer of [gridAttention(4, 2), groupNorm(4)]) {
      expect(layer.sees(range, 0)).toBeUndefined();
      expect(chain({ before: conv(3, 4, 4), layer, after: conv(3, 4, 4) }).sees(range, 1)).toBeUndefined();
      expect(together(conv(3, 4, 4).sees, layer.sees)(range, 0)).toBeUndefined();
    }
  });
});

describe('reachOf', () => {
  it('counts from the border of a cell', () => {
    const down = chain({ a: conv(4, 1, 1, { stride: 2 }), b: conv(4, 1, 1, { stride: 2 }), c: conv(3, 1, 1) });
    // 1 pixel, 2 pixels and one cell of 4.
    expect(reachOf(down.sees, 0, { outputs: 1, inputs: 4 })).toEqual({ before: 7, after: 7 });
    expect(reachOf(repeat(4).sees, 0, { outputs: 4, inputs: 1 })).toEqual({ before: 0, after: 0 });
    expect(reachOf(groupNorm(4).sees, 0, { outputs: 1, inputs: 1 })).toBeUndefined();
  });

  it('tells before from after, as causal layers need it', () => {
    const causal = { ...conv(3, 1, 1), sees: ({ first, last }: Range) => ({ first: first - 2, last }) };
    expect(reachOf(through(causal.sees, causal.sees), 0, { outputs: 1, inputs: 1 })).toEqual({ before: 4, after: 0 });
  });
});

describe('a chain', () => {
  const network = chain({
    stem: conv(3, 1, 2),
    'down.0': conv(4, 2, 3, { stride: 2 }),
    skipped: false,
    relu,
    head: linear(3, 5),
  });

  it('names weights by the keys of its parts, in order, and knows which kernel makes the outputs', () => {
    expect(Object.keys(network.params)).toEqual([
      'stem.weight',
      'stem.bias',
      'down.0.weight',
      'down.0.bias',
      'head.weight',
      'head.bias',
    ]);
    expect(network.output).toBe('head.weight');
    expect(chain({ conv: conv(3, 1, 1), relu }).output).toBe('conv.weight');
  });

  it('computes its parts one after another with the weights so named', () => {
    const params = createParams(chain({ net: network }).params, 1);
    const y = chain({ net: network }).apply(params, tf.ones([2, 8, 8, 1]));
    expect(y.shape).toEqual([2, 4, 4, 5]);
    const { net } = named({ net: network });
    expect([...hostValues(net.apply(params, tf.ones([2, 8, 8, 1])))]).toEqual([...hostValues(y)]);
    disposeParams(params);
  });

  it('fails for a weight that is missing or misspelt with its name', () => {
    const { 'down.0.bias': spare, ...params } = createParams(network.params, 1);
    expect(() => network.apply(params, tf.ones([1, 8, 8, 1]))).toThrow(
      /^E_WEIGHT weight "bias": expected one of weight\.$/,
    );
    expect(() => weight(params, 'stem.wieght')).toThrow(
      /^E_WEIGHT weight "stem\.wieght": expected one of stem\.weight, /,
    );
    disposeParams({ ...params, spare: spare! });
  });
});

describe('linear and layerNorm', () => {
  it('work on the last axis of tensors of any rank', () => {
    for (const shape of [[4], [2, 3, 4], [2, 2, 3, 4]]) {
      const x = tf.reshape(tf.range(0, sizeOf(shape)), shape.length === 1 ? [1, 4] : shape);
      const params = createParams(named({ l: linear(4, 2), n: layerNorm(4) }).l.params, 0);
      expect(named({ l: linear(4, 2) }).l.apply(params, x).shape).toEqual([...x.shape.slice(0, -1), 2]);
      disposeParams(params);
    }
  });
});
