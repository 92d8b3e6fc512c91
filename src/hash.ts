// sha256, incremental and synchronous: by Node.js where it is at hand, in JavaScript elsewhere.
import { nodeBuiltin } from './node-builtin.js';

/** A hash in the making. */
export interface Hash {
  /** Appends bytes, or text as UTF-8. Returns the hash itself. */
  update(content: Uint8Array | string): Hash;
  /** Hexadecimal. Call it once, at the end. */
  hex(): string;
}

const crypto = nodeBuiltin?.('node:crypto');

/** Starts a sha256. */
export function createSha256(): Hash {
  return crypto ? new NativeSha256(crypto.createHash('sha256')) : new Sha256();
}

/** sha256 of bytes or of UTF-8 text, hexadecimal. */
export function sha256(content: Uint8Array | string): string {
  return createSha256().update(content).hex();
}

/** The part of a hash of Node.js that is used. */
interface NodeHash {
  update(content: Uint8Array | string): unknown;
  digest(encoding: 'hex'): string;
}

class NativeSha256 implements Hash {
  constructor(private readonly hash: NodeHash) {}

  update(content: Uint8Array | string): Hash {
    this.hash.update(content);
    return this;
  }

  hex(): string {
    return this.hash.digest('hex');
  }
}

/** The first 32 bits of the fractional parts of the square roots of the first 8 primes. */
const INITIAL_STATE = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND_CONSTANTS = Int32Array.of(
  0x428a2f98,
  0x71374491,
  0xb5c0fbcf,
  0xe9b5dba5,
  0x3956c25b,
  0x59f111f1,
  0x923f82a4,
  0xab1c5ed5,
  0xd807aa98,
  0x12835b01,
  0x243185be,
  0x550c7dc3,
  0x72be5d74,
  0x80deb1fe,
  0x9bdc06a7,
  0xc19bf174,
  0xe49b69c1,
  0xefbe4786,
  0x0fc19dc6,
  0x240ca1cc,
  0x2de92c6f,
  0x4a7484aa,
  0x5cb0a9dc,
  0x76f988da,
  0x983e5152,
  0xa831c66d,
  0xb00327c8,
  0xbf597fc7,
  0xc6e00bf3,
  0xd5a79147,
  0x06ca6351,
  0x14292967,
  0x27b70a85,
  0x2e1b2138,
  0x4d2c6dfc,
  0x53380d13,
  0x650a7354,
  0x766a0abb,
  0x81c2c92e,
  0x92722c85,
  0xa2bfe8a1,
  0xa81a664b,
  0xc24b8b70,
  0xc76c51a3,
  0xd192e819,
  0xd6990624,
  0xf40e3585,
  0x106aa070,
  0x19a4c116,
  0x1e376c08,
  0x2748774c,
  0x34b0bcb5,
  0x391c0cb3,
  0x4ed8aa4a,
  0x5b9cca4f,
  0x682e6ff3,
  0x748f82ee,
  0x78a5636f,
  0x84c87814,
  0x8cc70208,
  0x90befffa,
  0xa4506ceb,
  0xbef9a3f7,
  0xc67178f2,
);

const BLOCK_BYTES = 64;

/** SHA-256 (FIPS 180-4) in plain JavaScript. Exported for its test; use {@link createSha256}. */
export class Sha256 implements Hash {
  private readonly state = Int32Array.from(INITIAL_STATE);
  /** Bytes that do not fill a block yet. */
  private readonly rest = new Uint8Array(BLOCK_BYTES);
  private readonly schedule = new Int32Array(64);
  private totalBytes = 0;

  update(content: Uint8Array | string): Hash {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    let position = 0;
    const filled = this.totalBytes % BLOCK_BYTES;
    this.totalBytes += bytes.length;
    if (filled > 0) {
      position = Math.min(BLOCK_BYTES - filled, bytes.length);
      this.rest.set(bytes.subarray(0, position), filled);
      if (filled + position < BLOCK_BYTES) return this;
      this.addBlock(this.rest, 0);
    }
    for (; position + BLOCK_BYTES <= bytes.length; position += BLOCK_BYTES) this.addBlock(bytes, position);
    this.rest.set(bytes.subarray(position));
    return this;
  }

  hex(): string {
    this.pad();
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** Appends a one bit, zeros up to the end of a block, and the length of the content in bits. */
  private pad(): void {
    const bits = BigInt(this.totalBytes) * 8n;
    const zeros = (2 * BLOCK_BYTES - 9 - (this.totalBytes % BLOCK_BYTES)) % BLOCK_BYTES;
    const padding = new Uint8Array(1 + zeros + 8);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(1 + zeros, bits);
    this.update(padding);
  }

  /** Mixes the 64 bytes at `offset` into the state. */
  private addBlock(bytes: Uint8Array, offset: number): void {
    this.expand(bytes, offset);
    const { state, schedule } = this;
    const at = (index: number): number => state[index]!;
    let [a, b, c, d, e, f, g, h] = [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)];
    for (let i = 0; i < 64; i++) {
      const sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const first = (h + sum1 + choice + ROUND_CONSTANTS[i]! + schedule[i]!) | 0;
      const sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + first) | 0;
      d = c;
      c = b;
      b = a;
      a = (first + sum0 + majority) | 0;
    }
    state.set([at(0) + a, at(1) + b, at(2) + c, at(3) + d, at(4) + e, at(5) + f, at(6) + g, at(7) + h]);
  }

  /** The 64 words of a block's message schedule. */
  private expand(bytes: Uint8Array, offset: number): void {
    const { schedule } = this;
    for (let i = 0, at = offset; i < 16; i++, at += 4)
      schedule[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    for (let i = 16; i < 64; i++) {
      const early = schedule[i - 15]!;
      const late = schedule[i - 2]!;
      const sigma0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
      const sigma1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
      schedule[i] = (schedule[i - 16]! + sigma0 + schedule[i - 7]! + sigma1) | 0;
    }
  }
}

/** Rotates a 32-bit word to the right. */
function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}
