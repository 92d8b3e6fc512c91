// Gradients of convolution, pooling, resizing, normalization and block rearrangement. Some of TF.js's own gradient
// kernels are wrong or incomplete (dilation, average pooling over padding, resizing with half-pixel centers); those
// gradients are composed of other kernels, so that the eager engines are correct too.
import { kernel, sumTo } from './rule.js';
import type { Attributes, Rule } from './rule.js';
import { linearWeights, nearestIndices } from '../resampling.js';
import type { Resampling } from '../resampling.js';
import { tf } from '../tf.js';
import { currentTrace } from '../trace.js';

const isDilated = (dilations: unknown): boolean => [dilations ?? 1].flat().some((dilation) => dilation !== 1);

/**
 * Inserts zeros between the taps of a filter [kh, kw, ..], so that an ordinary convolution with it equals the dilated
 * one.
 */
function spreadFilter(filter: tf.Tensor4D, dilations: [number, number]): tf.Tensor4D {
  const [kh, kw, ci, co] = filter.shape;
  const [dh, dw] = dilations;
  const padded = tf.pad(tf.reshape(filter, [kh, 1, kw, 1, ci * co]), [
    [0, 0],
    [0, dh - 1],
    [0, 0],
    [0, dw - 1],
    [0, 0],
  ]);
  return tf.slice(
    tf.reshape(padded, [kh * dh, kw * dw, ci, co]) as tf.Tensor4D,
    [0, 0, 0, 0],
    [(kh - 1) * dh + 1, (kw - 1) * dw + 1, ci, co],
  );
}

function spreadShape([kh, kw, ci, co]: number[], [dh, dw]: [number, number]): number[] {
  return [(kh! - 1) * dh + 1, (kw! - 1) * dw + 1, ci!, co!];
}

/** Whether the filter must be spread: the eager kernels ignore dilation, the engine's lowerings do not. */
const mustSpread = (attributes: Attributes): boolean => isDilated(attributes.dilations) && !currentTrace();

const dilationsOf = ({ dilations }: Attributes): [number, number] =>
  Array.isArray(dilations) ? (dilations as [number, number]) : [dilations as number, dilations as number];

/** Gradient with respect to the input. `op` is Conv2D or DepthwiseConv2dNative. */
function convInputGradient(
  op: string,
  dy: tf.Tensor,
  filter: tf.Tensor,
  inputShape: number[],
  attributes: Attributes,
): tf.Tensor {
  const name = `${op}BackpropInput`;
  if (!mustSpread(attributes)) return kernel(name, { dy, filter }, { ...attributes, inputShape });
  return kernel(
    name,
    { dy, filter: spreadFilter(filter as tf.Tensor4D, dilationsOf(attributes)) },
    { ...attributes, dilations: 1, inputShape },
  );
}

function convFilterGradient(
  op: string,
  x: tf.Tensor,
  dy: tf.Tensor,
  filterShape: number[],
  attributes: Attributes,
): tf.Tensor {
  const name = `${op}BackpropFilter`;
  if (!mustSpread(attributes)) return kernel(name, { x, dy }, { ...attributes, filterShape });
  const [dh, dw] = dilationsOf(attributes);
  const wide = kernel(
    name,
    { x, dy },
    { ...attributes, dilations: 1, filterShape: spreadShape(filterShape, [dh, dw]) },
  );
  return tf.stridedSlice(wide, [0, 0, 0, 0], wide.shape, [dh, dw, 1, 1]);
}

/** Rule for an ordinary or a depthwise convolution. */
const convolution = (op: string): Rule => ({
  save: ['x', 'filter'],
  gradient: (dy, { x, filter }, attributes) => ({
    x: () => convInputGradient(op, dy, filter, x.shape, attributes),
    filter: () => convFilterGradient(op, x, dy, filter.shape, attributes),
  }),
});

/** For each window along one axis: the window's size divided by the number of its cells that lie inside the input. */
function shares(out: number, stride: number, size: number, extent: number, before: number): number[] {
  return Array.from({ length: out }, (_, i) => {
    const from = i * stride - before;
    return size / (Math.min(extent, from + size) - Math.max(0, from));
  });
}

/**
 * TF.js divides a window's gradient among all its cells, so the shares of cells over the padding are lost. This scales
 * them back.
 */
function avgPoolGradient(dy: tf.Tensor, x: tf.Tensor, attributes: Attributes): tf.Tensor {
  const { filterSize, strides, pad, dimRoundingMode } = attributes as {
    filterSize: number;
    strides: number;
    pad: 'same';
    dimRoundingMode?: 'floor';
  };
  const info = tf.backend_util.computePool2DInfo(
    x.shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const rows = shares(info.outHeight, info.strideHeight, info.filterHeight, info.inHeight, info.padInfo.top);
  const columns = shares(info.outWidth, info.strideWidth, info.filterWidth, info.inWidth, info.padInfo.left);
  const scaled = [...rows, ...columns].every((share) => share === 1)
    ? dy
    : tf.mul(dy, tf.mul(tf.tensor(rows, [rows.length, 1, 1]), tf.tensor(columns, [columns.length, 1])));
  return kernel('AvgPoolGrad', { dy: scaled, input: x }, attributes);
}

/** Resizing is linear in the pixels, so the gradient multiplies by the transposed weights, width first. */
function resizeGradient(
  dy: tf.Tensor,
  images: tf.Tensor,
  weightsOf: (from: number, to: number) => Float32Array,
): tf.Tensor {
  const [batch, height, width, channels] = images.shape as [number, number, number, number];
  const [, toHeight, toWidth] = dy.shape as [number, number, number, number];
  const transposed = (from: number, to: number): tf.Tensor => tf.transpose(tf.tensor(weightsOf(from, to), [to, from]));
  const columns = tf.matMul(transposed(width, toWidth), tf.reshape(dy, [batch * toHeight, toWidth, channels]));
  return tf.reshape(
    tf.matMul(transposed(height, toHeight), tf.reshape(columns, [batch, toHeight, width * channels])),
    images.shape,
  );
}

function nearestWeights(from: number, to: number, how: Resampling): Float32Array {
  const weights = new Float32Array(to * from);
  nearestIndices(from, to, how).forEach((source, i) => (weights[i * from + source] = 1));
  return weights;
}

const batchNorm: Rule = {
  save: ['x', 'mean', 'variance', 'scale'],
  gradient: (dy, { x, mean, variance, scale }, { varianceEpsilon }) => {
    const inverse = tf.rsqrt(tf.add(variance, varianceEpsilon as number));
    const scaled = (): tf.Tensor => tf.mul(dy, scale ? tf.mul(inverse, scale) : inverse);
    const centered = (): tf.Tensor => tf.sub(x, mean);
    return {
      x: scaled,
      mean: () => sumTo(tf.neg(scaled()), mean.shape),
      variance: () => sumTo(tf.mul(tf.mul(scaled(), centered()), tf.mul(-0.5, tf.square(inverse))), variance.shape),
      scale: () => sumTo(tf.mul(dy, tf.mul(centered(), inverse)), mean.shape),
      offset: () => sumTo(dy, mean.shape),
    };
  },
};

export const SPATIAL: Record<string, Rule> = {
  Conv2D: convolution('Conv2D'),
  Conv2DBackpropInput: {
    save: ['dy', 'filter'],
    gradient: (ddx, { dy, filter }, attributes) => ({
      dy: () => kernel('Conv2D', { x: ddx, filter: filter }, { ...attributes, dilations: attributes.dilations ?? 1 }),
      filter: () => convFilterGradient('Conv2D', ddx, dy, filter.shape, attributes),
    }),
  },
  DepthwiseConv2dNative: convolution('DepthwiseConv2dNative'),
  MaxPool: {
    save: ['x'],
    saveOutput: true,
    gradient: (dy, { x, y }, attributes) => ({
      x: () => kernel('MaxPoolGrad', { dy, input: x, output: y }, attributes),
    }),
  },
  AvgPool: { save: ['x'], gradient: (dy, { x }, attributes) => ({ x: () => avgPoolGradient(dy, x, attributes) }) },
  ResizeBilinear: {
    save: ['images'],
    gradient: (dy, { images }, attributes) => ({
      images: () =>
        resizeGradient(dy, images, (from, to) => linearWeights(from, to, attributes as unknown as Resampling)),
    }),
  },
  ResizeNearestNeighbor: {
    save: ['images'],
    gradient: (dy, { images }, attributes) => ({
      images: () =>
        resizeGradient(dy, images, (from, to) => nearestWeights(from, to, attributes as unknown as Resampling)),
    }),
  },
  FusedBatchNorm: batchNorm,
  SpaceToBatchND: {
    gradient: (dy, _, { blockShape, paddings }) => ({
      x: () => tf.batchToSpaceND(dy, blockShape as number[], paddings as number[][]),
    }),
  },
  BatchToSpaceND: {
    gradient: (dy, _, { blockShape, crops }) => ({
      x: () => tf.spaceToBatchND(dy, blockShape as number[], crops as number[][]),
    }),
  },
  DepthToSpace: {
    save: ['x'],
    gradient: (dy, { x }, { blockSize }) => {
      const block = blockSize as number;
      const [batch, height, width, channels] = x.shape as [number, number, number, number];
      const split = tf.reshape(dy, [batch, height, block, width, block, channels / block ** 2]);
      return { x: () => tf.reshape(tf.transpose(split, [0, 1, 3, 2, 4, 5]), x.shape) };
    },
  },
  FlipLeftRight: { gradient: (dy) => ({ image: () => tf.reverse(dy, 2) }) },
};
