// Convolutions and pooling. TF.js uses NHWC with filters [kh, kw, ci, co]; ONNX uses NCHW with filters [co, ci, kh,
// kw]. There are three lowerings, chosen by target and geometry: blocked layout, patches with a matrix product, and
// plain ONNX.
import type { Value } from '../graph.js';
import type { Lower, Lowering } from '../lowering.js';
import { convByBlocks, inputGradientByBlocks, isBlockable } from './conv/blocked.js';
import { convByPatches, filterGradient, inputGradientByPatches, isMirrored } from './conv/columns.js';
import { convAttributes, convGeometry, isDense, isPointwise, poolGeometry } from './conv/geometry.js';
import type { ConvGeometry } from './conv/geometry.js';

export const toNchw = (g: Lower, x: Value): Value => g.transpose(x, [0, 3, 1, 2]);
export const toNhwc = (g: Lower, x: Value): Value => g.transpose(x, [0, 2, 3, 1]);

/** Convolution: x [B, H, W, Ci] * filter [kh, kw, Ci, Co] -> [B, H', W', Co]. */
function conv2d(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  if (isPointwise(c)) return pointwise(g, x, g.reshape(filter, [c.inChannels, c.outChannels]), c.outChannels);
  if (g.target.nchwcBlock > 0)
    return prefersBlocks(g, c) ? convByBlocks(g, x, filter, c) : convByPatches(g, x, filter, c);
  const shape = [c.batch, c.outChannels, c.outHeight, c.outWidth];
  const y = g.op(
    'Conv',
    [toNchw(g, x), g.transpose(filter, [3, 2, 0, 1])],
    { dtype: 'float32', shape },
    convAttributes(c),
  );
  return toNhwc(g, y);
}

/** Patches with more elements than this (128 MB) are not worth the memory that they hold until the backward pass. */
const MOST_PATCH_ELEMENTS = 1 << 25;

/**
 * Strided convolutions are faster with patches, which their filter gradient needs anyway; dense ones are faster in
 * blocks.
 */
function prefersBlocks(g: Lower, c: ConvGeometry): boolean {
  const patchElements = c.batch * c.outHeight * c.outWidth * c.kernel[0] * c.kernel[1] * c.inChannels;
  return isBlockable(g, c) && (isDense(c) || patchElements > MOST_PATCH_ELEMENTS);
}

/** A 1x1 convolution: one matrix product over the flattened grid. */
function pointwise(g: Lower, x: Value, matrix: Value, outChannels: number, transposed = false): Value {
  const rows = x.shape[0]! * x.shape[1]! * x.shape[2]!;
  const y = g.matMul(g.reshape(x, [rows, x.shape[3]!]), matrix, false, transposed);
  return g.reshape(y, [x.shape[0]!, x.shape[1]!, x.shape[2]!, outChannels]);
}

/** Gradient with respect to the input, which is the transposed convolution. */
function conv2dInputGradient(g: Lower, dy: Value, filter: Value, c: ConvGeometry): Value {
  if (isPointwise(c)) return pointwise(g, dy, g.reshape(filter, [c.inChannels, c.outChannels]), c.inChannels, true);
  if (g.target.nchwcBlock > 0) {
    if (isMirrored(c)) return inputGradientByPatches(g, dy, filter, c);
    const blocked = isBlockable(g, c) ? inputGradientByBlocks(g, dy, filter, c) : undefined;
    if (blocked) return blocked;
  }
  return transposedConv(g, dy, filter, c);
}

/** The transposed convolution of standard ONNX. */
function transposedConv(g: Lower, dy: Value, filter: Value, c: ConvGeometry): Value {
  const shape = [c.batch, c.inChannels, c.inHeight, c.inWidth];
  const rest = (extent: number, out: number, axis: 0 | 1): number => {
    const span = (out - 1) * c.strides[axis] + (c.kernel[axis] - 1) * c.dilations[axis] + 1;
    return extent + c.pads[axis] + c.pads[axis + 2]! - span;
  };
  const attributes = {
    ...convAttributes(c),
    output_padding: [rest(c.inHeight, c.outHeight, 0), rest(c.inWidth, c.outWidth, 1)],
  };
  const dx = g.op(
    'ConvTranspose',
    [toNchw(g, dy), g.transpose(filter, [3, 2, 0, 1])],
    { dtype: 'float32', shape },
    attributes,
  );
  return toNhwc(g, dx);
}

/** Depthwise convolution: the filter [kh, kw, C, M] becomes a grouped ONNX filter [C * M, 1, kh, kw]. */
function depthwise(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  const [kh, kw, channels, multiplier] = filter.shape as [number, number, number, number];
  const weights = g.reshape(g.transpose(filter, [2, 3, 0, 1]), [channels * multiplier, 1, kh, kw]);
  const shape = [c.batch, c.outChannels, c.outHeight, c.outWidth];
  const y = g.op(
    'Conv',
    [toNchw(g, x), weights],
    { dtype: 'float32', shape },
    { ...convAttributes(c), group: channels },
  );
  return toNhwc(g, y);
}

function pool(g: Lower, op: 'MaxPool' | 'AveragePool', x: Value, attributes: Record<string, unknown>): Value {
  const c = poolGeometry(x.shape, attributes);
  const shape = [c.batch, c.inChannels, c.outHeight, c.outWidth];
  const { kernel_shape, strides, pads } = convAttributes(c) as {
    kernel_shape: number[];
    strides: number[];
    pads: number[];
  };
  return toNhwc(g, g.op(op, [toNchw(g, x)], { dtype: x.dtype, shape }, { kernel_shape, strides, pads }));
}

export const conv: Record<string, Lowering> = {
  Conv2D: (g, { x, filter }, attributes) => conv2d(g, x, filter, convGeometry(x.shape, filter.shape, attributes)),
  Conv2DBackpropInput: (g, { dy, filter }, attributes) =>
    conv2dInputGradient(g, dy, filter, convGeometry(attributes.inputShape as number[], filter.shape, attributes)),
  Conv2DBackpropFilter: (g, { x, dy }, attributes) =>
    filterGradient(g, x, dy, convGeometry(x.shape, attributes.filterShape as number[], attributes)),
  DepthwiseConv2dNative: (g, { x, filter }, attributes) =>
    depthwise(g, x, filter, convGeometry(x.shape, filter.shape, attributes, true)),
  MaxPool: (g, { x }, attributes) => pool(g, 'MaxPool', x, attributes),
  AvgPool: (g, { x }, attributes) => pool(g, 'AveragePool', x, attributes),
};
