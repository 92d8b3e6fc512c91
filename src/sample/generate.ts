// The generation loop: conditions in, codes out, stage after stage. Each sample draws from its own random stream, so it does not
// depend on the samples that share its batch.
import { AbortedError, UsageError } from '../errors.js';
import { codeCount } from '../interfaces/index.js';
import type { PriorOptions, SamplingOptions } from '../interfaces/index.js';
import { fromSequence, toSequence } from '../model/order.js';
import type { StageContext } from '../model/prior.js';
import type { PriorModel, SamplingStage } from '../prior/model.js';
import { Rng } from '../rng.js';
import { checkDrawOptions, UNKNOWN } from './logits.js';
import type { Draw } from './logits.js';
import { refine } from './refine.js';
import { appendCodes } from './steps.js';

export interface GenerationTask {
  model: Pick<PriorModel, 'stages' | 'maps'>;
  /** int32 [P] for each sample. */
  conditions: readonly Int32Array[];
  /** int32 [P]: no condition, for guidance. */
  unconditional: Int32Array;
}

/** The codes of one sample by the name of their map, each row-major. */
export type SampleCodes = Record<string, Int32Array>;

/**
 * Draws the codes of one sample for each condition.
 *
 * @throws {UsageError} E_SAMPLING for options out of range. @throws {AbortedError} E_ABORTED when the signal fires.
 */
export async function generateCodes(task: GenerationTask, options: PriorOptions = {}): Promise<SampleCodes[]> {
  const { seed = 0, batchSize = 16, signal, onProgress } = options;
  const { conditions } = task;
  checkOptions(task, options);
  const results: SampleCodes[] = [];
  for (let first = 0; first < conditions.length; first += batchSize) {
    const batch = conditions.slice(first, first + batchSize);
    const report = (fraction: number): void => {
      if (signal?.aborted)
        throw new AbortedError(
          'E_ABORTED',
          `generate: stopped after ${results.length} of ${conditions.length} samples.`,
        );
      onProgress?.((first + batch.length * fraction) / conditions.length);
    };
    const rngs = batch.map((_, i) => new Rng(seed, 'sample', first + i));
    results.push(...(await generateBatch({ ...task, conditions: batch }, options, rngs, report)));
  }
  return results;
}

async function generateBatch(
  { model, conditions, unconditional }: GenerationTask,
  { temperature = 1, topK = 0, topP = 1, cfg = 1, prime = [] }: SamplingOptions,
  rngs: readonly Rng[],
  report: (fraction: number) => void,
): Promise<SampleCodes[]> {
  // With guidance every sample is computed twice in one batch: rows with their condition, then the same rows without.
  const all = cfg === 1 ? conditions : [...conditions, ...conditions.map(() => unconditional)];
  const results = conditions.map((): SampleCodes => ({}));
  const total = model.maps.reduce((sum, map) => sum + codeCount(map), 0);
  let done = 0;
  for (const [index, one] of model.stages.entries()) {
    const length = codeCount(one.map);
    const context: StageContext = {
      conditions: joined(all),
      given: one.stage.given.map((name) => joined(all.map((_, row) => results[row % results.length]![name]!))),
    };
    const known = new Int32Array(length).fill(UNKNOWN);
    if (index === 0) known.set(Array.from(prime));
    const draw: Draw = {
      vocabSize: one.map.vocabSize,
      known: toSequence(known, one.stage.order),
      options: { temperature, topK, topP },
      cfg,
      rngs,
      onProgress: (fraction) => report((done + length * fraction) / total),
    };
    const sequences = await sampleStage(one, all.length, context, draw);
    sequences.forEach((sequence, row) => (results[row]![one.map.name] = fromSequence(sequence, one.stage.order)));
    done += length;
  }
  return results;
}

async function sampleStage(
  stage: SamplingStage,
  rows: number,
  context: StageContext,
  draw: Draw,
): Promise<Int32Array[]> {
  return stage.sampler === 'steps'
    ? appendCodes(await stage.open.sampler(rows), context, draw)
    : refine(await stage.open.sampler(rows), rows, context, stage.rounds, draw);
}

function joined(rows: readonly Int32Array[]): Int32Array {
  const [first] = rows;
  const all = new Int32Array(rows.length * (first?.length ?? 0));
  rows.forEach((row, i) => all.set(row, i * row.length));
  return all;
}

function checkOptions({ model }: GenerationTask, options: PriorOptions): void {
  const { temperature = 1, topK = 0, topP = 1, cfg = 1, batchSize = 16, prime, seed = 0, onProgress } = options;
  const fail = (detail: string): never => {
    throw new UsageError('E_SAMPLING', detail);
  };
  checkDrawOptions({ temperature, topK, topP });
  if (!Number.isFinite(cfg) || cfg < 0) fail(`cfg: expected a finite number of at least 0, received ${cfg}.`);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    fail(`batchSize: expected an integer of at least 1, received ${batchSize}.`);
  if (!Number.isSafeInteger(seed) || seed < 0) fail(`seed: expected an integer of at least 0, received ${seed}.`);
  if (onProgress !== undefined && typeof onProgress !== 'function')
    fail(`onProgress: expected a function, received ${typeof onProgress}.`);
  if (prime === undefined) return;
  if (!(typeof prime === 'object' && Number.isInteger(prime?.length)))
    fail(`prime: expected a list of codes, received ${prime === null ? 'null' : typeof prime}.`);
  const { map } = model.stages[0]!;
  const [length, { vocabSize }] = [codeCount(map), map];
  if (prime.length >= length) fail(`prime: expected fewer than ${length} codes, received ${prime.length}.`);
  for (const [i, id] of Array.from(prime).entries())
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize))
      fail(`prime: expected codes in [0, ${vocabSize}), received ${id} at ${i}.`);
}
