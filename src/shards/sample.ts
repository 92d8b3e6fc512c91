// One sample to its payload, and back: the msgpack map {key, maps, text?, label?, media} of FORMAT.md.
import { CorruptError, UsageError } from '../errors.js';
import type { MediaInfo } from '../interfaces/media.js';
import type { TokenMap, TokenSample } from '../interfaces/tokens.js';
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
  checkShape(map.shape, spec);
  expect(
    map.ids.length === sizeOf(map.shape),
    () => `map "${spec.name}": expected ${sizeOf(map.shape)} ids, received ${map.ids.length}`,
  );
  checkIds(map.ids, spec);
  const ids = spec.dtype === 'uint16' ? Uint16Array.from(map.ids) : Uint32Array.from(map.ids);
  return { name: map.name, shape: map.shape, ids: Buffer.from(ids.buffer) };
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
  const { name, shape, ids } = map;
  expect(
    Object.keys(map).length === 3 && name === spec.name,
    () => `expected map "${spec.name}" with name, shape and ids, found "${String(name)}"`,
  );
  expect(Array.isArray(shape), () => `map "${spec.name}": expected a shape`);
  const extents = shape as number[];
  checkShape(extents, spec);
  expect(ids instanceof Uint8Array, () => `map "${spec.name}": expected ids as bytes`);
  const bytes = sizeOf(extents) * (spec.dtype === 'uint16' ? 2 : 4);
  expect(
    ids.length === bytes,
    () => `map "${spec.name}": expected ${bytes} bytes of ids for [${extents.join(', ')}], found ${ids.length}`,
  );
  const memory = new ArrayBuffer(bytes); // a copy: payloads are not aligned and their memory is used again
  new Uint8Array(memory).set(ids);
  const codes = spec.dtype === 'uint16' ? new Uint16Array(memory) : new Uint32Array(memory);
  checkIds(codes, spec);
  return { name, shape: extents, vocabSize: spec.vocabSize, ids: codes };
}

function plainMap(value: unknown, what: string): Record<string, unknown> {
  expect(typeof value === 'object' && value !== null && !Array.isArray(value), () => `expected a ${what} as a map`);
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

function checkShape(shape: readonly number[], spec: ShardMapSpec): void {
  let fits = shape.length === spec.shape.length;
  for (let i = 0; fits && i < shape.length; i++) {
    const dim = shape[i]!;
    fits = spec.shape[i] === -1 ? Number.isInteger(dim) && dim > 0 : dim === spec.shape[i];
  }
  expect(
    fits && sizeOf(shape) <= LIMITS.mapCodes,
    () => `map "${spec.name}": expected shape [${spec.shape.join(', ')}], found [${shape.join(', ')}]`,
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
  return label as number;
}

function checkMedia(value: unknown): MediaInfo {
  const media = plainMap(value, 'media');
  if (media.kind === 'image') {
    const { width, height, channels } = media;
    expect(
      isCount(width) && isCount(height) && isCount(channels),
      () => 'media: expected width, height and channels as positive integers',
    );
    return { kind: 'image', width, height, channels };
  }
  expect(media.kind === 'audio', () => `media: expected an image or audio, found "${String(media.kind)}"`);
  const { sampleRate, channels, frames } = media;
  expect(
    isCount(sampleRate) && isCount(channels) && isCount(frames),
    () => 'media: expected sampleRate, channels and frames as positive integers',
  );
  return { kind: 'audio', sampleRate, channels, frames };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
