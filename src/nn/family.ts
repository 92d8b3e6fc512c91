// What a family of models offers to the loops above it. A codec or prior is a value of one of these types in one file;
// the registry finds it by name.
import type { NamedTensors } from '../checkpoint/tensors.js';
import type { RandomKey, tf } from '../engine/index.js';
import type { Conditioning, ImageInput, Prompt, TokenMapSpec } from '../interfaces/index.js';
import type { Params, ParamSpecs } from './params.js';
import type { TrainingMoment } from './quantizer.js';

/** A function to be written as an ONNX file. */
export interface ExportedFunction {
  fn: (...args: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
  inputs: { name: string; shape: number[]; dtype: 'float32' | 'int32' }[];
  outputs: string[];
  /** Axis 0 of all inputs and outputs stays open. */
  dynamicBatch: boolean;
}

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

/** A batch for a prior. Rows are samples. */
export interface PriorBatch {
  /** int32 [B, N]: codes of all maps, flattened. */
  codes: tf.Tensor2D;
  /** int32 [B, P]: the condition as {@link PriorFamily.condition} encodes it. */
  condition: tf.Tensor2D;
}

/** Turns a caption into token ids; a text tokenizer seen from a prior. */
export interface TextEncoder {
  readonly vocabSize: number;
  encode(text: string): number[];
}

/** One position after another: what the sampling loop drives. Rows are independent sequences. */
export interface Decoder {
  /** Reads the conditions, int32 [rows, P]; returns logits of the first code, float32 [rows, K]. */
  start(conditions: Int32Array): Promise<Float32Array>;
  /** Appends one code to each row, int32 [rows]; returns logits of the next, float32 [rows, K]. */
  step(codes: Int32Array): Promise<Float32Array>;
}

/** A prior ready to use. Rows are samples; codes are int32 [rows, N], conditions int32 [rows, P]. */
export interface PriorModel {
  /** Nats per code of each row, and the fraction of its codes that were the model's first choice. */
  score(
    codes: Int32Array,
    conditions: Int32Array,
    rows: number,
  ): Promise<{ nats: Float32Array; accuracy: Float32Array }>;
  decoder(rows: number): Promise<Decoder>;
  dispose(): void;
}

export interface PriorFamily<C = unknown> {
  readonly name: string;
  parseConfig(json: unknown): C;
  conditioning(config: C): Conditioning;
  maps(config: C): TokenMapSpec[];
  classes(config: C): readonly string[] | undefined;
  trainable(config: C): ParamSpecs;
  /** Length P of an encoded condition. */
  conditionLength(config: C): number;
  /** Most text tokens that a condition holds, for priors that read text. */
  textLength?(config: C): number | undefined;
  /** Encodes a prompt, or its absence, as int32 [P]. @throws {UsageError} for a class or text the prior cannot take. */
  condition(config: C, prompt: Prompt, text: TextEncoder | undefined): Int32Array;
  /** Scalars of one training batch; `loss` is minimised, `natsPerCode` reported. */
  loss(p: Params, batch: PriorBatch, key: RandomKey, config: C): { loss: tf.Scalar; natsPerCode: tf.Scalar };
  /** Cross-entropy of every code, float32 [B * N], and whether it was the model's first choice, float32 [B * N] of 0 and 1. */
  score(p: Params, batch: PriorBatch, config: C): { nats: tf.Tensor1D; hits: tf.Tensor1D };
  open(config: C, tensors: NamedTensors): PriorModel;
  exports(p: Params, config: C): Record<string, ExportedFunction>;
}
