import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compile, exportOnnx, importOnnx, tf } from '../../src/engine/index.js';
import { GraphBuilder } from '../../src/engine/graph.js';
import type { Attribute, Value } from '../../src/engine/graph.js';
import { openModel } from '../../src/engine/model.js';
import { encodeModel } from '../../src/engine/onnx.js';
import { Rng } from '../../src/rng.js';
import { maxDifference } from '../support/tiny.js';

/** A model under construction: operators by name, whatever they are. Extents are not stated, only ranks. */
class Net {
  private readonly g = new GraphBuilder();
  readonly x: Value;
  private readonly rng: Rng;

  constructor(shape: readonly number[], seed = 1) {
    this.x = this.g.input('x', 'float32', shape);
    this.rng = new Rng(seed, 'test.network');
  }

  op(op: string, inputs: (Value | null)[], attributes: Record<string, Attribute> = {}): Value {
    return this.g.op(op, inputs, { dtype: 'float32', shape: [] }, attributes);
  }

  weights(...shape: number[]): Value {
    return this.g.constant(
      'float32',
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => this.rng.normal() * 0.5),
    );
  }

  positive(...shape: number[]): Value {
    return this.g.constant(
      'float32',
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.5 + this.rng.uniform()),
    );
  }

  ints(...values: number[]): Value {
    return this.g.ints(values);
  }

  scalarInt(value: number): Value {
    return this.g.constant('int64', [], BigInt64Array.of(BigInt(value)));
  }

  scalar(value: number): Value {
    return this.g.scalar(value);
  }

  /** The bytes of a model whose outputs have these ranks. */
  bytes(outputs: [Value, rank: number][], opset = 21): Uint8Array {
    const typed = outputs.map(([value, rank], i) => ({
      name: `y${i}`,
      value: Object.assign(value, { shape: Array.from({ length: rank }, () => 1) }),
    }));
    const open = Object.fromEntries(
      typed.map(({ name, value }) => [
        name,
        Object.fromEntries(value.shape.map((_, axis) => [axis, `${name}_${axis}`])),
      ]),
    );
    const nodes = new Set<NonNullable<Value['node']>>();
    const visit = (value: Value | null): void => {
      value?.node?.inputs.forEach(visit);
      if (value?.node) nodes.add(value.node);
    };
    outputs.forEach(([value]) => visit(value));
    const bytes = encodeModel(
      { name: 'net', inputs: [this.x], outputs: typed, nodes: [...nodes] },
      { dynamicAxes: open },
    );
    // The version of the standard operators is the last byte of the file.
    if (bytes.at(-1) !== 21) throw new Error('the version has moved');
    return bytes.with(bytes.length - 1, opset);
  }
}

const tensorOf = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + i * 1.3 + (i % 7) ** 2)),
    [...shape],
  );

/** What ONNX Runtime computes. */
async function runtimeOf(
  bytes: Uint8Array,
  names: readonly string[],
  input: string,
  x: tf.Tensor,
): Promise<ArrayLike<number>[]> {
  const model = await openModel(bytes, names);
  const results = await model.run({
    [input]: { dtype: 'float32', shape: x.shape, data: x.dataSync() as Float32Array },
  });
  await model.release();
  return results as ArrayLike<number>[];
}

/** The largest difference to ONNX Runtime of what is rebuilt, eager or compiled, as a part of the largest value. */
async function errorOf(bytes: Uint8Array, x: tf.Tensor): Promise<number> {
  const network = importOnnx(bytes);
  const expected = await runtimeOf(bytes, network.outputs, network.inputs[0]!.name, x);
  const compiled = compile((input: tf.Tensor) => network.prepare()(input), { name: 'imported' });
  const results = [await compiled(x), network.prepare()(x)];
  await compiled.dispose();
  const errors = expected.flatMap((values, i) =>
    results.map((ours) => maxDifference(ours[i]!, values) / Math.max(1, ...Array.from(values, Math.abs))),
  );
  return Math.max(...errors);
}

/** Sums in another order. */
const ROUNDING = 1e-5;

type Case = [name: string, shape: number[], build: (n: Net) => [Value, rank: number], opset?: number];

const pool =
  (op: string, kernel: number[], attributes: Record<string, Attribute>) =>
  (n: Net): [Value, number] => [n.op(op, [n.x], { kernel_shape: kernel, ...attributes }), 4];
const conv =
  (filter: number[], attributes: Record<string, Attribute>) =>
  (n: Net): [Value, number] => [n.op('Conv', [n.x, n.weights(...filter), n.weights(filter[0]!)], attributes), 4];

const CASES: Case[] = [
  ['Conv with uneven padding and stride', [2, 3, 9, 8], conv([4, 3, 3, 2], { pads: [1, 0, 2, 1], strides: [2, 3] })],
  ['Conv with dilation', [1, 2, 9, 9], conv([3, 2, 3, 3], { pads: [2, 2, 2, 2], dilations: [2, 2] })],
  ['Conv SAME_UPPER', [1, 2, 7, 8], conv([3, 2, 4, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] })],
  ['Conv SAME_LOWER', [1, 2, 7, 8], conv([3, 2, 4, 2], { auto_pad: 'SAME_LOWER', strides: [2, 2] })],
  [
    'Conv VALID without bias',
    [1, 2, 7, 8],
    (n) => [n.op('Conv', [n.x, n.weights(3, 2, 1, 1)], { auto_pad: 'VALID' }), 4],
  ],
  ['Conv depthwise', [2, 4, 8, 8], conv([4, 1, 3, 3], { group: 4, pads: [1, 1, 1, 1] })],
  ['Conv depthwise, two filters a channel', [2, 3, 8, 8], conv([6, 1, 3, 3], { group: 3, strides: [2, 2] })],
  ['Conv in groups', [2, 4, 6, 6], conv([6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] })],
  ['MaxPool over the border', [2, 3, 7, 8], pool('MaxPool', [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] })],
  ['MaxPool rounded up', [1, 2, 7, 9], pool('MaxPool', [2, 2], { strides: [2, 2], ceil_mode: 1 })],
  ['MaxPool SAME_UPPER', [1, 2, 7, 9], pool('MaxPool', [3, 2], { strides: [2, 2], auto_pad: 'SAME_UPPER' })],
  ['AveragePool of what is there', [1, 2, 7, 9], pool('AveragePool', [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1] })],
  [
    'AveragePool of the padding too',
    [1, 2, 7, 9],
    pool('AveragePool', [3, 3], { strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  ],
  ['AveragePool rounded up', [1, 2, 8, 10], pool('AveragePool', [3, 3], { strides: [2, 2], ceil_mode: 1 })],
  ['GlobalAveragePool', [2, 3, 4, 5], (n) => [n.op('GlobalAveragePool', [n.x]), 4]],
  [
    'BatchNormalization',
    [2, 3, 4, 5],
    (n) => [
      n.op('BatchNormalization', [n.x, n.weights(3), n.weights(3), n.weights(3), n.positive(3)], {
        epsilon: { float: 0.01 },
      }),
      4,
    ],
  ],
  [
    'Relu, LeakyRelu, Sigmoid, Tanh',
    [2, 6],
    (n) => [
      n.op('Add', [
        n.op('LeakyRelu', [n.op('Tanh', [n.x])], { alpha: { float: 0.3 } }),
        n.op('Mul', [n.op('Sigmoid', [n.x]), n.op('Relu', [n.x])]),
      ]),
      2,
    ],
  ],
  [
    'Sub, Div, Sqrt, Pow',
    [2, 6],
    (n) => [
      n.op('Div', [
        n.op('Sub', [n.x, n.scalar(0.5)]),
        n.op('Sqrt', [n.op('Add', [n.op('Pow', [n.x, n.scalar(2)]), n.op('Pow', [n.positive(6), n.scalar(1.5)])])]),
      ]),
      2,
    ],
  ],
  ['Clip', [3, 5], (n) => [n.op('Clip', [n.op('Clip', [n.x, n.scalar(-0.5), null]), null, n.scalar(0.25)]), 2]],
  [
    'Clip to both bounds, before version 11',
    [3, 5],
    (n) => [n.op('Clip', [n.x], { min: { float: -0.5 }, max: { float: 0.25 } }), 2],
    9,
  ],
  [
    'Gemm',
    [4, 3],
    (n) => [
      n.op('Gemm', [n.x, n.weights(5, 4), n.weights(5)], {
        transA: 1,
        transB: 1,
        alpha: { float: 0.5 },
        beta: { float: 2 },
      }),
      2,
    ],
  ],
  ['MatMul in batches', [2, 3, 4], (n) => [n.op('MatMul', [n.x, n.weights(4, 5)]), 3]],
  ['Flatten', [2, 3, 4, 5], (n) => [n.op('Flatten', [n.x], { axis: 2 }), 2]],
  ['Reshape with kept and open extents', [2, 3, 4, 5], (n) => [n.op('Reshape', [n.x, n.ints(0, -1, 5)]), 3]],
  [
    'Reshape by the shape of another value',
    [2, 3, 4, 5],
    (n) => [
      n.op('Reshape', [
        n.x,
        n.op(
          'Concat',
          [n.op('Unsqueeze', [n.op('Gather', [n.op('Shape', [n.x]), n.scalarInt(0)]), n.ints(0)]), n.ints(-1)],
          { axis: 0 },
        ),
      ]),
      2,
    ],
  ],
  ['Transpose', [2, 3, 4, 5], (n) => [n.op('Transpose', [n.x], { perm: [2, 0, 3, 1] }), 4]],
  ['Concat of channels', [2, 3, 4, 5], (n) => [n.op('Concat', [n.x, n.op('Relu', [n.x]), n.x], { axis: -3 }), 4]],
  ['Softmax', [2, 3, 4], (n) => [n.op('Softmax', [n.x], { axis: 1 }), 3]],
  ['Softmax before version 13: over all that follows', [2, 3, 4], (n) => [n.op('Softmax', [n.x], { axis: 1 }), 3], 11],
  ['Pad with a value', [2, 3, 4, 5], (n) => [n.op('Pad', [n.x, n.ints(0, 0, 1, 2, 0, 0, 3, 0), n.scalar(0.7)]), 4]],
  [
    'Pad of some axes, mirrored',
    [2, 3, 4, 5],
    (n) => [n.op('Pad', [n.x, n.ints(1, 2, 3, 1), null, n.ints(-2, 3)], { mode: 'reflect' }), 4],
  ],
  ['ReduceMean', [2, 3, 4, 5], (n) => [n.op('ReduceMean', [n.x, n.ints(-1, 1)], { keepdims: 0 }), 2]],
  [
    'ReduceMean before version 18',
    [2, 3, 4, 5],
    (n) => [n.op('ReduceMean', [n.x], { axes: [2, 3], keepdims: 1 }), 4],
    13,
  ],
  [
    'Squeeze and Unsqueeze',
    [2, 1, 4, 1],
    (n) => [n.op('Unsqueeze', [n.op('Squeeze', [n.x, n.ints(3)]), n.ints(0, -1)]), 5],
  ],
  [
    'Squeeze of all ones, and Unsqueeze before version 13',
    [2, 1, 4, 1],
    (n) => [n.op('Unsqueeze', [n.op('Squeeze', [n.x])], { axes: [0] }), 3],
    11,
  ],
  ['Identity and Dropout', [2, 3], (n) => [n.op('Dropout', [n.op('Identity', [n.op('Relu', [n.x])])]), 2]],
  ['Cast', [2, 3], (n) => [n.op('Cast', [n.op('Cast', [n.op('Mul', [n.x, n.scalar(5)])], { to: 6 })], { to: 1 }), 2]],
];

describe('importOnnx', () => {
  it.each(CASES)('computes what ONNX Runtime does: %s', async (_, shape, build, opset) => {
    const net = new Net(shape);
    expect(await errorOf(net.bytes([build(net)], opset), tensorOf(shape))).toBeLessThan(ROUNDING);
  });

  it.each([1, 2, 3, 4, 5, 6])('computes random networks, all outputs, number %i', async (seed) => {
    const rng = new Rng(seed, 'test.layers');
    const shape = [2, 3, 12 + rng.int(6), 12 + rng.int(6)];
    const net = new Net(shape, seed);
    let [x, channels] = [net.x, 3];
    const outputs: [Value, number][] = [];
    for (let layer = 0; layer < 4; layer++) {
      const next = 2 * (1 + rng.int(4));
      const grouped = channels % 2 === 0 && rng.int(2) === 0;
      const pads = Array.from({ length: 4 }, () => rng.int(3));
      x = net.op(
        'Conv',
        [x, net.weights(next, grouped ? channels / 2 : channels, 1 + rng.int(3), 1 + rng.int(3)), net.weights(next)],
        { pads, group: grouped ? 2 : 1 },
      );
      if (rng.int(2) === 0)
        x = net.op('BatchNormalization', [
          x,
          net.weights(next),
          net.weights(next),
          net.weights(next),
          net.positive(next),
        ]);
      x = net.op(['Relu', 'LeakyRelu', 'Tanh', 'Sigmoid'][rng.int(4)]!, [x]);
      if (rng.int(2) === 0) outputs.push([x, 4]);
      if (rng.int(2) === 0)
        x = net.op(['MaxPool', 'AveragePool'][rng.int(2)]!, [x], {
          kernel_shape: [2, 3],
          strides: [1 + rng.int(2), 1],
          pads: [1, 0, 0, 1],
          ceil_mode: rng.int(2),
        });
      channels = next;
    }
    outputs.push([
      net.op('Softmax', [
        net.op('Gemm', [net.op('Flatten', [net.op('GlobalAveragePool', [x])]), net.weights(channels, 4)]),
      ]),
      2,
    ]);
    expect(await errorOf(net.bytes(outputs), tensorOf(shape, seed))).toBeLessThan(ROUNDING);
  });

  // A test/engine/fixtures/torch-network.onnx of PyTorch 2.15, torch.onnx.export(dynamo=False) with open batch, height and width: two
  // convolutions with pooling, batch normalization and ReLU6, a grouped one after a MaxPool2d(3, 2, ceil_mode=True), a mean, `view(size(0), -1)`, Linear, softmax.
  describe('on a network exported by PyTorch', () => {
    const bytes = readFileSync(new URL('./fixtures/torch-network.onnx', import.meta.url));

    it.each([[[2, 3, 16, 20]], [[1, 3, 19, 23]]])('computes what ONNX Runtime does for images %j', async (shape) => {
      expect(await errorOf(bytes, tensorOf(shape))).toBeLessThan(ROUNDING);
      const network = importOnnx(bytes);
      expect(network.inputs).toEqual([{ name: 'images', shape: [undefined, 3, undefined, undefined] }]);
      expect(network.outputs).toEqual(['a', 'b', 'classes']);
    });

    it('has the slope that finite differences measure', async () => {
      const network = importOnnx(bytes);
      const x = tensorOf([1, 3, 16, 20]);
      const loss = (run: (input: tf.Tensor) => tf.Tensor[]) => (input: tf.Tensor) =>
        tf.addN(run(input).map((y) => tf.sum(tf.square(y))));
      const compiled = compile((input: tf.Tensor) => tf.grad(loss(network.prepare()))(input), { name: 'gradient' });
      const gradient = await compiled(x);
      await compiled.dispose();
      const slope = tf.norm(gradient).dataSync()[0]!;
      const at = (step: number): number =>
        loss(network.prepare())(tf.add(x, tf.mul(gradient, step / slope))).dataSync()[0]!;
      expect(slope).toBeGreaterThan(1);
      // Rectifiers turn on the way.
      expect((at(0.005) - at(-0.005)) / 0.01 / slope).toBeCloseTo(1, 2);
    });
  });

  it('reads what exportOnnx writes', async () => {
    const kernel = tf.randomNormal([3, 3, 3, 4], 0, 1, 'float32', 7) as tf.Tensor4D;
    const fn = (x: tf.Tensor4D): tf.Tensor => tf.mean(tf.relu(tf.conv2d(x, kernel, 2, 'same')), [1, 2]);
    const network = importOnnx(await exportOnnx(fn, [{ dtype: 'float32', shape: [2, 8, 8, 3] }]));
    const x = tensorOf([2, 8, 8, 3]) as tf.Tensor4D;
    expect(maxDifference(network.prepare()(x)[0]!, fn(x))).toBeLessThan(1e-5);
  });

  it('shares its weights between calls of one trace', async () => {
    const net = new Net([1, 3, 6, 6]);
    const network = importOnnx(net.bytes([[net.op('Conv', [net.x, net.weights(8, 3, 3, 3)]), 4]]));
    const twice = compile((x: tf.Tensor) => {
      const run = network.prepare();
      return [run(x)[0]!, run(x)[0]!];
    });
    tf.dispose(await twice(tensorOf([1, 3, 6, 6])));
    // Equal nodes are one: the convolution is there once.
    expect(twice.graphs()[0]!.match(/= \S*(Conv|MatMul|Gemm)\(/g)).toHaveLength(1);
    await twice.dispose();
  });

  it('leaves no tensors behind', () => {
    const net = new Net([1, 3, 6, 6]);
    const network = importOnnx(net.bytes([[net.op('Conv', [net.x, net.weights(8, 3, 3, 3)]), 4]]));
    const before = tf.memory().numTensors;
    tf.tidy(() => void network.prepare()(tf.zeros([1, 3, 6, 6])));
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each<[string, (n: Net) => Value, RegExp]>([
    [
      'an unknown operator',
      (n) => n.op('Resize', [n.x]),
      /net\.onnx, node "Resize_y0": expected one of Add, .*, received Resize\./,
    ],
    [
      'a pool with dilation',
      (n) => n.op('MaxPool', [n.x], { kernel_shape: [2, 2], dilations: [2, 2] }),
      /node "MaxPool_y0" \(MaxPool\): expected a window without dilation, received 2 x 2/,
    ],
    [
      'a shape that is computed',
      (n) => n.op('Reshape', [n.x, n.op('Relu', [n.x])]),
      /node "Reshape_y0" \(Reshape\): expected a constant as input 1, received one that is computed/,
    ],
    ['extents that do not fit', (n) => n.op('Reshape', [n.x, n.ints(7, 7)]), /node "Reshape_y0" \(Reshape\): /],
    [
      'channels that do not fit',
      (n) => n.op('Conv', [n.x, n.weights(2, 5, 1, 1)]),
      /\(Conv\): expected 5 channels, received 3/,
    ],
  ])('names operator and node of %s', (_, build, message) => {
    const net = new Net([1, 3, 4, 4]);
    const bytes = net.bytes([[build(net), 4]]);
    const use = (): unknown => importOnnx(bytes, 'net.onnx').prepare()(tf.zeros([1, 3, 4, 4]));
    expect(use).toThrow(
      expect.objectContaining({ name: 'EngineError', code: 'E_IMPORT_OP', message: expect.stringMatching(message) }),
    );
  });

  it('takes no damaged file for a network: every truncation is refused by name', () => {
    const net = new Net([1, 3, 4, 4]);
    const bytes = net.bytes([[net.op('Conv', [net.x, net.weights(2, 3, 1, 1)]), 4]]);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => importOnnx(bytes.slice(0, length), 'cut.onnx'), `${length} bytes`).toThrow(
        expect.objectContaining({ name: 'CorruptError', code: 'E_ONNX_FILE' }),
      );
    }
  });

  it('fails by name alone when bytes are changed', () => {
    const net = new Net([1, 3, 4, 4]);
    const bytes = net.bytes([[net.op('Conv', [net.x, net.weights(2, 3, 1, 1)]), 4]]);
    const codeOf = (changed: Uint8Array): string => {
      try {
        importOnnx(changed, 'changed.onnx');
        return 'none';
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    };
    const codes = new Set(
      [0, 0x7f, 0xff].flatMap((value) => Array.from(bytes, (_, at) => codeOf(bytes.with(at, value)))),
    );
    expect([...codes].sort()).toEqual(['E_IMPORT_OP', 'E_IMPORT_TENSOR', 'E_ONNX_FILE', 'none']);
  });
});
