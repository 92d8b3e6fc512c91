// The generation loop: conditions in, grids of codes out. Each sample draws from a random stream of its own, so it does
// not depend on which samples share its batch.
import { AbortedError, UsageError } from '../errors.js';
import { Rng } from '../rng.js';
import type { SamplingOptions } from '../interfaces/index.js';
import type { Decoder, PriorModel } from '../model/prior.js';
import { checkDrawOptions, drawCode, guide } from './logits.js';
import type { DrawOptions } from './logits.js';

export interface GenerationTask {
  model: PriorModel;
  /** int32 [P] for each sample. */
  conditions: readonly Int32Array[];
  /** int32 [P]: no condition, for guidance. */
  unconditional: Int32Array;
  /** Codes of a sample, N, and the vocabulary they come from, K. */
  codeCount: number;
  vocabSize: number;
}

/**
 * Draws one grid of codes for each condition.
 *
 * @returns int32 [N] for each condition, in order.
 * @throws {UsageError} E_SAMPLING for options out of range. @throws {AbortedError} E_ABORTED when the signal fires.
 */
export async function generateCodes(task: GenerationTask, options: SamplingOptions = {}): Promise<Int32Array[]> {
  const { temperature = 1, topK = 0, topP = 1, cfg = 1, seed = 0, batchSize = 16 } = options;
  const draw: DrawOptions = { temperature, topK, topP };
  checkDrawOptions(draw);
  checkLoopOptions(task, options);
  const results: Int32Array[] = [];
  for (let first = 0; first < task.conditions.length; first += batchSize) {
    const conditions = task.conditions.slice(first, first + batchSize);
    const rngs = conditions.map((_, i) => new Rng(seed, 'sample', first + i));
    const onCode = (position: number): void => {
      if (options.signal?.aborted)
        throw new AbortedError(
          'E_ABORTED',
          `generate: stopped after ${results.length} of ${task.conditions.length} samples.`,
        );
      options.onProgress?.((first + (conditions.length * position) / task.codeCount) / task.conditions.length);
    };
    results.push(...(await generateBatch(task, conditions, cfg, draw, rngs, options.prime, onCode)));
  }
  return results;
}

function checkLoopOptions(
  { codeCount, vocabSize }: GenerationTask,
  { cfg = 1, batchSize = 16, prime, seed = 0, onProgress }: SamplingOptions,
): void {
  const fail = (detail: string): never => {
    throw new UsageError('E_SAMPLING', detail);
  };
  if (!Number.isFinite(cfg) || cfg < 0) fail(`cfg: expected a finite number of at least 0, received ${cfg}.`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail(`batchSize: expected an integer of at least 1, received ${batchSize}.`);
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`seed: expected an integer of at least 0, received ${seed}.`);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    fail(`onProgress: expected a function, received ${typeof onProgress}.`);
  if (prime !== undefined && !(typeof prime === 'object' && Number.isInteger(prime?.length)))
    fail(`prime: expected a list of codes, received ${prime === null ? 'null' : typeof prime}.`);
  if (prime && prime.length >= codeCount)
    fail(`prime: expected fewer than ${codeCount} codes, received ${prime.length}.`);
  if (prime)
    Array.from(prime).forEach((id, i) =>
      id >= 0 && id < vocabSize && Number.isInteger(id)
        ? 0
        : fail(`prime: expected codes in [0, ${vocabSize}), received ${id} at ${i}.`),
    );
}

/** With guidance every sequence runs twice in one batch: rows with their condition, then the same rows without. */
async function generateBatch(
  { model, unconditional, codeCount, vocabSize }: GenerationTask,
  conditions: readonly Int32Array[],
  cfg: number,
  draw: DrawOptions,
  rngs: readonly Rng[],
  prime: ArrayLike<number> | undefined,
  onCode: (position: number) => void,
): Promise<Int32Array[]> {
  const rows = conditions.length;
  const guided = cfg !== 1;
  const all = guided ? [...conditions, ...conditions.map(() => unconditional)] : conditions;
  const decoder: Decoder = await model.decoder(all.length);
  const codes = conditions.map(() => new Int32Array(codeCount));
  let logits = await decoder.start(Int32Array.from(all.flatMap((ids) => [...ids])));
  for (let position = 0; position < codeCount; position++) {
    onCode(position);
    const chosen = new Int32Array(all.length);
    for (let row = 0; row < rows; row++) {
      const own = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
      const scores = guided
        ? guide(own, logits.subarray((rows + row) * vocabSize, (rows + row + 1) * vocabSize), cfg)
        : own;
      const id = prime && position < prime.length ? prime[position]! : drawCode(scores, draw, rngs[row]!);
      codes[row]![position] = id;
      chosen[row] = id;
      if (guided) chosen[rows + row] = id;
    }
    if (position < codeCount - 1) logits = await decoder.step(chosen);
  }
  onCode(codeCount);
  return codes;
}
