// A medium that the package does not know: multivariate time series, float32 [T, C] with a sampling interval in seconds.
import { ShapeError } from '../../src/errors.js';
import type { MediaInfo } from '../../src/interfaces/index.js';
import type { MediumCore } from '../../src/media/medium.js';

export interface Series {
  kind: 'series';
  /** Seconds between two samples. */
  interval: number;
  channels: number;
  /** [T, C], about [-1, 1]. */
  values: Float32Array;
}

export interface SeriesInput {
  length: number;
  channels: number;
  /** Cut or padded to the length, or kept as long as they are. */
  fit: 'length' | 'none';
}

const lengthOf = ({ values, channels }: Series): number => values.length / channels;

export const series: MediumCore<Series, SeriesInput> = {
  name: 'series',
  noun: { one: 'series', many: 'series' },
  tensor: { name: 'series', meaning: '[batch, time, channel], about [-1, 1]' },
  check: (where, media) => {
    if (
      media?.kind !== 'series' ||
      !(media.values instanceof Float32Array) ||
      media.values.length % media.channels !== 0
    )
      throw new ShapeError('E_SERIES_SHAPE', `${where}: expected a series whose values fit its channels.`);
  },
  info: (media) => ({ kind: 'series', length: lengthOf(media), channels: media.channels, interval: media.interval }),
  infoOf: ([length = 0], { channels }) => ({ kind: 'series', length, channels, interval: 1 }),
  extentOf: (where, { kind, length }) => {
    if (kind !== 'series' || typeof length !== 'number' || !Number.isInteger(length) || length < 1)
      throw new ShapeError('E_TOKENS_SHAPE', `${where}: expected a series of at least one sample.`);
    return [length];
  },
  itemShape: ({ length, channels }) => [length, channels],
  keepsExtent: ({ fit }) => fit === 'none',
  fit: async (media, { fit, length, channels }) => {
    if (media.channels !== channels)
      throw new ShapeError('E_SERIES_SHAPE', `series: expected ${channels} channels, received ${media.channels}.`);
    if (fit === 'none') return media;
    const values = new Float32Array(length * channels);
    values.set(media.values.subarray(0, values.length));
    return { ...media, values };
  },
  samplesOf: (media) => ({ data: media.values, shape: [lengthOf(media), media.channels] }),
  create: ({ data, shape }, _, info?: MediaInfo) => ({
    kind: 'series',
    interval: Number(info?.interval ?? 1),
    channels: shape.at(-1)!,
    values: Float32Array.from(data),
  }),
  toFloats: (data, out, offset) => out.set(data, offset),
  fromFloats: (values) => values,
};
