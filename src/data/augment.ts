import type { Variation } from '../interfaces/dataset.js';
import type { Image } from '../interfaces/media.js';
import { windowOf } from '../media/image/window.js';
import { Rng } from '../rng.js';

export interface AugmentOptions {
  /** Mirrors half of the images left to right. */
  flip?: boolean;
  /**
   * Shifts each image by up to this many pixels in each direction, like padding with the border's pixels and cropping.
   */
  crop?: number;
}

/** Selects the random numbers of an image. */
export interface AugmentKey {
  seed: number;
  epoch: number;
  /** Index of the sample in its split. */
  index: number;
}

/**
 * Augments an image for training. The result depends only on the arguments. Returns the same object if nothing changes.
 */
export function augment(image: Image, options: AugmentOptions, key: AugmentKey): Image {
  const rng = new Rng(key.seed, `augment/${key.epoch}`, key.index);
  const mirrored = rng.uint32() % 2 === 1 && options.flip === true;
  const reach = options.crop ?? 0;
  const dx = rng.int(2 * reach + 1) - reach;
  const dy = rng.int(2 * reach + 1) - reach;
  return vary(image, { mirrored, dx, dy });
}

interface Extent {
  width: number;
  height: number;
}

/** Crops an image around its center. Smaller images are padded to the right and below with their border's pixels. */
export function centerCrop(image: Image, { width, height }: Extent): Image {
  return windowOf(image, {
    left: Math.max(0, Math.floor((image.width - width) / 2)),
    top: Math.max(0, Math.floor((image.height - height) / 2)),
    width,
    height,
  });
}

/** Crops an image at a random position, otherwise like {@link centerCrop}. The result depends only on the arguments. */
export function randomCrop(image: Image, { width, height }: Extent, { seed, epoch, index }: AugmentKey): Image {
  const rng = new Rng(seed, `crop/${epoch}`, index);
  return windowOf(image, {
    left: rng.int(Math.max(0, image.width - width) + 1),
    top: rng.int(Math.max(0, image.height - height) + 1),
    width,
    height,
  });
}

/** Mirrors the image if requested, then takes every pixel from (x + dx, y + dy), clamped to the image. */
export function vary(image: Image, { mirrored, dx, dy }: Variation): Image {
  if (!mirrored && dx === 0 && dy === 0) return image;
  const { width, height, channels, pixels } = image;
  const out = new Uint8Array(pixels.length);
  const columns = Int32Array.from({ length: width }, (_, x) => {
    const from = clamp(x + dx, width);
    return (mirrored ? width - 1 - from : from) * channels;
  });
  for (let y = 0, o = 0; y < height; y++) {
    const row = clamp(y + dy, height) * width * channels;
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) out[o++] = pixels[row + columns[x]! + c]!;
    }
  }
  return { ...image, pixels: out };
}

function clamp(at: number, extent: number): number {
  return Math.min(Math.max(at, 0), extent - 1);
}
