import { describe, expect, it } from 'vitest';
import type { Predictor } from '../../src/model/prior.js';
import { Rng } from '../../src/rng.js';
import { UNKNOWN } from '../../src/sample/logits.js';
import type { Draw } from '../../src/sample/logits.js';
import { refine } from '../../src/sample/refine.js';

const [LENGTH, K] = [16, 5];
const context = { conditions: Int32Array.of(0, 0), given: [] };

/** Logits that depend on the position, and on how many codes are known. */
function predictor(seen: Int32Array[] = []): Predictor {
  return {
    predict: async (codes) => {
      seen.push(codes.slice());
      return Float32Array.from({ length: codes.length * K }, (_, i) =>
        Math.sin(i * 1.7 + codes.filter((id) => id === K).length),
      );
    },
  };
}

const draw = (seed: number, more: Partial<Draw> = {}): Draw => ({
  vocabSize: K,
  known: new Int32Array(LENGTH).fill(UNKNOWN),
  options: { temperature: 1, topK: 0, topP: 1 },
  cfg: 1,
  rngs: [0, 1].map((i) => new Rng(seed, 'test', i)),
  onProgress: () => undefined,
  ...more,
});

describe('refine', () => {
  it('fills in all codes, by seed', async () => {
    const rows = await refine(predictor(), 2, context, 6, draw(1));
    for (const row of rows) for (const id of row) expect(id >= 0 && id < K).toBe(true);
    expect(await refine(predictor(), 2, context, 6, draw(1))).toEqual(rows);
    expect(await refine(predictor(), 2, context, 6, draw(2))).not.toEqual(rows);
    expect(rows[0]).not.toEqual(rows[1]);
  });

  it('leaves fewer codes unknown after each round, along a cosine, and keeps those it has chosen', async () => {
    const seen: Int32Array[] = [];
    await refine(predictor(seen), 2, context, 4, draw(1));
    const unknown = seen.map((codes) => codes.subarray(0, LENGTH).filter((id) => id === K).length);
    expect(unknown).toEqual([0, 1, 2, 3].map((round) => Math.floor(LENGTH * Math.cos((Math.PI / 8) * round))));
    for (const [round, codes] of seen.entries()) {
      const before = seen[round - 1] ?? codes;
      expect([...codes].filter((_, i) => before[i] !== K)).toEqual([...before].filter((id) => id !== K));
    }
  });

  it('keeps the surest codes', async () => {
    const seen: Int32Array[] = [];
    // Later positions are far surer: the noise, of a few nats, does not change their order.
    const certain: Predictor = {
      predict: async (codes) => {
        seen.push(codes.slice());
        return Float32Array.from({ length: codes.length * K }, (_, i) =>
          i % K === 0 ? 0 : -200 * (Math.floor(i / K) % LENGTH),
        );
      },
    };
    const hot = { temperature: 1e6, topK: 0, topP: 1 };
    await refine(certain, 2, context, 4, draw(1, { options: hot }));
    // Hot draws take any code. The surest are those that drew the code 0, or come early, where the others are hardly worse.
    const before = seen[1]!.subarray(0, LENGTH);
    const kept = [...before.keys()].filter((position) => before[position] !== K);
    expect(kept.length).toBeGreaterThan(0);
    for (const position of kept) expect(before[position] === 0 || position === 0).toBe(true);
  });

  it('keeps the codes that are given', async () => {
    const known = new Int32Array(LENGTH).fill(UNKNOWN);
    known.set([3, 1, 4]);
    const rows = await refine(predictor(), 2, context, 3, draw(1, { known }));
    for (const row of rows) expect([...row.subarray(0, 3)]).toEqual([3, 1, 4]);
  });

  it('guides with the latter half of the rows', async () => {
    const guided = {
      predict: async (codes: Int32Array) =>
        Float32Array.from({ length: codes.length * K }, (_, i) => (i % K === (i < LENGTH * K * 2 ? 2 : 3) ? 4 : 0)),
    };
    const four = { conditions: Int32Array.of(0, 0, 0, 0), given: [] };
    // The conditional rows favor the code 2, the others the code 3: with a large scale only 2 is left.
    const rows = await refine(guided, 4, four, 2, draw(1, { cfg: 8 }));
    for (const row of rows) expect([...row]).toEqual(new Array(LENGTH).fill(2));
  });

  it('reports its progress', async () => {
    const told: number[] = [];
    await refine(predictor(), 2, context, 4, draw(1, { onProgress: (fraction) => told.push(fraction) }));
    expect(told).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });
});
