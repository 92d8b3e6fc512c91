// From a token sample to what a prior reads before the codes.
import { UsageError } from '../errors.js';
import type { Prompt, TokenSample } from '../interfaces/index.js';
import type { PriorFamily, TextEncoder } from '../nn/family.js';

/** Most captions whose ids are kept; beyond it they are encoded again. */
const REMEMBERED = 20_000;

/** Encodes samples' conditions, each caption once. */
export class ConditionSource {
  private readonly known = new Map<Prompt, Int32Array>();

  constructor(
    private readonly encode: (prompt: Prompt) => Int32Array,
    private readonly conditioning: 'none' | 'label' | 'text',
  ) {}

  static of<C>(family: PriorFamily<C>, config: C, text: TextEncoder | undefined): ConditionSource {
    return new ConditionSource((prompt) => family.condition(config, prompt, text), family.conditioning(config));
  }

  /** int32 [P]. `pick` chooses among several captions; by default the first. @throws {UsageError} naming the sample. */
  of(sample: TokenSample, pick: (count: number) => number = () => 0): Int32Array {
    return this.prompt(this.promptOf(sample, pick), sample.key);
  }

  /** int32 [P]. */
  prompt(prompt: Prompt, key?: string): Int32Array {
    let ids = this.known.get(prompt);
    if (ids) return ids;
    try {
      ids = this.encode(prompt);
    } catch (error) {
      if (key === undefined || !(error instanceof UsageError)) throw error;
      throw new UsageError(error.code, `sample "${key}": ${error.detail}`, { cause: error });
    }
    if (this.known.size >= REMEMBERED) this.known.clear();
    this.known.set(prompt, ids);
    return ids;
  }

  private promptOf(sample: TokenSample, pick: (count: number) => number): Prompt {
    if (this.conditioning === 'label') return sample.label ?? null;
    if (this.conditioning === 'text' && sample.captions.length > 0) return sample.captions[pick(sample.captions.length)]!;
    return null;
  }
}
