// From logits to one code: guidance, temperature, truncation, the draw. Plain arrays, one row at a time.
import { CorruptError, UsageError } from '../errors.js';
import type { Rng } from '../rng.js';

/** Stands for a code that is not drawn yet. */
export const UNKNOWN = -1;

/** How the codes of a stage are drawn. */
export interface Draw {
  vocabSize: number;
  /** int32 [N], in the order of the stage: codes that are given, and {@link UNKNOWN} for those to be drawn. */
  known: Int32Array;
  options: DrawOptions;
  /** Guidance scale; 1 is off. */
  cfg: number;
  /** One for each sample. */
  rngs: readonly Rng[];
  /** Called with the fraction done, in [0, 1]. */
  onProgress: (fraction: number) => void;
}

/**
 * The logits of one position, guided if there is guidance.
 *
 * @param logits float32 [rows, K]; with guidance, the latter half are the unconditional ones.
 */
export function guidedRow(logits: Float32Array, row: number, vocabSize: number, { cfg }: Draw): Float32Array {
  const at = (start: number): Float32Array => logits.subarray(start, start + vocabSize);
  const own = at(row * vocabSize);
  return cfg === 1 ? own : guide(own, at(logits.length / 2 + row * vocabSize), cfg);
}

/** How to draw a code; see {@link SamplingOptions}. */
export interface DrawOptions {
  temperature: number;
  topK: number;
  topP: number;
}

/** @throws {UsageError} E_SAMPLING naming the option out of range. */
export function checkDrawOptions({ temperature, topK, topP }: DrawOptions): void {
  const fail = (name: string, expected: string, value: number): never => {
    throw new UsageError('E_SAMPLING', `${name}: expected ${expected}, received ${value}.`);
  };
  if (!(temperature >= 0 && Number.isFinite(temperature)))
    fail('temperature', 'a finite number of at least 0', temperature);
  if (!(Number.isInteger(topK) && topK >= 0)) fail('topK', 'an integer of at least 0', topK);
  if (!(topP > 0 && topP <= 1)) fail('topP', 'a number in (0, 1]', topP);
}

/**
 * Classifier-free guidance (Ho and Salimans, arXiv:2207.12598): moves logits away from the unconditional ones.
 *
 * @returns float32 [K], `unconditional + scale * (conditional - unconditional)`.
 * @throws {UsageError} E_SAMPLING for a scale that takes finite logits out of the range of numbers.
 */
export function guide(conditional: Float32Array, unconditional: Float32Array, scale: number): Float32Array {
  const guided = conditional.map((value, i) => unconditional[i]! + scale * (value - unconditional[i]!));
  const broken = guided.findIndex(
    (value, i) => !Number.isFinite(value) && Number.isFinite(conditional[i]) && Number.isFinite(unconditional[i]),
  );
  if (broken >= 0)
    throw new UsageError(
      'E_SAMPLING',
      `cfg: expected a scale that keeps logits finite, received ${scale}. Values from 1 to 10 are usual.`,
    );
  return guided;
}

/**
 * Draws one code.
 *
 * @param logits float32 [K]. Temperature 0 takes the first of the largest.
 * @returns an id in [0, K).
 * @throws {CorruptError} E_LOGITS_NOT_FINITE when one is NaN or infinite: no distribution is left to draw from.
 *
 * Top-p is nucleus sampling (Holtzman et al., arXiv:1904.09751). With both limits, top-k applies first.
 */
export function drawCode(logits: Float32Array, { temperature, topK, topP }: DrawOptions, rng: Rng): number {
  const bad = logits.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new CorruptError(
      'E_LOGITS_NOT_FINITE',
      `draw: expected finite logits, received ${logits[bad]} for code ${bad}. The weights of the prior are damaged, or its training went wrong. Train or copy it again.`,
    );
  if (temperature === 0) return argMax(logits);
  const max = logits[argMax(logits)]!;
  const weights = new Float64Array(logits.length);
  for (let i = 0; i < weights.length; i++) weights[i] = Math.exp((logits[i]! - max) / temperature);
  const limited = (topK > 0 && topK < weights.length) || topP < 1;
  if (limited) truncate(weights, topK, topP);
  let remaining = rng.uniform() * weights.reduce((sum, w) => sum + w, 0);
  for (let id = 0; id < weights.length; id++) {
    remaining -= weights[id]!;
    if (remaining < 0) return id;
  }
  return weights.findLastIndex((w) => w > 0);
}

function argMax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Zeroes all weights but the k largest and, of those, the fewest that hold a share `topP`. Ties keep the lower ids. */
function truncate(weights: Float64Array, topK: number, topP: number): void {
  if (topK > 0 && topK < weights.length) keepLargest(weights, topK);
  if (topP < 1) keepShare(weights, topP);
}

function keepLargest(weights: Float64Array, count: number): void {
  const least = select(weights.slice(), weights.length - count);
  let ties = count;
  for (const weight of weights) if (weight > least) ties--;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i]! < least || (weights[i] === least && ties-- <= 0)) weights[i] = 0;
  }
}

/** The value at `index` of the sorted values, by Hoare's selection, which reorders them. Linear time, unlike sorting. */
function select(values: Float64Array, index: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [left, right] = [low, high];
    while (left <= right) {
      while (values[left]! < pivot) left++;
      while (values[right]! > pivot) right--;
      if (left > right) break;
      const value = values[left]!;
      values[left++] = values[right]!;
      values[right--] = value;
    }
    // Now values up to `right` are at most the pivot, those from `left` on at least, and those between are equal to it.
    if (index <= right) high = right;
    else if (index >= left) low = left;
    else return pivot;
  }
  return values[index]!;
}

function keepShare(weights: Float64Array, share: number): void {
  const order = Array.from(weights.keys()).filter((id) => weights[id]! > 0);
  order.sort((a, b) => weights[b]! - weights[a]! || a - b);
  const total = order.reduce((sum, id) => sum + weights[id]!, 0);
  let held = 0;
  let end = 0;
  while (end < order.length && held < share * total) held += weights[order[end++]!]!;
  for (let i = Math.max(1, end); i < order.length; i++) weights[order[i]!] = 0;
}
