// Convolutions and pooling. TF.js speaks NHWC with filters [kh, kw, ci, co]; ONNX speaks NCHW with [co, ci, kh, kw].
import type { Value } from '../graph.js';
import type { Lower, Lowering } from '../lowering.js';
import { tf } from '../tf.js';

/** Everything about one convolution or pooling that its lowerings need. */
export interface ConvGeometry {
  batch: number;
  inHeight: number;
  inWidth: number;
  inChannels: number;
  outHeight: number;
  outWidth: number;
  outChannels: number;
  kernel: [number, number];
  strides: [number, number];
  dilations: [number, number];
  /** [top, left, bottom, right], ONNX's order. */
  pads: [number, number, number, number];
}

function geometryOf(info: tf.backend_util.Conv2DInfo): ConvGeometry {
  const { top, left, bottom, right } = info.padInfo;
  return {
    batch: info.batchSize,
    inHeight: info.inHeight,
    inWidth: info.inWidth,
    inChannels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    outChannels: info.outChannels,
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [top, left, bottom, right],
  };
}

function convGeometry(xShape: readonly number[], filterShape: readonly number[], attributes: Record<string, unknown>, depthwise = false): ConvGeometry {
  const { strides, pad, dilations, dimRoundingMode } = attributes as { strides: number; pad: 'same'; dilations: number; dimRoundingMode?: 'floor' };
  return geometryOf(
    tf.backend_util.computeConv2DInfo(
      xShape as [number, number, number, number],
      filterShape as [number, number, number, number],
      strides,
      dilations ?? 1,
      pad,
      dimRoundingMode,
      depthwise,
    ),
  );
}

export const toNchw = (g: Lower, x: Value): Value => g.transpose(x, [0, 3, 1, 2]);
export const toNhwc = (g: Lower, x: Value): Value => g.transpose(x, [0, 2, 3, 1]);

const convAttributes = (c: ConvGeometry): Record<string, number[]> => ({
  kernel_shape: c.kernel,
  strides: c.strides,
  dilations: c.dilations,
  pads: c.pads,
});

/** x [B, H, W, Ci] * filter [kh, kw, Ci, Co] -> [B, H', W', Co]. */
function conv2d(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  if (isPointwise(c)) return pointwise(g, x, g.reshape(filter, [c.inChannels, c.outChannels]), c.outChannels);
  const shape = [c.batch, c.outChannels, c.outHeight, c.outWidth];
  const y = g.op('Conv', [toNchw(g, x), g.transpose(filter, [3, 2, 0, 1])], { dtype: 'float32', shape }, convAttributes(c));
  return toNhwc(g, y);
}

const isPointwise = (c: ConvGeometry): boolean =>
  c.kernel[0] === 1 && c.kernel[1] === 1 && c.strides[0] === 1 && c.strides[1] === 1 && c.pads.every((pad) => pad === 0);

/** A 1x1 convolution is one matrix product over the flattened grid. */
function pointwise(g: Lower, x: Value, matrix: Value, outChannels: number, transposed = false): Value {
  const rows = x.shape[0]! * x.shape[1]! * x.shape[2]!;
  const y = g.matMul(g.reshape(x, [rows, x.shape[3]!]), matrix, false, transposed);
  return g.reshape(y, [x.shape[0]!, x.shape[1]!, x.shape[2]!, outChannels]);
}

/** Gradient with respect to the input: the transposed convolution. */
function conv2dInputGradient(g: Lower, dy: Value, filter: Value, c: ConvGeometry): Value {
  if (isPointwise(c)) return pointwise(g, dy, g.reshape(filter, [c.inChannels, c.outChannels]), c.inChannels, true);
  const shape = [c.batch, c.inChannels, c.inHeight, c.inWidth];
  const rest = (extent: number, out: number, axis: 0 | 1): number => {
    const span = (out - 1) * c.strides[axis] + (c.kernel[axis] - 1) * c.dilations[axis] + 1;
    return extent + c.pads[axis]! + c.pads[axis + 2]! - span;
  };
  const attributes = { ...convAttributes(c), output_padding: [rest(c.inHeight, c.outHeight, 0), rest(c.inWidth, c.outWidth, 1)] };
  const dx = g.op('ConvTranspose', [toNchw(g, dy), g.transpose(filter, [3, 2, 0, 1])], { dtype: 'float32', shape }, attributes);
  return toNhwc(g, dx);
}

/** Gradient with respect to the filter: im2col, then one matrix product. */
function conv2dFilterGradient(g: Lower, x: Value, dy: Value, c: ConvGeometry): Value {
  const rows = c.batch * c.outHeight * c.outWidth;
  const columns = g.reshape(im2col(g, x, c), [rows, c.kernel[0] * c.kernel[1] * c.inChannels]);
  const dw = g.matMul(columns, g.reshape(dy, [rows, c.outChannels]), true, false);
  return g.reshape(dw, [c.kernel[0], c.kernel[1], c.inChannels, c.outChannels]);
}

/** The patches under every output position: [B, H', W', kh * kw * Ci]. */
export function im2col(g: Lower, x: Value, c: ConvGeometry): Value {
  const [top, left, bottom, right] = c.pads;
  const padded = g.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]]);
  const size = [c.batch, c.outHeight, c.outWidth, c.inChannels];
  const strides = [1, c.strides[0], c.strides[1], 1];
  const taps: Value[] = [];
  for (let i = 0; i < c.kernel[0]; i++) {
    for (let j = 0; j < c.kernel[1]; j++) taps.push(g.slice(padded, [0, i * c.dilations[0], j * c.dilations[1], 0], size, strides));
  }
  return g.concat(taps, 3);
}

/** Depthwise filter [kh, kw, C, M] as a grouped ONNX filter [C * M, 1, kh, kw]. */
function depthwise(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  const [kh, kw, channels, multiplier] = filter.shape as [number, number, number, number];
  const weights = g.reshape(g.transpose(filter, [2, 3, 0, 1]), [channels * multiplier, 1, kh, kw]);
  const shape = [c.batch, c.outChannels, c.outHeight, c.outWidth];
  const y = g.op('Conv', [toNchw(g, x), weights], { dtype: 'float32', shape }, { ...convAttributes(c), group: channels });
  return toNhwc(g, y);
}

function poolGeometry(x: Value, attributes: Record<string, unknown>): ConvGeometry {
  const { filterSize, strides, pad, dimRoundingMode } = attributes as { filterSize: number; strides: number; pad: 'same'; dimRoundingMode?: 'floor' };
  return geometryOf(tf.backend_util.computePool2DInfo(x.shape as [number, number, number, number], filterSize, strides, 1, pad, dimRoundingMode));
}

function pool(g: Lower, op: 'MaxPool' | 'AveragePool', x: Value, attributes: Record<string, unknown>): Value {
  const c = poolGeometry(x, attributes);
  const shape = [c.batch, c.inChannels, c.outHeight, c.outWidth];
  const { kernel_shape, strides, pads } = convAttributes(c) as { kernel_shape: number[]; strides: number[]; pads: number[] };
  return toNhwc(g, g.op(op, [toNchw(g, x)], { dtype: x.dtype, shape }, { kernel_shape, strides, pads }));
}

export const conv: Record<string, Lowering> = {
  Conv2D: (g, { x, filter }, attributes) => conv2d(g, x!, filter!, convGeometry(x!.shape, filter!.shape, attributes)),
  Conv2DBackpropInput: (g, { dy, filter }, attributes) =>
    conv2dInputGradient(g, dy!, filter!, convGeometry(attributes.inputShape as number[], filter!.shape, attributes)),
  Conv2DBackpropFilter: (g, { x, dy }, attributes) =>
    conv2dFilterGradient(g, x!, dy!, convGeometry(x!.shape, attributes.filterShape as number[], attributes)),
  DepthwiseConv2dNative: (g, { x, filter }, attributes) => depthwise(g, x!, filter!, convGeometry(x!.shape, filter!.shape, attributes, true)),
  MaxPool: (g, { x }, attributes) => pool(g, 'MaxPool', x!, attributes),
  AvgPool: (g, { x }, attributes) => pool(g, 'AveragePool', x!, attributes),
};
