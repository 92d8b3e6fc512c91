// Records with a valid checksum that say what they must not: the checksum proves only that nobody dropped a bit.
import { pack as packAnything } from 'msgpackr';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptError } from '../../src/errors.js';
import { fullCard } from '../../src/shards/format.js';
import { pack, skipObject, unpackStrict } from '../../src/shards/msgpack.js';
import { decodeSample, encodeSample } from '../../src/shards/sample.js';
import { CARD, makeSample } from './samples.js';

const card = fullCard(CARD, 4, 1000);
const where = (): string => 'part-00000.msgpack#3@812';

/** The payload of a good sample, changed. */
function payloadWith(change: (payload: Record<string, any>) => void): Uint8Array {
  const payload = unpackStrict(encodeSample(makeSample('train', 1), card), where) as Record<string, any>;
  change(payload);
  return pack(payload);
}

const ids = (...values: number[]): Uint8Array => Buffer.from(Uint16Array.from(values).buffer);

describe('a payload is refused, its place named, when it holds', () => {
  test.each<[string, RegExp, Uint8Array]>([
    [
      'an id beyond the vocabulary',
      /ids below the vocabulary of 16, found 16/,
      payloadWith((p) => void (p.maps[0].ids = ids(1, 16))),
    ],
    ['another grid', /expected grid \[2\], found \[1\]/, payloadWith((p) => void (p.maps[0].grid = [1]))],
    ['a grid of text', /expected grid/, payloadWith((p) => void (p.maps[0].grid = ['2']))],
    ['fewer ids than its shape', /expected 4 bytes of ids/, payloadWith((p) => void (p.maps[0].ids = ids(1)))],
    ['ids as integers', /ids as bytes/, payloadWith((p) => void (p.maps[0].ids = [1, 2]))],
    ['a missing map', /expected 2 maps/, payloadWith((p) => void p.maps.pop())],
    ['an extra field in a map', /name, grid and ids/, payloadWith((p) => void (p.maps[0].dtype = 'uint8'))],
    ['an unknown field', /no field "run"/, payloadWith((p) => void (p.run = 'x'))],
    ['no key', /expected a key/, payloadWith((p) => void delete p.key)],
    ['a label beyond the classes', /label in \[0, 3\), found 3/, payloadWith((p) => void (p.label = 3))],
    ['a label that is no integer', /label/, payloadWith((p) => void (p.label = 0.5))],
    ['captions that are not text', /text to be a string/, payloadWith((p) => void (p.text = ['a', 1]))],
    [
      'media of no size',
      /media/,
      payloadWith((p) => void (p.media = { kind: 'image', width: Number.NaN, height: 1, channels: 3 })),
    ],
    ['media of no kind', /one of them the kind/, payloadWith((p) => void (p.media = { width: 3 }))],
    ['media with a list in it', /media/, payloadWith((p) => void (p.media = { kind: 'image', width: [1] }))],
    ['no map at all', /expected a sample as a map/, pack([1])],
    [
      'a date (an extension type)',
      /plain msgpack, found type 0xd6/,
      packAnything({ key: new Date(1_000_000_000_000) }),
    ],
    ['an extension type of any size', /plain msgpack, found type 0xc7/, Uint8Array.of(0xc7, 1, 0x72, 0)],
    ['the unused byte', /plain msgpack, found type 0xc1/, Uint8Array.of(0x81, 0xa1, 0x61, 0xc1)],
    ['a __proto__ key', /no field "__proto_"/, Uint8Array.of(0x81, 0xa9, ...Buffer.from('__proto__'), 0x80)],
    ['a key that is no text', /string as key/, Uint8Array.of(0x81, 0x01, 0x01)],
    ['an array of four billion', /expected 4294967295 entries/, Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map of four billion', /expected 4294967295 entries/, Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['a string of four gigabytes', /expected 4294967300 bytes/, Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['bytes of four gigabytes', /expected 4294967300 bytes/, Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff)],
    ['nesting without end', /at most 16 levels/, new Uint8Array(100_000).fill(0x91)],
    ['a second object', /expected one object/, Uint8Array.of(0x80, 0x80)],
    ['nothing', /found the end/, new Uint8Array(0)],
  ])('%s', (_, message, payload) => {
    const decode = (): unknown => decodeSample(payload, card, where);
    expect(decode).toThrow(CorruptError);
    expect(decode).toThrow(message);
    expect(decode).toThrow(/part-00000\.msgpack#3@812/);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

test('any payload whatever is decoded or refused with a typed error', () => {
  const base = encodeSample(makeSample('train', 2), card);
  const outcome = (payload: Uint8Array): string => {
    try {
      decodeSample(payload, card, where);
      return 'decoded';
    } catch (error) {
      if (error instanceof CorruptError) return 'refused';
      throw error;
    }
  };
  const mutant = fc
    .array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = base.slice();
      for (const [position, value] of changes) bytes[position] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(mutant, fc.uint8Array({ maxLength: 64 })), (payload) => {
      expect(['decoded', 'refused']).toContain(outcome(payload));
    }),
    { numRuns: 5000, seed: 7 },
  );
});

test('the walker agrees with the decoder on where an object ends', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie('any'), { maxLength: 20 }),
      fc.dictionary(fc.string(), tie('any'), { maxKeys: 20 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (any) => {
      const bytes = pack(any);
      expect(skipObject(Buffer.concat([bytes, Uint8Array.of(0xc1)]), 0, where)).toBe(bytes.length);
    }),
    { numRuns: 500, seed: 3 },
  );
});
