// What a family of priors offers to the loops above it. A prior is a value of this type in one file; the registry finds it by
// name.
import type { NamedTensors } from '../checkpoint/tensors.js';
import type { RandomKey, tf } from '../engine/index.js';
import type { Conditioning, Prompt, TokenMapSpec } from '../interfaces/index.js';
import type { ExportedFunction } from './exported.js';
import type { Params, ParamSpecs } from './params.js';

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
