// Convolution and pooling of ONNX in TF.js ops. TF.js puts channels last; the transpositions around its operations cancel out
// when the graph is rewritten.
import { EngineError } from '../errors.js';
import { sizeOf } from '../shape.js';
import { filterForm } from './onnx-site.js';
import type { Site } from './onnx-site.js';
import { tf } from './tf.js';

const toNhwc = (x: tf.Tensor4D): tf.Tensor4D => tf.transpose(x, [0, 2, 3, 1]);
const toNchw = (x: tf.Tensor): tf.Tensor4D => tf.transpose(x as tf.Tensor4D, [0, 3, 1, 2]);

export type Pair = [number, number];
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

export function conv(s: Site): tf.Tensor {
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

export function maxPool(s: Site): tf.Tensor {
  const x = s.image(0);
  const { kernel, strides, pads } = poolWindow(s, x);
  return toNchw(tf.maxPool(padded(toNhwc(x), pads, -Infinity), kernel, strides, 'valid'));
}

/** Averages over the cells of a window that lie on the image, or over all cells, depending on count_include_pad. */
export function averagePool(s: Site): tf.Tensor {
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
export function checkPaddedSize(x: tf.Tensor, pads: readonly Pair[]): void {
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
