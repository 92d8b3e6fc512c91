// What a family of codecs offers to the loops above it. A codec is a value of this type in one file; the registry finds it by
// name.
import type { RandomKey, tf } from '../engine/index.js';
import type { ImageInput, TokenMapSpec } from '../interfaces/index.js';
import type { ExportedFunction } from './exported.js';
import type { Params, ParamSpecs } from './params.js';
import type { TrainingMoment } from './quantizer.js';

/** A batch for training a codec. */
export interface CodecBatch extends TrainingMoment {
  /** float32 [B, H, W, C] in [-1, 1]. */
  images: tf.Tensor4D;
  /** Variance of the pixels of the training set: makes losses comparable between datasets. */
  dataVariance: number;
}

/** Scalars of a batch, and what they were computed from. */
export interface CodecLosses {
  /** What is minimised. */
  loss: tf.Scalar;
  /** Mean squared error over the variance of the data. */
  nmse: tf.Scalar;
  /** float32 [B, H, W, C]: for losses added from outside. */
  reconstruction: tf.Tensor4D;
  /** Parts of the loss to be logged, by name. */
  terms?: Record<string, tf.Scalar>;
}

/** The continuous space between a codec's encoder and decoder. */
export interface LatentSpace<C> {
  /** Of one picture's latents, [h, w, D] or [D]; several where there are several maps. */
  shapes(config: C): number[][];
  /** float32 [B, H, W, C] -> [B, ..shape] of each shape; means, where latents are random. */
  encode(p: Params, images: tf.Tensor4D, config: C): tf.Tensor[];
  /** float32 [B, ..shape] of each shape -> [B, H, W, C]; quantized on the way, where there are codes. */
  decode(p: Params, latents: readonly tf.Tensor[], config: C): tf.Tensor4D;
}

/** How a codec handles samples of any extent. Its networks follow the shape of what they get. */
export interface AnyExtent<C> {
  /** Positions of one cell along each axis: extents are padded to whole cells. */
  multiple(config: C): number[];
  /**
   * How many positions beyond the border of its own cell a code or a decoded position depends on, along each axis; the
   * larger of encoder and decoder. Undefined when everything depends on everything, as with attention or group norm:
   * such codecs take large samples in one pass, never in tiles.
   */
  reach(config: C): number[] | undefined;
}

/** A family of codecs: mathematics alone. Batches, tiles, files and reports are the work of others. */
export interface CodecFamily<C = unknown> {
  readonly name: string;
  /** Name of the medium whose samples it codes. */
  readonly medium: string;
  /** @throws {UsageError} E_CONFIG naming the field. */
  parseConfig(json: unknown): C;
  input(config: C): ImageInput;
  /** The maps of a sample of this extent, by axis; by default of the config's own. Empty for a codec without codes. */
  maps(config: C, extent?: readonly number[]): TokenMapSpec[];
  /** Weights trained by gradient. */
  trainable(config: C): ParamSpecs;
  /** Everything else that is saved: codebooks and running statistics, which the loss itself assigns. */
  state(config: C): ParamSpecs;
  /** Assigns the state from a first batch of data. */
  initialize(p: Params, images: tf.Tensor4D, key: RandomKey, config: C): void;
  /** The objective on one training batch. Assigns the state. */
  loss(p: Params, batch: CodecBatch, config: C): CodecLosses;
  /** float32 [B, ...axes, channels] in [-1, 1] -> ids of each map, int32 [B, ...idsShape]. */
  encode(p: Params, inputs: tf.Tensor, config: C): tf.Tensor[];
  /** Ids of each map, int32 [B, ...idsShape] -> float32 [B, ...axes, channels], not clipped. */
  decode(p: Params, ids: readonly tf.Tensor[], config: C): tf.Tensor;
  /** Functions to be written as ONNX files, where they are others than those of {@link encode} and {@link decode}. */
  exports?(p: Params, config: C): Record<string, ExportedFunction>;
  latents?: LatentSpace<C>;
  /** For families whose samples may keep their extent. */
  anyExtent?: AnyExtent<C>;
  /** The trainable kernel that makes the pictures: where losses added from outside are weighed against the codec's own. */
  lastLayer?(config: C): string;
  /** Further measures of held-out pictures, each float32 [B], averaged by name, e.g. bits per dimension. `klBits`, the bits of a picture's latents, counts as a rate. */
  measures?(p: Params, images: tf.Tensor4D, key: RandomKey, config: C): Record<string, tf.Tensor1D>;
  /** The held-out figure that tells better weights from worse ones, lower is better: one of {@link measures}, with its unit. Default the NMSE. */
  figure?: { name: string; unit: string };
}
