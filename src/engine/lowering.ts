// The interface of a kernel lowering: a graph builder, the target that it builds for, and common ONNX idioms.
import { EngineError } from '../errors.js';
import { sameShape, sizeOf } from '../shape.js';
import { GraphBuilder } from './graph.js';
import type { Attribute, Dtype, Value } from './graph.js';
import { byName } from './named.js';

/** The runtime that a graph will run on. */
export interface Target {
  /** Whether ONNX Runtime's `com.microsoft` operators may be used; false for exported files. */
  microsoft: boolean;
  /** Channel block of ONNX Runtime's NCHWc convolutions (8 or 16), or 0 if they must not be used. */
  nchwcBlock: number;
}

/** Standard ONNX only, as `exportOnnx` writes it. */
export const PORTABLE: Target = { microsoft: false, nchwcBlock: 0 };

export type KernelAttributes = Record<string, unknown>;

/** TF.js's names of the inputs that every call of their kernels has. */
type InputName =
  | 'a'
  | 'alpha'
  | 'b'
  | 'condition'
  | 'dy'
  | 'e'
  | 'filter'
  | 'image'
  | 'images'
  | 'indices'
  | 'input'
  | 'logProbabilities'
  | 'logits'
  | 'mean'
  | 'output'
  | 'params'
  | 's0'
  | 's1'
  | 'segmentIds'
  | 'sortedSequence'
  | 't'
  | 'targets'
  | 'tensor'
  | 'updates'
  | 'value'
  | 'values'
  | 'variance'
  | 'weight'
  | 'weights'
  | 'x'
  | 'shape';

/** TF.js's names of inputs that a call may leave out. */
type OptionalInput = 'bias' | 'offset' | 'preluActivationWeights' | 'scale';

/** The inputs of a kernel by TF.js's names; those of variadic kernels are numbered. */
export type KernelInputs = Readonly<Record<InputName, Value> & Partial<Record<OptionalInput, Value>>>;

const OPTIONAL: ReadonlySet<string> = new Set<OptionalInput>(['bias', 'offset', 'preluActivationWeights', 'scale']);

/** The inputs of a kernel. Reading one that it does not have throws, unless it is optional. */
export const inputsOf = (kernelName: string, inputs: Readonly<Record<string, Value>>): KernelInputs =>
  byName(`kernel ${kernelName}`, inputs, OPTIONAL);

/** All inputs of a variadic kernel, in order. */
export const inputList = (inputs: Readonly<Record<string, Value | undefined>>): Value[] =>
  Object.values(inputs).filter((value) => value !== undefined);

/** Converts one TF.js kernel into graph nodes. */
export type Lowering = (g: Lower, inputs: KernelInputs, attributes: KernelAttributes) => Value | Value[];

/** A {@link GraphBuilder} with common idioms. Every method returns a value whose shape is fully known. */
export class Lower extends GraphBuilder {
  constructor(readonly target: Target) {
    super();
  }

  /** Adds an elementwise operator on one value, with the same shape and dtype. */
  unary(op: string, x: Value, attributes: Record<string, Attribute> = {}): Value {
    return this.op(op, [x], x, attributes);
  }

  /** Adds an elementwise operator on two values with NumPy broadcasting. */
  binary(op: string, a: Value, b: Value, dtype: Dtype = a.dtype): Value {
    return this.op(op, [a, b], { dtype, shape: broadcastShapes(op, a.shape, b.shape) });
  }

  add(a: Value, b: Value): Value {
    return this.binary('Add', a, b);
  }

  sub(a: Value, b: Value): Value {
    return this.binary('Sub', a, b);
  }

  mul(a: Value, b: Value): Value {
    return this.binary('Mul', a, b);
  }

  /** Returns a scalar of x's dtype, for arithmetic with x. */
  like(x: Value, value: number): Value {
    return this.scalar(value, x.dtype as 'float32' | 'int32');
  }

  cast(x: Value, dtype: Dtype): Value {
    if (x.dtype === dtype) return x;
    const code = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 }[dtype];
    return this.op('Cast', [x], { dtype, shape: x.shape }, { to: code });
  }

  where(condition: Value, a: Value, b: Value): Value {
    const shape = broadcastShapes('Where', broadcastShapes('Where', a.shape, b.shape), condition.shape);
    // ONNX Runtime does not implement Where for booleans.
    if (a.dtype === 'bool')
      return this.cast(this.where(condition, this.cast(a, 'int32'), this.cast(b, 'int32')), 'bool');
    return this.op('Where', [condition, a, b], { dtype: a.dtype, shape });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    const source = x.node?.op === 'Reshape' ? x.node.inputs[0]! : x;
    if (sameShape(source.shape, shape)) return source;
    // ONNX reads a 0 as "copy the input's dimension" unless allowzero is set.
    return this.op(
      'Reshape',
      [source, this.ints(shape)],
      { dtype: x.dtype, shape },
      shape.includes(0) ? { allowzero: 1 } : {},
    );
  }

  /**
   * Permutes axes. Consecutive transposes are merged; a transpose that moves only axes of extent 1 becomes a reshape.
   */
  transpose(x: Value, perm: readonly number[]): Value {
    if (x.node?.op === 'Transpose') {
      const before = x.node.attributes.perm as number[];
      return this.transpose(
        x.node.inputs[0]!,
        perm.map((axis) => before[axis]!),
      );
    }
    const shape = perm.map((axis) => x.shape[axis]!);
    const moved = perm.filter((axis) => x.shape[axis]! !== 1);
    if (moved.every((axis, i) => i === 0 || moved[i - 1]! < axis)) return this.reshape(x, shape);
    return this.op('Transpose', [x], { dtype: x.dtype, shape }, { perm: [...perm] });
  }

  expand(x: Value, shape: readonly number[]): Value {
    if (sameShape(x.shape, shape)) return x;
    return this.op('Expand', [x, this.ints(shape)], { dtype: x.dtype, shape });
  }

  /** Returns a value filled with one number, which is stored only once. */
  fill(shape: readonly number[], value: number, dtype: 'float32' | 'int32' | 'bool'): Value {
    return this.expand(this.scalar(value, dtype), shape);
  }

  /** Slices `[begin, begin + size * stride)` along every axis. */
  slice(x: Value, begin: readonly number[], size: readonly number[], strides?: readonly number[]): Value {
    const axes = x.shape
      .map((_, axis) => axis)
      .filter((axis) => begin[axis] !== 0 || size[axis] !== x.shape[axis] || (strides?.[axis] ?? 1) !== 1);
    if (axes.length === 0) return x;
    const starts = axes.map((axis) => begin[axis]!);
    const steps = axes.map((axis) => strides?.[axis] ?? 1);
    const ends = axes.map((axis, i) => sliceEnd(begin[axis]!, size[axis]!, steps[i]!));
    const inputs = [x, this.ints(starts), this.ints(ends), this.ints(axes)];
    if (steps.some((step) => step !== 1)) inputs.push(this.ints(steps));
    return this.op('Slice', inputs, { dtype: x.dtype, shape: size });
  }

  concat(xs: readonly Value[], axis: number): Value {
    if (xs.length === 1) return xs[0]!;
    const shape = [...xs[0]!.shape];
    shape[axis] = xs.reduce((sum, x) => sum + x.shape[axis]!, 0);
    return this.op('Concat', [...xs], { dtype: xs[0]!.dtype, shape }, { axis });
  }

  /** Pads with a constant; `paddings` is [before, after] for every axis. */
  pad(x: Value, paddings: readonly (readonly [number, number])[], value = 0): Value {
    if (paddings.every(([before, after]) => before === 0 && after === 0)) return x;
    const shape = x.shape.map((dim, axis) => dim + paddings[axis]![0] + paddings[axis]![1]);
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    return this.op('Pad', [x, this.ints(pads), this.like(x, value)], { dtype: x.dtype, shape }, { mode: 'constant' });
  }

  /** Adds ReduceSum, ReduceMax, ... over `axes`. */
  reduce(op: string, x: Value, axes: readonly number[], keepDims: boolean): Value {
    const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)));
    if (reduced.size === 0) return x;
    const shape = x.shape.flatMap((dim, axis) => (reduced.has(axis) ? (keepDims ? [1] : []) : [dim]));
    return this.op(
      op,
      [x, this.ints([...reduced].toSorted((a, b) => a - b))],
      { dtype: x.dtype, shape },
      { keepdims: keepDims ? 1 : 0 },
    );
  }

  gather(x: Value, indices: Value, axis: number): Value {
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return this.op('Gather', [x, indices], { dtype: x.dtype, shape }, { axis });
  }

  /** Adds a matrix product over the last two axes. Batch axes are broadcast, and either operand may be transposed. */
  matMul(a: Value, b: Value, transposeA = false, transposeB = false): Value {
    const [m, k] = lastTwo(a.shape, transposeA);
    const [, n] = lastTwo(b.shape, transposeB);
    const batch = broadcastShapes('MatMul', a.shape.slice(0, -2), b.shape.slice(0, -2));
    const result = { dtype: a.dtype, shape: [...batch, m, n] };
    if (a.shape.length === 2 && b.shape.length === 2 && a.dtype === 'float32') {
      return this.op('Gemm', [a, b], result, { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 });
    }
    if (!transposeA && b.shape.length === 2 && a.dtype === 'float32') {
      // One tall product is faster than a batch of small ones with the same matrix.
      const flat = this.matMul(this.reshape(a, [sizeOf(a.shape) / k, k]), b, false, transposeB);
      return this.reshape(flat, result.shape);
    }
    if ((transposeA || transposeB) && this.target.microsoft && a.dtype === 'float32') {
      return this.op(
        'FusedMatMul',
        [a, b],
        result,
        { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0 },
        'com.microsoft',
      );
    }
    const left = transposeA ? this.swapLastTwo(a) : a;
    const right = transposeB ? this.swapLastTwo(b) : b;
    return this.op('MatMul', [left, right], result);
  }

  /** Adds ArgMax or ArgMin. ONNX returns positions as int64; TF.js expects int32. */
  argument(op: 'ArgMax' | 'ArgMin', x: Value, axis: number): Value {
    const shape = x.shape.filter((_, i) => i !== axis);
    return this.cast(this.op(op, [x], { dtype: 'int64', shape }, { axis, keepdims: 0 }), 'int32');
  }

  private swapLastTwo(x: Value): Value {
    const rank = x.shape.length;
    const perm = x.shape.map((_, axis) => axis);
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return this.transpose(x, perm);
  }
}

function lastTwo(shape: readonly number[], transposed: boolean): [number, number] {
  const rows = shape[shape.length - 2]!;
  const columns = shape[shape.length - 1]!;
  return transposed ? [columns, rows] : [rows, columns];
}

/**
 * Returns the end of a slice. ONNX counts a negative end from the back, so a descending slice down to index 0 ends at
 * -infinity.
 */
function sliceEnd(begin: number, size: number, stride: number): number {
  const end = begin + (size - 1) * stride + Math.sign(stride);
  return stride < 0 && end < 0 ? Number.MIN_SAFE_INTEGER : end;
}

/** Returns the shape that two shapes broadcast to under NumPy's rules. */
export function broadcastShapes(where: string, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[a.length - rank + i] ?? 1;
    const right = b[b.length - rank + i] ?? 1;
    if (left !== right && left !== 1 && right !== 1) {
      throw new EngineError(
        'E_ENGINE_SHAPE',
        `${where}: expected shapes that broadcast, received [${a.join(', ')}] and [${b.join(', ')}].`,
      );
    }
    return left === 1 ? right : left;
  });
}
