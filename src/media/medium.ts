// A medium is everything that differs between images, sound and other data with codecs. The core is for codecs and does not depend
// on Node.js; the rest is for datasets, measurements and reports.
import type { Media, MediaInfo } from '../interfaces/media.js';
import type { SampleArray, Samples } from './samples.js';

/**
 * A medium as a codec sees it. Its samples are arrays [...axes, channels]: [rows, columns, channels] of an image, [frames,
 * channels] of a sound.
 *
 * @typeParam M A decoded sample: plain data, which can be sent to a worker thread.
 * @typeParam I What a codec's config says of its samples: their size, channels and how others are fitted to it.
 */
export interface MediumCore<M extends Media = Media, I = unknown> {
  /** Name it is registered under; the `kind` of its samples. */
  readonly name: string;
  /** What one sample and several are called in messages. */
  readonly noun: { one: string; many: string };
  /** Names of the axes, without the channels: `['rows', 'columns']`. */
  readonly axes: readonly string[];
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
  /** The input that brings every sample to this extent. */
  withExtent(input: I, extent: readonly number[]): I;
  /** The input that brings other samples to the extent and the channels of this one. */
  inputLike(media: M): I;
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

/** A medium with its files, its measures and its look in reports. */
export interface Medium<M extends Media = Media, I = unknown> extends MediumCore<M, I> {
  readonly files: MediaFiles<M, I>;
  /** What is known of a sample, for people: `28x28, gray`. */
  describe(info: MediaInfo): string;
  /** The figures that {@link meter} gives, in the order in which they are shown. The first is the main one. */
  readonly figures: readonly Figure[];
  /** Measures reconstructions over a whole dataset. */
  meter(): QualityMeter;
  /** What rates refer to, such as bits per pixel. */
  readonly rate: RateUnit<I>;
  /** Draws samples for people, next to each other or in rows. */
  show(samples: readonly M[], options?: ShowOptions): Promise<Exhibit>;
  /** Draws the codes of a sample over it. Without it, codes of this medium cannot be drawn. */
  drawCodes?(sample: M, codes: DrawnCodes): { sample: M; overlay: M };
  /**
   * Address of a module that registers the medium when it is imported, or whose default export does so when it is called
   * with the package's exports: usually `import.meta.url`. Worker threads import it. Without it, samples of the medium are
   * encoded in the main thread.
   */
  readonly module?: string;
}

/** The files that samples of a medium are stored in. */
export interface MediaFiles<M extends Media = Media, I = unknown> {
  /** Extensions of files that are samples, in lower case and without the dot. */
  readonly extensions: ReadonlySet<string>;
  /** The formats in a sentence: `PNG, JPEG or WebP`. */
  readonly formats: string;
  /** The format of a file by its first bytes; undefined if it is of another medium. */
  sniff(bytes: Uint8Array): string | undefined;
  /** Bytes that the decoded sample takes at most, as far as the file's header tells. Nothing is checked. */
  decodedBytes(bytes: Uint8Array): number;
  /**
   * Decodes a file, to the shape of a batch if there is an input.
   *
   * @param source names the file in errors.
   * @throws {InputError} for a file that cannot be decoded.
   */
  decode(bytes: Uint8Array, source: string, input?: I): Promise<{ media: M; original: MediaInfo }>;
  /** Extension of the files that {@link encode} writes, without the dot. They keep all of a sample. */
  readonly extension: string;
  /** Extensions of other files that {@link encode} can write, for people. */
  readonly otherExtensions?: readonly string[];
  /**
   * Equal samples give equal bytes.
   *
   * @param extension one of those above. Default {@link extension}.
   */
  encode(media: M, extension?: string): Promise<Uint8Array>;
  /** Joins samples into one, to be written to a single file; a single sample stays as it is. Without it, each sample is a file of its own. */
  join?(samples: readonly M[], options: ShowOptions): M;
}

/** How samples are drawn. */
export interface ShowOptions {
  /** Samples in a row. Default: about as many as there are rows. */
  columns?: number;
  /** Space between samples and around them, in pixels. Default: the medium's choice. */
  gap?: number;
  /** Factor by which samples are enlarged. Default: a legible size. */
  scale?: number;
  /** One for each sample. */
  labels?: readonly string[];
  /** Samples that belong together, such as those of one prompt. Each group begins a new row, below its label. */
  groups?: readonly SampleGroup[];
}

/** Consecutive samples under one label. */
export interface SampleGroup {
  label: string;
  /** Number of samples. */
  count: number;
}

/** A drawing for a report and for a file of its own. An SVG needs a `viewBox`, so that it can be shown in any width. */
export type Exhibit = { png: Uint8Array } | { svg: string };

/** One level of the codes of a sample. */
export interface DrawnCodes {
  /** Row-major [...grid]. */
  ids: readonly number[];
  grid: readonly number[];
  /** Positions of the sample that one code stands for, by axis. */
  cell: readonly number[];
  /** sRGB. */
  colorOf(id: number): [number, number, number];
}

/** A measure of reconstructions. */
export interface Figure {
  /** Name in the results of the meter. */
  name: string;
  /** For people, with the unit if there is one: `PSNR, dB`. */
  label: string;
  better: 'higher' | 'lower';
  /** A sentence that says what the figure measures. */
  meaning: string;
}

/** Sums up the quality of reconstructions, one batch at a time. */
export interface QualityMeter {
  /**
   * @param originals       float32 [...shape], about [-1, 1].
   * @param reconstructions float32 [...shape], not clipped.
   * @param shape           [B, ...axes, channels].
   */
  add(originals: Float32Array, reconstructions: Float32Array, shape: readonly number[]): void;
  /** Means over all samples, by the names of {@link Medium.figures}. */
  result(): Readonly<Record<string, number>>;
}

/** The unit of rates. */
export interface RateUnit<I = unknown> {
  /** Name in results, such as `bitsPerPixel`. */
  readonly name: string;
  /** For people: `bits per pixel`. */
  readonly label: string;
  /** Units in a sample of this input, such as pixels. */
  count(input: I): number;
}

/** Any medium, where its types do not matter. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyCore = MediumCore<any, any>;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyMedium = Medium<any, any>;
