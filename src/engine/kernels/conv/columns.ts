// Convolution as a matrix product over patches. The patches are built by Gather, which copies whole runs of pixels,
// instead of by slicing every tap and concatenating the slices.
import type { Value } from '../../graph.js';
import type { Lower } from '../../lowering.js';
import type { ConvGeometry } from './geometry.js';
import { isDense } from './geometry.js';

/** The cost of copying runs with fewer numbers than this depends on their count, not on their length. */
const NARROW = 8;

/** Returns the patch at every output position, one per row: x [B, H, W, Ci] -> [B * H' * W', kh * kw * Ci]. */
export function patches(g: Lower, x: Value, c: ConvGeometry): Value {
  const [kh, kw] = c.kernel;
  const [top, left, bottom, right] = c.pads;
  // Number of pixels that are always copied together: the greatest common divisor of taps and stride.
  const run = c.dilations[1] === 1 ? commonDivisor(kw, c.strides[1]) : 1;
  const width = c.inWidth + left + right;
  const runs = Math.ceil(width / run);
  const height = c.inHeight + top + bottom;
  const padded = g.pad(x, [
    [0, 0],
    [top, bottom],
    [left, right + runs * run - width],
    [0, 0],
  ]);
  const table = g.reshape(padded, [c.batch, height * runs, run * c.inChannels]);
  const down: Axis = { starts: c.outHeight, stride: c.strides[0], taps: kh, dilation: c.dilations[0] };
  const across: Axis = { starts: c.outWidth, stride: c.strides[1] / run, taps: kw / run, dilation: c.dilations[1] };
  const shape = [c.batch * c.outHeight * c.outWidth, kh * kw * c.inChannels];
  if (run * c.inChannels >= NARROW || across.taps < 3 || kh === 1)
    return g.reshape(g.gather(table, tapIndex(g, down, across, runs), 1), shape);
  // First gather rows of taps, each of which is shared by all patches that contain it.
  const windows = g.gather(table, tapIndex(g, everyOne(height), across, runs), 1);
  const rows = g.reshape(windows, [c.batch, height * c.outWidth, kw * c.inChannels]);
  return g.reshape(g.gather(rows, tapIndex(g, down, everyOne(c.outWidth), c.outWidth), 1), shape);
}

/** Start positions of the windows along an axis, and the taps of each. */
interface Axis {
  starts: number;
  stride: number;
  taps: number;
  dilation: number;
}

const everyOne = (extent: number): Axis => ({ starts: extent, stride: 1, taps: 1, dilation: 1 });

/** Index constants by graph and geometry, so that equal patches are equal nodes and are gathered once. */
const indices = new WeakMap<Lower, Map<string, Value>>();

/**
 * Returns the positions of the taps of every window in a grid of `width` columns, row by row: int32 [starts * starts *
 * taps * taps].
 */
function tapIndex(g: Lower, down: Axis, across: Axis, width: number): Value {
  const known = indices.get(g) ?? new Map<string, Value>();
  indices.set(g, known);
  const key = JSON.stringify([down, across, width]);
  let found = known.get(key);
  if (!found) {
    const index: number[] = [];
    for (let y = 0; y < down.starts; y++) {
      for (let x = 0; x < across.starts; x++) {
        for (let i = 0; i < down.taps; i++) {
          for (let j = 0; j < across.taps; j++)
            index.push((y * down.stride + i * down.dilation) * width + x * across.stride + j * across.dilation);
        }
      }
    }
    known.set(key, (found = g.constant('int32', [index.length], Int32Array.from(index))));
  }
  return found;
}

/** Convolution: x [B, H, W, Ci] * filter [kh, kw, Ci, Co] -> [B, H', W', Co]. */
export function convByPatches(g: Lower, x: Value, filter: Value, c: ConvGeometry): Value {
  const y = g.matMul(patches(g, x, c), g.reshape(filter, [c.kernel[0] * c.kernel[1] * c.inChannels, c.outChannels]));
  return g.reshape(y, [c.batch, c.outHeight, c.outWidth, c.outChannels]);
}

/** Gradient with respect to the filter, [kh, kw, Ci, Co], from the patches of the operand that has fewer channels. */
export function filterGradient(g: Lower, x: Value, dy: Value, c: ConvGeometry): Value {
  if (isMirrored(c)) return mirroredFilterGradient(g, x, dy, c);
  const dw = g.matMul(
    patches(g, x, c),
    g.reshape(dy, [c.batch * c.outHeight * c.outWidth, c.outChannels]),
    true,
    false,
  );
  return g.reshape(dw, [c.kernel[0], c.kernel[1], c.inChannels, c.outChannels]);
}

/**
 * Whether the patches of dy are cheaper than those of x: true for a dense convolution that reduces the number of
 * channels. The patches of dy then serve the gradients of both the filter and the input.
 */
export const isMirrored = (c: ConvGeometry): boolean =>
  isDense(c) && c.outChannels < c.inChannels && mirror(c).pads.every((pad) => pad >= 0);

/** Returns the dense convolution that computes dx from dy: channels swapped, padding complemented. */
export function mirror(c: ConvGeometry): ConvGeometry {
  const reach = [(c.kernel[0] - 1) * c.dilations[0], (c.kernel[1] - 1) * c.dilations[1]] as const;
  return {
    ...c,
    inHeight: c.outHeight,
    inWidth: c.outWidth,
    inChannels: c.outChannels,
    outHeight: c.inHeight,
    outWidth: c.inWidth,
    outChannels: c.inChannels,
    pads: [reach[0] - c.pads[0], reach[1] - c.pads[1], reach[0] - c.pads[2], reach[1] - c.pads[3]],
  };
}

function mirroredFilterGradient(g: Lower, x: Value, dy: Value, c: ConvGeometry): Value {
  const taps = c.kernel[0] * c.kernel[1];
  const rows = g.reshape(x, [c.batch * c.inHeight * c.inWidth, c.inChannels]);
  const dw = g.reshape(g.matMul(patches(g, dy, mirror(c)), rows, true, false), [taps, c.outChannels, c.inChannels]);
  return g.reshape(reverseTaps(g, g.transpose(dw, [0, 2, 1])), [c.kernel[0], c.kernel[1], c.inChannels, c.outChannels]);
}

/** Gradient with respect to the input of a dense convolution, from the patches of dy. */
export function inputGradientByPatches(g: Lower, dy: Value, filter: Value, c: ConvGeometry): Value {
  const taps = c.kernel[0] * c.kernel[1];
  const flipped = reverseTaps(g, g.reshape(filter, [taps, c.inChannels, c.outChannels]));
  const matrix = g.reshape(g.transpose(flipped, [0, 2, 1]), [taps * c.outChannels, c.inChannels]);
  const dx = g.matMul(patches(g, dy, mirror(c)), matrix);
  return g.reshape(dx, [c.batch, c.inHeight, c.inWidth, c.inChannels]);
}

/** Rotates a filter by 180 degrees: reverses the first axis of x [taps, ..]. */
function reverseTaps(g: Lower, x: Value): Value {
  const taps = x.shape[0]!;
  return taps === 1
    ? x
    : g.gather(
        x,
        g.constant(
          'int32',
          [taps],
          Int32Array.from({ length: taps }, (_, i) => taps - 1 - i),
        ),
        0,
      );
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));
