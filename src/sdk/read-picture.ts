// One picture for a codec, from a file or from memory.
import { readFile } from '../files/read.js';
import type { Image, ImageInput } from '../interfaces/index.js';
import { decodeImage } from '../media/image/image.js';
import { imageTo } from '../media/image/fit.js';
import { decodingFor } from '../media/image/core.js';

/** A path of a picture file, or a decoded picture. */
export type Picture = string | Image;

/** A picture as the codec sees it. @throws {InputError} for one that does not decode. */
export function readPicture(picture: Picture, input: ImageInput): Promise<Image> {
  const options = decodingFor(input);
  return typeof picture === 'string' ? decodeImage(readFile(picture), picture, options) : imageTo(picture, options);
}

/** For work on pictures of one size: those that would keep theirs are cut to the codec's. */
export const sized = (input: ImageInput): ImageInput =>
  input.resize === 'none' ? { ...input, resize: 'cover' } : input;
