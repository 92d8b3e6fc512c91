// Kernels that move data without computing: reshape, slice, concatenate, gather, scatter, tile.
import { sizeOf, stridesOf } from '../../shape.js';
import type { Value } from '../graph.js';
import { inputList } from '../lowering.js';
import type { Lower, Lowering } from '../lowering.js';
import { tf } from '../tf.js';

const axisOf = (x: Value, axis: unknown): number =>
  (axis as number) < 0 ? (axis as number) + x.shape.length : (axis as number);

/** Concatenates; TF.js allows empty operands. */
function concat(g: Lower, inputs: Record<string, Value>, axis: unknown): Value {
  const all = inputList(inputs);
  const filled = all.filter((x) => sizeOf(x.shape) > 0);
  return filled.length === 0 ? all[0]! : g.concat(filled, axisOf(filled[0]!, axis));
}

function pack(g: Lower, inputs: Record<string, Value>, axis: unknown): Value {
  const all = inputList(inputs);
  const at = (axis as number) < 0 ? (axis as number) + all[0]!.shape.length + 1 : (axis as number);
  return g.concat(
    all.map((x) => g.reshape(x, x.shape.toSpliced(at, 0, 1))),
    at,
  );
}

function unpack(g: Lower, x: Value, axis: number): Value[] {
  const size = x.shape.with(axis, 1);
  return Array.from({ length: x.shape[axis]! }, (_, i) => {
    const begin = x.shape.map((_, a) => (a === axis ? i : 0));
    return g.reshape(g.slice(x, begin, size), x.shape.toSpliced(axis, 1));
  });
}

function split(g: Lower, x: Value, parts: number | number[], axis: number): Value[] {
  const sizes = tf.backend_util.prepareSplitSize({ shape: [...x.shape] } as tf.Tensor, parts, axis);
  let at = 0;
  return sizes.map((extent) => {
    const begin = x.shape.map((_, a) => (a === axis ? at : 0));
    at += extent;
    return g.slice(x, begin, x.shape.with(axis, extent));
  });
}

function stridedSlice(g: Lower, x: Value, attributes: Record<string, unknown>): Value {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes as {
    begin: number[];
    end: number[];
    strides: number[];
    beginMask: number;
    endMask: number;
    ellipsisMask: number;
    newAxisMask: number;
    shrinkAxisMask: number;
  };
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    begin,
    end,
    strides,
    beginMask,
    endMask,
    ellipsisMask,
    newAxisMask,
    shrinkAxisMask,
  );
  const size = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  return g.reshape(g.slice(x, info.begin, size, info.strides), info.finalShape);
}

/** Gather with leading batch axes: each batch looks up its own rows, through one flat table. */
function gather(g: Lower, x: Value, indices: Value, axis: number, batchDims: number): Value {
  if (batchDims === 0) return g.gather(x, indices, axis);
  const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(
    { shape: [...x.shape] } as tf.Tensor,
    { shape: [...indices.shape] } as tf.Tensor,
    axis,
    batchDims,
  );
  const { batchSize, outerSize, dimSize, sliceSize } = info;
  const perBatch = sizeOf(indices.shape) / batchSize;
  const moved = g.transpose(g.reshape(x, [batchSize, outerSize, dimSize, sliceSize]), [0, 2, 1, 3]);
  const table = g.reshape(moved, [batchSize * dimSize, outerSize * sliceSize]);
  const offsets = g.constant(
    'int32',
    [batchSize, 1],
    Int32Array.from({ length: batchSize }, (_, i) => i * dimSize),
  );
  const flat = g.add(g.reshape(indices, [batchSize, perBatch]), offsets);
  const rows = g.reshape(g.gather(table, flat, 0), [batchSize, perBatch, outerSize, sliceSize]);
  return g.reshape(g.transpose(rows, [0, 2, 1, 3]), info.outputShape);
}

/**
 * Sums slices of `updates` into a tensor of zeros at the positions in the last axis of `indices`, int32 [.., depth].
 */
function scatterAdd(g: Lower, indices: Value, updates: Value, shape: readonly number[]): Value {
  const depth = indices.shape.at(-1)!;
  const indexed = shape.slice(0, depth);
  const strides = g.constant('int32', [depth], Int32Array.from(stridesOf(indexed)));
  const ids = g.reduce('ReduceSum', g.mul(indices, strides), [-1], false);
  return g.reshape(unsortedSegmentSum(g, updates, ids, sizeOf(indexed)), shape);
}

/**
 * Sums the rows of x that share an id. ONNX Runtime's ScatterND adds from several threads without a lock, so it may
 * lose updates with equal ids. ScatterElements is sequential, and for few segments a product with a one-hot matrix is
 * faster.
 */
function unsortedSegmentSum(g: Lower, x: Value, ids: Value, numSegments: number): Value {
  const rows = sizeOf(ids.shape);
  const width = sizeOf(x.shape) / Math.max(1, rows);
  const flat = g.reshape(x, [rows, width]);
  const shape = [numSegments, ...x.shape.slice(ids.shape.length)];
  if (numSegments <= MAX_ONE_HOT_SEGMENTS && numSegments * rows <= MAX_ONE_HOT_ELEMENTS && x.dtype === 'float32') {
    const range = g.constant(
      'int32',
      [numSegments, 1],
      Int32Array.from({ length: numSegments }, (_, i) => i),
    );
    const oneHot = g.cast(g.binary('Equal', range, g.reshape(ids, [1, rows]), 'bool'), 'float32');
    return g.reshape(g.matMul(oneHot, flat), shape);
  }
  const indices = g.expand(g.reshape(g.cast(ids, 'int64'), [rows, 1]), [rows, width]);
  // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- not an array's fill
  const zeros = g.fill([numSegments, width], 0, x.dtype as 'float32');
  return g.reshape(g.op('ScatterElements', [zeros, indices, flat], zeros, { axis: 0, reduction: 'add' }), shape);
}

/**
 * Up to this many segments the product (about 10 ps per multiply-add) takes less time than the scatter (17 ns per
 * element).
 */
const MAX_ONE_HOT_SEGMENTS = 2048;
/** Limits the memory of the one-hot matrix to 16 MB. */
const MAX_ONE_HOT_ELEMENTS = 1 << 22;

function reverse(g: Lower, x: Value, dims: number | number[]): Value {
  const axes = new Set([dims].flat().map((axis) => axisOf(x, axis)));
  const begin = x.shape.map((dim, axis) => (axes.has(axis) ? dim - 1 : 0));
  const strides = x.shape.map((_, axis) => (axes.has(axis) ? -1 : 1));
  return g.slice(x, begin, x.shape, strides);
}

function mirrorPad(g: Lower, x: Value, paddings: [number, number][], mode: string): Value {
  const shape = x.shape.map((dim, axis) => dim + paddings[axis]![0] + paddings[axis]![1]);
  // ONNX's "reflect" does not repeat the edge. TF.js's "symmetric" mode does, so it is lowered to a gather.
  if (mode === 'reflect') {
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    return g.op('Pad', [x, g.ints(pads)], { dtype: x.dtype, shape }, { mode: 'reflect' });
  }
  return x.shape.reduce((value, dim, axis) => {
    const [before, after] = paddings[axis]!;
    const order = [
      ...Array.from({ length: before }, (_, i) => before - 1 - i),
      ...Array.from({ length: dim }, (_, i) => i),
      ...Array.from({ length: after }, (_, i) => dim - 1 - i),
    ];
    return before + after === 0
      ? value
      : g.gather(value, g.constant('int32', [order.length], Int32Array.from(order)), axis);
  }, x);
}

/** Rearranges channels into blocks of pixels. TF.js agrees with ONNX's DCR mode once channels come first. */
function depthToSpace(g: Lower, x: Value, block: number): Value {
  const [b, h, w, c] = x.shape as [number, number, number, number];
  const parts = g.reshape(x, [b, h, w, block, block, c / block ** 2]);
  return g.reshape(g.transpose(parts, [0, 1, 3, 2, 4, 5]), [b, h * block, w * block, c / block ** 2]);
}

export const arrays: Record<string, Lowering> = {
  Reshape: (g, { x }, { shape }) => g.reshape(x, tf.util.inferFromImplicitShape(shape as number[], sizeOf(x.shape))),
  ExpandDims: (g, { input }, { dim }) => {
    const at = (dim as number) < 0 ? (dim as number) + input.shape.length + 1 : (dim as number);
    return g.reshape(input, input.shape.toSpliced(at, 0, 1));
  },
  Transpose: (g, { x }, { perm }) => g.transpose(x, perm as number[]),
  Concat: (g, inputs, { axis }) => concat(g, inputs, axis),
  Pack: (g, inputs, { axis }) => pack(g, inputs, axis),
  Unpack: (g, { value }, { axis }) => unpack(g, value, axisOf(value, axis)),
  SplitV: (g, { x }, { numOrSizeSplits, axis }) => split(g, x, numOrSizeSplits as number[], axisOf(x, axis)),
  Slice: (g, { x }, { begin, size }) => {
    const [starts, sizes] = tf.slice_util.parseSliceParams(
      { shape: [...x.shape] } as tf.Tensor,
      begin as number[],
      size as number[],
    );
    return g.slice(x, starts as number[], sizes as number[]);
  },
  StridedSlice: (g, { x }, attributes) => stridedSlice(g, x, attributes),
  PadV2: (g, { x }, { paddings, constantValue }) => g.pad(x, paddings as [number, number][], constantValue as number),
  MirrorPad: (g, { x }, { paddings, mode }) => mirrorPad(g, x, paddings as [number, number][], mode as string),
  Tile: (g, { x }, { reps }) => {
    const repeats = reps as number[];
    return g.op('Tile', [x, g.ints(repeats)], { dtype: x.dtype, shape: x.shape.map((dim, i) => dim * repeats[i]!) });
  },
  Reverse: (g, { x }, { dims }) => reverse(g, x, dims as number[]),
  GatherV2: (g, { x, indices }, { axis, batchDims }) =>
    gather(g, x, indices, axisOf(x, axis), (batchDims as number | undefined) ?? 0),
  GatherNd: (g, { params, indices }) => {
    const depth = indices.shape[indices.shape.length - 1]!;
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
    return g.op('GatherND', [params, g.cast(indices, 'int64')], { dtype: params.dtype, shape });
  },
  ScatterNd: (g, { indices, updates }, { shape }) => scatterAdd(g, indices, updates, shape as number[]),
  TensorScatterUpdate: (g, { tensor, indices, updates }) =>
    g.op('ScatterND', [tensor, g.cast(indices, 'int64'), updates], tensor),
  // TF.js returns float32 whatever the dtype of the rows.
  UnsortedSegmentSum: (g, { x, segmentIds }, { numSegments }) =>
    unsortedSegmentSum(g, g.cast(x, 'float32'), segmentIds, numSegments as number),
  OneHot: (g, { indices }, { depth, onValue, offValue, dtype }) => {
    const type = (dtype as 'float32' | 'int32' | 'bool' | undefined) ?? 'float32';
    // ONNX Runtime's OneHot supports few combinations of types; comparing with 0..depth-1 works for all.
    const range = g.constant(
      'int32',
      [depth as number],
      Int32Array.from({ length: depth as number }, (_, i) => i),
    );
    const hit = g.binary('Equal', g.reshape(indices, [...indices.shape, 1]), range, 'bool');
    return g.where(hit, g.scalar(onValue as number, type), g.scalar(offValue as number, type));
  },
  Fill: (g, _, { shape, value, dtype }) =>
    g.fill(shape as number[], value as number, (dtype as 'float32' | undefined) ?? 'float32'),
  Range: (g, _, { start, stop, step, dtype }) => {
    const from = start as number;
    const by = step as number;
    const length = Math.max(0, Math.ceil(((stop as number) - from) / by));
    const values = Array.from({ length }, (_, i) => from + i * by);
    return dtype === 'int32'
      ? g.constant('int32', [length], Int32Array.from(values))
      : g.constant('float32', [length], Float32Array.from(values));
  },
  LinSpace: (g, _, { start, stop, num }) => {
    const count = num as number;
    const by = ((stop as number) - (start as number)) / Math.max(1, count - 1);
    return g.constant(
      'float32',
      [count],
      Float32Array.from({ length: count }, (_, i) => (start as number) + i * by),
    );
  },
  DepthToSpace: (g, { x }, { blockSize }) => depthToSpace(g, x, blockSize as number),
};
