import type { Variation } from '../interfaces/dataset.js';
import type { Image } from '../interfaces/media.js';
import { windowOf } from '../media/window.js';
import { Rng } from '../rng.js';

export interface AugmentOptions {
  /** Mirror half of the pictures left to right. */
  flip?: boolean;
  /** Shift by up to this many pixels each way, as padding with the border's pixels and cropping back would. */
  crop?: number;
}

/** Which draw of the random numbers a picture gets. */
export interface AugmentKey {
  seed: number;
  epoch: number;
  /** Index of the sample in its split. */
  index: number;
}

/** Varies a picture for training; a function of the arguments alone. Returns the same object when nothing changes. */
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

/** Cuts a piece of a picture out of its middle. Smaller pictures are padded to the right and below with their border's pixels. */
export function centerCrop(image: Image, { width, height }: Extent): Image {
  return windowOf(image, {
    left: Math.max(0, Math.floor((image.width - width) / 2)),
    top: Math.max(0, Math.floor((image.height - height) / 2)),
    width,
    height,
  });
}

/** Cuts a piece out anywhere, as {@link centerCrop} otherwise; a function of the arguments alone. */
export function randomCrop(image: Image, { width, height }: Extent, { seed, epoch, index }: AugmentKey): Image {
  const rng = new Rng(seed, `crop/${epoch}`, index);
  return windowOf(image, {
    left: rng.int(Math.max(0, image.width - width) + 1),
    top: rng.int(Math.max(0, image.height - height) + 1),
    width,
    height,
  });
}

/** Takes every pixel from (x + dx, y + dy), clamped to the picture, mirrored first. */
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
