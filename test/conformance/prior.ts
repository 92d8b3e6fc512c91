// What every prior must do.
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { compile, hostValues, randomKey, tf } from '../../src/engine/index.js';
import { codeCount } from '../../src/interfaces/index.js';
import type { PriorFamily } from '../../src/model/prior.js';
import { adamW, adamWHyper, ADAMW_DEFAULTS, adamWSlots, gradients } from '../../src/nn/optimizer.js';
import { createParams, disposeParams, importParams } from '../../src/model/params.js';
import { priorFamily } from '../../src/registry.js';
import { Rng } from '../../src/rng.js';
import { generateCodes } from '../../src/sample/generate.js';
import { freshTensors } from '../support/tiny.js';

/** @param json a config without conditioning that is quick to compute. */
export function priorConformance(name: string, json: Record<string, unknown>): void {
  describe(`${name} conforms`, () => {
    const family: PriorFamily = priorFamily(name);
    const config = family.parseConfig(json);
    const specs = family.trainable(config);
    const [map] = family.maps(config);
    const count = codeCount(map!);
    const length = family.conditionLength(config);
    const condition = family.condition(config, null, undefined);
    const open = () => family.open(config, enlarged(freshTensors(specs, 5)));
    const randomCodes = (rows: number, seed: number): Int32Array => {
      const rng = new Rng(seed, 'test.codes');
      return Int32Array.from({ length: rows * count }, () => rng.int(map!.vocabSize));
    };
    const task = (model: ReturnType<typeof open>, n: number) => ({
      model,
      conditions: Array.from({ length: n }, () => condition),
      unconditional: condition,
      codeCount: count,
      vocabSize: map!.vocabSize,
    });

    it('predicts each code from earlier ones alone', async () => {
      const params = importParams('test', specs, enlarged(freshTensors(specs, 5)));
      const score = compile((codes: tf.Tensor2D, conditions: tf.Tensor2D) =>
        family.score(params, { codes, condition: conditions }, config),
      );
      const conditions = tf.tensor2d(condition, [1, length], 'int32');
      const codes = randomCodes(1, 1);
      const nats = async (ids: Int32Array) =>
        hostValues((await score(tf.tensor2d(ids, [1, count], 'int32'), conditions)).nats).slice();
      const before = await nats(codes);
      for (const changed of [0, 1, count - 1]) {
        const other = codes.slice();
        other[changed] = (other[changed]! + 1) % map!.vocabSize;
        const after = await nats(other);
        expect(after.subarray(0, changed)).toEqual(before.subarray(0, changed));
        expect(after[changed]).not.toBe(before[changed]);
        // Later codes see the change; after the last there is none.
        expect(isDeepStrictEqual(after.subarray(changed + 1), before.subarray(changed + 1))).toBe(
          changed === count - 1,
        );
      }
      await score.dispose();
      disposeParams(params);
    });

    it('repeats samples by seed, whatever the batch, and differs between seeds', async () => {
      const model = open();
      const first = await generateCodes(task(model, 4), { seed: 1 });
      expect(await generateCodes(task(model, 4), { seed: 1, batchSize: 4 })).toEqual(first);
      expect(await generateCodes(task(model, 4), { seed: 2 })).not.toEqual(first);
      expect(new Set(first.map((codes) => codes.join())).size).toBe(4);
      model.dispose();
    });

    it('draws with the cache what it would draw without', async () => {
      const model = open();
      const params = importParams('test', specs, enlarged(freshTensors(specs, 5)));
      const [cached] = await generateCodes(task(model, 1), { temperature: 0 });
      // Every cached choice must be the likeliest continuation by a full forward pass.
      const { hits } = await compile((codes: tf.Tensor2D, conditions: tf.Tensor2D) =>
        family.score(params, { codes, condition: conditions }, config),
      )(tf.tensor2d(cached!, [1, count], 'int32'), tf.tensor2d(condition, [1, length], 'int32'));
      expect(Array.from(hostValues(hits))).toEqual(Array.from({ length: count }, () => 1));
      model.dispose();
      disposeParams(params);
    });

    it('keeps a prime and continues it', async () => {
      const model = open();
      const prime = [3, 1, 2];
      const codes = await generateCodes(task(model, 2), { prime, seed: 4 });
      for (const one of codes) expect(Array.from(one.subarray(0, 3))).toEqual(prime);
      expect(codes[0]).not.toEqual(codes[1]);
      model.dispose();
    });

    it('takes only the likeliest code with top-k 1', async () => {
      const model = open();
      expect(await generateCodes(task(model, 1), { topK: 1, seed: 9 })).toEqual(
        await generateCodes(task(model, 1), { temperature: 0 }),
      );
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

    it('learns a set of four samples by heart', async () => {
      const params = createParams(specs, 2);
      const slots = adamWSlots(params);
      const batch = {
        codes: tf.tensor2d(randomCodes(4, 8), [4, count], 'int32'),
        condition: tf.tensor2d(Int32Array.from([0, 1, 2, 3].flatMap(() => [...condition])), [4, length], 'int32'),
      };
      const step = compile((hyper: tf.Tensor1D, key: tf.Tensor1D) => {
        const { result, grads } = gradients(params, () => family.loss(params, batch, key, config));
        adamW(params, slots, grads, hyper, ADAMW_DEFAULTS);
        return result.natsPerCode;
      });
      const losses: number[] = [];
      for (let i = 1; i <= 150; i++)
        losses.push((await step(adamWHyper(i, 1e-2, ADAMW_DEFAULTS), randomKey(0, i))).dataSync()[0]!);
      expect(losses[0]).toBeGreaterThan(0.7 * Math.log(map!.vocabSize));
      // The first code cannot be known: ln 4 nats over all codes remain.
      expect(losses.at(-1)).toBeLessThan(Math.log(4) / count + 0.3);
      await step.dispose();
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
