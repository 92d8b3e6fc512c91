// Pooling and depthwise convolution with their gradients. Everything is NHWC. Windows are split into taps: for each
// position within the window, one strided slice of the input that is aligned with the output.
import { sizeOf } from '../../shape.js';
import type { Value } from '../graph.js';
import type { Lower, Lowering } from '../lowering.js';
import { tf } from '../tf.js';

type Attributes = Record<string, unknown>;
type Pair = [number, number];

/** How a window slides over a grid. */
interface Windows {
  /** Shape of the input: [B, H, W, C]. */
  input: readonly number[];
  /** Height and width of the output. */
  out: Pair;
  kernel: Pair;
  strides: Pair;
  dilations: Pair;
  /** [top, left, bottom, right]: the padding that the windows need, however the output size was rounded. */
  pads: [number, number, number, number];
}

/** How far windows extend beyond the end of an axis. */
const after = (out: number, stride: number, kernel: number, extent: number, before: number): number =>
  Math.max(0, (out - 1) * stride + kernel - extent - before);

function windowsOf(input: readonly number[], info: tf.backend_util.Conv2DInfo): Windows {
  const { top, left } = info.padInfo;
  return {
    input,
    out: [info.outHeight, info.outWidth],
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [
      top,
      left,
      after(info.outHeight, info.strideHeight, info.effectiveFilterHeight, info.inHeight, top),
      after(info.outWidth, info.strideWidth, info.effectiveFilterWidth, info.inWidth, left),
    ],
  };
}

function poolWindows(input: readonly number[], attributes: Attributes): Windows {
  const { filterSize, strides, pad, dimRoundingMode } = attributes as {
    filterSize: number;
    strides: number;
    pad: 'same';
    dimRoundingMode?: 'floor';
  };
  return windowsOf(
    input,
    tf.backend_util.computePool2DInfo(
      input as [number, number, number, number],
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    ),
  );
}

function depthwiseWindows(input: readonly number[], filter: readonly number[], attributes: Attributes): Windows {
  const { strides, pad, dilations, dimRoundingMode } = attributes as {
    strides: number;
    pad: 'same';
    dilations?: number;
    dimRoundingMode?: 'floor';
  };
  const shapes = [input, filter] as [[number, number, number, number], [number, number, number, number]];
  return windowsOf(
    input,
    tf.backend_util.computeConv2DInfo(...shapes, strides, dilations ?? 1, pad, dimRoundingMode, true),
  );
}

/** Positions within the window, row-major. */
const tapsOf = ({ kernel }: Windows): Pair[] =>
  Array.from({ length: kernel[0] * kernel[1] }, (_, i) => [Math.floor(i / kernel[1]), i % kernel[1]]);

function padded(g: Lower, x: Value, { pads }: Windows, value: number): Value {
  return g.pad(
    x,
    [
      [0, 0],
      [pads[0], pads[2]],
      [pads[1], pads[3]],
      [0, 0],
    ],
    value,
  );
}

/** Slices a padded input at one tap of every window: [B, H', W', C]. */
function tapOf(g: Lower, x: Value, [i, j]: Pair, w: Windows): Value {
  const size = [x.shape[0]!, w.out[0], w.out[1], x.shape[3]!];
  return g.slice(x, [0, i * w.dilations[0], j * w.dilations[1], 0], size, [1, w.strides[0], w.strides[1], 1]);
}

/**
 * The transpose of {@link tapOf}: puts [B, H', W', C] back to where the tap was read, with zeros elsewhere, and removes
 * the padding.
 */
function scatterTap(g: Lower, y: Value, [i, j]: Pair, w: Windows): Value {
  const spread = dilate(g, dilate(g, y, 1, w.strides[0]), 2, w.strides[1]);
  const [, height, width] = w.input as [number, number, number, number];
  const before: Pair = [i * w.dilations[0], j * w.dilations[1]];
  const whole: Pair = [w.pads[0] + height + w.pads[2], w.pads[1] + width + w.pads[3]];
  const fit = (axis: 0 | 1): Pair => [before[axis], Math.max(0, whole[axis] - before[axis] - spread.shape[axis + 1]!)];
  const placed = g.pad(spread, [[0, 0], fit(0), fit(1), [0, 0]]);
  return g.slice(placed, [0, w.pads[0], w.pads[1], 0], [y.shape[0]!, height, width, y.shape[3]!]);
}

/** Inserts `stride - 1` zeros between the elements of one axis. */
function dilate(g: Lower, x: Value, axis: number, stride: number): Value {
  if (stride === 1) return x;
  const [before, extent, after] = [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))];
  const wide = g.pad(g.reshape(x, [before, extent, 1, after]), [
    [0, 0],
    [0, 0],
    [0, stride - 1],
    [0, 0],
  ]);
  const flat = g.reshape(wide, [before, extent * stride, after]);
  return g.reshape(
    g.slice(flat, [0, 0, 0], [before, (extent - 1) * stride + 1, after]),
    x.shape.with(axis, (extent - 1) * stride + 1),
  );
}

const sum = (g: Lower, values: Value[]): Value => values.reduce((total, value) => g.add(total, value));

function pool(g: Lower, op: 'MaxPool' | 'AveragePool', x: Value, attributes: Attributes): Value {
  const w = poolWindows(x.shape, attributes);
  const shape = [x.shape[0]!, x.shape[3]!, ...w.out];
  const y = g.op(
    op,
    [g.transpose(x, [0, 3, 1, 2])],
    { dtype: x.dtype, shape },
    { kernel_shape: w.kernel, strides: w.strides, pads: w.pads },
  );
  return g.transpose(y, [0, 2, 3, 1]);
}

/** Gradient of max pooling: each window's gradient goes to the first of its greatest elements. */
function maxPoolGradient(g: Lower, dy: Value, x: Value, y: Value, attributes: Attributes): Value {
  const w = poolWindows(x.shape, attributes);
  const source = padded(g, x, w, -Infinity);
  let open: Value | undefined;
  const parts = tapsOf(w).map((tap) => {
    const equal = g.binary('Equal', tapOf(g, source, tap, w), y, 'bool');
    const hit = open ? g.binary('And', equal, open) : equal;
    const miss = g.op('Not', [equal], equal);
    open = open ? g.binary('And', open, miss) : miss;
    return scatterTap(g, g.mul(dy, g.cast(hit, 'float32')), tap, w);
  });
  return sum(g, parts);
}

/**
 * Gradient of average pooling as TF.js defines it: every element of a window gets the same share, one over the window's
 * full size.
 */
function avgPoolGradient(g: Lower, dy: Value, x: Value, attributes: Attributes): Value {
  const w = poolWindows(x.shape, attributes);
  const share = g.mul(dy, g.scalar(1 / (w.kernel[0] * w.kernel[1])));
  return sum(
    g,
    tapsOf(w).map((tap) => scatterTap(g, share, tap, w)),
  );
}

/** Gradient with respect to the input: dy [B, H', W', C * M], filter [kh, kw, C, M] -> [B, H, W, C]. */
function depthwiseInputGradient(g: Lower, dy: Value, filter: Value, attributes: Attributes): Value {
  const input = attributes.inputShape as number[];
  const w = depthwiseWindows(input, filter.shape, attributes);
  const [, , channels, multiplier] = filter.shape as [number, number, number, number];
  const parts = tapsOf(w).map((tap) => {
    const weights = g.reshape(g.slice(filter, [...tap, 0, 0], [1, 1, channels, multiplier]), [channels, multiplier]);
    const split = g.mul(g.reshape(dy, [input[0]!, ...w.out, channels, multiplier]), weights);
    return scatterTap(
      g,
      multiplier === 1 ? g.reshape(split, [input[0]!, ...w.out, channels]) : g.reduce('ReduceSum', split, [4], false),
      tap,
      w,
    );
  });
  return sum(g, parts);
}

/** Gradient with respect to the filter: x [B, H, W, C], dy [B, H', W', C * M] -> [kh, kw, C, M]. */
function depthwiseFilterGradient(g: Lower, x: Value, dy: Value, attributes: Attributes): Value {
  const shape = attributes.filterShape as [number, number, number, number];
  const [kh, kw, channels, multiplier] = shape;
  const w = depthwiseWindows(x.shape, shape, attributes);
  const source = padded(g, x, w, 0);
  const gradient = g.reshape(dy, [x.shape[0]!, ...w.out, channels, multiplier]);
  const parts = tapsOf(w).map((tap) => {
    const seen = g.reshape(tapOf(g, source, tap, w), [x.shape[0]!, ...w.out, channels, 1]);
    return g.reshape(g.reduce('ReduceSum', g.mul(seen, gradient), [0, 1, 2], false), [1, channels, multiplier]);
  });
  return g.reshape(g.concat(parts, 0), [kh, kw, channels, multiplier]);
}

export const pooling: Record<string, Lowering> = {
  MaxPool: (g, { x }, attributes) => pool(g, 'MaxPool', x, attributes),
  AvgPool: (g, { x }, attributes) => pool(g, 'AveragePool', x, attributes),
  MaxPoolGrad: (g, { dy, input, output }, attributes) => maxPoolGradient(g, dy, input, output, attributes),
  AvgPoolGrad: (g, { dy, input }, attributes) => avgPoolGradient(g, dy, input, attributes),
  DepthwiseConv2dNativeBackpropInput: (g, { dy, filter }, attributes) =>
    depthwiseInputGradient(g, dy, filter, attributes),
  DepthwiseConv2dNativeBackpropFilter: (g, { x, dy }, attributes) => depthwiseFilterGradient(g, x, dy, attributes),
};
