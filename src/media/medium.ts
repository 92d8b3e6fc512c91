// What a medium is to codecs: how its samples become tensors and come back. Nothing here depends on Node.js; reading and
// writing files, measuring and reporting are further parts of a medium.
import type { Media, MediaInfo } from '../interfaces/media.js';
import type { SampleArray, Samples } from './samples.js';

/**
 * A medium as a codec sees it. Its samples are arrays [...axes, channels]: [rows, columns, channels] of a picture,
 * [frames, channels] of a sound.
 *
 * @typeParam M A decoded sample.
 * @typeParam I What a codec's config says of its samples: their size, channels and how others are fitted to it.
 */
export interface MediumCore<M extends Media = Media, I = unknown> {
  /** Name it is registered under; the `kind` of its samples. */
  readonly name: string;
  /** What one sample and several are called in messages. */
  readonly noun: { one: string; many: string };
  /** Name of a batch as an input of exported networks, and what its values mean. */
  readonly tensor: { name: string; meaning: string };
  /** @throws {ShapeError} naming `where` unless it is a sample whose values fit its size. */
  check(where: string, media: M): void;
  /** What is known of a sample without its values. */
  info(media: M): MediaInfo;
  /** What is known of a sample of this extent that a codec makes. */
  infoOf(extent: readonly number[], input: I): MediaInfo;
  /** Positions along each axis, without the channels. @throws {ShapeError} E_TOKENS_SHAPE unless it is of this medium. */
  extentOf(where: string, info: MediaInfo): number[];
  /** Shape [...axes, channels] of one sample in a batch. */
  itemShape(input: I): number[];
  /** True if samples keep their own extent, and {@link itemShape} is that of the pieces used in training. */
  keepsExtent(input: I): boolean;
  /** Brings a sample to the shape of a batch, or only to its channels if samples keep their extent. */
  fit(media: M, input: I): Promise<M>;
  /** The values of a sample; not a copy. */
  samplesOf(media: M): Samples;
  /** A sample with these values. @param info that of the original, for fields besides the size. */
  create(samples: Samples, input: I, info?: MediaInfo): M;
  /** Values of samples -> float32, about [-1, 1], written to `out` from `offset` on. */
  toFloats(data: SampleArray, out: Float32Array, offset: number): void;
  /** The reverse of {@link toFloats}: clamped and rounded to what samples can hold. */
  fromFloats(values: Float32Array): SampleArray;
}

/** Any medium, where its types do not matter. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyMedium = MediumCore<any, any>;
