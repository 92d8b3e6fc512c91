// What decoding an image gives, and how its pixels are brought to the form that was asked for.
import type { Image } from '../../interfaces/media.js';
import { imageTo } from './fit.js';
import type { DecodeOptions } from './fit.js';
import { flatten, withChannels } from './pixels.js';
import type { Samples } from './png.js';
import type { Color } from './resample.js';

/** A decoded image, and what it was before it was resized. */
export interface Decoded {
  image: Image;
  original: { kind: 'image'; width: number; height: number; channels: 1 | 3 };
  /** Set for the first frame or page of several. */
  oneOfSeveral?: true;
}

/** Brings a decoded image to the wanted size and channels. */
export async function fitted(image: Image, options: DecodeOptions): Promise<Decoded> {
  const { width, height, channels } = image;
  return { image: await imageTo(image, options), original: { kind: 'image', width, height, channels } };
}

/** RGB, without alpha. */
export function opaque({ width, height, channels, values }: Samples, background: Color): Image {
  if (channels === 1 || channels === 3)
    return withChannels({ kind: 'image', width, height, channels, pixels: values }, 3);
  return { kind: 'image', width, height, channels: 3, pixels: flatten(values, channels - 1, background) };
}
