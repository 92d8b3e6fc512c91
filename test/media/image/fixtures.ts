import sharp, { type Sharp } from 'sharp';

import type { Image } from '../../../src/interfaces/media.js';
import { Rng } from '../../../src/rng.js';

/** A picture of seeded noise over a gradient. */
export function noise(width: number, height: number, channels: 1 | 3 = 3, seed = 1): Image {
  const rng = new Rng(seed, 'test/noise');
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => (i * 3 + rng.int(64)) & 255);
  return { kind: 'image', width, height, channels, pixels };
}

/** A sharp pipeline over raw pixels with any number of channels. */
export function fromRaw(pixels: Uint8Array, width: number, height: number, channels: 1 | 2 | 3 | 4): Sharp {
  return sharp(pixels, { raw: { width, height, channels } });
}

export function of(image: Image): Sharp {
  return fromRaw(image.pixels, image.width, image.height, image.channels);
}
