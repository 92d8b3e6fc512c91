// Images as a medium of codecs.
import { ShapeError } from '../../errors.js';
import type { Image, ImageInput } from '../../interfaces/media.js';
import type { MediumCore } from '../medium.js';
import { checkImage, checkImageInfo } from './check.js';
import { imageTo, WHITE } from './fit.js';
import type { DecodeOptions } from './fit.js';
import { floatsToPixels, pixelsToFloat32, withChannels } from './pixels.js';

/** Decoding options that bring a file to what a codec sees. */
export function decodingFor({ width, height, channels, background, resize }: ImageInput): DecodeOptions {
  return { channels, background, ...(resize === 'none' ? {} : { size: { width, height }, resize }) };
}

/** Images [rows, columns, channels] of uint8, sRGB. */
export const imageCore: MediumCore<Image, ImageInput> = {
  name: 'image',
  noun: { one: 'image', many: 'images' },
  axes: ['rows', 'columns'],
  tensor: { name: 'images', meaning: 'NHWC, sRGB pixels as value / 127.5 - 1, in [-1, 1]; clip what a decoder gives' },
  check: checkImage,
  info: ({ width, height, channels }) => ({ kind: 'image', width, height, channels }),
  infoOf: ([height = 0, width = 0], { channels }) => ({ kind: 'image', width, height, channels }),
  extentOf: (where, info) => {
    const { height, width } = checkImageInfo(where, info);
    return [height, width];
  },
  itemShape: ({ height, width, channels }) => [height, width, channels],
  keepsExtent: ({ resize }) => resize === 'none',
  withExtent: (input, [height = 0, width = 0]) => ({
    ...input,
    height,
    width,
    resize: input.resize === 'none' ? 'cover' : input.resize,
  }),
  inputLike: ({ width, height, channels }) => ({ height, width, channels, background: [...WHITE], resize: 'contain' }),
  fit: (image, input) =>
    input.resize === 'none' ? Promise.resolve(withChannels(image, input.channels)) : imageTo(image, decodingFor(input)),
  samplesOf: ({ pixels, height, width, channels }) => ({ data: pixels, shape: [height, width, channels] }),
  create: ({ data, shape: [height = 0, width = 0, channels = 0] }) => {
    if (!(data instanceof Uint8Array) || (channels !== 1 && channels !== 3))
      throw new ShapeError(
        'E_IMAGE_SHAPE',
        `image: expected bytes with 1 or 3 channels, received ${channels} channels.`,
      );
    return { kind: 'image', width, height, channels, pixels: data };
  },
  toFloats: (data, out, offset) => pixelsToFloat32(data, out, offset),
  fromFloats: floatsToPixels,
};
