// What a quantizer offers to codecs: from latents to ids and back, and a way to train. Each quantizer is one file in
// tokenizers/quantizers. Codecs name theirs in their config.
import type { RandomKey, tf } from '../engine/index.js';
import type { Params, ParamSpecs } from './params.js';

/** What a training step knows besides the data. */
export interface TrainingMoment {
  key: RandomKey;
  /** float32 []: the fraction of the training that is done, in [0, 1). Schedules follow it. */
  progress: tf.Scalar;
}

export interface QuantizedBatch {
  /** float32 [N, width], for the decoder. They pass its gradient on to the latents. */
  codes: tf.Tensor2D;
  /** int32 [N, levels]. */
  ids: tf.Tensor2D;
  /** A scalar, weighted, which is added to the codec's loss. */
  loss: tf.Scalar;
}

/** Latents are float32 [N, width], one row for each position. Parameters are named without any prefix. */
export interface QuantizerFamily<C = unknown> {
  readonly name: string;
  /** @throws {UsageError} E_CONFIG naming the field. */
  parseConfig(json: unknown): C;
  /** Channels that the encoder gives and the decoder takes. */
  width(config: C): number;
  /** Ids at each position, for residual and grouped quantizers. Default 1. */
  levels?(config: C): number;
  /** Ids are in [0, vocabSize). */
  vocabSize(config: C): number;
  /** Weights trained by gradient. */
  trainable(config: C): ParamSpecs;
  /** Everything else that is saved: running statistics and codebooks that the quantizer assigns itself. */
  state(config: C): ParamSpecs;
  /** Assigns parameters from the latents of a first batch. */
  initialize?(p: Params, latents: tf.Tensor2D, key: RandomKey, config: C): void;
  /** Quantizes a training batch and assigns the state. */
  train(p: Params, latents: tf.Tensor2D, moment: TrainingMoment, config: C): QuantizedBatch;
  /** float32 [N, width] -> int32 [N, levels]. */
  encode(p: Params, latents: tf.Tensor2D, config: C): tf.Tensor2D;
  /** int32 [N, levels] -> float32 [N, width]. */
  decode(p: Params, ids: tf.Tensor2D, config: C): tf.Tensor2D;
}
