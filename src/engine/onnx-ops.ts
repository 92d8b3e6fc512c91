// ONNX operators in TF.js ops: https://onnx.ai/onnx/operators. Every tensor keeps ONNX's axis order, [B, C, H, W] for
// images; the transpositions around TF.js's convolutions cancel out when the graph is rewritten.
import { EngineError } from '../errors.js';
import { sizeOf } from '../shape.js';
import type { OnnxNode, OnnxTensor } from './onnx-reader.js';
import { tf } from './tf.js';

/**
 * A value in a network being rebuilt: a tensor, or a constant (from the file or derived from a shape) whose numbers are
 * known.
 */
export type Operand = tf.Tensor | OnnxTensor;

const isTensor = (value: Operand): value is tf.Tensor => value instanceof tf.Tensor;

/** A node together with its inputs. */
export class Site {
  constructor(
    readonly node: OnnxNode,
    private readonly inputs: readonly (Operand | undefined)[],
    /** Version of the standard operators. */
    readonly opset: number,
    private readonly where: string,
    /** Converts a constant to a tensor, once. */
    private readonly materialize: (constant: OnnxTensor, form: Form) => tf.Tensor,
  ) {}

  has(index: number): boolean {
    return this.inputs[index] !== undefined;
  }

  operand(index: number): Operand {
    return this.inputs[index] ?? this.fail(`an input ${index}`, 'none');
  }

  tensor(index: number, form: Form = 'plain'): tf.Tensor {
    const value = this.operand(index);
    if (!isTensor(value)) return this.materialize(value, form);
    return form === 'plain' ? value : tf.transpose(value, FILTERS[form]);
  }

  /** Returns an input of shape [B, C, H, W]. */
  image(index: number): tf.Tensor4D {
    const value = this.tensor(index);
    if (value.rank !== 4) this.fail('[B, C, H, W]', `[${value.shape.join(', ')}]`);
    return value as tf.Tensor4D;
  }

  /** Returns the numbers of a constant input, or undefined if the input is omitted. */
  numbers(index: number): number[] | undefined {
    const value = this.inputs[index];
    if (value === undefined) return undefined;
    if (isTensor(value)) return this.fail(`a constant as input ${index}`, 'one that is computed');
    return [...value.data];
  }

  /** Whether all inputs are constants. */
  get isConstant(): boolean {
    return this.inputs.every((value) => value === undefined || !isTensor(value));
  }

  int(name: string, otherwise: number): number {
    const value = this.node.attributes[name] ?? otherwise;
    return typeof value === 'number' ? value : this.fail(`a number as ${name}`, typeof value);
  }

  ints(name: string): number[] | undefined {
    const value = this.node.attributes[name];
    return value === undefined || Array.isArray(value) ? value : this.fail(`a list as ${name}`, typeof value);
  }

  text(name: string, otherwise: string): string {
    const value = this.node.attributes[name] ?? otherwise;
    return typeof value === 'string' ? value : this.fail(`text as ${name}`, typeof value);
  }

  /**
   * Returns axes of `rank`, counted from the front. They are an attribute before operator version `since`, and an input
   * from then on.
   */
  axes(rank: number, index: number, since: number): number[] | undefined {
    const axes = this.opset < since ? this.ints('axes') : this.numbers(index);
    return axes?.map((axis) => this.axis(axis, rank));
  }

  axis(axis: number, rank: number): number {
    return axis >= -rank && axis < rank ? (axis + rank) % rank : this.fail(`an axis of rank ${rank}`, String(axis));
  }

  /** @throws {EngineError} E_IMPORT_OP */
  fail(expected: string, received: string): never {
    throw new EngineError(
      'E_IMPORT_OP',
      `${this.where}, node "${this.node.name}" (${this.node.op}): expected ${expected}, received ${received}. Only image networks of standard operators can be rebuilt.`,
    );
  }
}

/** Layout of a constant as a tensor: unchanged, or as TF.js expects convolution filters. */
export type Form = 'plain' | 'filter' | 'depthwise';

/** Permutations from [Co, Ci, kh, kw]. Depthwise filters have Ci = 1 and become [kh, kw, Co, 1]. */
const FILTERS: Record<Exclude<Form, 'plain'>, number[]> = { filter: [2, 3, 1, 0], depthwise: [2, 3, 0, 1] };

/** Returns the layout of a grouped convolution's filter. TF.js calls one input channel per group depthwise. */
export const filterForm = ([, inner]: readonly number[], group: unknown): Form =>
  typeof group === 'number' && group > 1 && inner === 1 ? 'depthwise' : 'filter';

/** Converts a constant to a tensor. Its axes are permuted here rather than in the graph. */
export function constantTensor({ data, shape, dtype }: OnnxTensor, form: Form): tf.Tensor {
  if (form === 'plain') return tf.tensor(data, shape, dtype);
  const [out, inner, height, width] = shape as [number, number, number, number];
  const moved = new Float32Array(data.length);
  const area = height * width;
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) {
      for (let at = 0; at < area; at++)
        moved[form === 'filter' ? (at * inner + i) * out + o : (at * out + o) * inner + i] =
          data[(o * inner + i) * area + at]!;
    }
  }
  return tf.tensor(
    moved,
    FILTERS[form].map((axis) => shape[axis]!),
    'float32',
  );
}

type Operator = (s: Site) => Operand;

const toNhwc = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 2, 3, 1]);
const toNchw = (x: tf.Tensor): tf.Tensor4D => tf.transpose(x as tf.Tensor4D, [0, 3, 1, 2]);

type Pair = [number, number];
type Padding = [Pair, Pair];

const pair = (values: number[] | undefined, s: Site, name: string): Pair => {
  if (values !== undefined && values.length !== 2) s.fail(`two ${name}`, String(values.length));
  return (values as Pair | undefined) ?? [1, 1];
};

/** How a window slides over height and width. */
interface Window {
  kernel: Pair;
  strides: Pair;
  dilations: Pair;
  /** Padding of height and of width, each [before, after]. */
  pads: Padding;
}

function windowOf(s: Site, x: tf.Tensor4D, kernel: Pair): Window {
  const strides = pair(s.ints('strides'), s, 'strides');
  const dilations = pair(s.ints('dilations'), s, 'dilations');
  const reach = kernel.map((size, i) => (size - 1) * dilations[i]! + 1);
  const pads = [0, 1].map((i) => paddingOf(s, i, x.shape[i + 2]!, reach[i]!, strides[i]!)) as Padding;
  return { kernel, strides, dilations, pads };
}

/** Returns the padding of one axis, including what rounding up the output size requires. */
function paddingOf(s: Site, axis: number, extent: number, reach: number, stride: number): Pair {
  const mode = s.text('auto_pad', 'NOTSET');
  if (mode.startsWith('SAME_')) {
    const total = Math.max(0, (Math.ceil(extent / stride) - 1) * stride + reach - extent);
    const less = Math.floor(total / 2);
    return mode === 'SAME_UPPER' ? [less, total - less] : [total - less, less];
  }
  const given = mode === 'NOTSET' ? s.ints('pads') : undefined;
  const [before, after] = given ? [given[axis]!, given[axis + 2]!] : [0, 0];
  if (s.int('ceil_mode', 0) === 0) return [before, after];
  let out = Math.ceil((extent + before + after - reach) / stride) + 1;
  // No window starts after the end of the input.
  if ((out - 1) * stride >= extent + before) out--;
  return [before, Math.max(after, (out - 1) * stride + reach - extent - before)];
}

function conv(s: Site): tf.Tensor {
  const x = s.image(0);
  const [outChannels, inner, ...kernel] = s.operand(1).shape as [number, number, ...Pair];
  if (kernel.length !== 2) s.fail('a filter [Co, Ci, kh, kw]', `[${s.operand(1).shape.join(', ')}]`);
  const groups = s.int('group', 1);
  if (x.shape[1] !== inner * groups) s.fail(`${inner * groups} channels`, String(x.shape[1]));
  const { strides, dilations, pads } = windowOf(s, x, kernel);
  const dense = (part: tf.Tensor4D, filter: tf.Tensor): tf.Tensor4D =>
    tf.conv2d(part, filter as tf.Tensor4D, strides, [[0, 0], ...pads, [0, 0]], 'NHWC', dilations);
  const y = filterForm(s.operand(1).shape, groups) === 'depthwise' ? depthwise() : grouped();
  return toNchw(s.has(2) ? tf.add(y, s.tensor(2)) : y);

  /** Convolves each channel with one or more filters of its own. */
  function depthwise(): tf.Tensor4D {
    const filter = tf.reshape(s.tensor(1, 'depthwise'), [...kernel, groups, outChannels / groups]);
    return tf.depthwiseConv2d(padded(toNhwc(x), pads, 0), filter as tf.Tensor4D, strides, 'valid', 'NHWC', dilations);
  }

  function grouped(): tf.Tensor4D {
    if (groups === 1) return dense(toNhwc(x), s.tensor(1, 'filter'));
    const [parts, filters] = [toNhwc(x), s.tensor(1, 'filter')].map((whole) => tf.split(whole, groups, 3)) as [
      tf.Tensor4D[],
      tf.Tensor4D[],
    ];
    return tf.concat(
      parts.map((part, i) => dense(part, filters[i]!)),
      3,
    );
  }
}

function poolWindow(s: Site, x: tf.Tensor4D): Window {
  const kernel = s.ints('kernel_shape');
  const window = windowOf(s, x, pair(kernel, s, 'extents of the kernel'));
  if (window.dilations.some((dilation) => dilation !== 1))
    s.fail('a window without dilation', window.dilations.join(' x '));
  return window;
}

function maxPool(s: Site): tf.Tensor {
  const x = s.image(0);
  const { kernel, strides, pads } = poolWindow(s, x);
  return toNchw(tf.maxPool(padded(toNhwc(x), pads, -Infinity), kernel, strides, 'valid'));
}

/** Averages over the cells of a window that lie on the image, or over all cells, depending on count_include_pad. */
function averagePool(s: Site): tf.Tensor {
  const x = s.image(0);
  const { kernel, strides, pads } = poolWindow(s, x);
  const [, , height, width] = x.shape;
  const mean = tf.avgPool(padded(toNhwc(x), pads, 0), kernel, strides, 'valid');
  const given =
    s.int('count_include_pad', 0) === 1 && s.text('auto_pad', 'NOTSET') === 'NOTSET'
      ? (s.ints('pads') ?? [0, 0, 0, 0])
      : [0, 0, 0, 0];
  const counts = [0, 1].map((axis) => {
    const extent = axis === 0 ? height : width;
    // For each window: the number of rows or columns that count.
    return Array.from({ length: mean.shape[axis + 1]! }, (_, i) => {
      const from = i * strides[axis]! - pads[axis]![0];
      return Math.min(from + kernel[axis]!, extent + given[axis + 2]!) - Math.max(from, -given[axis]!);
    });
  }) as [number[], number[]];
  if (counts.every((sizes, axis) => sizes.every((size) => size === kernel[axis]))) return toNchw(mean);
  const [rows, columns] = counts.map((sizes, axis) => sizes.map((size) => kernel[axis]! / size)) as [
    number[],
    number[],
  ];
  return toNchw(tf.mul(mean, tf.mul(tf.tensor(rows, [rows.length, 1, 1]), tf.tensor(columns, [columns.length, 1]))));
}

/** Maximum number of elements of an intermediate value (256 MB). A file of a few bytes can ask for any size. */
export const MAX_VALUES = 2 ** 26;

/** Rejects padding to a huge size before an eager engine would allocate it. */
function checkPaddedSize(x: tf.Tensor, pads: readonly Pair[]): void {
  const shape = x.shape.map((extent, axis) => extent + (pads[axis]?.[0] ?? 0) + (pads[axis]?.[1] ?? 0));
  if (!(sizeOf(shape) <= MAX_VALUES))
    throw new EngineError(
      'E_IMPORT_SIZE',
      `padding: expected at most ${MAX_VALUES} values, found [${shape.join(', ')}]. Use another network, or smaller images.`,
    );
}

/** Pads height and width of x [B, H, W, C]. */
function padded(x: tf.Tensor4D, pads: Padding, value: number): tf.Tensor4D {
  checkPaddedSize(x, [[0, 0], ...pads]);
  return pads.flat().every((pad) => pad === 0) ? x : tf.pad(x, [[0, 0], ...pads, [0, 0]], value);
}

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
