// Pictures to tokens through a codec's graph, wherever that graph runs.
import { codeCount, specOf, toIds } from '../interfaces/index.js';
import type { Image, ImageInput, TokenMap, TokenMapSpec, Tokens } from '../interfaces/index.js';
import { imageTo } from './fit.js';
import { toFloat32 } from './pixels.js';
import type { DecodeOptions } from './fit.js';

/** What tells how a codec turns pictures into tokens; plain data. */
export interface PictureCodec {
  fingerprint: string;
  input: ImageInput;
  maps: readonly TokenMapSpec[];
}

/** Pictures computed together: more do not fit the processor's caches, and larger inputs are cut, so memory stays bounded. */
export const MAX_ROWS = 16;

/** How a picture file is decoded to what a codec sees. */
export function decodingFor({ width, height, channels, background, resize }: ImageInput): DecodeOptions {
  return { channels, background, ...(resize === 'none' ? {} : { size: { width, height }, resize }) };
}

/**
 * Encodes pictures, resized to the codec's own size.
 *
 * @param run float32 [rows, H, W, C] in [-1, 1] -> int32 [rows * size] for each map; rows are a power of two.
 */
export async function encodePictures(
  { fingerprint, input, maps }: PictureCodec,
  images: readonly Image[],
  run: (pixels: Float32Array, rows: number) => Promise<Int32Array[]>,
): Promise<Tokens[]> {
  const { height, width, channels } = input;
  const fitted = await Promise.all(images.map((image) => imageTo(image, decodingFor(input))));
  const tokens: Tokens[] = [];
  for (const [start, rows] of batches(images.length)) {
    const pixels = new Float32Array(rows * height * width * channels);
    toFloat32(fitted.slice(start, start + rows), pixels);
    const ids = await run(pixels, rows);
    for (const [row, { width, height, channels }] of images.slice(start, start + rows).entries()) {
      tokens.push({
        codec: fingerprint,
        media: { kind: 'image', width, height, channels },
        maps: maps.map((map, i) => rowOf(map, ids[i]!, row)),
      });
    }
  }
  return tokens;
}

function rowOf(map: TokenMapSpec, ids: Int32Array, row: number): TokenMap {
  const size = codeCount(map);
  return { ...specOf(map), ids: toIds(ids.subarray(row * size, (row + 1) * size), map.vocabSize) };
}

/** Batches [start, rows] that cover `count` samples. Sizes are powers of two, so that few graphs are compiled; the last is padded. */
export function* batches(count: number, most = MAX_ROWS): Generator<[start: number, rows: number]> {
  for (let start = 0; start < count;) {
    const rows = Math.min(most, 2 ** Math.ceil(Math.log2(count - start)));
    yield [start, rows];
    start += rows;
  }
}
