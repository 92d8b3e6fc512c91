// Tokens are the border between codecs and priors: plain data that no tensor crosses.
import type { MediaInfo } from './media.js';

/** One grid of discrete codes, e.g. `[H, W]` of a picture, row-major. */
export interface TokenMap {
  /** `codes` for a codec with one map; `top` and `bottom` for a hierarchical one. */
  name: string;
  shape: number[];
  /** Every id is in [0, vocabSize). */
  vocabSize: number;
  /** Uint16Array up to a vocabulary of 65,536, Uint32Array above. */
  ids: Uint16Array | Uint32Array;
}

/** The tokens of one picture or sound. */
export interface Tokens {
  /** Fingerprint of the codec that made them: sha256 over config and weights, hex. */
  codec: string;
  media: MediaInfo;
  maps: TokenMap[];
}

/** A {@link TokenMap} without its ids: what a codec promises to produce. */
export interface TokenMapSpec {
  name: string;
  shape: number[];
  vocabSize: number;
}

/** Tokens of one sample of a dataset, with what conditions a prior on it. */
export interface TokenSample {
  /** Unique within its dataset, e.g. the file name without extension. */
  key: string;
  tokens: Tokens;
  /** Captions, possibly none. */
  captions: string[];
  /** Class index into the dataset's `classes`, where it has classes. */
  label?: number;
}

/** Copies ids into the narrowest unsigned integer array that holds `vocabSize`. */
export function toIds(ids: ArrayLike<number>, vocabSize: number): Uint16Array | Uint32Array {
  return vocabSize <= 65536 ? Uint16Array.from(ids) : Uint32Array.from(ids);
}

/** The codes of all maps of all samples in a row, as a prior reads them: int32 [samples * N]. */
export function flatCodes(samples: readonly { tokens: Tokens }[]): Int32Array {
  const maps = samples.flatMap(({ tokens }) => tokens.maps);
  const codes = new Int32Array(maps.reduce((n, { ids }) => n + ids.length, 0));
  let at = 0;
  for (const { ids } of maps) {
    codes.set(ids, at);
    at += ids.length;
  }
  return codes;
}
