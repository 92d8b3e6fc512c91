// Samples of a medium as float32 batches, and back.
import type { Media } from '../interfaces/media.js';
import { sizeOf } from '../shape.js';
import type { AnyCore } from './medium.js';

/** Values of samples of one shape, float32 [B, ...axes, channels]. */
export function floatsOf(medium: AnyCore, samples: readonly Media[]): Float32Array<ArrayBuffer> {
  const arrays = samples.map((sample) => medium.samplesOf(sample).data);
  const values = new Float32Array(arrays.reduce((length, data) => length + data.length, 0));
  let written = 0;
  for (const data of arrays) {
    medium.toFloats(data, values, written);
    written += data.length;
  }
  return values;
}

/**
 * Samples with these values.
 *
 * @param values float32 [B, ...axes, channels], not clipped.
 * @param shape  [B, ...axes, channels].
 * @param input  what the codec that made them sees.
 */
export function samplesFrom<M extends Media = Media>(
  medium: AnyCore,
  input: unknown,
  values: Float32Array,
  [count = 0, ...shape]: readonly number[],
): M[] {
  const size = sizeOf(shape);
  return Array.from({ length: count }, (_, i): M =>
    medium.create({ data: medium.fromFloats(values.slice(i * size, (i + 1) * size)), shape }, input),
  );
}
