// What every prior must do.
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { compile, hostValues, randomKey, tf } from '../../src/engine/index.js';
import { codeCount } from '../../src/interfaces/index.js';
import type { PriorFamily } from '../../src/model/prior.js';
import { adamW, adamWHyper, ADAMW_DEFAULTS, adamWSlots, gradients } from '../../src/nn/optimizer.js';
import { createParams, disposeParams, importParams } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import { PriorModel } from '../../src/prior/model.js';
import { Stages } from '../../src/prior/stages.js';
import { priorFamily } from '../../src/registry.js';
import { Rng } from '../../src/rng.js';
import { generateCodes } from '../../src/sample/generate.js';
import type { SampleCodes } from '../../src/sample/generate.js';
import { freshTensors } from '../support/tiny.js';

/**
 * @param json a config without conditioning that is quick to compute, and large enough to memorize four random samples.
 * @param options.learningRate for memorizing them in 150 steps. A step of AdamW moves each weight by about this much, so a table of
 *   logits needs a larger one than a network.
 */
export function priorConformance(
  name: string,
  json: Record<string, unknown>,
  { learningRate = 1e-2 }: { learningRate?: number } = {},
): void {
  describe(`${name} conforms: ${JSON.stringify(json)}`, () => {
    const family: PriorFamily = priorFamily(name);
    const config = family.parseConfig(json);
    const stages = Stages.of(family, config);
    const { params: specs, codeCount: count, maps } = stages;
    const { length, ...rest } = family.condition(config);
    const condition = rest.encode(null, undefined);
    const weights = (): Params => importParams('test', specs, enlarged(freshTensors(specs, 5)));
    const open = (): PriorModel => new PriorModel(family, config, weights());
    const randomCodes = (rows: number, seed: number): Int32Array => {
      const rng = new Rng(seed, 'test.codes');
      return Int32Array.from(
        Array.from({ length: rows }, () =>
          maps.flatMap((map) => Array.from({ length: codeCount(map) }, () => rng.int(map.vocabSize))),
        ).flat(),
      );
    };
    const task = (model: PriorModel, n: number) => ({
      model,
      conditions: Array.from({ length: n }, () => condition),
      unconditional: condition,
    });
    /** All codes of a sample, map after map. */
    const flat = (codes: SampleCodes): number[] => maps.flatMap((map) => [...codes[map.name]!]);
    const first = maps[0]!;

    it('names a condition of the promised length and range', () => {
      expect(condition).toHaveLength(length);
      for (const id of condition) expect(id).toBeGreaterThanOrEqual(0);
      for (const id of condition) expect(id).toBeLessThan(rest.vocabSize);
    });

    it('predicts each code from earlier ones of its sequence and from given maps alone', async () => {
      const params = weights();
      const score = compile((codes: tf.Tensor2D, conditions: tf.Tensor2D) =>
        stages.score(params, { codes, condition: conditions }),
      );
      const conditions = tf.tensor2d(condition, [1, length], 'int32');
      const natsOf = async (ids: Int32Array) =>
        (await score(tf.tensor2d(ids, [1, count], 'int32'), conditions)).map(({ nats }) => hostValues(nats).slice());
      const codes = randomCodes(1, 1);
      const before = await natsOf(codes);
      for (const [s, { stage, map }] of stages.parts.entries()) {
        if (stage.sampler !== 'steps') continue;
        const own = codeCount(map);
        for (const changed of [0, 1, own - 1]) {
          const other = codes.slice();
          const at = stages.offsetOf(map.name) + (stage.order.places?.[changed] ?? changed);
          other[at] = (other[at]! + 1) % map.vocabSize;
          const after = await natsOf(other);
          expect(after[s]!.subarray(0, changed)).toEqual(before[s]!.subarray(0, changed));
          expect(after[s]![changed]).not.toBe(before[s]![changed]);
          // Later codes see the change; after the last there is none.
          expect(isDeepStrictEqual(after[s]!.subarray(changed + 1), before[s]!.subarray(changed + 1))).toBe(
            changed === own - 1,
          );
          // Earlier stages do not see it; stages that are given the map do.
          const others = stages.parts.filter((_, t) => t !== s);
          const isSame = after.map((nats, t) => isDeepStrictEqual(nats, before[t])).filter((_, t) => t !== s);
          expect(isSame).toEqual(others.map(({ stage: other }) => !other.given.includes(map.name)));
        }
      }
      await score.dispose();
      disposeParams(params);
    });

    it('scores as a model what its stages score', async () => {
      const model = open();
      const codes = randomCodes(3, 2);
      const conditions = Int32Array.from([0, 1, 2].flatMap(() => [...condition]));
      const { nats, accuracy } = await model.score(codes, conditions, 3);
      const params = weights();
      const batch = {
        codes: tf.tensor2d(codes, [3, count], 'int32'),
        condition: tf.tensor2d(conditions, [3, length], 'int32'),
      };
      const scores = stages.score(params, batch);
      const rowMean = (row: number, of: 'nats' | 'hits'): number =>
        scores.reduce((sum, one) => {
          const width = one[of].size / 3;
          return sum + [...one[of].dataSync()].slice(row * width, (row + 1) * width).reduce((a, b) => a + b, 0);
        }, 0) / count;
      for (const row of [0, 1, 2]) {
        expect(nats[row]).toBeCloseTo(rowMean(row, 'nats'), 4);
        expect(accuracy[row]).toBeCloseTo(rowMean(row, 'hits'), 4);
      }
      model.dispose();
      disposeParams(params);
    });

    it('repeats samples by seed, whatever the batch, and differs between seeds', async () => {
      const model = open();
      const drawn = await generateCodes(task(model, 4), { seed: 1 });
      expect(await generateCodes(task(model, 4), { seed: 1, batchSize: 3 })).toEqual(drawn);
      expect(await generateCodes(task(model, 4), { seed: 2 })).not.toEqual(drawn);
      expect(new Set(drawn.map((codes) => flat(codes).join())).size).toBe(4);
      for (const codes of drawn)
        for (const map of maps) {
          expect(codes[map.name]).toHaveLength(codeCount(map));
          for (const id of codes[map.name]!) expect(id >= 0 && id < map.vocabSize).toBe(true);
        }
      model.dispose();
    });

    it('draws with its cache what it would draw without', async () => {
      const model = open();
      const params = weights();
      const [cached] = await generateCodes(task(model, 1), { temperature: 0 });
      // Every choice of a stage that appends must be the likeliest continuation by a full forward pass.
      const scores = await compile((codes: tf.Tensor2D, conditions: tf.Tensor2D) =>
        stages.score(params, { codes, condition: conditions }),
      )(tf.tensor2d(flat(cached!), [1, count], 'int32'), tf.tensor2d(condition, [1, length], 'int32'));
      const hits = stages.parts.flatMap(({ stage }, s) =>
        stage.sampler === 'steps' ? [...hostValues(scores[s]!.hits)] : [],
      );
      expect(hits).toEqual(hits.map(() => 1));
      expect(hits.length).toBeGreaterThan(0);
      model.dispose();
      disposeParams(params);
    });

    it('keeps a prime and continues it', async () => {
      const model = open();
      const prime = [3, 1, 2];
      const codes = await generateCodes(task(model, 2), { prime, seed: 4 });
      for (const one of codes) expect(Array.from(one[first.name]!.subarray(0, 3))).toEqual(prime);
      expect(codes[0]).not.toEqual(codes[1]);
      model.dispose();
    });

    it('takes only the likeliest code with top-k 1', async () => {
      const model = open();
      const [one] = await generateCodes(task(model, 1), { topK: 1, seed: 9 });
      const [greedy] = await generateCodes(task(model, 1), { temperature: 0 });
      expect(one![first.name]).toEqual(greedy![first.name]);
      model.dispose();
    });

    it('stops when asked to', async () => {
      const model = open();
      const controller = new AbortController();
      const onProgress = (fraction: number): void => {
        if (fraction > 0.2) controller.abort();
      };
      await expect(generateCodes(task(model, 2), { onProgress, signal: controller.signal })).rejects.toThrow(
        /E_ABORTED/,
      );
      model.dispose();
    });

    it('leaks no tensor', async () => {
      const model = open();
      const use = async (): Promise<void> => {
        await generateCodes(task(model, 2), { seed: 1, cfg: 2 });
        await model.score(randomCodes(2, 3), Int32Array.from([...condition, ...condition]), 2);
      };
      await use();
      const { numTensors } = tf.memory();
      await use();
      expect(tf.memory().numTensors).toBe(numTensors);
      model.dispose();
    });

    it('memorizes a set of four samples', async () => {
      const params = createParams(specs, 2);
      const slots = adamWSlots(params);
      const batch = {
        codes: tf.tensor2d(randomCodes(4, 8), [4, count], 'int32'),
        condition: tf.tensor2d(Int32Array.from([0, 1, 2, 3].flatMap(() => [...condition])), [4, length], 'int32'),
      };
      const step = compile((hyper: tf.Tensor1D, key: tf.Tensor1D) => {
        const { result, grads } = gradients(params, () => stages.loss(params, batch, key));
        adamW(params, slots, grads, hyper, ADAMW_DEFAULTS);
        return result.natsPerCode;
      });
      const losses: number[] = [];
      for (let i = 1; i <= 150; i++)
        losses.push((await step(adamWHyper(i, learningRate, ADAMW_DEFAULTS), randomKey(0, i))).dataSync()[0]!);
      expect(losses[0]).toBeGreaterThan(0.7 * Math.log(first.vocabSize));
      // The first code cannot be known: ln 4 nats over all codes remain.
      expect(losses.at(-1)).toBeLessThan(Math.log(4) / count + 0.3);
      await step.dispose();
      disposeParams(params);
    });
  });
}

/** Weights far from uniform, so that predictions differ clearly. */
function enlarged(tensors: ReturnType<typeof freshTensors>): ReturnType<typeof freshTensors> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      tensor.shape.length > 1 ? { ...tensor, data: (tensor.data as Float32Array).map((v) => v * 12) } : tensor,
    ]),
  ) as typeof tensors;
}
