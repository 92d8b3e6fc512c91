// Encodes samples of one shape through a codec's graph. It loads neither TF.js nor a codec, because worker threads must begin
// quickly.
import { codeCount, specOf, toIds } from '../interfaces/index.js';
import type { Media, MediaInfo, TokenMap, TokenMapSpec, Tokens } from '../interfaces/index.js';
import type { AnyCore } from '../media/medium.js';
import { sizeOf } from '../shape.js';

/** Maximum number of samples that are computed together: more do not fit the processor's caches. */
export const MAX_ROWS = 16;

/** How a codec turns samples into tokens, as plain data. */
export interface EncoderPlan {
  fingerprint: string;
  /** Name of the medium. */
  medium: string;
  /** What samples are brought to, in the medium's terms. */
  input: unknown;
  /** Shape [...axes, channels] of one sample. */
  itemShape: readonly number[];
  maps: readonly TokenMapSpec[];
}

/** A sample of the codec's shape, and what it was before. */
export interface Fitted {
  media: Media;
  original: MediaInfo;
}

/**
 * Encodes samples that have the codec's shape.
 *
 * @param run float32 [rows, ...itemShape] -> int32 [rows * codes] for each map; rows are a power of two.
 */
export async function encodeFitted(
  { fingerprint, itemShape, maps }: Pick<EncoderPlan, 'fingerprint' | 'itemShape' | 'maps'>,
  medium: AnyCore,
  fitted: readonly Fitted[],
  run: (values: Float32Array, rows: number) => Promise<Int32Array[]>,
): Promise<Tokens[]> {
  const size = sizeOf(itemShape);
  const tokens: Tokens[] = [];
  for (const [start, rows] of batches(fitted.length)) {
    const batch = fitted.slice(start, start + rows);
    const ids = await run(
      packed(
        medium,
        batch.map(({ media }) => media),
        size,
        rows,
      ),
      rows,
    );
    for (const [row, { original }] of batch.entries()) {
      tokens.push({ codec: fingerprint, media: original, maps: maps.map((map, i) => rowOf(map, ids[i]!, row)) });
    }
  }
  return tokens;
}

/** The values of samples of one size, as float32; rows beyond them stay zero. */
function packed(medium: AnyCore, items: readonly Media[], size: number, rows: number): Float32Array {
  const values = new Float32Array(rows * size);
  items.forEach((media, row) => medium.toFloats(medium.samplesOf(media).data, values, row * size));
  return values;
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
