// How much of a codebook is in use, over a whole set: the perplexity of a batch depends on the size of the batch.
import { ShapeError, UsageError } from '../errors.js';
import type { TokenMapSpec } from '../interfaces/tokens.js';
import { sizeOf } from '../shape.js';

export interface CodebookUse {
  name: string;
  shape: number[];
  /** Codes there are: K. */
  vocabSize: number;
  /** Ids counted. */
  codes: number;
  /** Codes that occur at least once. */
  used: number;
  /** used / K. */
  usage: number;
  /** Nats per code, of the codes' frequencies over the set. */
  entropy: number;
  /** entropy / ln K: 1 when all codes are equally frequent. For K = 1 it is 1. */
  entropyRatio: number;
  /** exp(entropy): how many equally frequent codes would have this entropy. */
  perplexity: number;
}

/** Counts the codes of one token map over a set. */
export class CodebookMeter {
  /** float64 [K], how often each code occurs. */
  readonly counts: Float64Array;
  private codes = 0;

  constructor(private readonly map: TokenMapSpec) {
    this.counts = new Float64Array(map.vocabSize);
  }

  /** @throws {ShapeError} E_METRIC_ID for an id outside [0, K); nothing is counted then. */
  add(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      if (this.counts[ids[i]!] === undefined) {
        throw new ShapeError(
          'E_METRIC_ID',
          `CodebookMeter.add(${this.map.name}): expected ids in [0, ${this.map.vocabSize}), received ${ids[i]} at index ${i}.`,
        );
      }
    }
    for (let i = 0; i < ids.length; i++) this.counts[ids[i]!]! += 1;
    this.codes += ids.length;
  }

  /** @throws {UsageError} E_METRIC_EMPTY before the first id. */
  result(): CodebookUse {
    if (this.codes === 0) {
      throw new UsageError('E_METRIC_EMPTY', `CodebookMeter.result(${this.map.name}): expected at least one id, received none.`);
    }
    const { name, shape, vocabSize } = this.map;
    const used = this.counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    const entropy = entropyOf(this.counts);
    return {
      name,
      shape: [...shape],
      vocabSize,
      codes: this.codes,
      used,
      usage: used / vocabSize,
      entropy,
      entropyRatio: vocabSize === 1 ? 1 : entropy / Math.log(vocabSize),
      perplexity: Math.exp(entropy),
    };
  }
}

/** Entropy in nats of the distribution with these relative frequencies; 0 when all of them are 0. */
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

/**
 * Bits a picture's tokens take for each pixel when every code is written at full length: the sum over the maps of
 * codes * log2 K, over width * height.
 */
export function nominalBitsPerPixel(maps: readonly TokenMapSpec[], picture: { width: number; height: number }): number {
  return bitsPerPixel(maps.map((map) => [sizeOf(map.shape), Math.log2(map.vocabSize)]), picture);
}

/** The same when every code is written by an ideal entropy coder that knows how frequent each code is. */
export function empiricalBitsPerPixel(
  maps: readonly (TokenMapSpec & { entropy: number })[],
  picture: { width: number; height: number },
): number {
  return bitsPerPixel(maps.map((map) => [sizeOf(map.shape), map.entropy / Math.LN2]), picture);
}

function bitsPerPixel(maps: readonly (readonly [codes: number, bits: number])[], picture: { width: number; height: number }): number {
  return maps.reduce((sum, [codes, bits]) => sum + codes * bits, 0) / (picture.width * picture.height);
}
