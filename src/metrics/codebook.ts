// Codebook usage over a whole dataset. (The perplexity of a single batch depends on the batch size.)
import { ShapeError, UsageError } from '../errors.js';
import { codeCount, specOf } from '../interfaces/tokens.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';

/** How the ids of a dataset are distributed over the codes. */
export interface CodeSpread {
  /** Codes that occur at least once. */
  used: number;
  /** Fraction of the codes that occur: used / number of codes. */
  usage: number;
  /** Entropy of the code frequencies over the dataset, in nats per id. */
  entropy: number;
  /** entropy / ln K: 1 when all codes are equally frequent. Defined as 1 for K = 1. */
  entropyRatio: number;
  /** exp(entropy): the number of equally frequent codes that would have this entropy. */
  perplexity: number;
}

/**
 * Codebook usage of one token map, whose `vocabSize` is K.
 *
 * A map of several levels has a codebook for each: `byLevel` lists them individually, `used` is their sum, out of
 * levels * K, and `entropy` is their mean.
 */
export interface CodebookUse extends CodeSpread, TokenMapSpec {
  /** Number of ids counted. */
  codes: number;
  byLevel?: CodeSpread[];
}

/** Counts the codes of one token map over a dataset. */
export class CodebookMeter {
  /** float64 [levels, K]: how often each code occurs at each level. */
  readonly counts: Float64Array;
  private codes = 0;

  constructor(private readonly map: TokenMapSpec) {
    this.counts = new Float64Array(map.levels * map.vocabSize);
  }

  /**
   * Counts ids. If an error is thrown, nothing is counted.
   *
   * @param ids Ids of whole positions; the levels are the last axis.
   * @throws {ShapeError} E_METRIC_ID for an id outside [0, K), E_METRIC_SIZE for an incomplete position.
   */
  add(ids: ArrayLike<number>): void {
    const { levels, vocabSize } = this.map;
    if (ids.length % levels !== 0) {
      throw new ShapeError(
        'E_METRIC_SIZE',
        `CodebookMeter.add(${this.map.name}): expected ${levels} ids for each position, received ${ids.length} ids.`,
      );
    }
    for (let i = 0; i < ids.length; i++) {
      if (!(Number.isInteger(ids[i]) && ids[i]! >= 0 && ids[i]! < vocabSize)) {
        throw new ShapeError(
          'E_METRIC_ID',
          `CodebookMeter.add(${this.map.name}): expected ids in [0, ${vocabSize}), received ${ids[i]} at index ${i}.`,
        );
      }
    }
    for (let i = 0; i < ids.length; i++) this.counts[(i % levels) * vocabSize + ids[i]!]! += 1;
    this.codes += ids.length;
  }

  /** @throws {UsageError} E_METRIC_EMPTY if no ids have been counted. */
  result(): CodebookUse {
    if (this.codes === 0) {
      throw new UsageError(
        'E_METRIC_EMPTY',
        `CodebookMeter.result(${this.map.name}): expected at least one id, received none.`,
      );
    }
    const { levels, vocabSize } = this.map;
    const byLevel = codebooksOf(this.counts, vocabSize).map(spreadOf);
    const used = byLevel.reduce((sum, one) => sum + one.used, 0);
    const entropy = byLevel.reduce((sum, one) => sum + one.entropy, 0) / levels;
    const whole = {
      ...specOf(this.map),
      codes: this.codes,
      ...spread(used, levels * vocabSize, entropy, vocabSize),
    };
    return levels > 1 ? { ...whole, byLevel } : whole;
  }
}

/** Splits the counts [levels, K] of a meter into one array per codebook. */
export function codebooksOf(counts: Float64Array, vocabSize: number): Float64Array[] {
  return Array.from({ length: counts.length / vocabSize }, (_, i) =>
    counts.subarray(i * vocabSize, (i + 1) * vocabSize),
  );
}

function spreadOf(counts: Float64Array): CodeSpread {
  const used = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  return spread(used, counts.length, entropyOf(counts), counts.length);
}

function spread(used: number, codes: number, entropy: number, vocabSize: number): CodeSpread {
  return {
    used,
    usage: used / codes,
    entropy,
    entropyRatio: vocabSize === 1 ? 1 : entropy / Math.log(vocabSize),
    perplexity: Math.exp(entropy),
  };
}

/** Returns the entropy in nats of the distribution with these frequencies; 0 if all of them are 0. */
export function entropyOf(counts: ArrayLike<number>): number {
  let total = 0;
  let weighted = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i]!;
    if (count === 0) continue;
    total += count;
    weighted += count * Math.log(count);
  }
  return total === 0 ? 0 : Math.max(0, Math.log(total) - weighted / total);
}

/** Returns the bits of a sample's tokens at fixed-length coding: the sum over the maps of codes * log2 K. */
export function nominalBits(maps: readonly TokenMapSpec[]): number {
  return maps.reduce((bits, map) => bits + codeCount(map) * Math.log2(map.vocabSize), 0);
}

/** Returns the bits of a sample's tokens under an ideal entropy coder that knows the frequency of each code. */
export function empiricalBits(maps: readonly (TokenMapSpec & { entropy: number })[]): number {
  return maps.reduce((bits, map) => bits + (codeCount(map) * map.entropy) / Math.LN2, 0);
}
