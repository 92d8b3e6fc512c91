// Reductions, softmax, cumulative sums, order statistics and matrix products.
import type { Value } from '../graph.js';
import { inputList, inputsOf } from '../lowering.js';
import type { Lower, Lowering } from '../lowering.js';
import { tf } from '../tf.js';

/** Lowers a TF.js reduction. The axes are stored under `key`; if absent, all axes are reduced. */
const reduction =
  (op: string, key: 'axis' | 'reductionIndices', dtype?: 'int32'): Lowering =>
  (g, { x }, attributes) => {
    const axes = tf.util.parseAxisParam((attributes[key] ?? x.shape.map((_, i) => i)) as number[], [...x.shape]);
    return g.reduce(
      op,
      dtype && x.dtype === 'bool' ? g.cast(x, dtype) : x,
      axes,
      (attributes.keepDims as boolean | undefined) ?? false,
    );
  };

/** Lowers All and Any as minimum and maximum of 0 and 1. */
const logical =
  (op: 'ReduceMin' | 'ReduceMax'): Lowering =>
  (g, inputs, attributes) =>
    g.cast(reduction(op, 'axis')(g, inputsOf(op, { x: g.cast(inputs.x, 'int32') }), attributes) as Value, 'bool');

function cumulative(g: Lower, x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  const at = g.constant('int32', [], Int32Array.of(axis < 0 ? axis + x.shape.length : axis));
  return g.op('CumSum', [x, at], x, { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 });
}

function topK(g: Lower, x: Value, k: number, sorted: boolean): Value[] {
  const shape = [...x.shape.slice(0, -1), k];
  const [values, indices] = g.multi(
    'TopK',
    [x, g.ints([k])],
    [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ],
    { axis: -1, largest: 1, sorted: sorted ? 1 : 0 },
  );
  return [values, g.cast(indices, 'int32')];
}

export const reduce: Record<string, Lowering> = {
  Sum: reduction('ReduceSum', 'axis', 'int32'),
  Prod: reduction('ReduceProd', 'axis', 'int32'),
  Min: reduction('ReduceMin', 'axis'),
  Max: reduction('ReduceMax', 'reductionIndices'),
  Mean: (g, { x }, attributes) =>
    reduction('ReduceMean', 'axis')(g, inputsOf('Mean', { x: g.cast(x, 'float32') }), attributes),
  All: logical('ReduceMin'),
  Any: logical('ReduceMax'),
  ArgMax: (g, { x }, { axis }) => g.argument('ArgMax', x, axis as number),
  ArgMin: (g, { x }, { axis }) => g.argument('ArgMin', x, axis as number),
  Cumsum: (g, { x }, { axis, exclusive, reverse }) =>
    cumulative(g, x, axis as number, exclusive as boolean, reverse as boolean),
  Softmax: (g, { logits }, { dim }) => g.unary('Softmax', logits, { axis: dim as number }),
  TopK: (g, { x }, { k, sorted }) => topK(g, x, k as number, sorted as boolean),
  BatchMatMul: (g, { a, b }, { transposeA, transposeB }) =>
    g.matMul(a, b, transposeA as boolean, transposeB as boolean),
  Einsum: (g, inputs, { equation }) => {
    const all = inputList(inputs);
    const { allDims, summedDims, idDims } = tf.backend_util.decodeEinsumEquation(equation as string, all.length);
    const extents = new Map<number, number>();
    idDims.forEach((dims, i) => dims.forEach((dim, axis) => extents.set(dim, all[i]!.shape[axis]!)));
    const shape = allDims
      .map((_, dim) => dim)
      .filter((dim) => !summedDims.includes(dim))
      .map((dim) => extents.get(dim)!);
    return g.op('Einsum', all, { dtype: all[0]!.dtype, shape }, { equation: equation as string });
  },
};
