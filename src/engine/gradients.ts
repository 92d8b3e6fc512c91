// Gradients of TF.js kernels, written in TF.js ops. The build of tfjs-core that Node loads registers none. These rules
// keep the compiled backward pass cheap (they save outputs rather than inputs where either works) and give integer
// inputs zero gradients, so that lookups by computed ids need no workaround.
import { sizeOf } from '../shape.js';
import { savedOf, zeros } from './gradient-rule.js';
import type { Attributes, Grads, Rule, Saved, SavedName } from './gradient-rule.js';
import { SPATIAL } from './spatial-gradients.js';
import { tf } from './tf.js';

/** Sums a gradient over the axes along which an operand was broadcast. float32 [..] -> float32 `shape`. */
function sumTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, dy.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(dy, axes) : dy, shape);
}

/** Rule for y = f(x) with dy/dx computed from x. */
const ofInput = (derivative: (dy: tf.Tensor, x: tf.Tensor, attributes: Attributes) => tf.Tensor): Rule => ({
  save: ['x'],
  gradient: (dy, { x }, attributes) => ({ x: () => derivative(dy, x, attributes) }),
});

/** Rule for y = f(x) with dy/dx computed from y. */
const ofOutput = (derivative: (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor): Rule => ({
  saveOutput: true,
  gradient: (dy, { y }) => ({ x: () => derivative(dy, y) }),
});

/** Rule for y = f(a, b) with broadcasting. */
const ofOperands = (
  left: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  right: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Rule => ({
  save: ['a', 'b'],
  gradient: (dy, { a, b }) => ({
    a: () => sumTo(left(dy, a, b), a.shape),
    b: () => sumTo(right(dy, a, b), b.shape),
  }),
});

/** Rule for functions whose derivative is zero wherever it exists. */
const zeroGradient = (...inputs: SavedName[]): Rule => ({
  save: inputs,
  gradient: (_, saved) => Object.fromEntries(inputs.map((name) => [name, () => zeros(saved[name])])),
});

const where = (condition: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.where(condition, a, b);
const asFloat = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'float32');

const UNARY: Record<string, Rule> = {
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Acos: ofInput((dy, x) => tf.neg(tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x)))))),
  Acosh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.square(x), 1)))),
  Asin: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x))))),
  Asinh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.add(tf.square(x), 1)))),
  Atan: ofInput((dy, x) => tf.div(dy, tf.add(tf.square(x), 1))),
  Atanh: ofInput((dy, x) => tf.div(dy, tf.sub(1, tf.square(x)))),
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  Cosh: ofInput((dy, x) => tf.mul(dy, tf.sinh(x))),
  Elu: ofOutput((dy, y) => tf.mul(dy, where(tf.greater(y, 0), tf.onesLike(y), tf.add(y, 1)))),
  Erf: ofInput((dy, x) => tf.mul(dy, tf.mul(2 / Math.sqrt(Math.PI), tf.exp(tf.neg(tf.square(x)))))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Neg: { gradient: (dy) => ({ x: () => tf.neg(dy) }) },
  Identity: { gradient: (dy) => ({ x: () => dy }) },
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Relu: ofOutput((dy, y) => tf.mul(dy, tf.step(y))),
  Relu6: ofInput((dy, x) => where(tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)), dy, tf.zerosLike(dy))),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(-0.5, tf.mul(y, tf.square(y))))),
  Selu: ofInput((dy, x) =>
    tf.mul(dy, where(tf.greater(x, 0), tf.fill(x.shape, 1.0507009873554805), tf.mul(1.7580993408473768, tf.exp(x)))),
  ),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(x))),
  Sinh: ofInput((dy, x) => tf.mul(dy, tf.cosh(x))),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sqrt: ofOutput((dy, y) => tf.div(tf.mul(dy, 0.5), y)),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(2, asFloat(x)))),
  Tan: ofOutput((dy, y) => tf.mul(dy, tf.add(tf.square(y), 1))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  Cast: { gradient: (dy) => ({ x: () => asFloat(dy) }) },
  ClipByValue: ofInput((dy, x, { clipValueMin, clipValueMax }) =>
    where(
      tf.logicalAnd(tf.greaterEqual(x, clipValueMin as number), tf.lessEqual(x, clipValueMax as number)),
      dy,
      tf.zerosLike(dy),
    ),
  ),
  LeakyRelu: ofInput((dy, x, { alpha }) => tf.mul(dy, tf.step(x, alpha as number))),
};

const BINARY: Record<string, Rule> = {
  Add: ofOperands(
    (dy) => dy,
    (dy) => dy,
  ),
  Sub: ofOperands(
    (dy) => dy,
    (dy) => tf.neg(dy),
  ),
  Multiply: ofOperands(
    (dy, _, b) => tf.mul(dy, asFloat(b)),
    (dy, a) => tf.mul(dy, asFloat(a)),
  ),
  RealDiv: ofOperands(
    (dy, _, b) => tf.div(dy, asFloat(b)),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, asFloat(a)), tf.square(asFloat(b)))),
  ),
  Maximum: ofOperands(
    (dy, a, b) => tf.mul(dy, asFloat(tf.greaterEqual(a, b))),
    (dy, a, b) => tf.mul(dy, asFloat(tf.less(a, b))),
  ),
  Minimum: ofOperands(
    (dy, a, b) => tf.mul(dy, asFloat(tf.lessEqual(a, b))),
    (dy, a, b) => tf.mul(dy, asFloat(tf.greater(a, b))),
  ),
  SquaredDifference: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.mul(2, tf.sub(a, b))),
    (dy, a, b) => tf.mul(dy, tf.mul(2, tf.sub(b, a))),
  ),
  Mod: ofOperands(
    (dy) => dy,
    (dy, a, b) => tf.neg(tf.mul(dy, tf.floor(tf.div(a, b)))),
  ),
  Atan2: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.div(b, tf.add(tf.square(a), tf.square(b)))),
    (dy, a, b) => tf.neg(tf.mul(dy, tf.div(a, tf.add(tf.square(a), tf.square(b))))),
  ),
  Pow: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.mul(asFloat(b), tf.pow(a, tf.sub(b, tf.scalar(1, b.dtype))))),
    // A base that is not positive has no real logarithm, so the exponent gets no gradient there.
    (dy, a, b) =>
      tf.mul(
        dy,
        where(tf.greater(a, 0), tf.mul(tf.pow(a, b), tf.log(tf.maximum(a, 1e-38))), tf.zerosLike(tf.pow(a, b))),
      ),
  ),
  Prelu: {
    save: ['x', 'alpha'],
    gradient: (dy, { x, alpha }) => ({
      x: () => where(tf.greater(x, 0), dy, tf.mul(dy, alpha)),
      alpha: () => sumTo(where(tf.greater(x, 0), tf.zerosLike(dy), tf.mul(dy, x)), alpha.shape),
    }),
  },
  Select: {
    save: ['condition'],
    gradient: (dy, { condition }) => ({
      condition: () => zeros(condition),
      t: () => where(condition, dy, tf.zerosLike(dy)),
      e: () => where(condition, tf.zerosLike(dy), dy),
    }),
  },
};

/** Broadcasts a reduced gradient back over the reduced axes. */
function broadcastBack(dy: tf.Tensor, shape: number[], axes: unknown): tf.Tensor {
  const kept = tf.backend_util.expandShapeToKeepDim(
    shape.filter((_, axis) => !tf.util.parseAxisParam(axes as number[], shape).includes(axis)),
    tf.util.parseAxisParam(axes as number[], shape),
  );
  return tf.mul(tf.reshape(dy, kept), tf.ones(shape));
}

const reducedCount = (shape: number[], axes: unknown): number =>
  tf.util.parseAxisParam(axes as number[], shape).reduce((n, axis) => n * shape[axis]!, 1);

/** Rule for minimum and maximum: the gradient goes to every element that equals the result. */
const extremum = (axisKey: string): Rule => ({
  save: ['x'],
  saveOutput: true,
  gradient: (dy, { x, y }, attributes) => ({
    x: () =>
      tf.mul(
        broadcastBack(dy, x.shape, attributes[axisKey]),
        asFloat(tf.equal(x, broadcastBack(y, x.shape, attributes[axisKey]))),
      ),
  }),
});

const REDUCTIONS: Record<string, Rule> = {
  Sum: ofInput((dy, x, { axis }) => broadcastBack(dy, x.shape, axis)),
  Mean: ofInput((dy, x, { axis }) => broadcastBack(tf.div(dy, reducedCount(x.shape, axis)), x.shape, axis)),
  Max: extremum('reductionIndices'),
  Min: extremum('axis'),
  Prod: {
    save: ['x'],
    gradient: (dy, { x }, { axis }) => ({ x: () => prodGradient(dy, x, axis) }),
  },
  Cumsum: {
    gradient: (dy, _, { axis, exclusive, reverse }) => ({
      x: () => tf.cumsum(dy, axis as number, exclusive as boolean, !(reverse as boolean)),
    }),
  },
  Softmax: {
    saveOutput: true,
    gradient: (dy, { y }, { dim }) => ({
      logits: () => {
        const weighted = tf.mul(dy, y);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, dim as number, true), y));
      },
    }),
  },
};

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

/**
 * Gradient of a product. The product of all other elements is the product of those before times the product of those
 * after, so zeros need no division.
 */
function prodGradient(dy: tf.Tensor, x: tf.Tensor, axis: unknown): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis as number[], x.shape);
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...axes];
  const moved = tf.transpose(x, order);
  const rows = tf.reshape(moved, [kept.reduce((n, i) => n * x.shape[i]!, 1), reducedCount(x.shape, axis)]);
  const others = tf.mul(tf.cumprod(rows, 1, true, false), tf.cumprod(rows, 1, true, true));
  const broadcast = tf.mul(others, tf.reshape(dy, [rows.shape[0], 1]));
  return tf.transpose(tf.reshape(broadcast, moved.shape), tf.backend_util.getUndoAxesPermutation(order));
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

const STRUCTURE: Record<string, Rule> = {
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
      tensor: () => where(tf.greater(tf.scatterND(indices, tf.onesLike(updates), dy.shape), 0), tf.zerosLike(dy), dy),
      updates: () => tf.gatherND(dy, indices),
      indices: () => zeros(indices),
    }),
  },
};

const FLAT: Record<string, Rule> = {
  ...Object.fromEntries(
    [
      'ArgMax',
      'ArgMin',
      'Ceil',
      'Floor',
      'Round',
      'Sign',
      'Step',
      'ZerosLike',
      'OnesLike',
      'IsNan',
      'IsInf',
      'IsFinite',
      'LogicalNot',
    ].map((name) => [name, zeroGradient('x')]),
  ),
  ...Object.fromEntries(
    ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr', 'FloorDiv'].map(
      (name) => [name, zeroGradient('a', 'b')],
    ),
  ),
  OneHot: zeroGradient('indices'),
};

/**
 * Gradients of an einsum. The gradient of an operand is the product of dy with all other operands, with the operand's
 * indices. An index that occurs only in that operand was summed, so the gradient is constant along it.
 */
function einsumGradient(dy: tf.Tensor, operands: tf.Tensor[], equation: string): tf.Tensor[] {
  const [left, out] = equation.replaceAll(' ', '').split('->') as [string, string];
  const terms = left.split(',');
  return operands.map((operand, i) => {
    const others = terms.filter((_, k) => k !== i);
    const known = [...terms[i]!].filter((index) => out.includes(index) || others.some((term) => term.includes(index)));
    const factors = [dy, ...operands.filter((_, k) => k !== i)];
    const product = tf.einsum(`${[out, ...others].join()}->${known.join('')}`, ...factors);
    const shape = [...terms[i]!].map((index, axis) => (known.includes(index) ? operand.shape[axis]! : 1));
    return tf.broadcastTo(tf.reshape(product, shape), operand.shape);
  });
}

function register(): void {
  const rules = { ...UNARY, ...BINARY, ...REDUCTIONS, ...STRUCTURE, ...SPATIAL, ...FLAT };
  for (const [kernelName, rule] of Object.entries(rules)) {
    tf.registerGradient({
      kernelName,
      inputsToSave: [...(rule.save ?? [])],
      outputsToSave: [rule.saveOutput ?? false],
      gradFunc: (dy, saved, attributes) => rule.gradient([dy].flat()[0]!, savedOf(kernelName, rule, saved), attributes),
    });
  }
  registerVariadic();
}

/** Registers the gradient of a kernel over a list of tensors. */
function registerListGradient(
  kernelName: string,
  gradient: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => tf.Tensor[],
): void {
  tf.registerGradient({
    kernelName,
    saveAllInputs: true,
    gradFunc: ((dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) =>
      gradient(dy, saved, attributes).map((dx) => () => dx)) as unknown as tf.GradFunc,
  });
}

/** Kernels with lists of inputs or outputs. */
function registerVariadic(): void {
  // Each gradient needs a tensor of its own, because TF.js disposes gradients after adding them up.
  registerListGradient('AddN', (dy, saved) => saved.map(() => tf.clone(dy)));
  registerListGradient('Einsum', (dy, saved, { equation }) => einsumGradient(dy, saved, equation as string));
  registerListGradient('Pack', (dy, _, { axis }) => tf.unstack(dy, axis as number));
  registerListGradient('Concat', (dy, saved, { axis }) => {
    const at = tf.util.parseAxisParam(axis as number, saved[0]!.shape)[0]!;
    return tf.split(
      dy,
      saved.map((x) => x.shape[at]!),
      at,
    );
  });
  tf.registerGradient({
    kernelName: 'TopK',
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    // The gradient of each value goes back to its position in the row.
    gradFunc: ((dys: tf.Tensor[], [x, indices]: tf.Tensor[]) => ({
      x: () => tf.sum(tf.mul(tf.oneHot(tf.cast(indices!, 'int32'), x!.shape.at(-1)!), tf.expandDims(dys[0]!, -1)), -2),
    })) as tf.GradFunc,
  });
  tf.registerGradient({
    kernelName: 'Unpack',
    gradFunc: ((dys: tf.Tensor[], _: unknown, { axis }: Attributes) => ({
      value: () => tf.stack([dys].flat(), axis as number),
    })) as tf.GradFunc,
  });
  tf.registerGradient({
    kernelName: 'SplitV',
    gradFunc: ((dys: tf.Tensor[], _: unknown, { axis }: Attributes) => ({
      x: () => tf.concat([dys].flat(), axis as number),
    })) as tf.GradFunc,
  });
}

register();
