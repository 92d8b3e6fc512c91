// Tokens, the plain data that codecs and priors exchange.
import { ShapeError } from '../errors.js';
import { isRecord } from '../json.js';
import { sameShape, sizeOf } from '../shape.js';
import type { MediaInfo } from './media.js';

/** A token map without its ids. */
export interface TokenMapSpec {
  /** `codes` for a codec with one map; `top` and `bottom` for a hierarchical one. */
  name: string;
  /** Positions along each axis: [rows, columns] of an image, [frames] of a sound, [frames, rows, columns] of a video. */
  grid: number[];
  /** Ids at each position: 1, or Q of a residual or grouped quantizer. */
  levels: number;
  /** Every id is in [0, vocabSize). */
  vocabSize: number;
}

/** Discrete codes on a grid. */
export interface TokenMap extends TokenMapSpec {
  /** Row-major [...grid, levels]. Uint16Array up to a vocabulary of 65,536, Uint32Array above. */
  ids: Uint16Array | Uint32Array;
}

/** The tokens of one sample of a medium. */
export interface Tokens {
  /** Fingerprint of the codec that made them: sha256 over config and weights, hex. */
  codec: string;
  media: MediaInfo;
  maps: TokenMap[];
}

/** The tokens of one sample of a dataset, with its captions and label. */
export interface TokenSample {
  /** Unique within its dataset, e.g. the file name without extension. */
  key: string;
  tokens: Tokens;
  /** Captions, possibly none. */
  captions: string[];
  /** Index into the dataset's `classes`, if it has classes. */
  label?: number;
}

/** Number of ids in a map. */
export const codeCount = ({ grid, levels }: Pick<TokenMapSpec, 'grid' | 'levels'>): number => sizeOf(grid) * levels;

/** The shape of a map's ids as a tensor: [...grid], with a last axis of levels if there are several. */
export const idsShape = ({ grid, levels }: Pick<TokenMapSpec, 'grid' | 'levels'>): number[] =>
  levels === 1 ? [...grid] : [...grid, levels];

/** The axes of a map for messages: `[16, 16]`, or `[75] x 8 levels`. An extent of -1 differs between samples. */
export const axesText = ({ grid, levels }: Pick<TokenMapSpec, 'grid' | 'levels'>): string =>
  `[${grid.join(', ')}]${levels === 1 ? '' : ` x ${levels} levels`}`;

/** A copy of the axes and vocabulary of a map. */
export const specOf = ({ name, grid, levels, vocabSize }: TokenMapSpec): TokenMapSpec => ({
  name,
  grid: [...grid],
  levels,
  vocabSize,
});

/**
 * Brings the map of an older card or config to grid and levels: it has a shape, [rows, columns] or
 * [rows, columns, levels]. Everything else is returned as it is.
 */
export function withAxes(map: unknown): unknown {
  if (typeof map !== 'object' || map === null || !('shape' in map) || !Array.isArray(map.shape)) return map;
  const { shape, ...rest } = map;
  const [rows, columns, levels = 1] = shape as unknown[];
  return { ...rest, grid: columns === undefined ? [rows] : [rows, columns], levels };
}

/** Whether two maps have the same axes. */
export const sameAxes = (a: Pick<TokenMapSpec, 'grid' | 'levels'>, b: Pick<TokenMapSpec, 'grid' | 'levels'>): boolean =>
  a.levels === b.levels && sameShape(a.grid, b.grid);

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
  if (typeof ids !== 'object' || ids === null || !Number.isInteger(ids.length))
    throw new ShapeError(
      'E_TOKENS_SHAPE',
      `${where}: expected a list of ids, received ${ids === null ? 'null' : typeof ids}.`,
    );
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
 * Checks tokens before they are used.
 *
 * @param where names the argument, e.g. `decode(tokens[3])`.
 * @param specs the expected maps.
 * @throws {ShapeError} E_TOKENS_SHAPE, E_TOKENS_RANGE unless the tokens name their medium and have these maps, each with
 *   as many ids in range as its axes say.
 */
export function checkTokens(where: string, tokens: Tokens, specs: readonly TokenMapSpec[]): void {
  const fail = (at: string, expected: string, received: string): never => {
    throw new ShapeError('E_TOKENS_SHAPE', `${at}: expected ${expected}, received ${received}.`);
  };
  if (typeof tokens?.codec !== 'string' || !Array.isArray(tokens.maps))
    fail(where, 'tokens, { codec, media, maps }', tokens === null ? 'null' : typeof tokens);
  if (!isMediaInfo(tokens.media))
    fail(`${where}.media`, 'plain fields with a kind, such as { kind: "image", ... }', mediaText(tokens.media));
  if (tokens.maps.length !== specs.length) fail(where, `${specs.length} maps`, `${tokens.maps.length}`);
  specs.forEach((spec, i) => {
    const map = tokens.maps[i]!;
    const at = `${where}.maps[${i}]`;
    const hasAxes = Array.isArray(map?.grid) && typeof map.levels === 'number';
    if (!hasAxes || !sameAxes(map, spec))
      fail(at, `map "${spec.name}" of ${axesText(spec)}`, hasAxes ? axesText(map) : 'none');
    if (!isIds(map.ids)) fail(at, 'ids in a Uint16Array or Uint32Array', typeof map.ids);
    if (map.ids.length !== codeCount(spec))
      fail(at, `${codeCount(spec)} ids for ${axesText(spec)}`, `${map.ids.length}`);
    checkIds(at, map.ids, spec.vocabSize);
  });
}

const isIds = (ids: unknown): boolean =>
  ids instanceof Uint16Array || ids instanceof Uint32Array || ids instanceof Int32Array;

const mediaText = (media: unknown): string => (media === null ? 'null' : typeof media);

/** Whether a value has a `kind` and only fields of texts and finite numbers. Media check their own fields. */
export function isMediaInfo(value: unknown): value is MediaInfo {
  if (!isRecord(value)) return false;
  const isField = (field: unknown): boolean => typeof field === 'string' || Number.isFinite(field);
  const { kind } = value;
  return typeof kind === 'string' && kind !== '' && Object.values(value).every(isField);
}

/** Concatenates the codes of all maps of all samples, as priors read them: int32 [samples * N]. */
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
