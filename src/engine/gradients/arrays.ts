// Gradients of matrix products, and of operations that move elements.
import { sizeOf } from '../../shape.js';
import { tf } from '../tf.js';
import { sumTo, zeros } from './rule.js';
import type { Attributes, Grads, Rule, Saved } from './rule.js';

/**
 * Gradient of a matrix product. When a batch is multiplied by one shared matrix, the gradient of that matrix is a
 * single tall product.
 */
function matMulGradient(dy: tf.Tensor, { a, b }: Saved, attributes: Attributes): Grads {
  const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
  const left = (): tf.Tensor =>
    transposeA ? tf.matMul(b, dy, transposeB, true) : tf.matMul(dy, b, false, !transposeB);
  const right = (): tf.Tensor => {
    if (b.rank === 2 && a.rank > 2 && !transposeA) {
      const rows = tf.reshape(a, [-1, a.shape.at(-1)!]);
      const rowsOfDy = tf.reshape(dy, [-1, dy.shape.at(-1)!]);
      return transposeB ? tf.matMul(rowsOfDy, rows, true, false) : tf.matMul(rows, rowsOfDy, true, false);
    }
    return transposeB ? tf.matMul(dy, a, true, transposeA) : tf.matMul(a, dy, !transposeA, false);
  };
  return { a: () => sumTo(left(), a.shape), b: () => sumTo(right(), b.shape) };
}

/** Sums the rows of dy that were read from the same position. x is [.., N, ..] and indexed along `axis`. */
function gatherGradient(dy: tf.Tensor, x: tf.Tensor, indices: tf.Tensor, axis: number): tf.Tensor {
  const at = axis < 0 ? axis + x.rank : axis;
  const ids: tf.Tensor1D = tf.reshape(indices, [indices.size]);
  const before = x.shape.slice(0, at);
  const after = x.shape.slice(at + 1);
  const rows = tf.reshape(dy, [...before, indices.size, ...after]);
  if (at === 0) return tf.reshape(tf.unsortedSegmentSum(rows, ids, x.shape[at]), x.shape);
  const order = [at, ...x.shape.keys()].filter((axis, i) => i === 0 || axis !== at);
  const summed = tf.unsortedSegmentSum(tf.transpose(rows, order), ids, x.shape[at]!);
  return tf.transpose(summed, tf.backend_util.getUndoAxesPermutation(order));
}

/**
 * Gradient of a gather in which each batch looks up its own rows: uses one flat table with offsets, like the forward
 * lowering.
 */
function batchedGatherGradient(
  dy: tf.Tensor,
  x: tf.Tensor,
  indices: tf.Tensor,
  axis: number,
  batchDims: number,
): tf.Tensor {
  const { batchSize, outerSize, dimSize, sliceSize } = tf.backend_util.segment_util.collectGatherOpShapeInfo(
    x,
    indices,
    axis,
    batchDims,
  );
  const perBatch = indices.size / batchSize;
  const offsets = tf.reshape(tf.mul(tf.range(0, batchSize, 1, 'int32'), tf.scalar(dimSize, 'int32')), [batchSize, 1]);
  const flatIds: tf.Tensor1D = tf.reshape(tf.add(tf.reshape(indices, [batchSize, perBatch]), offsets), [
    batchSize * perBatch,
  ]);
  const rows = tf.transpose(tf.reshape(dy, [batchSize, outerSize, perBatch, sliceSize]), [0, 2, 1, 3]);
  const summed = tf.unsortedSegmentSum(
    tf.reshape(rows, [batchSize * perBatch, outerSize * sliceSize]),
    flatIds,
    batchSize * dimSize,
  );
  return tf.reshape(
    tf.transpose(tf.reshape(summed, [batchSize, dimSize, outerSize, sliceSize]), [0, 2, 1, 3]),
    x.shape,
  );
}

/** Scatters the elements of a strided slice back to their original positions. */
function stridedSliceGradient(dy: tf.Tensor, x: tf.Tensor, attributes: Attributes): tf.Tensor {
  const a = attributes as Record<'begin' | 'end' | 'strides', number[]> &
    Record<'beginMask' | 'endMask' | 'ellipsisMask' | 'newAxisMask' | 'shrinkAxisMask', number>;
  const { begin, end, strides } = tf.slice_util.sliceInfo(
    x.shape,
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  );
  const size = tf.slice_util.computeOutShape(begin, end, strides);
  return size.reduce(
    (part, count, axis) => {
      const stride = Math.abs(strides[axis]!);
      const [before, after] = [part.shape.slice(0, axis), part.shape.slice(axis + 1)].map(sizeOf) as [number, number];
      const forward = strides[axis]! < 0 ? tf.reverse(part, axis) : part;
      const first = strides[axis]! < 0 ? begin[axis]! - (count - 1) * stride : begin[axis]!;
      const spaced = tf.reshape(
        tf.pad(tf.reshape(forward, [before, count, 1, after]), [
          [0, 0],
          [0, 0],
          [0, stride - 1],
          [0, 0],
        ]),
        [before, count * stride, after],
      );
      const span = (count - 1) * stride + 1;
      const placed = tf.pad(tf.slice(spaced, [0, 0, 0], [before, span, after]), [
        [0, 0],
        [first, x.shape[axis]! - first - span],
        [0, 0],
      ]);
      return tf.reshape(placed, [...part.shape.slice(0, axis), x.shape[axis]!, ...part.shape.slice(axis + 1)]);
    },
    tf.reshape(dy, size),
  );
}

/** Gradient of mirror padding, which reads some elements twice: along each axis the padding is a gather. */
function mirrorPadGradient(dy: tf.Tensor, x: tf.Tensor, paddings: [number, number][], mode: string): tf.Tensor {
  const skip = mode === 'reflect' ? 1 : 0;
  return paddings.reduce((part, [before, after], axis) => {
    const dim = x.shape[axis]!;
    if (before + after === 0) return part;
    const source = [
      ...Array.from({ length: before }, (_, i) => before - 1 - i + skip),
      ...Array.from({ length: dim }, (_, i) => i),
      ...Array.from({ length: after }, (_, i) => dim - 1 - i - skip),
    ];
    const shape = part.shape.toSpliced(axis, 1, dim);
    return gatherGradient(part, tf.zeros(shape), tf.tensor1d(source, 'int32'), axis);
  }, dy);
}

export const ARRAYS: Record<string, Rule> = {
  BatchMatMul: { save: ['a', 'b'], gradient: matMulGradient },
  Reshape: { save: ['x'], gradient: (dy, { x }) => ({ x: () => tf.reshape(dy, x.shape) }) },
  ExpandDims: { save: ['input'], gradient: (dy, { input: x }) => ({ input: () => tf.reshape(dy, x.shape) }) },
  Transpose: {
    gradient: (dy, _, { perm }) => ({
      x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm as number[])),
    }),
  },
  Slice: {
    save: ['x'],
    gradient: (dy, { x }, { begin, size }) => {
      const [starts, sizes] = tf.slice_util.parseSliceParams(x, begin as number[], size as number[]) as [
        number[],
        number[],
      ];
      const paddings = x.shape.map((dim, axis): [number, number] => [
        starts[axis]!,
        dim - starts[axis]! - sizes[axis]!,
      ]);
      return { x: () => tf.pad(dy, paddings) };
    },
  },
  PadV2: {
    save: ['x'],
    gradient: (dy, { x }, { paddings }) => ({
      x: () =>
        tf.slice(
          dy,
          (paddings as [number, number][]).map(([before]) => before),
          x.shape,
        ),
    }),
  },
  Reverse: { gradient: (dy, _, { dims }) => ({ x: () => tf.reverse(dy, dims as number[]) }) },
  Tile: {
    save: ['x'],
    gradient: (dy, { x }, { reps }) => ({
      x: () => {
        const split = x.shape.flatMap((dim, axis) => [(reps as number[])[axis]!, dim]);
        return tf.reshape(
          tf.sum(
            tf.reshape(dy, split),
            x.shape.map((_, axis) => 2 * axis),
          ),
          x.shape,
        );
      },
    }),
  },
  GatherV2: {
    save: ['x', 'indices'],
    gradient: (dy, { x, indices }, { axis, batchDims }) => ({
      x: () => {
        if (batchDims) return batchedGatherGradient(dy, x, indices, axis as number, batchDims as number);
        return gatherGradient(dy, x, indices, (axis as number | undefined) ?? 0);
      },
      indices: () => zeros(indices),
    }),
  },
  GatherNd: {
    save: ['params', 'indices'],
    gradient: (dy, { params, indices }) => ({
      params: () => tf.scatterND(indices, dy, params.shape),
      indices: () => zeros(indices),
    }),
  },
  ScatterNd: {
    save: ['indices'],
    gradient: (dy, { indices }) => ({ updates: () => tf.gatherND(dy, indices), indices: () => zeros(indices) }),
  },
  UnsortedSegmentSum: {
    save: ['segmentIds'],
    gradient: (dy, { segmentIds: ids }) => ({
      x: () => tf.gather(dy, tf.cast(ids, 'int32')),
      segmentIds: () => zeros(ids),
    }),
  },
  StridedSlice: {
    save: ['x'],
    gradient: (dy, { x }, attributes) => ({ x: () => stridedSliceGradient(dy, x, attributes) }),
  },
  MirrorPad: {
    save: ['x'],
    gradient: (dy, { x }, { paddings, mode }) => ({
      x: () => mirrorPadGradient(dy, x, paddings as [number, number][], mode as string),
    }),
  },
  TensorScatterUpdate: {
    save: ['indices', 'updates'],
    gradient: (dy, { indices, updates }) => ({
      // tensorScatterUpdate of zeros is not an option: TF.js's cpu kernel would write them into dy itself.
      tensor: () =>
        tf.where(tf.greater(tf.scatterND(indices, tf.onesLike(updates), dy.shape), 0), tf.zerosLike(dy), dy),
      updates: () => tf.gatherND(dy, indices),
      indices: () => zeros(indices),
    }),
  },
};
