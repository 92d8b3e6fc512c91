// The codes of an image, drawn over it.
import type { Image } from '../../interfaces/media.js';
import type { DrawnCodes } from '../medium.js';
import { imageGrid } from './grid.js';
import { withChannels } from './pixels.js';

/** Smallest side of a code in the drawing, in pixels. */
const CELL = 8;

/**
 * Colors the cells of codes over a gray image, with a dark line between them.
 *
 * @returns the image as well, enlarged alike, so that each code can be seen.
 */
export function drawCodes(image: Image, { ids, grid, cell, colorOf }: DrawnCodes): { sample: Image; overlay: Image } {
  const [, columns = 1] = grid;
  const [cellHeight = 1, cellWidth = 1] = cell;
  const scale = Math.max(1, Math.ceil(CELL / Math.min(cellHeight, cellWidth)));
  const sample = imageGrid([image], { gap: 0, scale });
  const { width, height } = sample;
  const [rows, steps] = [cellHeight * scale, cellWidth * scale];
  const gray = withChannels(sample, 1).pixels;
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / rows) * columns;
    for (let x = 0; x < width; x++) {
      const isLine = y % rows < 1 || x % steps < 1;
      const color = colorOf(ids[row + Math.floor(x / steps)]!);
      for (let c = 0; c < 3; c++)
        pixels[(y * width + x) * 3 + c] = (isLine ? 0.6 : 1) * (0.55 * color[c]! + 0.45 * gray[y * width + x]!);
    }
  }
  return { sample, overlay: { kind: 'image', width, height, channels: 3, pixels } };
}
