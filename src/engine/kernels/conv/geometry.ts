// The geometry of a convolution or a pooling, computed from TF.js's attributes.
import { tf } from '../../tf.js';

/** Everything that lowerings need to know about a convolution or a pooling. */
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
  /** [top, left, bottom, right], in ONNX's order. */
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

/** Returns the geometry of a convolution of NHWC `xShape` with a filter [kh, kw, Ci, Co]. */
export function convGeometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  attributes: Record<string, unknown>,
  depthwise = false,
): ConvGeometry {
  const { strides, pad, dilations, dimRoundingMode } = attributes as {
    strides: number;
    pad: 'same';
    dilations: number;
    dimRoundingMode?: 'floor';
  };
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

/** Returns the geometry of a pooling window over x NHWC. */
export function poolGeometry(xShape: readonly number[], attributes: Record<string, unknown>): ConvGeometry {
  const { filterSize, strides, pad, dimRoundingMode } = attributes as {
    filterSize: number;
    strides: number;
    pad: 'same';
    dimRoundingMode?: 'floor';
  };
  return geometryOf(
    tf.backend_util.computePool2DInfo(
      xShape as [number, number, number, number],
      filterSize,
      strides,
      1,
      pad,
      dimRoundingMode,
    ),
  );
}

/**
 * Whether this is a 1x1 convolution that visits every pixel once, which is one matrix product over the flattened grid.
 */
export const isPointwise = (c: ConvGeometry): boolean =>
  c.kernel[0] === 1 &&
  c.kernel[1] === 1 &&
  c.strides[0] === 1 &&
  c.strides[1] === 1 &&
  c.pads.every((pad) => pad === 0);

/** Whether adjacent output positions are one pixel apart. */
export const isDense = (c: ConvGeometry): boolean => c.strides[0] === 1 && c.strides[1] === 1;

export const convAttributes = (c: ConvGeometry): Record<string, number[]> => ({
  kernel_shape: c.kernel,
  strides: c.strides,
  dilations: c.dilations,
  pads: c.pads,
});
