// The contract of prior families. A prior is one stage or several, each of which predicts one map of codes. It is a value of this
// type in one file. The registry finds it by name.
import type { RandomKey, tf } from '../engine/index.js';
import type { Conditioning, Prompt, TokenMapSpec } from '../interfaces/index.js';
import type { ExportedFunction } from './exported.js';
import type { Order } from './order.js';
import type { Params, ParamSpecs } from './params.js';

/** Turns a caption into token ids: a text tokenizer as a prior sees it. */
export interface TextEncoder {
  readonly vocabSize: number;
  encode(text: string): number[];
}

/** What the samples of a prior are conditioned on: nothing, a class, or a text. All stages read the same ids. */
export interface Condition {
  readonly conditioning: Conditioning;
  readonly classes?: readonly string[] | undefined;
  /** Maximum number of text tokens, for text conditioning. */
  readonly textLength?: number | undefined;
  /** Number of ids, P. */
  readonly length: number;
  /** Ids are in [0, vocabSize). */
  readonly vocabSize: number;
  /**
   * Encodes a prompt, or its absence, as int32 [P].
   *
   * @throws {UsageError} for a class or text that the prior cannot take.
   */
  encode(prompt: Prompt, text: TextEncoder | undefined): Int32Array;
}

/** A batch for one stage. Rows are samples. */
export interface StageBatch {
  /** int32 [B, N]: the codes of its map, in the order of the stage, without a start code: a stage adds its own. */
  codes: tf.Tensor2D;
  /** int32 [B, N'] for each map in {@link Stage.given}: its codes, row-major. */
  given: readonly tf.Tensor2D[];
  /** int32 [B, P]. */
  condition: tf.Tensor2D;
}

/** The parts of a sampler's input that do not change from round to round. */
export interface StageContext {
  /** int32 [rows, P]. */
  conditions: Int32Array;
  /** int32 [rows, N'] for each map in {@link Stage.given}, row-major. */
  given: readonly Int32Array[];
}

/** Appends one code after another. Rows are independent sequences. */
export interface Decoder {
  /** Reads the context; returns logits of the first code, float32 [rows, K]. */
  start(context: StageContext): Promise<Float32Array>;
  /** Appends one code to each row, int32 [rows]; returns logits of the next, float32 [rows, K]. */
  step(codes: Int32Array): Promise<Float32Array>;
}

/** Predicts all codes at once from those that are known. Rows are independent. */
export interface Predictor {
  /**
   * @param codes int32 [rows, N], in the order of the stage; K stands for an unknown code.
   * @returns logits float32 [rows, N, K].
   */
  predict(codes: Int32Array, context: StageContext): Promise<Float32Array>;
}

/** What all stages have in common. */
interface StageBase {
  /** Prefix of its weights and exported functions in a prior of several stages. */
  readonly name: string;
  /** Name of the map that it predicts. */
  readonly predicts: string;
  /** Names of the maps that it is given, which earlier stages predict. */
  readonly given: readonly string[];
  readonly order: Order;
  readonly params: ParamSpecs;
  /** Scalars of one training batch; `loss` is minimized, `natsPerCode` is reported. */
  loss(p: Params, batch: StageBatch, key: RandomKey): { loss: tf.Scalar; natsPerCode: tf.Scalar };
  /**
   * Cross-entropy of every code, float32 [B * N], and whether it was the model's first choice, float32 [B * N] of 0 and 1: row after
   * row, each in the order of the stage. `codeScores` computes both from logits.
   */
  score(p: Params, batch: StageBatch): { nats: tf.Tensor1D; hits: tf.Tensor1D };
  exports(p: Params): Record<string, ExportedFunction>;
}

/**
 * A trained stage that is ready to sample. The weights are not its own, and do not change: compile with `freeze`. A sampler
 * disposes the tensors that it makes, and what compiled functions give it.
 */
export interface OpenStage<S> {
  sampler(rows: number): Promise<S>;
  dispose(): void;
}

/** A stage that appends code by code. */
export interface StepStage extends StageBase {
  readonly sampler: 'steps';
  open(p: Params): OpenStage<Decoder>;
}

/** A stage that fills in codes in parallel, over several rounds, the surest first. */
export interface RefineStage extends StageBase {
  readonly sampler: 'refine';
  /** Number of rounds. */
  readonly rounds: number;
  open(p: Params): OpenStage<Predictor>;
}

export type Stage = StepStage | RefineStage;

export interface PriorFamily<C = unknown> {
  readonly name: string;
  /** What it can be conditioned on. Default: nothing, classes and text. Training chooses among these by what the tokens contain. */
  readonly conditionings?: readonly Conditioning[];
  /**
   * Checks a config. Training gives it the preset's fields, those of {@link mapFields}, and those of the condition (`conditionFields`),
   * of which `conditioning` is always there.
   *
   * @throws {UsageError} E_CONFIG naming the field.
   */
  parseConfig(json: unknown): C;
  /**
   * The fields of a config that say which maps the prior models.
   *
   * @throws {UsageError} E_PRIOR_MAPS for maps that it cannot model.
   */
  mapFields(maps: readonly TokenMapSpec[]): Record<string, unknown>;
  /** All maps, each predicted by one stage. */
  maps(config: C): TokenMapSpec[];
  condition(config: C): Condition;
  /** In the order in which they are sampled. */
  stages(config: C): Stage[];
}
