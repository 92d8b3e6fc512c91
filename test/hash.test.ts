import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Sha256, createSha256, sha256 } from '../src/hash.js';

const ofNode = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

/** Bytes that repeat late enough to tell blocks apart. */
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7919) % 251);

describe('sha256 in plain JavaScript', () => {
  // FIPS 180-4, examples of NIST.
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ])('hashes %j', (text, expected) => {
    expect(new Sha256().update(text).hex()).toBe(expected);
    expect(sha256(text)).toBe(expected);
  });

  it('agrees with Node.js at every length around the ends of blocks', () => {
    for (let length = 0; length <= 200; length++) {
      const bytes = bytesOf(length);
      expect(new Sha256().update(bytes).hex()).toBe(ofNode(bytes));
    }
  });

  it('gives the same hash however the content is cut', () => {
    const bytes = bytesOf(1000);
    for (const step of [1, 3, 63, 64, 65, 128, 333]) {
      const hash = new Sha256();
      for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
      expect(hash.hex()).toBe(ofNode(bytes));
    }
  });

  it('reads text as UTF-8', () => {
    expect(new Sha256().update('größer 🍓').hex()).toBe(ofNode('größer 🍓'));
  });
});

it('a hash takes bytes and text in turn', () => {
  expect(createSha256().update('ab').update(Uint8Array.of(99)).hex()).toBe(ofNode('abc'));
});
