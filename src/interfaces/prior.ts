import type { Tokens, TokenMapSpec, TokenSample } from './tokens.js';

export type Conditioning = 'none' | 'label' | 'text';

/** How a prior samples: plain values. By default it draws from the model's distribution, or as its card recommends. */
export interface SamplingOptions {
  /** Number of samples for each prompt. Default 1. */
  n?: number;
  /** Sampling temperature: 1 leaves the distribution unchanged, 0 takes the most likely code. Default 1. */
  temperature?: number;
  /** Samples from the k most likely codes; 0 uses all. Default 0. */
  topK?: number;
  /** Samples from the smallest set of codes with at least this total probability, in (0, 1]. Default 1. */
  topP?: number;
  /** Classifier-free guidance scale; 1 is off. logits = uncond + cfg * (cond - uncond). Default 1. */
  cfg?: number;
  /** The same seed gives the same ids. Default 0. */
  seed?: number;
  /** What to do with prompts longer than the prior's text: refuse them (default), or read their beginning. */
  tooLong?: 'cut' | 'refuse';
  /** The first codes of the prior's first map, row-major, which all samples continue. */
  prime?: ArrayLike<number>;
  /** Number of sequences computed together. Memory grows with it. Default 16. */
  batchSize?: number;
}

/** How a prior samples best. */
export type SamplingDefaults = Pick<SamplingOptions, 'temperature' | 'topK' | 'topP' | 'cfg'>;

/** What accompanies a call: its signal, and functions that it reports to. */
export interface CallOptions {
  /** Called with the fraction done, in [0, 1], after each position or round. */
  onProgress?: (fraction: number) => void;
  signal?: AbortSignal;
  /** Called with a sentence about the prompt, such as words that no training caption had. */
  onNote?: (note: string) => void;
}

/** The options of one call of a prior. */
export interface PriorOptions extends SamplingOptions, CallOptions {}

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
  /** How it samples best, which holds for options that a call leaves out. */
  readonly sampling?: SamplingDefaults | undefined;
  /** Class names, for label conditioning. */
  readonly classes?: readonly string[] | undefined;
  /** Mean negative log likelihood in nats per code of each sample, given its condition. */
  score(samples: readonly TokenSample[]): Promise<Float64Array>;
  /** Draws the tokens of `n` samples for each prompt, in the order of the prompts. */
  generate(prompts: readonly Prompt[], options?: PriorOptions): Promise<Tokens[]>;
  dispose(): void;
}
