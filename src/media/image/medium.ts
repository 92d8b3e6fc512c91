// Images with their files, measures and drawings.
import type { Image, ImageInput } from '../../interfaces/media.js';
import { ReconstructionMeter } from '../../metrics/reconstruction.js';
import type { Medium, ShowOptions } from '../medium.js';
import { drawCodes } from './code-map.js';
import { decodingFor, imageCore } from './core.js';
import { announcedExtent } from './extent.js';
import { MAX_PIXELS } from './fit.js';
import { columnsFor, imageGrid } from './grid.js';
import { decodeWithOriginal, encodeImage, encodePng } from './image.js';
import { IMAGE_EXTENSIONS, IMAGE_FORMATS, imageFormat } from './sniff.js';

/** Decoded bytes for each byte of a file whose header does not tell: images are seldom packed tighter. */
const UNKNOWN_RATIO = 32;

/** Width, in pixels, that small images are enlarged to for people. */
const LEGIBLE = 96;

/** Bytes that the decoded image takes, with three channels; 0 for an image that will be refused. */
function decodedBytes(bytes: Uint8Array): number {
  const extent = announcedExtent(bytes);
  if (!extent) return Math.min(bytes.length * UNKNOWN_RATIO, 3 * MAX_PIXELS);
  const pixels = extent.width * extent.height;
  return pixels > MAX_PIXELS ? 0 : 3 * pixels;
}

/** Side, in pixels, that a small image is enlarged to in a file: on its own, among a few others, among many. */
const FILE_SIDES = { alone: 512, few: 256, many: 96 };

/** Width, in pixels, of a sheet of many images. */
const SHEET = 1024;

/** Joins images in rows, enlarged by a whole factor. A single image without labels is no more than enlarged. */
function join(images: readonly Image[], options: ShowOptions): Image {
  const [first] = images;
  const isAlone = images.length === 1 && !options.labels && !options.groups;
  const columns = options.columns ?? columnsFor(options.groups ?? [{ count: images.length }]);
  const target = isAlone
    ? FILE_SIDES.alone
    : Math.min(FILE_SIDES.few, Math.max(FILE_SIDES.many, Math.floor(SHEET / columns)));
  const side = Math.max(1, ...images.flatMap(({ width, height }) => [width, height]));
  const scale = options.scale ?? Math.max(1, Math.floor(target / side));
  if (first && isAlone && scale === 1) return first;
  return imageGrid(images, { ...options, scale, ...(isAlone ? { gap: 0 } : {}) });
}

export const imageMedium: Medium<Image, ImageInput> = {
  ...imageCore,
  files: {
    extensions: IMAGE_EXTENSIONS,
    formats: IMAGE_FORMATS,
    sniff: imageFormat,
    decodedBytes,
    decode: async (bytes, source, input) => {
      const { image, original } = await decodeWithOriginal(bytes, source, input && decodingFor(input));
      return { media: image, original };
    },
    extension: 'png',
    otherExtensions: ['jpg', 'jpeg', 'webp'],
    encode: (image, extension) =>
      encodeImage(image, extension === 'webp' ? 'webp' : extension?.startsWith('j') ? 'jpeg' : 'png'),
    join,
  },
  describe: ({ width, height, channels }) => `${width}x${height}, ${channels === 1 ? 'gray' : 'color'}`,
  figures: [
    {
      name: 'psnr',
      label: 'PSNR, dB',
      better: 'higher',
      meaning: 'PSNR is the mean over images of the peak signal-to-noise ratio.',
    },
    {
      name: 'ssim',
      label: 'SSIM',
      better: 'higher',
      meaning: 'SSIM is the mean over images of the structural similarity.',
    },
    {
      name: 'sharpness',
      label: 'sharpness',
      better: 'higher',
      meaning: 'Sharpness is the mean difference of neighboring values, relative to the originals.',
    },
  ],
  meter: () => {
    const meter = new ReconstructionMeter();
    return {
      add: (originals, reconstructions, shape) =>
        meter.add(originals, reconstructions, shape as [number, number, number, number]),
      result: () => {
        const { psnr, ssim, sharpness } = meter.result();
        return { psnr, ssim, sharpness };
      },
    };
  },
  rate: { name: 'bitsPerPixel', label: 'bits per pixel', count: ({ width, height }) => width * height },
  show: async (images, options = {}) => {
    const scale = Math.max(1, Math.round(LEGIBLE / (images[0]?.width ?? LEGIBLE)));
    return { png: await encodePng(imageGrid(images, { scale, ...options })) };
  },
  drawCodes,
  module: import.meta.url,
};
