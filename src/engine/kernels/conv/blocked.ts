// Convolution in ONNX Runtime's own layout, NCHWc: blocks of 8 or 16 channels are adjacent in memory, one vector
// register each. ONNX Runtime's optimizer uses these operators for constant weights only; graphs that contain them
// directly can use them for training too. `target.nchwcBlock` is 0 if they were found not to work.
import type { Attribute, Value } from '../../graph.js';
import type { Lower } from '../../lowering.js';
import type { ConvGeometry } from './geometry.js';
import { convAttributes } from './geometry.js';

export const NCHWC = 'com.microsoft.nchwc';

/** Whether both channel counts are multiples of the block size. */
export const isBlockable = (g: Lower, c: ConvGeometry): boolean => {
  const block = g.target.nchwcBlock;
  return block > 0 && c.inChannels % block === 0 && c.outChannels % block === 0;
};

/** Converts NHWC [B, H, W, C] to the blocked layout. The shape of the result is stated as [B, C, H, W]. */
function toBlocked(g: Lower, x: Value): Value {
  const [b, h, w, c] = x.shape as [number, number, number, number];
  return g.op('ReorderInput', [x], { dtype: 'float32', shape: [b, c, h, w] }, { channels_last: 1 }, NCHWC);
}

/** Converts the blocked layout to NHWC. */
export function fromBlocked(g: Lower, x: Value): Value {
  const [b, c, h, w] = x.shape as [number, number, number, number];
  return g.op(
    'ReorderOutput',
    [x],
    { dtype: 'float32', shape: [b, h, w, c] },
    { channels_last: 1, channels: c },
    NCHWC,
  );
}

/** Convolves blocked values; `weights` are blocked as [Co/b, Ci/b, kh, kw, b in, b out]. */
function blockedConv(
  g: Lower,
  x: Value,
  weights: Value,
  shape: readonly number[],
  attributes: Record<string, Attribute>,
): Value {
  return g.op('Conv', [x, weights], { dtype: 'float32', shape }, attributes, NCHWC);
}

/** Convolution: x [B, H, W, Ci] * filter [kh, kw, Ci, Co] -> [B, H', W', Co]. */
export function convByBlocks(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  const [kh, kw] = c.kernel;
  const b = g.target.nchwcBlock;
  const split = g.reshape(filter, [kh, kw, c.inChannels / b, b, c.outChannels / b, b]);
  const weights = g.reshape(g.transpose(split, [4, 2, 0, 1, 3, 5]), [c.outChannels, c.inChannels, kh, kw]);
  return fromBlocked(
    g,
    blockedConv(g, toBlocked(g, x), weights, [c.batch, c.outChannels, c.outHeight, c.outWidth], convAttributes(c)),
  );
}

/** One of the strides[0] * strides[1] dense convolutions that together compute an input gradient. */
interface Phase {
  /** Taps of the filter that the phase uses, in order. */
  taps: number[];
  pads: [number, number, number, number];
}

/**
 * Returns the phases of an input gradient: pixels of dx that are congruent modulo the stride depend on the same taps.
 * Returns undefined if the extents are not divisible, because the phases would differ in size.
 */
function phasesOf(c: ConvGeometry): Phase[] | undefined {
  const rows = axisPhases(c.kernel[0], c.strides[0], c.dilations[0], c.pads[0], c.inHeight, c.outHeight);
  const columns = axisPhases(c.kernel[1], c.strides[1], c.dilations[1], c.pads[1], c.inWidth, c.outWidth);
  if (!rows || !columns) return undefined;
  return rows.flatMap((row) =>
    columns.map((column) => ({
      taps: row.taps.flatMap((i) => column.taps.map((j) => i * c.kernel[1] + j)),
      pads: [row.begin, column.begin, row.end, column.end],
    })),
  );
}

function axisPhases(
  kernel: number,
  stride: number,
  dilation: number,
  pad: number,
  inExtent: number,
  outExtent: number,
): { taps: number[]; begin: number; end: number }[] | undefined {
  if (kernel % stride !== 0 || inExtent % stride !== 0 || (dilation > 1 && stride > 1)) return undefined;
  const taps = kernel / stride;
  const reach = (taps - 1) * dilation;
  const phases = Array.from({ length: stride }, (_, r) => {
    const first = (r + pad) % stride;
    const begin = reach - (r + pad - first) / stride;
    const end = inExtent / stride + reach - outExtent - begin;
    return { taps: Array.from({ length: taps }, (_, a) => stride * (taps - 1 - a) + first), begin, end };
  });
  return phases.every(({ begin, end }) => begin >= 0 && end >= 0) ? phases : undefined;
}

/**
 * Gradient with respect to the input, which is also the transposed convolution. Returns undefined if there are no
 * phases of equal size.
 */
export function inputGradientByBlocks(g: Lower, dy: Value, filter: Value, c: ConvGeometry): Value | undefined {
  const phases = phasesOf(c);
  if (!phases) return undefined;
  const [sh, sw] = c.strides;
  const kernel = [c.kernel[0] / sh, c.kernel[1] / sw] as [number, number];
  const weights = phaseWeights(g, filter, phases, c);
  const shape = [c.batch, c.inChannels, c.inHeight / sh, c.inWidth / sw];
  const x = toBlocked(g, dy);
  const parts = phases.map(({ pads }, i) => {
    const attributes = { kernel_shape: kernel, strides: [1, 1], dilations: c.dilations, pads };
    return fromBlocked(
      g,
      blockedConv(g, x, g.reshape(weights[i]!, [c.inChannels, c.outChannels, ...kernel]), shape, attributes),
    );
  });
  return phases.length === 1 ? parts[0]! : interleave(g, parts, [c.batch, c.inHeight, c.inWidth, c.inChannels]);
}

/** Returns the blocked weights of every phase, with input and output channels swapped. */
function phaseWeights(g: Lower, filter: Value, phases: Phase[], c: ConvGeometry): Value[] {
  const order = Int32Array.from(phases.flatMap(({ taps }) => taps));
  const all = g.reshape(filter, [c.kernel[0] * c.kernel[1], c.inChannels, c.outChannels]);
  const sorted = order.length === 1 ? all : g.gather(all, g.constant('int32', [order.length], order), 0);
  const b = g.target.nchwcBlock;
  const split = g.reshape(sorted, [phases.length, phases[0]!.taps.length, c.inChannels / b, b, c.outChannels / b, b]);
  const blocked = g.transpose(split, [0, 2, 4, 1, 5, 3]);
  return phases.map((_, i) => g.slice(blocked, [i, 0, 0, 0, 0, 0], blocked.shape.with(0, 1)));
}

/** Interleaves phases: part r * sw + s, of shape [B, h, w, C], holds the pixels (sh * y + r, sw * x + s) of `shape`. */
export function interleave(g: Lower, parts: Value[], shape: readonly number[]): Value {
  const [batch, height, width, channels] = shape as [number, number, number, number];
  const [h, w] = [parts[0]!.shape[1]!, parts[0]!.shape[2]!];
  const across = width / w;
  const rows = Array.from({ length: height / h }, (_, r) => {
    const columns = parts.slice(r * across, (r + 1) * across).map((part) => g.reshape(part, [batch * h, w, channels]));
    return g.reshape(g.concat(columns, 2), [batch * h, width * channels]);
  });
  return g.reshape(g.concat(rows, 1), shape);
}

const behind = (x: Value | null | undefined, op: string): Value['node'] => (x?.node?.op === op ? x.node : undefined);

/** Returns the parts of a value made by {@link interleave}, or undefined. */
export function interleavedParts(value: Value): Value[] | undefined {
  const rows = behind(behind(value, 'Reshape')?.inputs[0], 'Concat')?.inputs;
  const parts = rows
    ?.flatMap((row) => behind(behind(row!, 'Reshape')?.inputs[0], 'Concat')?.inputs ?? [])
    .map((part) => behind(part!, 'Reshape')?.inputs[0]);
  return parts && parts.length > 0 && parts.every((part) => part?.node?.op === 'ReorderOutput')
    ? (parts as Value[])
    : undefined;
}
