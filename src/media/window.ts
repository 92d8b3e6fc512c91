import type { Image } from '../interfaces/media.js';

export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of a picture in a window. Beyond the picture's borders its outermost pixels are repeated. */
export function windowOf(image: Image, { left, top, width, height }: Window): Image {
  if (left === 0 && top === 0 && width === image.width && height === image.height) return image;
  const { channels, pixels } = image;
  const out = new Uint8Array(width * height * channels);
  const [before, inside] = [
    clamp(-left, 0, width),
    clamp(image.width - Math.max(left, 0), 0, width - clamp(-left, 0, width)),
  ];
  for (let y = 0; y < height; y++) {
    const row = clamp(top + y, 0, image.height - 1) * image.width;
    const to = y * width;
    const from = (row + Math.max(left, 0)) * channels;
    out.set(pixels.subarray(from, from + inside * channels), (to + before) * channels);
    repeat(out, to, before, pixels, row, channels);
    repeat(out, to + before + inside, width - before - inside, pixels, row + image.width - 1, channels);
  }
  return { ...image, width, height, pixels: out };
}

/** Writes pixel `from` of `pixels` to `count` pixels of `out` from `to` on. */
function repeat(out: Uint8Array, to: number, count: number, pixels: Uint8Array, from: number, channels: number): void {
  for (let i = to * channels, end = (to + count) * channels; i < end; i += channels) {
    for (let c = 0; c < channels; c++) out[i + c] = pixels[from * channels + c]!;
  }
}

function clamp(at: number, least: number, most: number): number {
  return Math.min(Math.max(at, least), most);
}
