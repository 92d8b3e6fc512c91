// Changes that keep the meaning of a sample, along any number of axes.
import type { Variation } from '../interfaces/dataset.js';
import type { Media } from '../interfaces/media.js';
import type { AnyCore } from '../media/medium.js';
import { emptyLike, pieceOf } from '../media/samples.js';
import type { Samples } from '../media/samples.js';
import { Rng } from '../rng.js';
import { sizeOf, stridesOf } from '../shape.js';

export interface AugmentOptions {
  /** Mirrors half of the samples along their last axis: images left to right. */
  flip?: boolean;
  /** Shifts each sample by up to this many positions along each axis, like padding with the border and cropping. */
  crop?: number;
}

/** Selects the random numbers of a sample. */
export interface AugmentKey {
  seed: number;
  epoch: number;
  /** Index of the sample in its split. */
  index: number;
}

/** A sample with the medium that it is of and the input that it was brought to. */
interface Fitted {
  media: Media;
  medium: AnyCore;
  input: unknown;
}

/**
 * Augments a sample for training. The result depends only on the arguments. Returns the same object if nothing changes.
 */
export function augment(sample: Fitted, options: AugmentOptions, key: AugmentKey): Media {
  const rng = new Rng(key.seed, `augment/${key.epoch}`, key.index);
  const mirrored = rng.uint32() % 2 === 1 && options.flip === true;
  const reach = options.crop ?? 0;
  const shift = drawn(sample.medium.axes.length, () => rng.int(2 * reach + 1) - reach);
  return vary(sample, { mirrored, shift });
}

/** One draw for each axis, the last axis first. */
export function drawn(axes: number, draw: (axis: number) => number): number[] {
  const values = new Array<number>(axes);
  for (let axis = axes - 1; axis >= 0; axis--) values[axis] = draw(axis);
  return values;
}

/** Crops a sample around its center to an extent. Smaller samples are padded at their ends with their border. */
export function centerCrop(sample: Fitted, extent: readonly number[]): Media {
  return crop(sample, extent, (room) => Math.floor(room / 2));
}

/** Crops a sample at a random position, otherwise like {@link centerCrop}. The result depends only on the arguments. */
export function randomCrop(sample: Fitted, extent: readonly number[], { seed, epoch, index }: AugmentKey): Media {
  const rng = new Rng(seed, `crop/${epoch}`, index);
  return crop(sample, extent, (room) => rng.int(room + 1));
}

/** @param startOf where the crop begins, given how much longer the sample is than the crop. */
function crop({ media, medium, input }: Fitted, extent: readonly number[], startOf: (room: number) => number): Media {
  const whole = medium.samplesOf(media);
  const start = drawn(extent.length, (axis) => startOf(Math.max(0, whole.shape[axis]! - extent[axis]!)));
  const piece = pieceOf(whole, start, extent);
  return piece === whole ? media : medium.create(piece, input, medium.info(media));
}

/** Mirrors the sample if requested, then takes every position from the one that lies `shift` further, within the sample. */
export function vary({ media, medium, input }: Fitted, { mirrored, shift }: Variation): Media {
  if (!mirrored && shift.every((positions) => positions === 0)) return media;
  const whole = medium.samplesOf(media);
  const varied: Samples = { data: emptyLike(whole.data, whole.data.length), shape: whole.shape };
  const strides = stridesOf(whole.shape);
  const last = shift.length - 1;
  const depth = whole.shape.at(-1)!;
  const sources = shift.map((positions, axis) => {
    const length = whole.shape[axis]!;
    return Int32Array.from({ length }, (_, at) => {
      const from = Math.min(Math.max(at + positions, 0), length - 1);
      return (mirrored && axis === last ? length - 1 - from : from) * strides[axis]!;
    });
  });
  let written = 0;
  const copyAxis = (axis: number, offset: number): void => {
    if (axis < last) for (const from of sources[axis]!) copyAxis(axis + 1, offset + from);
    else
      for (const from of sources[axis]!)
        for (let c = 0; c < depth; c++) varied.data[written++] = whole.data[offset + from + c]!;
  };
  if (sizeOf(whole.shape) > 0) copyAxis(0, 0);
  return medium.create(varied, input, medium.info(media));
}
