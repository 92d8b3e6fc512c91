import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../src/engine/index.js';
import { adamW, adamWHyper, ADAMW_DEFAULTS, adamWSlots, averageWeights, gradients } from '../../src/nn/optimizer.js';
import { createParams, ONES } from '../../src/model/params.js';
import type { ParamSpecs } from '../../src/model/params.js';

const SPECS: ParamSpecs = {
  'a.weight': { shape: [3, 2], init: { kind: 'normal', std: 1 } },
  'a.bias': { shape: [2], init: ONES },
};

describe('adamW', () => {
  it('agrees with a step by step computation, decay and clipping included', async () => {
    const config = { ...ADAMW_DEFAULTS, weightDecay: 0.1, clip: 0.5 };
    const params = createParams(SPECS, 1);
    const slots = adamWSlots(params);
    const x = tf.tensor2d([
      [1, -2, 0.5],
      [0.3, 1, 2],
    ]);
    const loss = (): tf.Scalar =>
      tf.mean(tf.square(tf.add(tf.matMul(x, params['a.weight'] as unknown as tf.Tensor2D), params['a.bias']!)));
    const step = compile((hyper: tf.Tensor1D) => {
      const { grads } = gradients(params, () => ({ loss: loss() }));
      return adamW(params, slots, grads, hyper, config);
    });

    const expected = Object.fromEntries(
      Object.entries(params).map(([name, v]) => [
        name,
        {
          w: [...v.dataSync()],
          m: Array.from({ length: v.size }, () => 0),
          v: Array.from({ length: v.size }, () => 0),
        },
      ]),
    );
    for (let t = 1; t <= 5; t++) {
      const { grads } = gradients(params, () => ({ loss: loss() }));
      const flat = Object.fromEntries(Object.entries(grads).map(([name, g]) => [name, [...g.dataSync()]]));
      const norm = Math.sqrt(
        Object.values(flat)
          .flat()
          .reduce((sum, g) => sum + g * g, 0),
      );
      const scale = Math.min(1, config.clip / norm);
      for (const [name, state] of Object.entries(expected)) {
        const decay = name.endsWith('weight') ? config.weightDecay : 0;
        state.w.forEach((w, i) => {
          const g = flat[name]![i]! * scale;
          state.m[i] = 0.9 * state.m[i]! + 0.1 * g;
          state.v[i] = 0.999 * state.v[i]! + 0.001 * g * g;
          const update = state.m[i]! / (1 - 0.9 ** t) / (Math.sqrt(state.v[i]! / (1 - 0.999 ** t)) + 1e-8);
          state.w[i] = w - 0.05 * (update + decay * w);
        });
      }
      const found = await step(adamWHyper(t, 0.05, config));
      expect(found.dataSync()[0]).toBeCloseTo(norm, 4);
      // float32 against float64 over five steps.
      for (const [name, { w }] of Object.entries(expected))
        params[name]!.dataSync().forEach((value, i) => expect(value).toBeCloseTo(w[i]!, 4));
    }
  });
});

it('returns what stands beside the loss', () => {
  const params = createParams(SPECS, 1);
  const { result, grads } = gradients(params, () => {
    const loss = tf.sum(params['a.bias']!) as tf.Scalar;
    return { loss, twice: tf.mul(loss, 2) };
  });
  expect([result.loss, result.twice].map((tensor) => tensor.dataSync()[0])).toEqual([2, 4]);
  expect(grads['a.bias']!.arraySync()).toEqual([1, 1]);
});

it('moves averaged weights by the share the decay leaves', () => {
  const [shadow, params] = [
    createParams({ w: { shape: [1], init: ONES } }, 0),
    createParams({ w: { shape: [1], init: { kind: 'constant', value: 3 } } }, 0),
  ];
  averageWeights(shadow, params, tf.tensor1d([0.75]));
  expect(shadow.w!.dataSync()[0]).toBeCloseTo(1.5, 6);
});
