import type { Image } from '../../interfaces/media.js';
import { pieceOf } from '../samples.js';

export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of an image in a window. Beyond the image's borders its outermost pixels are repeated. */
export function windowOf(image: Image, { left, top, width, height }: Window): Image {
  const { channels, pixels } = image;
  const whole = { data: pixels, shape: [image.height, image.width, channels] };
  const piece = pieceOf(whole, [top, left], [height, width]);
  return piece === whole ? image : { ...image, width, height, pixels: piece.data };
}
