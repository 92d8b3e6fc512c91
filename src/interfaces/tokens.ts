// Tokens are the border between codecs and priors: plain data that no tensor crosses.
import { ShapeError } from '../errors.js';
import { sameShape, sizeOf } from '../shape.js';
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

/**
 * Copies ids into the narrowest unsigned integer array that holds `vocabSize`.
 *
 * @throws {ShapeError} E_TOKENS_RANGE unless each is a whole number in [0, vocabSize).
 */
export function toIds(ids: ArrayLike<number>, vocabSize: number): Uint16Array | Uint32Array {
  checkIds('toIds', ids, vocabSize);
  return vocabSize <= 65536 ? Uint16Array.from(ids) : Uint32Array.from(ids);
}

function checkIds(where: string, ids: ArrayLike<number>, vocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!(id >= 0 && id < vocabSize && Number.isInteger(id)))
      throw new ShapeError(
        'E_TOKENS_RANGE',
        `${where}: expected ids that are whole numbers in [0, ${vocabSize}), received ${id} at ${i}.`,
      );
  }
}

/**
 * @param where names the argument, e.g. `decode(tokens[3])`.
 * @param specs the maps that are wanted.
 * @throws {ShapeError} E_TOKENS_SHAPE, E_TOKENS_RANGE unless the tokens say the size of their media and have these maps, and each as many ids in range as its shape says.
 */
export function checkTokens(where: string, tokens: Tokens, specs: readonly TokenMapSpec[]): void {
  const fail = (expected: string, received: string): never => {
    throw new ShapeError('E_TOKENS_SHAPE', `${where}: expected ${expected}, received ${received}.`);
  };
  if (typeof tokens?.codec !== 'string' || !Array.isArray(tokens.maps))
    fail('tokens, { codec, media, maps }', tokens === null ? 'null' : typeof tokens);
  checkMedia(where, tokens.media);
  if (tokens.maps.length !== specs.length) fail(`${specs.length} maps`, `${tokens.maps.length}`);
  specs.forEach(({ name, shape, vocabSize }, i) => {
    const map = tokens.maps[i]!;
    const at = `${where}.maps[${i}]`;
    if (!Array.isArray(map?.shape) || !sameShape(map.shape, shape))
      throw new ShapeError(
        'E_TOKENS_SHAPE',
        `${at}: expected map "${name}" of [${shape.join(', ')}], received ${Array.isArray(map?.shape) ? `[${map.shape.join(', ')}]` : 'none'}.`,
      );
    if (!(
      map.ids instanceof Uint16Array ||
      map.ids instanceof Uint32Array ||
      (map.ids as unknown) instanceof Int32Array
    ))
      throw new ShapeError(
        'E_TOKENS_SHAPE',
        `${at}: expected ids in a Uint16Array or Uint32Array, received ${typeof map.ids}.`,
      );
    if (map.ids.length !== sizeOf(shape))
      throw new ShapeError(
        'E_TOKENS_SHAPE',
        `${at}: expected ${sizeOf(shape)} ids for [${shape.join(', ')}], received ${map.ids.length}.`,
      );
    checkIds(at, map.ids, vocabSize);
  });
}

/** What says the size of a picture or sound, by its kind. */
const EXTENTS = { image: ['width', 'height', 'channels'], audio: ['sampleRate', 'channels', 'frames'] } as const;

function checkMedia(where: string, media: MediaInfo): void {
  const extents: readonly string[] | undefined = EXTENTS[media?.kind];
  if (extents === undefined)
    throw new ShapeError(
      'E_TOKENS_SHAPE',
      `${where}.media: expected { kind: "image", width, height, channels }, or the like of "audio", received ${media === null ? 'null' : typeof media}.`,
    );
  for (const name of extents) {
    const extent = (media as unknown as Record<string, unknown>)[name];
    if (!(Number.isInteger(extent) && (extent as number) >= 1 && (extent as number) < 2 ** 31))
      throw new ShapeError(
        'E_TOKENS_SHAPE',
        `${where}.media.${name}: expected a whole number of at least 1, received ${String(extent)}.`,
      );
  }
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
