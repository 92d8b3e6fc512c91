// Kernels composed of several simpler ones: TF.js's fused operators, normalization, counting, block rearrangement,
// cumulative products.
import { sizeOf } from '../../shape.js';
import type { Value } from '../graph.js';
import { inputsOf } from '../lowering.js';
import type { KernelInputs, Lower, Lowering } from '../lowering.js';
import { tf } from '../tf.js';
import { conv } from './conv.js';
import { elementwise } from './elementwise.js';
import { reduce } from './reduce.js';

type Attributes = Record<string, unknown>;

/** TF.js's names of the activations that a fused kernel may apply. */
const ACTIVATIONS: Record<string, string> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  prelu: 'Prelu',
  leakyrelu: 'LeakyRelu',
};

/** Lowers a product or convolution followed by bias and activation. */
const fused =
  (product: Lowering): Lowering =>
  (g, inputs, attributes) => {
    const y = product(g, inputs, attributes) as Value;
    const biased = inputs.bias ? g.add(y, inputs.bias) : y;
    const { activation, leakyreluAlpha } = attributes as { activation?: string; leakyreluAlpha?: number };
    if (!activation || activation === 'linear') return biased;
    const alpha = inputs.preluActivationWeights;
    const kernel = ACTIVATIONS[activation]!;
    return elementwise[kernel]!(g, inputsOf(kernel, alpha ? { x: biased, alpha } : { x: biased }), {
      alpha: leakyreluAlpha ?? 0.2,
    });
  };

/** scale * (x - mean) / sqrt(variance + epsilon) + offset. */
function batchNorm(g: Lower, { x, mean, variance, scale, offset }: KernelInputs, epsilon: number): Value {
  const inverse = g.unary('Reciprocal', g.unary('Sqrt', g.add(variance, g.scalar(epsilon))));
  const normal = g.mul(g.sub(x, mean), scale ? g.mul(inverse, scale) : inverse);
  return offset ? g.add(normal, offset) : normal;
}

/** Counts how often each of 0..size-1 occurs along the last axis of x, int32 [.., N]. Larger ids are ignored. */
function bincount(g: Lower, x: Value, weights: Value, size: number, binary: boolean): Value {
  const range = g.constant(
    'int32',
    [size],
    Int32Array.from({ length: size }, (_, i) => i),
  );
  const hits = g.cast(g.binary('Equal', g.reshape(x, [...x.shape, 1]), range, 'bool'), weights.dtype);
  if (binary) return g.reduce('ReduceMax', hits, [x.shape.length - 1], false);
  const counted = sizeOf(weights.shape) > 0 ? g.mul(hits, g.reshape(weights, [...weights.shape, 1])) : hits;
  return g.reduce('ReduceSum', counted, [x.shape.length - 1], false);
}

/** Cumulative product in log2(n) steps: after step k, every element is the product of the 2^k elements up to it. */
function cumulativeProduct(g: Lower, x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  const extent = x.shape[axis]!;
  const shift = (value: Value, by: number): Value => {
    const kept = value.shape.with(axis, extent - by);
    const begin = value.shape.map((_, i) => (i === axis && reverse ? by : 0));
    const paddings = value.shape.map((_, i): [number, number] => (i === axis ? (reverse ? [0, by] : [by, 0]) : [0, 0]));
    return g.pad(g.slice(value, begin, kept), paddings, 1);
  };
  let product = exclusive && extent > 0 ? shift(x, 1) : x;
  for (let by = 1; by < extent; by *= 2) product = g.mul(product, shift(product, by));
  return product;
}

function spaceToBatch(g: Lower, x: Value, block: number[], paddings: [number, number][]): Value {
  const product = sizeOf(block);
  const all = x.shape.map((_, axis): [number, number] => paddings[axis - 1] ?? [0, 0]);
  const padded = g.pad(x, all);
  const split = tf.backend_util.getReshaped([...padded.shape], block, product, false);
  const perm = tf.backend_util.getPermuted(split.length, block.length, false);
  return g.reshape(
    g.transpose(g.reshape(padded, split), perm),
    tf.backend_util.getReshapedPermuted([...padded.shape], block, product, false),
  );
}

function batchToSpace(g: Lower, x: Value, block: number[], crops: [number, number][]): Value {
  const product = sizeOf(block);
  const split = tf.backend_util.getReshaped([...x.shape], block, product);
  const perm = tf.backend_util.getPermuted(split.length, block.length);
  const merged = tf.backend_util.getReshapedPermuted([...x.shape], block, product);
  const begin = merged.map((_, axis) => crops[axis - 1]?.[0] ?? 0);
  const size = merged.map((extent, axis) => extent - (crops[axis - 1]?.[0] ?? 0) - (crops[axis - 1]?.[1] ?? 0));
  return g.slice(g.reshape(g.transpose(g.reshape(x, split), perm), merged), begin, size);
}

/**
 * Returns the shape that two shapes, given as tensors, broadcast to: a missing or unit dimension takes the other's
 * extent.
 */
function broadcastArgs(g: Lower, s0: Value, s1: Value): Value {
  const rank = Math.max(s0.shape[0]!, s1.shape[0]!);
  const [a, b] = [s0, s1].map((shape) => g.pad(shape, [[rank - shape.shape[0]!, 0]], 1)) as [Value, Value];
  return g.where(g.binary('Equal', a, g.scalar(1, 'int32'), 'bool'), b, a);
}

/**
 * Returns the positions at which `values` [B, M] would be inserted into the sorted rows [B, N]: the number of elements
 * that are less ("left") or not greater ("right").
 */
function searchSorted(g: Lower, sorted: Value, values: Value, side: string): Value {
  const rows = g.reshape(sorted, [sorted.shape[0]!, 1, sorted.shape[1]!]);
  const before = g.binary(
    side === 'left' ? 'Less' : 'LessOrEqual',
    rows,
    g.reshape(values, [...values.shape, 1]),
    'bool',
  );
  return g.reduce('ReduceSum', g.cast(before, 'int32'), [2], false);
}

export const composites: Record<string, Lowering> = {
  FusedConv2D: fused((g, inputs, attributes) => conv.Conv2D!(g, inputs, attributes)),
  FusedDepthwiseConv2D: fused((g, inputs, attributes) => conv.DepthwiseConv2dNative!(g, inputs, attributes)),
  _FusedMatMul: fused((g, inputs, attributes) => reduce.BatchMatMul!(g, inputs, attributes)),
  FusedBatchNorm: (g, inputs, { varianceEpsilon }) =>
    batchNorm(g, inputs, (varianceEpsilon as number | undefined) ?? 0.001),
  Bincount: (g, { x, weights }, { size }) => bincount(g, x, weights, size as number, false),
  DenseBincount: (g, { x, weights }, { size, binaryOutput }) =>
    bincount(g, x, weights, size as number, (binaryOutput as boolean | undefined) ?? false),
  Cumprod: (g, { x }, { axis, exclusive, reverse }) =>
    cumulativeProduct(
      g,
      x,
      tf.util.parseAxisParam(axis as number, [...x.shape])[0]!,
      exclusive as boolean,
      reverse as boolean,
    ),
  SpaceToBatchND: (g, { x }, { blockShape, paddings }) =>
    spaceToBatch(g, x, blockShape as number[], paddings as [number, number][]),
  BatchToSpaceND: (g, { x }, { blockShape, crops }) =>
    batchToSpace(g, x, blockShape as number[], crops as [number, number][]),
  BroadcastArgs: (g, { s0, s1 }) => broadcastArgs(g, s0, s1),
  SearchSorted: (g, { sortedSequence, values }, { side }: Attributes) =>
    searchSorted(g, sortedSequence, values, side as string),
  FlipLeftRight: (g, { image }) => {
    const { shape } = image;
    return g.slice(image, [0, 0, shape[2]! - 1, 0], shape, [1, 1, -1, 1]);
  },
  BitwiseAnd: (g, { a, b }) => g.binary('BitwiseAnd', a, b),
};
