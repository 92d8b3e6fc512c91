import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/index.js';
import { createParams, exportParams, importParams, restoreParams, ZEROS } from '../../src/model/params.js';
import type { ParamSpecs } from '../../src/model/params.js';

const SPECS: ParamSpecs = {
  w: { shape: [40, 50], init: { kind: 'normal', std: 0.5 } },
  u: { shape: [1000], init: { kind: 'uniform', bound: 2 } },
  b: { shape: [3], init: ZEROS },
};

describe('createParams', () => {
  it('draws what the spec says', () => {
    const { w, u, b } = createParams(SPECS, 3);
    const std = (values: ArrayLike<number>): number =>
      Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0) / values.length);
    expect(std(w!.dataSync())).toBeCloseTo(0.5, 1);
    expect(std(u!.dataSync())).toBeCloseTo(2 / Math.sqrt(3), 1);
    expect(Math.max(...u!.dataSync())).toBeLessThanOrEqual(2);
    expect([...b!.dataSync()]).toEqual([0, 0, 0]);
  });

  it('gives each name its own numbers, whatever stands beside it', () => {
    const alone = createParams({ w: SPECS.w! }, 3).w!.dataSync();
    expect(createParams(SPECS, 3).w!.dataSync()).toEqual(alone);
    expect(createParams({ v: SPECS.w! }, 3).v!.dataSync()).not.toEqual(alone);
    expect(createParams({ w: SPECS.w! }, 4).w!.dataSync()).not.toEqual(alone);
  });
});

describe('importParams', () => {
  const tensors = exportParams(createParams(SPECS, 1));

  it('restores what was exported', () => {
    expect(exportParams(importParams('m', SPECS, tensors))).toEqual(tensors);
    const others = createParams(SPECS, 2);
    restoreParams('m', others, tensors);
    expect(exportParams(others)).toEqual(tensors);
  });

  it('names what is missing, unknown or of another shape', () => {
    const { b: _, ...rest } = tensors;
    expect(() => importParams('m', SPECS, rest)).toThrow(/E_MODEL_TENSORS m: expected a tensor "b", found none/);
    expect(() => importParams('m', SPECS, { ...tensors, x: tensors.b! })).toThrow(/unknown tensor "x"/);
    expect(() =>
      importParams('m', SPECS, { ...tensors, b: { dtype: 'float32', shape: [1], data: new Float32Array(1) } }),
    ).toThrow(/"b": expected float32 \[3\], found float32 \[1\]/);
  });
});

it('hands out no weights that are not finite', () => {
  const params = createParams(SPECS, 1);
  params.b!.assign(tf.tensor1d([0, Infinity, 0]));
  expect(() => exportParams(params)).toThrow(/^E_DIVERGED weights "b": expected finite values, found Infinity at 1\./);
});
