// Damage to files as disks, transfers, editors and attackers cause it; the same for the same seed.
import { Rng } from '../../src/rng.js';

/** Pieces that readers of JSON and msgpack have stumbled over. */
const PIECES = [
  'null',
  '-1',
  '1e400',
  '9007199254740993',
  '"__proto__":{},',
  '"../../x"',
  '[]',
  '{}',
  '\ufeff',
  '\0',
  '\u202e',
  '""',
  '[[[[[[[[',
  '\x93',
  '\xdb\xff\xff\xff\xff',
  '\xc7',
].map((piece) => Buffer.from(piece, 'utf8'));

export class Mutator {
  private readonly rng: Rng;

  constructor(seed: number) {
    this.rng = new Rng(seed, 'mutants');
  }

  below(bound: number): number {
    return this.rng.int(bound);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Other bytes than these, by one to three changes. */
  mutate(bytes: Uint8Array): Uint8Array {
    for (;;) {
      let mutant = Buffer.from(bytes);
      for (let changes = 1 + this.below(3); changes > 0; changes--) mutant = this.change(mutant);
      if (!mutant.equals(bytes)) return mutant;
    }
  }

  private change(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    const at = this.below(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + this.below(this.pick([1, 4, 64, 4096])));
    const join = (...parts: readonly Uint8Array[]): Buffer<ArrayBuffer> => Buffer.concat(parts);
    switch (this.below(8)) {
      case 0:
      case 1:
        return bytes.map((byte, i) => (i === at ? byte ^ (1 << this.below(8)) : byte)) as Buffer<ArrayBuffer>;
      case 2:
        return bytes.map((byte, i) => (i === at ? this.below(256) : byte)) as Buffer<ArrayBuffer>;
      case 3:
        return join(bytes.subarray(0, at));
      case 4:
        return join(bytes.subarray(0, at), bytes.subarray(end));
      case 5:
        return join(bytes.subarray(0, end), bytes.subarray(at));
      case 6:
        return join(bytes.subarray(0, at), this.pick(PIECES), bytes.subarray(at));
      default:
        return join(bytes.subarray(0, at), this.pick(PIECES), bytes.subarray(end));
    }
  }
}
