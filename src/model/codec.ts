// The contract of codec families. A codec is a value of this type in one file. The registry finds it by name.
import type { RandomKey, tf } from '../engine/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';
import type { ExportedFunction, ExportedTensor } from './exported.js';
import type { Params, ParamSpecs } from './params.js';
import type { TrainingMoment } from './quantizer.js';

/** A batch for training a codec. */
export interface CodecBatch<T extends tf.Tensor = tf.Tensor> extends TrainingMoment {
  /** float32 [B, ...axes, channels], about [-1, 1]. */
  inputs: T;
  /** Variance of the values of the training set. It makes losses comparable between datasets. */
  dataVariance: number;
}

/** The losses of a batch, and the reconstruction that they were computed from. */
export interface CodecLosses<T extends tf.Tensor = tf.Tensor> {
  /** What training minimizes. */
  loss: tf.Scalar;
  /** Mean squared error divided by the variance of the data. */
  nmse: tf.Scalar;
  /** float32 [B, ...axes, channels], for losses that are added from outside. */
  reconstruction: T;
  /** Parts of the loss to be logged, by name. */
  terms?: Record<string, tf.Scalar>;
}

/** The continuous space between a codec's encoder and decoder. */
export interface LatentSpace<C, T extends tf.Tensor = tf.Tensor> {
  /** Shapes of the latents of one sample, [...grid, D] or [D]; several if there are several maps. */
  shapes(config: C): number[][];
  /** float32 [B, ...axes, channels] -> float32 [B, ...shape] for each shape; means, if the latents are random. */
  encode(p: Params, inputs: T, config: C): tf.Tensor[];
  /** float32 [B, ...shape] for each shape -> float32 [B, ...axes, channels]. Quantizes first, if the codec has codes. */
  decode(p: Params, latents: readonly tf.Tensor[], config: C): T;
}

/** How a codec handles samples of any extent. Its networks must take inputs of any extent. */
export interface AnyExtent<C> {
  /** Number of positions of one cell along each axis. Extents are padded to whole cells. */
  multiple(config: C): number[];
  /**
   * How many positions beyond the border of its own cell a code or a decoded position depends on, along each axis; the
   * larger of encoder and decoder. Undefined when everything depends on everything, as with attention or group norm:
   * such codecs take large samples in one pass, never in tiles.
   */
  reach(config: C): number[] | undefined;
}

/**
 * A family of codecs. It contains only mathematics: batches, tiles, files and reports are handled elsewhere.
 *
 * @typeParam C The config.
 * @typeParam T Tensors of samples, such as `tf.Tensor4D` [B, rows, columns, channels] for images.
 */
export interface CodecFamily<C = unknown, T extends tf.Tensor = tf.Tensor> {
  readonly name: string;
  /** Name of the medium whose samples it codes. */
  readonly medium: string;
  /** @throws {UsageError} E_CONFIG naming the field. */
  parseConfig(json: unknown): C;
  /** What the codec sees, in the medium's terms. */
  input(config: C): unknown;
  /** The maps of a sample of this extent. Default: the extent of the config. Empty for a codec without codes. */
  maps(config: C, extent?: readonly number[]): TokenMapSpec[];
  /** Weights trained by gradient. */
  trainable(config: C): ParamSpecs;
  /** Everything else that is saved: codebooks and running statistics, which the loss itself assigns. */
  state(config: C): ParamSpecs;
  /** Assigns the state from a first batch of data. */
  initialize(p: Params, inputs: T, key: RandomKey, config: C): void;
  /** The objective on one training batch. Assigns the state. */
  loss(p: Params, batch: CodecBatch<T>, config: C): CodecLosses<T>;
  /** float32 [B, ...axes, channels], about [-1, 1] -> ids of each map, int32 [B, ...idsShape]. */
  encode(p: Params, inputs: T, config: C): tf.Tensor[];
  /** Ids of each map, int32 [B, ...idsShape] -> float32 [B, ...axes, channels], not clipped. */
  decode(p: Params, ids: readonly tf.Tensor[], config: C): T;
  /**
   * Functions to be written as ONNX files, if they are not simply {@link encode} and {@link decode}.
   *
   * @param samples name and meaning of tensors of samples, as their medium has them.
   */
  exports?(p: Params, config: C, samples: ExportedTensor): Record<string, ExportedFunction>;
  latents?: LatentSpace<C, T>;
  /** For families whose samples may keep their extent. */
  anyExtent?: AnyExtent<C>;
  /** Name of the trainable kernel that makes the output. Losses added from outside are weighed against the codec's own there. */
  lastLayer?(config: C): string;
  /**
   * Further measures of held-out samples, each float32 [B], averaged by name, such as bits per dimension. `klBits`, the bits
   * of a sample's latents, counts as a rate.
   */
  measures?(p: Params, inputs: T, key: RandomKey, config: C): Record<string, tf.Tensor1D>;
  /** The held-out figure that decides which weights are better; lower is better. It is one of {@link measures}, with its unit. Default: the NMSE. */
  figure?: { name: string; unit: string };
}
