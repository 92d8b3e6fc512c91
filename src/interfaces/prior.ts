import type { Tokens, TokenMapSpec, TokenSample } from './tokens.js';

export type Conditioning = 'none' | 'label' | 'text';

/** How a prior samples. All fields optional: the defaults are a plain draw from the model. */
export interface SamplingOptions {
  /** Number of samples for each prompt. Default 1. */
  n?: number;
  /** > 0; 1 leaves the distribution as it is; 0 takes the most likely code. Default 1. */
  temperature?: number;
  /** Keep the k most likely codes; 0 keeps all. Default 0. */
  topK?: number;
  /** Keep the smallest set of codes with at least this probability, in (0, 1]. Default 1. */
  topP?: number;
  /** Classifier-free guidance scale; 1 is off. logits = uncond + cfg * (cond - uncond). Default 1. */
  cfg?: number;
  /** Default 0. Same seed, same ids. */
  seed?: number;
  /** A prompt longer than the prior's text: refuse it (default), or read its beginning. */
  tooLong?: 'cut' | 'refuse';
  /** Codes to begin with (row-major prefix) for completion. */
  prime?: ArrayLike<number>;
  /** Sequences computed together; memory grows with it. Default 16. */
  batchSize?: number;
  /** Called after each position with the fraction done in [0, 1]. */
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
  /** Called with a sentence about something worth knowing, such as words of a prompt that no training caption had. */
  onNote?: (note: string) => void;
}

/** What a sample is conditioned on: a text, a class index or name, or nothing. */
export type Prompt = string | number | null;

/** An autoregressive model over tokens. */
export interface Prior {
  /** Registry name of the family, e.g. `gpt`. */
  readonly name: string;
  /** sha256 over config and weights, hex. */
  readonly fingerprint: string;
  /** Fingerprint of the codec whose tokens it was trained on. */
  readonly codec: string;
  readonly conditioning: Conditioning;
  readonly maps: readonly TokenMapSpec[];
  /** Class names, for label conditioning. */
  readonly classes?: readonly string[] | undefined;
  /** Mean negative log likelihood in nats per code of each sample, given its condition. */
  score(samples: readonly TokenSample[]): Promise<Float64Array>;
  /** Draws `n` token grids for each prompt, prompts outermost. */
  generate(prompts: readonly Prompt[], options?: SamplingOptions): Promise<Tokens[]>;
  dispose(): void;
}
