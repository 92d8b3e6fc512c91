// Sample values of any medium, as arrays of any number of axes: cuts out pieces and copies blocks.
import { InputError } from '../errors.js';
import { sizeOf, stridesOf } from '../shape.js';

export type SampleArray = Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array;

/** Row-major values [...axes, depth]: pixels of an image, frames of a sound, ids of a token map. */
export interface Samples<T extends SampleArray = SampleArray> {
  data: T;
  shape: readonly number[];
}

/**
 * Checks the values of a sample. Only those of float32 samples can be anything but numbers.
 *
 * @param where names the sample, for the error.
 * @throws {InputError} E_MEDIA_NOT_FINITE.
 */
export function expectFinite(where: string, { data }: Samples): void {
  if (!(data instanceof Float32Array)) return;
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new InputError(
      'E_MEDIA_NOT_FINITE',
      `${where}: expected finite values, found ${data[bad]} at ${bad}. Correct the sample, or leave it out.`,
    );
}

/** A block of positions: where it starts in the source and in the target, and how far it extends, by axis. */
export interface Block {
  source: readonly number[];
  target: readonly number[];
  extent: readonly number[];
}

/** Copies a block from one array to another. An extent of 0 or less along any axis copies nothing. */
export function copyBlock(from: Samples, to: Samples, { source, target, extent }: Block): void {
  const [fromStrides, toStrides] = [stridesOf(from.shape), stridesOf(to.shape)];
  const last = extent.length - 1;
  const copyAxis = (axis: number, fromStart: number, toStart: number): void => {
    const [fromStride, toStride, length] = [fromStrides[axis]!, toStrides[axis]!, extent[axis]!];
    const fromFirst = fromStart + source[axis]! * fromStride;
    const toFirst = toStart + target[axis]! * toStride;
    if (axis === last) to.data.set(from.data.subarray(fromFirst, fromFirst + length * fromStride), toFirst);
    else for (let i = 0; i < length; i++) copyAxis(axis + 1, fromFirst + i * fromStride, toFirst + i * toStride);
  };
  if (extent.every((length) => length > 0)) copyAxis(0, 0, 0);
}

/**
 * Cuts out a piece. Beyond the borders the outermost positions are repeated.
 *
 * @param start  First position of the piece by axis; may lie outside.
 * @param extent Positions of the piece by axis.
 * @returns The same object if the piece is everything.
 */
export function pieceOf<T extends SampleArray>(
  from: Samples<T>,
  start: readonly number[],
  extent: readonly number[],
): Samples<T> {
  const depth = from.shape.at(-1)!;
  if (extent.every((length, axis) => start[axis] === 0 && length === from.shape[axis])) return from;
  const shape = [...extent, depth];
  const piece: Samples<T> = { data: emptyLike(from.data, sizeOf(shape)), shape };
  const strides = stridesOf(from.shape);
  const last = extent.length - 1;
  let written = 0;
  const copyAxis = (axis: number, offset: number): void => {
    if (axis === last)
      written = copyRow(from.data, offset, from.shape[axis]!, depth, start[axis]!, extent[axis]!, piece.data, written);
    else
      for (let i = 0; i < extent[axis]!; i++)
        copyAxis(axis + 1, offset + clamp(start[axis]! + i, 0, from.shape[axis]! - 1) * strides[axis]!);
  };
  copyAxis(0, 0);
  return piece;
}

/** Copies `length` positions of a row from `start` on. @returns where the copy ends in `to`. */
function copyRow(
  from: SampleArray,
  offset: number,
  available: number,
  depth: number,
  start: number,
  length: number,
  to: SampleArray,
  at: number,
): number {
  const before = clamp(-start, 0, length);
  const inside = clamp(available - Math.max(start, 0), 0, length - before);
  const first = offset + Math.max(start, 0) * depth;
  repeat(from, offset, depth, to, at, before);
  to.set(from.subarray(first, first + inside * depth), at + before * depth);
  repeat(from, offset + (available - 1) * depth, depth, to, at + (before + inside) * depth, length - before - inside);
  return at + length * depth;
}

function repeat(from: SampleArray, offset: number, depth: number, to: SampleArray, at: number, count: number): void {
  for (let i = at, end = at + count * depth; i < end; i += depth) {
    for (let c = 0; c < depth; c++) to[i + c] = from[offset + c]!;
  }
}

/** An array of zeros of the same type. */
export function emptyLike<T extends SampleArray>(data: T, length: number): T {
  return new (data.constructor as new (length: number) => T)(length);
}

function clamp(at: number, least: number, most: number): number {
  return Math.min(Math.max(at, least), most);
}
