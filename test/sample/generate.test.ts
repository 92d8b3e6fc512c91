import { describe, expect, it } from 'vitest';
import { AbortedError } from '../../src/errors.js';
import { levelOrder } from '../../src/model/order.js';
import type { Decoder, Predictor, Stage, StageContext } from '../../src/model/prior.js';
import type { SamplingStage } from '../../src/prior/model.js';
import { generateCodes } from '../../src/sample/generate.js';

const K = 8;
const COARSE = { name: 'coarse', grid: [3], levels: 2, vocabSize: K };
const FINE = { name: 'fine', grid: [4], levels: 1, vocabSize: K };
const NONE = Int32Array.of(0);

/** The codes that a stage read, and the contexts. */
interface Log {
  contexts: StageContext[];
  steps: number[][];
}

const certainly = (ids: readonly number[]): Float32Array => {
  const logits = new Float32Array(ids.length * K);
  ids.forEach((id, row) => (logits[row * K + id] = 100));
  return logits;
};

/** A stage that says 0, 1, 2, .. level after level. */
function countingStage(log: Log): SamplingStage {
  const order = levelOrder(COARSE);
  const sampler = async (rows: number): Promise<Decoder> => {
    let next = 0;
    return {
      start: async (context) => {
        log.contexts.push(context);
        return certainly(new Array<number>(rows).fill(next++));
      },
      step: async (codes) => {
        log.steps.push([...codes]);
        return certainly(new Array<number>(rows).fill(next++));
      },
    };
  };
  const stage = { order, given: [] as string[] } as Partial<Stage> as Stage;
  return { sampler: 'steps', map: COARSE, stage, open: { sampler, dispose: () => undefined } };
}

/** A stage that copies the first four given codes in one round. */
function copyingStage(log: Log): SamplingStage {
  const sampler = async (rows: number): Promise<Predictor> => ({
    predict: async (_, context) => {
      log.contexts.push(context);
      const [given] = context.given;
      return certainly(Array.from({ length: rows * 4 }, (_, i) => given![Math.floor(i / 4) * 6 + (i % 4)]!));
    },
  });
  const stage = { order: {}, given: ['coarse'] } as Partial<Stage> as Stage;
  return { sampler: 'refine', rounds: 1, map: FINE, stage, open: { sampler, dispose: () => undefined } };
}

function task(count: number) {
  const [first, second]: [Log, Log] = [
    { contexts: [], steps: [] },
    { contexts: [], steps: [] },
  ];
  const model = { maps: [COARSE, FINE], stages: [countingStage(first), copyingStage(second)] };
  const conditions = Array.from({ length: count }, (_, i) => Int32Array.of(i + 1));
  return { first, second, task: { model, conditions, unconditional: NONE } };
}

describe('generateCodes', () => {
  it('gives the codes of each map row-major, and those of earlier stages to later ones', async () => {
    const { task: one, second } = task(2);
    const samples = await generateCodes(one);
    for (const { coarse, fine } of samples) {
      // Sampled level after level: [0, 1, 2] of the first and [3, 4, 5] of the second level.
      expect([...coarse!]).toEqual([0, 3, 1, 4, 2, 5]);
      expect([...fine!]).toEqual([0, 3, 1, 4]);
    }
    expect(second.contexts[0]!.given.map((codes) => [...codes])).toEqual([[0, 3, 1, 4, 2, 5, 0, 3, 1, 4, 2, 5]]);
  });

  it('keeps the codes that it is primed with, which are row-major, and reads them in the order of the stage', async () => {
    const { task: one, first } = task(1);
    const [sample] = await generateCodes(one, { prime: [6, 7, 5] });
    // Positions 0, 1 and 3 of the sequence are given; the stage counts its calls.
    expect([...sample!.coarse!]).toEqual([6, 7, 5, 4, 2, 5]);
    expect(first.steps.map(([id]) => id)).toEqual([6, 5, 2, 7, 4]);
  });

  it('adds unconditional rows for guidance, with the codes of their samples', async () => {
    const { task: one, first, second } = task(2);
    await generateCodes(one, { cfg: 3 });
    expect([...first.contexts[0]!.conditions]).toEqual([1, 2, 0, 0]);
    expect(first.steps[0]).toHaveLength(4);
    expect(second.contexts[0]!.given[0]).toHaveLength(4 * 6);
  });

  it('works in batches, and reports the fraction of all codes', async () => {
    const { task: one, first } = task(5);
    const told: number[] = [];
    expect(await generateCodes(one, { batchSize: 2, onProgress: (fraction) => told.push(fraction) })).toHaveLength(5);
    expect(first.contexts.map(({ conditions }) => [...conditions])).toEqual([[1, 2], [3, 4], [5]]);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect([told[0], told.at(-1)]).toEqual([0, 1]);
  });

  it('stops between codes when asked', async () => {
    const { task: one } = task(1);
    const controller = new AbortController();
    const stopped = generateCodes(one, { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(stopped).rejects.toThrow(AbortedError);
  });
});
