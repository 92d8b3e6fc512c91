// ONNX operators in TF.js ops: https://onnx.ai/onnx/operators. Every tensor keeps ONNX's axis order, [B, C, H, W] for images.
import { sizeOf } from '../shape.js';
import type { OnnxTensor } from './onnx-reader.js';
import { isTensor } from './onnx-site.js';
import type { Operand, Operator, Site } from './onnx-site.js';
import { averagePool, checkPaddedSize, conv, maxPool } from './onnx-spatial.js';
import type { Pair } from './onnx-spatial.js';
import { tf } from './tf.js';

function batchNormalization(s: Site): tf.Tensor {
  const x = s.tensor(0);
  if (s.int('training_mode', 0) !== 0) s.fail('the running statistics', 'training mode');
  const [gain, bias, mean, variance] = [1, 2, 3, 4].map((index) => s.tensor(index)) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const scale = tf.div(gain, tf.sqrt(tf.add(variance, s.int('epsilon', 1e-5))));
  const perChannel = (values: tf.Tensor): tf.Tensor => tf.reshape(values, [-1, ...x.shape.slice(2).map(() => 1)]);
  return tf.add(tf.mul(x, perChannel(scale)), perChannel(tf.sub(bias, tf.mul(mean, scale))));
}

function gemm(s: Site): tf.Tensor {
  const product = tf.matMul(s.tensor(0), s.tensor(1), s.int('transA', 0) === 1, s.int('transB', 0) === 1);
  const scaled = times(product, s.int('alpha', 1));
  return s.has(2) ? tf.add(scaled, times(s.tensor(2), s.int('beta', 1))) : scaled;
}

const times = (x: tf.Tensor, factor: number): tf.Tensor => (factor === 1 ? x : tf.mul(x, factor));

function flatten(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const axis = s.int('axis', 1);
  const at = axis === x.rank ? axis : s.axis(axis, x.rank);
  return tf.reshape(x, [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))]);
}

function reshape(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const shape = s.numbers(1) ?? s.fail('a shape', 'none');
  const keepsZero = s.int('allowzero', 0) === 1;
  return tf.reshape(
    x,
    shape.map((extent, axis) => (extent === 0 && !keepsZero ? x.shape[axis]! : extent)),
  );
}

function squeeze(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const axes = s.axes(x.rank, 1, 13) ?? x.shape.flatMap((extent, axis) => (extent === 1 ? [axis] : []));
  return tf.reshape(
    x,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

function unsqueeze(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const count = (s.opset < 13 ? s.ints('axes') : s.numbers(1))?.length ?? s.fail('axes', 'none');
  const axes = s.axes(x.rank + count, 1, 13)!;
  const rest = [...x.shape];
  return tf.reshape(
    x,
    Array.from({ length: x.rank + count }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
  );
}

/** Softmax. Before version 13 it runs over all axes from the given one on. */
function softmax(s: Site): tf.Tensor {
  const x = s.tensor(0);
  if (s.opset < 13) {
    const axis = s.axis(s.int('axis', 1), x.rank);
    return tf.reshape(
      tf.softmax(tf.reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))])),
      x.shape,
    );
  }
  const axis = s.axis(s.int('axis', -1), x.rank);
  if (axis === x.rank - 1) return tf.softmax(x);
  const order = [...x.shape.keys()].filter((at) => at !== axis).concat(axis);
  return tf.transpose(tf.softmax(tf.transpose(x, order)), tf.backend_util.getUndoAxesPermutation(order));
}

function pad(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const given = (s.opset < 11 ? s.ints('pads') : s.numbers(1)) ?? s.fail('pads', 'none');
  const axes = s.numbers(3)?.map((axis) => s.axis(axis, x.rank)) ?? [...x.shape.keys()];
  if (given.some((count) => count < 0)) s.fail('pads of at least 0', given.join(', '));
  const pads = x.shape.map((_, axis): Pair => {
    const at = axes.indexOf(axis);
    return at < 0 ? [0, 0] : [given[at]!, given[at + axes.length]!];
  });
  checkPaddedSize(x, pads);
  const mode = s.text('mode', 'constant');
  if (mode === 'reflect') return tf.mirrorPad(x, pads, 'reflect');
  if (mode !== 'constant') s.fail('the mode constant or reflect', mode);
  return tf.pad(x, pads, s.opset < 11 ? s.int('value', 0) : (s.numbers(2)?.[0] ?? 0));
}

function reduceMean(s: Site): tf.Tensor {
  const x = s.tensor(0);
  const axes = s.axes(x.rank, 1, 18);
  if ((axes ?? []).length === 0 && s.int('noop_with_empty_axes', 0) === 1) return x;
  return tf.mean(x, axes && axes.length > 0 ? axes : undefined, s.int('keepdims', 1) === 1);
}

function clip(s: Site): tf.Tensor {
  const bounds =
    s.opset < 11
      ? { low: s.int('min', -Infinity), high: s.int('max', Infinity) }
      : { low: s.numbers(1)?.[0] ?? -Infinity, high: s.numbers(2)?.[0] ?? Infinity };
  const { low, high } = bounds;
  if (low === 0 && high === Infinity) return tf.relu(s.tensor(0));
  if (Number.isFinite(low) && Number.isFinite(high)) return tf.clipByValue(s.tensor(0), low, high);
  const bounded = Number.isFinite(low) ? tf.maximum(s.tensor(0), low) : s.tensor(0);
  return Number.isFinite(high) ? tf.minimum(bounded, high) : bounded;
}

function pow(s: Site): tf.Tensor {
  const exponent = s.operand(1);
  const known = !isTensor(exponent) && exponent.data.length === 1 ? exponent.data[0] : undefined;
  if (known === 2) return tf.square(s.tensor(0));
  if (known === 0.5) return tf.sqrt(s.tensor(0));
  return tf.pow(s.tensor(0), tf.cast(s.tensor(1), 'float32'));
}

function constant(s: Site): Operand {
  const { value, value_float: float, value_floats: floats, value_int: int, value_ints: ints } = s.node.attributes;
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  if (typeof float === 'number') return { dtype: 'float32', shape: [], data: Float32Array.of(float) };
  if (Array.isArray(floats)) return { dtype: 'float32', shape: [floats.length], data: Float32Array.from(floats) };
  if (typeof int === 'number') return int32Constant([], [int]);
  if (Array.isArray(ints)) return int32Constant([ints.length], ints);
  return s.fail('numbers', 'something else');
}

const int32Constant = (shape: number[], values: readonly number[]): OnnxTensor => ({
  dtype: 'int32',
  shape,
  data: Int32Array.from(values),
});

const unary =
  (fn: (x: tf.Tensor) => tf.Tensor): Operator =>
  (s) =>
    fn(s.tensor(0));

const binary =
  (fn: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, ofNumbers: (a: number, b: number) => number): Operator =>
  (s) =>
    s.isConstant && areIntegers(s) ? shapeArithmetic(s, ofNumbers) : fn(s.tensor(0), s.tensor(1));

const areIntegers = (s: Site): boolean => [0, 1].every((index) => (s.operand(index) as OnnxTensor).dtype === 'int32');

/** Arithmetic on shapes: two lists of the same length, or a list and one number. */
function shapeArithmetic(s: Site, fn: (a: number, b: number) => number): OnnxTensor {
  const [a, b] = [s.operand(0), s.operand(1)] as [OnnxTensor, OnnxTensor];
  const longer = a.data.length >= b.data.length ? a : b;
  return int32Constant(
    longer.shape,
    Array.from(longer.data, (_, i) => Math.trunc(fn(a.data[i % a.data.length]!, b.data[i % b.data.length]!))),
  );
}

function shapeOf(s: Site): OnnxTensor {
  const { shape } = s.operand(0);
  const part = shape.slice(s.int('start', 0), s.node.attributes['end'] === undefined ? undefined : s.int('end', 0));
  return int32Constant([part.length], part);
}

/** Picks one or more numbers from a list. Gather is supported for shapes only. */
function gather(s: Site): OnnxTensor {
  const list = s.numbers(0) ?? s.fail('a list', 'none');
  const ids = s.operand(1) as OnnxTensor;
  const picked = (s.numbers(1) ?? []).map((id) => list.at(id) ?? s.fail(`an index of ${list.length}`, String(id)));
  return int32Constant(ids.shape, picked);
}

function concat(s: Site): Operand {
  const operands = s.node.inputs.map((_, i) => s.operand(i));
  if (s.isConstant)
    return int32Constant(
      [operands.reduce((sum, { shape }) => sum + sizeOf(shape), 0)],
      operands.flatMap((operand) => [...(operand as OnnxTensor).data]),
    );
  const tensors = operands.map((_, i) => s.tensor(i));
  return tf.concat(tensors, s.axis(s.int('axis', 0), tensors[0]!.rank));
}

/** Applies `fn` to tensors. Constants that hold shapes stay lists of numbers whatever their rank. */
const reshaped =
  (fn: (s: Site) => tf.Tensor): Operator =>
  (s) => {
    const value = s.operand(0);
    return isTensor(value)
      ? fn(s)
      : { ...value, shape: value.data.length === 1 && s.node.op === 'Squeeze' ? [] : [value.data.length] };
  };

function cast(s: Site): Operand {
  const value = s.operand(0);
  const to = s.int('to', 1);
  if (![1, 6, 7, 11].includes(to)) s.fail('float32, int32 or int64', `data type ${to}`);
  const dtype = to === 1 || to === 11 ? 'float32' : 'int32';
  if (isTensor(value)) return tf.cast(value, dtype);
  return {
    dtype,
    shape: value.shape,
    data: dtype === 'float32' ? Float32Array.from(value.data) : Int32Array.from(value.data),
  };
}

/** The supported operators by name. Each returns the node's first output. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  Add: binary(tf.add, (a, b) => a + b),
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Clip: clip,
  Concat: concat,
  Constant: constant,
  Conv: conv,
  Div: binary(tf.div, (a, b) => a / b),
  Dropout: (s) => s.operand(0),
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  GlobalAveragePool: (s) => tf.mean(s.image(0), [2, 3], true),
  Identity: (s) => s.operand(0),
  LeakyRelu: (s) => tf.leakyRelu(s.tensor(0), s.int('alpha', 0.01)),
  MatMul: (s) => tf.matMul(s.tensor(0), s.tensor(1)),
  MaxPool: maxPool,
  Mul: binary(tf.mul, (a, b) => a * b),
  Pad: pad,
  Pow: pow,
  ReduceMean: reduceMean,
  Relu: unary(tf.relu),
  Reshape: reshape,
  Shape: shapeOf,
  Sigmoid: unary(tf.sigmoid),
  Softmax: softmax,
  Sqrt: unary(tf.sqrt),
  Squeeze: reshaped(squeeze),
  Sub: binary(tf.sub, (a, b) => a - b),
  Tanh: unary(tf.tanh),
  Transpose: (s) => tf.transpose(s.tensor(0), s.ints('perm')),
  Unsqueeze: reshaped(unsqueeze),
};
