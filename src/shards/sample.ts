// One sample to its payload, and back: the msgpack map {key, maps, text?, label?, media} of FORMAT.md.
import { CorruptError, UsageError } from '../errors.js';
import type { MediaInfo } from '../interfaces/media.js';
import { axesText, codeCount, isMediaInfo } from '../interfaces/tokens.js';
import type { TokenMap, TokenSample } from '../interfaces/tokens.js';
import { isRecord } from '../json.js';
import { sizeOf } from '../shape.js';
import { LIMITS } from './format.js';
import type { FullCard, ShardMapSpec } from './format.js';
import { pack, unpackStrict } from './msgpack.js';

/** What is wrong with a sample, before it is known whether the caller or the disk is to blame. */
class Fault extends Error {}

/**
 * @throws {UsageError} E_SAMPLE naming the sample's key when it does not fit the card.
 */
export function encodeSample(sample: TokenSample, card: FullCard): Uint8Array {
  try {
    return pack(toPayload(sample, card));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new UsageError('E_SAMPLE', `sample "${sample.key}": ${error.message}.`);
  }
}

/**
 * @param where names file, record and offset, for errors only.
 * @throws {CorruptError} E_MSGPACK, E_SAMPLE when the payload does not fit the card.
 */
export function decodeSample(payload: Uint8Array, card: FullCard, where: () => string): TokenSample {
  const value = unpackStrict(payload, where);
  try {
    return fromPayload(value, card);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new CorruptError(
      'E_SAMPLE',
      `${where()}: ${error.message}. The dataset was not made by Tesserae or is damaged.`,
    );
  }
}

function expect(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Fault(message());
}

// ---------------------------------------------------------------------------------------------------------------------
// To disk

function toPayload(sample: TokenSample, card: FullCard): Record<string, unknown> {
  const { key, tokens, captions, label } = sample;
  expect(
    typeof key === 'string' && key.length > 0 && key.length <= 4096,
    () => 'expected a key of 1 to 4096 characters',
  );
  expect(
    tokens.codec === card.codec.fingerprint,
    () => `expected tokens of codec ${card.codec.fingerprint}, received tokens of ${tokens.codec}`,
  );
  expect(
    tokens.maps.length === card.maps.length,
    () => `expected ${card.maps.length} maps, received ${tokens.maps.length}`,
  );
  const maps = tokens.maps.map((map, i) => toDiskMap(map, card.maps[i]!));
  expect(
    captions.every((caption) => typeof caption === 'string'),
    () => 'expected captions to be strings',
  );
  if (label !== undefined) checkLabel(label, card);
  return {
    key,
    maps,
    ...(captions.length === 0 ? {} : { text: captions.length === 1 ? captions[0] : captions }),
    ...(label === undefined ? {} : { label }),
    media: checkMedia(tokens.media),
  };
}

function toDiskMap(map: TokenMap, spec: ShardMapSpec): Record<string, unknown> {
  expect(map.name === spec.name, () => `expected map "${spec.name}", received "${map.name}"`);
  expect(
    map.vocabSize === spec.vocabSize,
    () => `map "${spec.name}": expected a vocabulary of ${spec.vocabSize}, received ${map.vocabSize}`,
  );
  expect(
    map.levels === spec.levels,
    () => `map "${spec.name}": expected ${spec.levels} levels, received ${map.levels}`,
  );
  checkGrid(map.grid, spec);
  expect(
    map.ids.length === codeCount(map),
    () => `map "${spec.name}": expected ${codeCount(map)} ids, received ${map.ids.length}`,
  );
  checkIds(map.ids, spec);
  const ids = spec.dtype === 'uint16' ? Uint16Array.from(map.ids) : Uint32Array.from(map.ids);
  return { name: map.name, grid: map.grid, ids: Buffer.from(ids.buffer) };
}

// ---------------------------------------------------------------------------------------------------------------------
// From disk

const SAMPLE_KEYS = new Set(['key', 'maps', 'text', 'label', 'media']);

function fromPayload(value: unknown, card: FullCard): TokenSample {
  const payload = plainMap(value, 'sample');
  for (const key in payload) expect(SAMPLE_KEYS.has(key), () => `expected no field "${key}"`);
  const { key, maps, text, label, media } = payload;
  expect(
    typeof key === 'string' && key.length > 0 && key.length <= 4096,
    () => 'expected a key of 1 to 4096 characters',
  );
  expect(Array.isArray(maps) && maps.length === card.maps.length, () => `expected ${card.maps.length} maps`);
  const decoded: TokenMap[] = [];
  for (let i = 0; i < card.maps.length; i++) decoded.push(fromDiskMap((maps as unknown[])[i], card.maps[i]!));
  const tokens = { codec: card.codec.fingerprint, media: checkMedia(media), maps: decoded };
  const sample: TokenSample = { key, tokens, captions: captionsOf(text) };
  if (label !== undefined) sample.label = checkLabel(label, card);
  return sample;
}

function fromDiskMap(value: unknown, spec: ShardMapSpec): TokenMap {
  const map = plainMap(value, 'map');
  const { name, grid, ids } = map;
  expect(
    Object.keys(map).length === 3 && name === spec.name,
    () => `expected map "${spec.name}" with name, grid and ids, found "${String(name)}"`,
  );
  expect(Array.isArray(grid), () => `map "${spec.name}": expected a grid`);
  const axes = { grid: grid as number[], levels: spec.levels };
  checkGrid(axes.grid, spec);
  expect(ids instanceof Uint8Array, () => `map "${spec.name}": expected ids as bytes`);
  const bytes = codeCount(axes) * (spec.dtype === 'uint16' ? 2 : 4);
  expect(
    ids.length === bytes,
    () => `map "${spec.name}": expected ${bytes} bytes of ids for ${axesText(axes)}, found ${ids.length}`,
  );
  const memory = new ArrayBuffer(bytes); // a copy: payloads are not aligned and their memory is used again
  new Uint8Array(memory).set(ids);
  const codes = spec.dtype === 'uint16' ? new Uint16Array(memory) : new Uint32Array(memory);
  checkIds(codes, spec);
  return { name: spec.name, ...axes, vocabSize: spec.vocabSize, ids: codes };
}

function plainMap(value: unknown, what: string): Record<string, unknown> {
  expect(isRecord(value), () => `expected a ${what} as a map`);
  return value as Record<string, unknown>;
}

function captionsOf(text: unknown): string[] {
  if (text === undefined) return [];
  if (typeof text === 'string') return [text];
  expect(
    Array.isArray(text) && text.length > 1 && text.every((caption) => typeof caption === 'string'),
    () => 'expected text to be a string or several',
  );
  return text;
}

// ---------------------------------------------------------------------------------------------------------------------
// Both ways

function checkGrid(grid: readonly number[], spec: ShardMapSpec): void {
  let fits = grid.length === spec.grid.length;
  for (let i = 0; fits && i < grid.length; i++) {
    const extent = grid[i]!;
    fits = spec.grid[i] === -1 ? Number.isInteger(extent) && extent > 0 : extent === spec.grid[i];
  }
  expect(
    fits && sizeOf(grid) * spec.levels <= LIMITS.mapCodes,
    () => `map "${spec.name}": expected grid [${spec.grid.join(', ')}], found [${grid.join(', ')}]`,
  );
}

function checkIds(ids: Uint16Array | Uint32Array, spec: ShardMapSpec): void {
  const { vocabSize } = spec;
  for (let i = 0; i < ids.length; i++) {
    if (!(ids[i]! < vocabSize))
      throw new Fault(
        `map "${spec.name}": expected ids below the vocabulary of ${vocabSize}, found ${ids[i]} at position ${i}`,
      );
  }
}

function checkLabel(label: unknown, card: FullCard): number {
  const bound = card.classes?.length ?? 2 ** 31;
  const valid = typeof label === 'number' && Number.isInteger(label) && label >= 0 && label < bound;
  expect(valid, () => `expected a label in [0, ${bound}), found ${String(label)}`);
  return label;
}

/** Fields of a sample's media. */
const MEDIA_FIELDS = 32;

/** What the fields mean is the medium's to say: shards hold samples of any. */
function checkMedia(value: unknown): MediaInfo {
  expect(
    isMediaInfo(value) && Object.keys(value).length <= MEDIA_FIELDS,
    () => `media: expected up to ${MEDIA_FIELDS} fields of text or finite numbers, one of them the kind`,
  );
  return value;
}
