import { describe, expect, it } from 'vitest';
import type { Decoder, StageContext } from '../../src/model/prior.js';
import { Rng } from '../../src/rng.js';
import { UNKNOWN } from '../../src/sample/logits.js';
import type { Draw } from '../../src/sample/logits.js';
import { appendCodes } from '../../src/sample/steps.js';

const [LENGTH, K] = [5, 4];
const context: StageContext = { conditions: Int32Array.of(7, 8), given: [] };

/** Prefers the code that follows the last one, and `first` at the start; rows of the latter half prefer `other`. */
class Counting implements Decoder {
  readonly read: number[][] = [];
  started: StageContext | undefined;

  constructor(
    private readonly rows: number,
    private readonly first = 0,
    private readonly other: number | undefined = undefined,
  ) {}

  async start(given: StageContext): Promise<Float32Array> {
    this.started = given;
    return this.preferring(new Array<number>(this.rows).fill(this.first));
  }

  async step(codes: Int32Array): Promise<Float32Array> {
    this.read.push([...codes]);
    return this.preferring([...codes].map((id) => (id + 1) % K));
  }

  private preferring(ids: readonly number[]): Float32Array {
    const logits = new Float32Array(this.rows * K);
    ids.forEach((id, row) => {
      const isSecondHalf = this.other !== undefined && row >= this.rows / 2;
      logits[row * K + (isSecondHalf ? this.other! : id)] = 3;
    });
    return logits;
  }
}

const draw = (more: Partial<Draw> = {}): Draw => ({
  vocabSize: K,
  known: new Int32Array(LENGTH).fill(UNKNOWN),
  options: { temperature: 0, topK: 0, topP: 1 },
  cfg: 1,
  rngs: [0, 1].map((i) => new Rng(1, 'test', i)),
  onProgress: () => undefined,
  ...more,
});

describe('appendCodes', () => {
  it('reads each code that it drew, but the last, which nothing follows', async () => {
    const decoder = new Counting(2);
    const rows = await appendCodes(decoder, context, draw());
    expect(rows.map((row) => [...row])).toEqual([
      [0, 1, 2, 3, 0],
      [0, 1, 2, 3, 0],
    ]);
    expect(decoder.started).toBe(context);
    expect(decoder.read).toEqual([
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it('reads the given codes in place of draws, anywhere in the sequence', async () => {
    const decoder = new Counting(2);
    const known = Int32Array.of(2, UNKNOWN, UNKNOWN, 1, UNKNOWN);
    const rows = await appendCodes(decoder, context, draw({ known }));
    for (const row of rows) expect([...row]).toEqual([2, 3, 0, 1, 2]);
    expect(decoder.read.map(([id]) => id)).toEqual([2, 3, 0, 1]);
  });

  it('guides rows by their copies in the latter half, which read the same codes', async () => {
    // Without a condition, the model prefers the code 3.
    const guided = (cfg: number) => {
      const decoder = new Counting(4, 1, 3);
      return appendCodes(decoder, context, draw({ cfg })).then((rows) => ({ rows, decoder }));
    };
    const { rows, decoder } = await guided(2);
    expect([...rows[0]!]).toEqual([1, 2, 3, 0, 1]);
    expect(decoder.read[0]).toEqual([1, 1, 1, 1]);
    // Scale 0 is the unconditional model.
    expect([...(await guided(0)).rows[0]!]).toEqual([3, 3, 3, 3, 3]);
  });

  it('draws each row from its own stream', async () => {
    const flat: Decoder = {
      start: async () => new Float32Array(2 * K),
      step: async () => new Float32Array(2 * K),
    };
    const hot = { temperature: 1, topK: 0, topP: 1 };
    const known = new Int32Array(40).fill(UNKNOWN);
    const [first, second] = await appendCodes(flat, context, draw({ options: hot, known }));
    expect(first).not.toEqual(second);
    const swapped = [1, 0].map((i) => new Rng(1, 'test', i));
    expect(await appendCodes(flat, context, draw({ options: hot, known, rngs: swapped }))).toEqual([second, first]);
  });

  it('reports its progress', async () => {
    const told: number[] = [];
    await appendCodes(new Counting(2), context, draw({ onProgress: (fraction) => told.push(fraction) }));
    expect(told).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  });
});
