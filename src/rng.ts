// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A draw is a pure function of (seed, stream, step, index). There is no hidden state, nothing has to be saved, and a
// resumed run draws the same numbers as an uninterrupted one.

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** Identifies a sequence of random numbers. Equal keys give equal numbers on every machine. */
export interface RngKey {
  /** The user's seed, an integer in [0, 2^53). */
  seed: number;
  /** Identifies the use of the numbers, an integer in [0, 2^32); see {@link streamId}. */
  stream: number;
  /** Training step, epoch or sample index, an integer in [0, 2^53). */
  step: number;
}

/** Returns a stable 32-bit id for a named stream (FNV-1a of the UTF-8 bytes). */
export function streamId(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/**
 * Fills `out` with uniform 32-bit words.
 *
 * @param out    uint32 [n]; word i depends only on (key, offset + i).
 * @param offset Index of the first word, a multiple of 4.
 */
export function fillUint32(key: RngKey, out: Uint32Array, offset = 0): Uint32Array {
  const seedLow = key.seed >>> 0;
  const seedHigh = Math.floor(key.seed / 2 ** 32) >>> 0;
  const stepLow = key.step >>> 0;
  const stepHigh = Math.floor(key.step / 2 ** 32) >>> 0;
  let block = Math.floor(offset / 4);
  for (let i = 0; i < out.length; i += 4, block++) {
    let c0 = block >>> 0;
    let c1 = key.stream >>> 0;
    let c2 = stepLow;
    let c3 = stepHigh;
    let k0 = seedLow;
    let k1 = seedHigh;
    for (let round = 0; round < 10; round++) {
      const low0 = Math.imul(M0, c0) >>> 0;
      const high0 = mulHigh(M0, c0);
      const low1 = Math.imul(M1, c2) >>> 0;
      const high1 = mulHigh(M1, c2);
      c0 = (high1 ^ c1 ^ k0) >>> 0;
      c1 = low1;
      c2 = (high0 ^ c3 ^ k1) >>> 0;
      c3 = low0;
      k0 = (k0 + W0) >>> 0;
      k1 = (k1 + W1) >>> 0;
    }
    out[i] = c0;
    if (i + 1 < out.length) out[i + 1] = c1;
    if (i + 2 < out.length) out[i + 2] = c2;
    if (i + 3 < out.length) out[i + 3] = c3;
  }
  return out;
}

/** Returns the high 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const lowLow = aLow * bLow;
  const middle = aHigh * bLow + (lowLow >>> 16);
  const middle2 = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(middle2 / 65536)) >>> 0;
}

/**
 * Fills `out` with float32 uniform numbers in (0, 1): the midpoints of 2^23 equal intervals, so neither 0 nor 1 occurs.
 */
export function fillUniform(key: RngKey, out: Float32Array): Float32Array {
  const words = fillUint32(key, new Uint32Array(out.buffer, out.byteOffset, out.length));
  for (let i = 0; i < words.length; i++) out[i] = ((words[i]! >>> 9) + 0.5) * 2 ** -23;
  return out;
}

/** Fills `out` with float32 standard normal numbers, by the Box-Muller transform. */
export function fillNormal(key: RngKey, out: Float32Array): Float32Array {
  const uniforms = fillUniform(key, new Float32Array(out.length + (out.length & 1)));
  for (let i = 0; i < out.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniforms[i]!));
    const angle = 2 * Math.PI * uniforms[i + 1]!;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/** Reads the numbers of one key sequentially, for code that draws a few values at a time. */
export class Rng {
  private readonly buffer = new Uint32Array(64);
  private used = 64;
  private drawn = 0;
  private readonly key: RngKey;

  constructor(seed: number, stream: string | number = 0, step = 0) {
    this.key = { seed, stream: typeof stream === 'string' ? streamId(stream) : stream, step };
  }

  /** Returns a uniform integer in [0, 2^32). */
  uint32(): number {
    if (this.used === this.buffer.length) {
      fillUint32(this.key, this.buffer, this.drawn);
      this.drawn += this.buffer.length;
      this.used = 0;
    }
    return this.buffer[this.used++]!;
  }

  /** Returns a uniform number in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.uint32() * 2 ** -32;
  }

  /** Returns a uniform integer in [0, bound), 1 <= bound <= 2^32. Rejection sampling makes it unbiased. */
  int(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % bound;
  }

  /** Returns a standard normal number. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}

/**
 * Returns a uniform random permutation of 0..n-1 as uint32 [n], by the Fisher-Yates shuffle. It depends only on the
 * arguments.
 */
export function permutation(n: number, seed: number, stream: string, step = 0): Uint32Array {
  const rng = new Rng(seed, stream, step);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = rng.int(i + 1);
    const swap = order[i]!;
    order[i] = order[j]!;
    order[j] = swap;
  }
  return order;
}
