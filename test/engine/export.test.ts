import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  compile,
  crossEntropy,
  exportOnnx,
  gelu,
  layerNorm,
  loadRuntime,
  randomKey,
  randomUniform,
  tf,
} from '../../src/engine/index.js';
import type { ExportOptions, RandomKey, Structure, TensorSpec } from '../../src/engine/index.js';

const wave = (shape: number[], phase = 0): tf.Tensor =>
  tf.tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.7 + phase)),
    shape,
  );
const weights = (name: string, shape: number[]): tf.Variable =>
  tf.variable(wave(shape, shape.length), true, `export/${name}`);

interface Model {
  fn: (...args: tf.Tensor[]) => Structure;
  signature: TensorSpec[];
  options: ExportOptions;
  /** Shapes of the inputs to try the file with. */
  trials: number[][][];
}

const float = (...shape: number[]): TensorSpec => ({ dtype: 'float32', shape });
const batches = (...rest: number[]): number[][][] => [1, 2, 7].map((n) => [[n, ...rest]]);

const MODELS = makeModels();

function makeModels(): Record<string, Model> {
  const dense = weights('dense', [6, 4]);
  const bias = weights('bias', [4]);
  const first = weights('first', [4, 4, 3, 8]);
  const second = weights('second', [3, 3, 8, 8]);
  const up = weights('up', [4, 4, 3, 8]);
  const codebook = weights('codebook', [16, 8]);
  const projection = weights('projection', [8, 24]);
  return {
    'a layer with softmax': {
      fn: (x) => tf.softmax(tf.add(tf.matMul(x, dense as tf.Tensor2D), bias)),
      signature: [float(1, 6)],
      options: { dynamicAxes: { input: { 0: 'batch' } } },
      trials: batches(6),
    },
    'an encoder to ids and back to pictures': {
      fn: (x) => {
        const latents = tf.conv2d(
          tf.relu(tf.conv2d(x as tf.Tensor4D, first as tf.Tensor4D, 2, 'same')),
          second as tf.Tensor4D,
          1,
          'same',
        );
        const rows = tf.reshape(latents, [-1, 8]) as tf.Tensor2D;
        const distances = tf.sub(
          tf.sum(tf.square(codebook), 1),
          tf.mul(2, tf.matMul(rows, codebook as tf.Tensor2D, false, true)),
        );
        const ids = tf.reshape(tf.argMin(distances, 1), latents.shape.slice(0, 3));
        const codes = tf.gather(codebook, ids as tf.Tensor3D) as tf.Tensor4D;
        const [b, h, w] = codes.shape;
        return { ids, picture: tf.tanh(tf.conv2dTranspose(codes, up as tf.Tensor4D, [b, h * 2, w * 2, 3], 2, 'same')) };
      },
      signature: [float(1, 8, 8, 3)],
      options: { inputNames: ['image'], outputNames: ['ids', 'picture'], dynamicAxes: { image: { 0: 'batch' } } },
      trials: batches(8, 8, 3),
    },
    'pooling, resizing, padding and slicing': {
      fn: (x) => {
        const pooled = tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid');
        const wide = tf.image.resizeNearestNeighbor(pooled as tf.Tensor4D, [6, 6]);
        const soft = tf.image.resizeBilinear(tf.avgPool(x as tf.Tensor4D, 2, 2, 'same') as tf.Tensor4D, [5, 7]);
        return [
          tf.pad(wide, [
            [0, 0],
            [1, 1],
            [0, 2],
            [0, 0],
          ]),
          tf.slice(soft, [0, 1, 2, 0], [-1, 3, -1, 1]),
          tf.reverse(tf.concat([wide, wide], 3), 1),
        ];
      },
      signature: [float(1, 4, 4, 2)],
      options: { dynamicAxes: { input: { 0: 'batch' } } },
      trials: batches(4, 4, 2),
    },
    'shapes of the batch in every role': {
      fn: (x) => {
        const batch = x.shape[0]!;
        const start = tf.tile(tf.reshape(bias, [1, 4]), [batch, 1]);
        const whole = tf.concat([tf.zeros([batch, 1]), start, tf.mul(tf.ones([batch, 2]), 3), x], 1);
        const doubled = tf.concat([whole, tf.neg(whole)], 0);
        const back = tf.slice(doubled, [batch, 0], [batch, whole.shape[1]!]);
        const [left, right] = tf.split(doubled, 2, 0);
        return [
          back,
          tf.add(left!, right!),
          tf.oneHot(tf.argMax(x, 1), 6),
          tf.stack([x, x], 1),
          tf.topk(x as tf.Tensor2D, 2).indices,
        ];
      },
      signature: [float(3, 6)],
      options: { dynamicAxes: { input: { 0: 'batch' } } },
      trials: batches(6),
    },
    'attention over an open batch and an open length': {
      fn: (x) => {
        const [batch, time] = x.shape as [number, number];
        const parts = tf.split(
          tf.reshape(tf.matMul(tf.reshape(x, [batch * time, 8]), projection as tf.Tensor2D), [batch, time, 24]),
          3,
          2,
        );
        const [q, k, v] = parts.map((part) => tf.transpose(tf.reshape(part, [batch, time, 2, 4]), [0, 2, 1, 3]));
        const scores = tf.softmax(tf.mul(tf.matMul(q!, k!, false, true), 0.5));
        return tf.reshape(tf.transpose(tf.matMul(scores, v!), [0, 2, 1, 3]), [batch, time, 8]);
      },
      signature: [float(2, 4, 8)],
      options: { inputNames: ['x'], outputNames: ['y'], dynamicAxes: { x: { 0: 'batch', 1: 'time' } } },
      trials: [[[1, 1, 8]], [[3, 5, 8]], [[2, 9, 8]]],
    },
    'a convolution over pictures of any even size': {
      fn: (x) =>
        tf.conv2d(
          tf.relu(tf.conv2d(x as tf.Tensor4D, first as tf.Tensor4D, 2, 'same')),
          second as tf.Tensor4D,
          1,
          'same',
        ),
      signature: [float(1, 8, 8, 3)],
      options: { dynamicAxes: { input: { 0: 'batch', 1: 'height', 2: 'width' } } },
      trials: [[[1, 8, 8, 3]], [[2, 12, 6, 3]]],
    },
    "the engine's own operators": {
      fn: (x) => {
        const y = layerNorm(gelu(tf.matMul(x, dense as tf.Tensor2D)), bias, bias);
        return [y, crossEntropy(y as tf.Tensor2D, tf.argMax(y, 1) as tf.Tensor1D)];
      },
      signature: [float(1, 6)],
      options: { dynamicAxes: { input: { 0: 'batch' } } },
      trials: batches(6),
    },
    'two inputs, one of them an id, of fixed shape': {
      fn: (x, ids) => tf.add(x, tf.gather(codebook, ids as tf.Tensor1D)),
      signature: [float(2, 8), { dtype: 'int32', shape: [2] }],
      options: { name: 'lookup', inputNames: ['x', 'ids'], documentation: 'Adds codes.' },
      trials: [[[2, 8], [2]]],
    },
  };
}

const inputsFor = ({ signature }: Model, shapes: number[][]): tf.Tensor[] =>
  shapes.map((shape, i) =>
    signature[i]!.dtype === 'int32'
      ? tf.tensor(
          Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => (k * 5) % 16),
          shape,
          'int32',
        )
      : wave(shape, i),
  );

const flatten = (value: Structure): tf.Tensor[] =>
  value instanceof tf.Tensor ? [value] : Object.values(value as object).flatMap((item) => flatten(item as Structure));

describe('an exported file', () => {
  it.each(Object.keys(MODELS))('holds %s, for every size tried', async (title) => {
    const model = MODELS[title]!;
    const bytes = await exportOnnx(model.fn, model.signature, model.options);
    const runtime = await loadRuntime();
    const session = await runtime.createSession(bytes);
    const inputNames = model.options.inputNames ?? ['input'];
    for (const shapes of model.trials) {
      const inputs = inputsFor(model, shapes);
      const expected = flatten(model.fn(...inputs));
      const outputNames =
        model.options.outputNames ?? (expected.length === 1 ? ['output'] : expected.map((_, i) => `output${i}`));
      const feeds = Object.fromEntries(
        inputs.map((x, i) => [
          inputNames[i]!,
          runtime.tensor(x.dtype as 'float32', x.dataSync() as Float32Array, x.shape),
        ]),
      );
      const outputs = await session.run(feeds, Object.fromEntries(outputNames.map((name) => [name, null])));
      expected.forEach((tensor, i) => {
        const actual = outputs[outputNames[i]!]!;
        expect(actual.dims).toEqual(tensor.shape);
        const values = tensor.dataSync();
        // Sums of up to 128 products, in another order.
        (actual.data as Float32Array).forEach((value, k) => expect(Math.abs(value - values[k]!)).toBeLessThan(2e-5));
      });
    }
    await session.release();
  });

  it('keeps the values variables had', async () => {
    const v = tf.variable(tf.scalar(2));
    const bytes = await exportOnnx((x: tf.Tensor) => tf.mul(x, v), [float(2)]);
    v.assign(tf.scalar(9));
    const runtime = await loadRuntime();
    const session = await runtime.createSession(bytes);
    const { output } = await session.run(
      { input: runtime.tensor('float32', Float32Array.of(1, 2), [2]) },
      { output: null },
    );
    expect(Array.from(output!.data as Float32Array)).toEqual([2, 4]);
    await session.release();
  });

  it('keeps arguments that the function ignores, and takes nested ones with plain values', async () => {
    const bytes = await exportOnnx(
      ({ x, scale }: { x: tf.Tensor; unused: tf.Tensor; scale: number }) => tf.mul(x, scale),
      [{ x: float(2), unused: float(1), scale: 3 }],
      { inputNames: ['x', 'unused'] },
    );
    const runtime = await loadRuntime();
    const session = await runtime.createSession(bytes);
    const { output } = await session.run(
      {
        x: runtime.tensor('float32', Float32Array.of(1, 2), [2]),
        unused: runtime.tensor('float32', Float32Array.of(0), [1]),
      },
      { output: null },
    );
    expect(Array.from(output!.data as Float32Array)).toEqual([3, 6]);
    await session.release();
  });

  it('keeps names apart: those of the caller, of variables and of what is computed between', async () => {
    const v = tf.variable(tf.tensor1d([3, 4]), true, 'export/names/scale');
    const bytes = await exportOnnx((x: tf.Tensor) => [tf.sin(tf.mul(x, v)), tf.cos(tf.mul(x, v))], [float(2)], {
      inputNames: ['v2'],
      outputNames: ['v3', 'c1'],
    });
    expect(Buffer.from(bytes).includes('export_names_scale')).toBe(true);
    const runtime = await loadRuntime();
    const session = await runtime.createSession(bytes);
    const outputs = await session.run(
      { v2: runtime.tensor('float32', Float32Array.of(1, 0), [2]) },
      { v3: null, c1: null },
    );
    expect(Array.from(outputs.v3!.data as Float32Array, (y) => y.toFixed(4))).toEqual(['0.1411', '0.0000']);
    expect(Array.from(outputs.c1!.data as Float32Array, (y) => y.toFixed(4))).toEqual(['-0.9900', '1.0000']);
    await session.release();
  });

  it('is the same bytes every time and leaves no tensors behind', async () => {
    const v = tf.variable(tf.ones([3]));
    const write = (): Promise<Uint8Array> =>
      exportOnnx((x: tf.Tensor) => tf.mul(x, v), [float(1, 3)], { dynamicAxes: { input: { 0: 'n' } } });
    const once = await write();
    const tensors = tf.memory().numTensors;
    expect(Buffer.compare(once, await write())).toBe(0);
    expect(tf.memory().numTensors).toBe(tensors);
  });

  const python = process.env.TESSERAE_PYTHON;
  it.skipIf(!python)('passes onnx.checker and computes the same in Python', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'export-'));
    try {
      const jobs: object[] = [];
      for (const [i, model] of Object.values(MODELS).entries()) {
        const file = join(folder, `${i}.onnx`);
        writeFileSync(file, await exportOnnx(model.fn, model.signature, model.options));
        const inputNames = model.options.inputNames ?? ['input'];
        for (const shapes of model.trials) {
          const inputs = inputsFor(model, shapes);
          jobs.push({
            file,
            inputs: Object.fromEntries(inputs.map((x, k) => [inputNames[k]!, describeTensor(x)])),
            expected: flatten(model.fn(...inputs)).map(describeTensor),
          });
        }
      }
      writeFileSync(join(folder, 'jobs.json'), JSON.stringify(jobs));
      const out = execFileSync(python!, ['-c', CHECK, join(folder, 'jobs.json')], { encoding: 'utf8' });
      expect(out.trim()).toBe(`${jobs.length} agree`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

const describeTensor = (x: tf.Tensor): object => ({ dtype: x.dtype, shape: x.shape, values: Array.from(x.dataSync()) });

const CHECK = `
import json, sys, numpy as np, onnx, onnxruntime
jobs = json.load(open(sys.argv[1]))
array = lambda t: np.array(t['values'], dtype=t['dtype']).reshape(t['shape'])
for job in jobs:
    model = onnx.load(job['file'])
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain for o in model.opset_import} == {''}, model.opset_import
    session = onnxruntime.InferenceSession(job['file'], providers=['CPUExecutionProvider'])
    results = session.run(None, {name: array(t) for name, t in job['inputs'].items()})
    for actual, expected in zip(results, map(array, job['expected']), strict=True):
        assert actual.shape == expected.shape and actual.dtype == expected.dtype, (job['file'], actual.shape, expected.shape, actual.dtype)
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5, err_msg=job['file'])
print(len(jobs), 'agree')
`;

describe('export refuses', () => {
  const open = { dynamicAxes: { input: { 0: 'n' } } };

  it.each<[string, RegExp, (x: tf.Tensor) => tf.Tensor, ExportOptions]>([
    [
      'positions counted while tracing',
      /E_EXPORT_DYNAMIC.*float32 \[\d+\].*Add/,
      (x) => tf.add(x, tf.range(0, x.shape[0]!)),
      open,
    ],
    [
      'a choice by size',
      /E_EXPORT_DYNAMIC.*same graph/,
      (x) => (x.shape[0]! % 2 ? tf.exp(tf.sin(x)) : tf.sin(x)),
      open,
    ],
    ['a loop over the open axis', /E_EXPORT_DYNAMIC.*operators/, (x) => tf.addN(tf.unstack(x)), open],
    [
      'shapes that are no polynomial',
      /E_EXPORT_DYNAMIC.*products and sums.*Expand/,
      (x) => tf.ones([2 ** x.shape[0]!, 2]),
      { dynamicAxes: { input: { 0: 'n' } } },
    ],
    [
      'an axis that is not there',
      /E_EXPORT_AXES.*input: \{ 3: 'n' \}/,
      (x) => x,
      { dynamicAxes: { input: { 3: 'n' } } },
    ],
    ['an input that is not there', /E_EXPORT_AXES.*picture/, (x) => x, { dynamicAxes: { picture: { 0: 'n' } } }],
    ['too few names', /E_EXPORT_NAMES.*inputNames.*expected 1/, (x) => x, { inputNames: [] }],
    ['names that are none', /E_EXPORT_NAMES.*outputNames/, (x) => x, { outputNames: ['a b'] }],
  ])('%s', async (_, message, fn, options) => {
    await expect(exportOnnx(fn, [float(1)], options)).rejects.toThrow(message);
  });

  it('state and randomness', async () => {
    const v = tf.variable(tf.ones([2]), true, 'counter');
    const counts = (x: tf.Tensor): tf.Tensor => {
      v.assign(tf.add(v, x) as tf.Tensor1D);
      return x;
    };
    await expect(exportOnnx(counts, [float(2)])).rejects.toThrow(/E_EXPORT_STATE.*counter/);
    await expect(
      exportOnnx((key: tf.Tensor) => randomUniform(key as RandomKey, [2], 's'), [randomKey(1, 1)]),
    ).rejects.toThrow(/E_EXPORT_RANDOM/);
    expect(Array.from((await compile((x: tf.Tensor) => tf.add(x, v))(tf.ones([2]))).dataSync())).toEqual([2, 2]);
  });
});
