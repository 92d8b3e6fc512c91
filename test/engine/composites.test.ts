/* oxlint-disable vitest/expect-expect -- expectClose asserts */
// What models are written in: ops of TF.js that are several kernels, compiled and eager, with their gradients; and the
// everyday kernels on shapes drawn at random.
import { describe, expect, it } from 'vitest';
import { crossEntropy, gelu, layerNorm, stopGradient, tf } from '../../src/engine/index.js';
import type { Structure } from '../../src/engine/index.js';
import { Rng } from '../../src/rng.js';
import { checkForward, checkGradient, expectClose, makeTensor, onBoth } from './support/conformance.js';
import type { Case, Spec } from './support/conformance.js';

type Op = (...xs: never[]) => tf.Tensor;

/** Sums of up to a few hundred float32 products, in another order. */
const TOLERANCE = 2e-5;

const COMPOSITES: [string, Spec[], Op][] = [
  [
    'conv1d',
    [{ shape: [2, 9, 3] }, { shape: [4, 3, 5] }],
    (x: tf.Tensor3D, w: tf.Tensor3D) => tf.conv1d(x, w, 2, 'same'),
  ],
  [
    'conv1d, dilated',
    [{ shape: [2, 9, 3] }, { shape: [3, 3, 2] }],
    (x: tf.Tensor3D, w: tf.Tensor3D) => tf.conv1d(x, w, 1, 'valid', 'NWC', 2),
  ],
  [
    'conv2d of one picture',
    [{ shape: [6, 6, 3] }, { shape: [3, 3, 3, 2] }],
    (x: tf.Tensor3D, w: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same'),
  ],
  [
    'conv2d, dilated',
    [{ shape: [1, 9, 9, 2] }, { shape: [3, 3, 2, 3] }],
    (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same', 'NHWC', [2, 3]),
  ],
  [
    'conv2dTranspose',
    [{ shape: [2, 3, 4, 5] }, { shape: [4, 4, 3, 5] }],
    (x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2dTranspose(x, w, [2, 6, 8, 3], 2, 'same'),
  ],
  [
    'depthwiseConv2d',
    [{ shape: [2, 6, 6, 3] }, { shape: [3, 3, 3, 2] }],
    (x: tf.Tensor4D, w: tf.Tensor4D) => tf.depthwiseConv2d(x, w, 1, 'same'),
  ],
  [
    'separableConv2d',
    [{ shape: [1, 6, 6, 3] }, { shape: [3, 3, 3, 1] }, { shape: [1, 1, 3, 4] }],
    (x: tf.Tensor4D, d: tf.Tensor4D, p: tf.Tensor4D) => tf.separableConv2d(x, d, p, 1, 'same'),
  ],
  ['pool, dilated', [{ shape: [1, 8, 8, 2], distinct: true }], (x: tf.Tensor4D) => tf.pool(x, 2, 'max', 'same', 2)],
  [
    'fused.conv2d',
    [{ shape: [2, 5, 5, 3] }, { shape: [3, 3, 3, 4] }, { shape: [4] }],
    (x: tf.Tensor4D, filter: tf.Tensor4D, bias: tf.Tensor1D) =>
      tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' }),
  ],
  [
    'fused.matMul',
    [{ shape: [3, 4] }, { shape: [4, 5] }, { shape: [5] }],
    (a: tf.Tensor2D, b: tf.Tensor2D, bias: tf.Tensor1D) => tf.fused.matMul({ a, b, bias, activation: 'elu' }),
  ],
  [
    'batchNorm',
    [{ shape: [2, 3, 3, 4] }, { shape: [4] }, { shape: [4], from: 0.5 }, { shape: [4] }, { shape: [4] }],
    (x: tf.Tensor4D, m: tf.Tensor1D, v: tf.Tensor1D, o: tf.Tensor1D, s: tf.Tensor1D) => tf.batchNorm(x, m, v, o, s),
  ],
  ['logSoftmax', [{ shape: [3, 5] }], (x: tf.Tensor) => tf.logSoftmax(x)],
  ['logSumExp', [{ shape: [3, 5] }], (x: tf.Tensor) => tf.logSumExp(x, 1)],
  [
    'softmaxCrossEntropy',
    [{ shape: [4, 6] }],
    (x: tf.Tensor2D) => tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d([0, 5, 2, 2], 'int32'), 6), x),
  ],
  [
    'moments',
    [{ shape: [3, 4, 2] }],
    (x: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, [0, 1]);
      return tf.add(mean, tf.sqrt(variance));
    },
  ],
  [
    'layer norm',
    [{ shape: [3, 8] }, { shape: [8] }],
    (x: tf.Tensor, s: tf.Tensor) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), s);
    },
  ],
  ['norm', [{ shape: [3, 4] }], (x: tf.Tensor) => tf.norm(x, 'euclidean', 1)],
  [
    'mean of squares over a stack',
    [{ shape: [3, 4] }, { shape: [3, 4] }],
    (a: tf.Tensor, b: tf.Tensor) => tf.mean(tf.square(tf.stack([a, b], 1)), [0, 2]),
  ],
  ['clip by norm', [{ shape: [6] }], (x: tf.Tensor) => tf.mul(x, tf.minimum(1, tf.div(0.5, tf.norm(x))))],
  ['gelu', [{ shape: [4, 5] }], (x: tf.Tensor) => tf.mul(tf.mul(0.5, x), tf.add(1, tf.erf(tf.div(x, Math.SQRT2))))],
  [
    'prod over two axes, zeros included',
    [{ shape: [2, 3, 2], values: [1, 2, 0, -1, 3, 0.5, 2] }],
    (x: tf.Tensor) => tf.prod(x, [0, 2]),
  ],
  [
    'straight-through rounding',
    [{ shape: [5], avoid: [-1.5, -0.5, 0.5, 1.5] }],
    (x: tf.Tensor) => tf.add(x, stopGradient(tf.sub(tf.round(x), x))),
  ],
  ['booleanish mask', [{ shape: [4, 4] }], (x: tf.Tensor) => tf.where(tf.greater(x, 0), tf.square(x), tf.neg(x))],
  ['cumsum on the first axis', [{ shape: [4, 3] }], (x: tf.Tensor) => tf.cumsum(x, 0, true)],
  [
    'einsum',
    [{ shape: [2, 3, 4] }, { shape: [2, 5, 4] }],
    (a: tf.Tensor, b: tf.Tensor) => tf.einsum('bij,bkj->bik', a, b),
  ],
  ['gelu of the engine', [{ shape: [4, 5], from: -4, to: 4 }], (x: tf.Tensor) => gelu(x)],
  [
    'layerNorm of the engine',
    [{ shape: [2, 3, 8] }, { shape: [8] }, { shape: [8] }],
    (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => layerNorm(x, w, b),
  ],
  [
    'crossEntropy of the engine',
    [{ shape: [4, 6] }],
    (x: tf.Tensor2D) => crossEntropy(x, tf.tensor1d([0, 5, 2, 2], 'int32')),
  ],
  ['image.flipLeftRight', [{ shape: [1, 3, 4, 2] }], (x: tf.Tensor4D) => tf.image.flipLeftRight(x)],
  [
    'spaceToBatchND and back',
    [{ shape: [1, 4, 4, 2] }],
    (x: tf.Tensor4D) =>
      tf.batchToSpaceND(
        tf.square(
          tf.spaceToBatchND(
            x,
            [2, 2],
            [
              [0, 0],
              [0, 0],
            ],
          ),
        ),
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
];

/** The eager gradient, along a random direction, is the central difference of the loss. */
function expectSlope(what: string, x: tf.Tensor, gradient: tf.Tensor, lossAt: (x: tf.Tensor) => number): void {
  const direction = makeTensor({ shape: x.shape, from: -1, to: 1 }, new Rng(1, what));
  const step = 2 ** -9;
  const numeric =
    (lossAt(tf.add(x, tf.mul(direction, step))) - lossAt(tf.sub(x, tf.mul(direction, step)))) / (2 * step);
  const analytic = tf.sum(tf.mul(gradient, direction)).dataSync()[0]!;
  // The loss is a float32 sum: about 1e-6 of it over the step; a rectifier's kink within the step adds its share.
  expect({
    what,
    near: Math.abs(numeric - analytic) < 0.02 * (1 + Math.abs(numeric)),
    numeric,
    analytic,
  }).toMatchObject({ near: true });
}

describe('ops that are several kernels', () => {
  it.each(COMPOSITES)('%s agrees with the cpu backend, with its gradients', async (title, specs, op) => {
    const rng = new Rng(3, title);
    const inputs = specs.map((spec) => makeTensor(spec, rng));
    const shape = op(...(inputs as never[])).shape;
    const weights = makeTensor({ shape }, rng);
    const both = (xs: Structure, w: Structure): Structure => {
      const loss = (...ys: tf.Tensor[]): tf.Scalar =>
        tf.sum(tf.mul(op(...(ys as never[])), w as tf.Tensor)) as tf.Scalar;
      return [op(...(xs as never[])), ...tf.grads(loss)(xs as unknown as tf.Tensor[])];
    };
    const [compiled, eager] = await onBoth<tf.Tensor[]>(both, [inputs, weights]);
    expect(compiled.length).toBe(specs.length + 1);
    compiled.forEach((tensor, i) => expectClose(`${title}, result ${i}`, tensor, eager[i]!, TOLERANCE));
    inputs.forEach((x, i) => {
      if (!title.startsWith('straight-through'))
        expectSlope(
          `${title}, operand ${i}`,
          x,
          eager[i + 1]!,
          (nudged) => tf.sum(tf.mul(op(...(inputs.with(i, nudged) as never[])), weights)).dataSync()[0]!,
        );
    });
  });

  it('have second derivatives where their parts have', async () => {
    const [compiled, eager] = await onBoth<tf.Tensor>(
      (x: Structure) =>
        tf.grad((y: tf.Tensor) =>
          tf.sum(tf.square(tf.grad((z: tf.Tensor) => tf.sum(tf.mul(tf.tanh(z), tf.square(z))))(y))),
        )(x as tf.Tensor),
      [tf.tensor1d([0.3, -1.2, 2])],
    );
    expectClose('second derivative', compiled, eager, TOLERANCE);
  });

  it('give gradients through whole models: a convolutional network with a codebook', async () => {
    const rng = new Rng(5);
    const [x, w1, w2, codebook] = (
      [
        [2, 8, 8, 3],
        [4, 4, 3, 6],
        [3, 3, 6, 4],
        [7, 4],
      ] as const
    ).map((shape) => makeTensor({ shape: [...shape], from: -0.5, to: 0.5 }, rng));
    const loss = (a: tf.Tensor, b: tf.Tensor, table: tf.Tensor): tf.Scalar => {
      const z = tf.conv2d(
        tf.relu(tf.conv2d(x as tf.Tensor4D, a as tf.Tensor4D, 2, 'same')),
        b as tf.Tensor4D,
        1,
        'same',
      );
      const rows = tf.reshape(z, [-1, 4]) as tf.Tensor2D;
      const distances = tf.sub(
        tf.sum(tf.square(table), 1),
        tf.mul(2, tf.matMul(rows, table as tf.Tensor2D, false, true)),
      );
      const codes = tf.gather(table as tf.Tensor2D, tf.argMin(distances, 1) as tf.Tensor1D);
      return tf.add(
        tf.mean(tf.squaredDifference(codes, stopGradient(rows))),
        tf.mean(tf.squaredDifference(stopGradient(codes), rows)),
      ) as tf.Scalar;
    };
    const gradients = (...params: Structure[]): Structure =>
      tf.grads(loss as (...xs: tf.Tensor[]) => tf.Scalar)(params as tf.Tensor[]);
    const [compiled, eager] = await onBoth<tf.Tensor[]>(gradients, [w1!, w2!, codebook!]);
    compiled.forEach((tensor, i) => expectClose(`parameter ${i}`, tensor, eager[i]!, TOLERANCE));
  });
});

/** Draws shapes and attributes for one kernel. */
type Draw = (rng: Rng) => Case;

const extents = (rng: Rng, rank: number): number[] => Array.from({ length: rank }, () => 1 + rng.int(5));
/** A shape that broadcasts against another: leading axes dropped, some axes 1. */
const partner = (rng: Rng, shape: number[]): number[] =>
  shape.slice(rng.int(shape.length + 1)).map((extent) => (rng.int(3) === 0 ? 1 : extent));
const float = (shape: number[]): Spec => ({ shape, distinct: true });

const broadcast: Draw = (rng) => {
  const shape = extents(rng, rng.int(6));
  const [a, b] = rng.int(2) ? [shape, partner(rng, shape)] : [partner(rng, shape), shape];
  return { inputs: { a: float(a), b: { shape: b, from: 0.5, to: 2 } } };
};

const reduction =
  (key: string): Draw =>
  (rng) => {
    const shape = extents(rng, 1 + rng.int(4));
    const count = rng.int(shape.length + 1);
    // TF.js hands reductions their axes innermost.
    return {
      inputs: { x: float(shape) },
      attributes: { [key]: shape.map((_, i) => i).slice(shape.length - count), keepDims: rng.int(2) === 1 },
    };
  };

const DRAWN: Record<string, Draw> = {
  Add: broadcast,
  Sub: broadcast,
  Multiply: broadcast,
  RealDiv: broadcast,
  SquaredDifference: broadcast,
  Sum: reduction('axis'),
  Mean: reduction('axis'),
  Max: reduction('reductionIndices'),
  Transpose: (rng) => {
    const shape = extents(rng, 1 + rng.int(5));
    const perm = shape.map((_, i) => i);
    for (let i = perm.length - 1; i > 0; i--) {
      const j = rng.int(i + 1);
      [perm[i], perm[j]] = [perm[j]!, perm[i]!];
    }
    return { inputs: { x: float(shape) }, attributes: { perm } };
  },
  Slice: (rng) => {
    const shape = extents(rng, 1 + rng.int(4));
    const begin = shape.map((extent) => rng.int(extent));
    return {
      inputs: { x: float(shape) },
      attributes: { begin, size: shape.map((extent, i) => 1 + rng.int(extent - begin[i]!)) },
    };
  },
  PadV2: (rng) => {
    const shape = extents(rng, 1 + rng.int(4));
    return {
      inputs: { x: float(shape) },
      attributes: { paddings: shape.map(() => [rng.int(3), rng.int(3)]), constantValue: rng.int(3) },
    };
  },
  Concat: (rng) => {
    const shape = extents(rng, 1 + rng.int(4));
    const axis = rng.int(shape.length);
    return {
      inputs: Array.from({ length: 1 + rng.int(4) }, () => float(shape.with(axis, 1 + rng.int(4)))),
      attributes: { axis },
    };
  },
  GatherV2: (rng) => {
    const shape = extents(rng, 1 + rng.int(3));
    const axis = rng.int(shape.length);
    return {
      inputs: {
        x: float(shape),
        indices: { shape: extents(rng, rng.int(3)), dtype: 'int32', from: 0, to: shape[axis]! },
      },
      attributes: { axis, batchDims: 0 },
    };
  },
  BatchMatMul: (rng) => {
    const batch = extents(rng, rng.int(3));
    const [m, k, n] = extents(rng, 3) as [number, number, number];
    const [transposeA, transposeB] = [rng.int(2) === 1, rng.int(2) === 1];
    const few = batch.map((extent) => (rng.int(3) === 0 ? 1 : extent));
    return {
      inputs: {
        a: { shape: [...batch, ...(transposeA ? [k, m] : [m, k])] },
        b: { shape: [...few, ...(transposeB ? [n, k] : [k, n])] },
      },
      attributes: { transposeA, transposeB },
    };
  },
  Conv2D: (rng) => {
    const [batch, ci, co] = extents(rng, 3) as [number, number, number];
    const [h, w] = [4 + rng.int(6), 4 + rng.int(6)];
    const stride = 1 + rng.int(2);
    const filter = [1 + rng.int(4), 1 + rng.int(4), ci, co];
    return {
      inputs: { x: { shape: [batch, h, w, ci] }, filter: { shape: filter } },
      attributes: {
        strides: [stride, stride],
        pad: rng.int(2) ? 'same' : 'valid',
        dataFormat: 'NHWC',
        dilations: [1, 1],
      },
    };
  },
};

describe('shapes drawn at random', () => {
  it.each(Object.keys(DRAWN))('%s agrees with the cpu backend, and its gradient with differences', async (kernel) => {
    const rng = new Rng(17, kernel);
    const cases = Array.from({ length: 10 }, () => DRAWN[kernel]!(rng));
    await checkForward(kernel, cases, TOLERANCE);
    expect(await checkGradient(kernel, cases, TOLERANCE)).toBe(10);
  });
});
