// What every quantizer must do, whatever its codes are.
import { describe, expect, it } from 'vitest';
import { compile, hostValues, randomKey, tf } from '../../src/engine/index.js';
import { createParams, disposeParams, exportParams, importParams, restoreParams } from '../../src/model/params.js';
import type { Params } from '../../src/model/params.js';
import type { QuantizerFamily } from '../../src/model/quantizer.js';
import { Quantizer, quantizerFamily } from '../../tokenizers/quantizers/index.js';
import type { QuantizerConfig } from '../../tokenizers/quantizers/index.js';
import { maxDifference } from '../support/tiny.js';

const ROWS = 96;

export interface QuantizerCase {
  /** The codes of a position that is nearest in the quantizer's own sense, by brute force over all of them: int32 [N, levels]. Left out for quantizers whose ids are not a nearest choice. */
  bruteForce?: (p: Params, latents: number[][]) => number[][];
  /** True if training draws random numbers for the codes, so that they may differ from those of `encode`. */
  random?: boolean;
  /** True if the codes of training are not those of its ids: mixtures of codes, or fewer levels than there are. */
  relaxed?: boolean;
  /**
   * The loss as its gradient sees it, for quantizers that stop gradients on their way: a function of latents with all that
   * is stopped held at its values for `at`, as in `simvq.test.ts`. Left out where that is the loss itself.
   */
  surrogate?: (p: Params, at: tf.Tensor2D) => (latents: tf.Tensor2D) => tf.Scalar;
}

/** @param json a config that is quick to compute. */
export function quantizerConformance(
  json: Record<string, unknown> & { name: string },
  { bruteForce, random = false, relaxed = false, surrogate }: QuantizerCase = {},
): void {
  describe(`${json.name} conforms: ${JSON.stringify(json)}`, () => {
    const family: QuantizerFamily = quantizerFamily(json.name);
    const config = family.parseConfig(json);
    const width = family.width(config);
    const bound = new Quantizer(config as QuantizerConfig, 'quantizer');
    const { levels } = bound;
    const vocabSize = family.vocabSize(config);
    const specs = { ...family.trainable(config), ...family.state(config) };
    const latents = (seed = 5, rows = ROWS) => tf.randomNormal([rows, width], 0, 1, 'float32', seed) as tf.Tensor2D;
    const moment = (step = 1) => ({ key: randomKey(0, step), progress: tf.scalar(0.5) });

    /** Started on data, as a codec starts it. */
    function fresh(): Params {
      const p = createParams(specs, 1);
      family.initialize?.(p, latents(), randomKey(0, 0), config);
      return p;
    }

    it('gives ids of the promised shape and range, and codes of the promised width', () => {
      const p = fresh();
      const ids = family.encode(p, latents(), config);
      expect({ dtype: ids.dtype, shape: ids.shape }).toEqual({ dtype: 'int32', shape: [ROWS, levels] });
      expect(Math.min(...ids.dataSync())).toBeGreaterThanOrEqual(0);
      expect(Math.max(...ids.dataSync())).toBeLessThan(vocabSize);
      expect(new Set(ids.dataSync()).size).toBeGreaterThan(1);
      expect(family.decode(p, ids, config).shape).toEqual([ROWS, width]);
      disposeParams(p);
    });

    it.runIf(bruteForce)('chooses what brute force chooses', () => {
      const p = fresh();
      const z = latents();
      expect(family.encode(p, z, config).arraySync()).toEqual(bruteForce!(p, z.arraySync()));
      disposeParams(p);
    });

    it('decodes the lowest and the highest id', () => {
      const p = fresh();
      for (const id of [0, vocabSize - 1]) {
        const codes = family.decode(p, tf.fill([2, levels], id, 'int32') as tf.Tensor2D, config);
        expect(codes.shape).toEqual([2, width]);
        expect([...codes.dataSync()].every(Number.isFinite)).toBe(true);
      }
      disposeParams(p);
    });

    it('gives the same ids when it encodes again', () => {
      const p = fresh();
      const z = latents();
      expect(family.encode(p, z, config).dataSync()).toEqual(family.encode(p, z, config).dataSync());
      disposeParams(p);
    });

    it.skipIf(relaxed)('trains on the codes of the ids it gives', () => {
      const p = fresh();
      const saved = exportParams(p);
      const batch = family.train(p, latents(), moment(), config);
      restoreParams('test', p, saved); // training assigns the codebook after its codes are chosen
      // The values are equal but for rounding: training computes z + (code - z) in float32, or rotates z to its code.
      expect(maxDifference(batch.codes, family.decode(p, batch.ids, config))).toBeLessThan(1e-5);
      disposeParams(p);
    });

    it.each([
      ['series', [4, 24]],
      ['images', [2, 6, 8]],
      ['videos', [2, 3, 4, 4]],
    ])('works on the latents of %s as on their rows', (_, positions) => {
      const p = fresh();
      const rows = latents();
      const inModel = Object.fromEntries(Object.entries(p).map(([name, value]) => [`quantizer.${name}`, value]));
      const z = tf.reshape(rows, [...positions, width]);
      const ids = bound.encode(inModel, z);
      expect(ids.shape).toEqual(levels === 1 ? positions : [...positions, levels]);
      expect(ids.dataSync()).toEqual(family.encode(p, rows, config).dataSync());
      const codes = bound.decode(inModel, ids);
      expect(codes.shape).toEqual(z.shape);
      expect(codes.dataSync()).toEqual(family.decode(p, family.encode(p, rows, config), config).dataSync());
      const saved = exportParams(p);
      const batch = bound.train(inModel, z, moment());
      restoreParams('test', p, saved);
      const ofRows = family.train(p, rows, moment(), config);
      expect(batch.codes.shape).toEqual(z.shape);
      expect(batch.codes.dataSync()).toEqual(ofRows.codes.dataSync());
      expect(batch.ids.dataSync()).toEqual(ofRows.ids.dataSync());
      expect(batch.loss.dataSync()).toEqual(ofRows.loss.dataSync());
      disposeParams(p);
    });

    it.skipIf(random)('trains on the codes it decodes to', () => {
      const p = fresh();
      const z = latents();
      const before = family.decode(p, family.encode(p, z, config), config);
      const batch = family.train(p, z, moment(), config);
      expect(maxDifference(batch.codes, before)).toBeLessThan(1e-5);
      disposeParams(p);
    });

    it('computes compiled what it computes eagerly, training included', async () => {
      const z = latents();
      const run = async (engine: 'onnxruntime' | 'reference') => {
        const p = fresh();
        const step = compile(
          (x: tf.Tensor2D, key: tf.Tensor1D, progress: tf.Scalar) => {
            const batch = family.train(p, x, { key, progress }, config);
            return { codes: batch.codes, ids: batch.ids, loss: batch.loss };
          },
          { engine },
        );
        const { key, progress } = moment();
        const out = await step(z, key, progress);
        const ids = await compile((x: tf.Tensor2D) => family.encode(p, x, config), { engine })(z);
        return { out, ids, state: exportParams(p) };
      };
      const [native, reference] = [await run('onnxruntime'), await run('reference')];
      expect(hostValues(native.out.ids)).toEqual(hostValues(reference.out.ids));
      expect(hostValues(native.ids)).toEqual(hostValues(reference.ids));
      expect(maxDifference(native.out.codes, reference.out.codes)).toBeLessThan(1e-4);
      expect(maxDifference(native.out.loss, reference.out.loss)).toBeLessThan(1e-4);
      for (const [name, { data }] of Object.entries(native.state)) {
        const other = reference.state[name]!.data as Float32Array;
        const difference = Math.max(...(data as Float32Array).map((value, i) => Math.abs(value - other[i]!)));
        expect({ name, close: difference < 1e-3 }).toEqual({ name, close: true });
      }
    });

    it('passes a finite gradient to the latents and to every weight', () => {
      const p = fresh();
      const trainable = Object.keys(family.trainable(config)).map((name) => p[name]!);
      const weights = tf.randomNormal([ROWS, width], 0, 1, 'float32', 6);
      const z = tf.variable(latents());
      const { grads } = tf.variableGrads(() => {
        const batch = family.train(p, z as unknown as tf.Tensor2D, moment(), config);
        return tf.add(tf.sum(tf.mul(batch.codes, weights)), batch.loss) as tf.Scalar;
      }, [z, ...trainable]);
      for (const variable of [z, ...trainable]) {
        const values = grads[variable.name]!.dataSync();
        expect([...values].every(Number.isFinite)).toBe(true);
        expect(Math.max(...values.map(Math.abs))).toBeGreaterThan(0);
      }
      z.dispose();
      disposeParams(p);
    });

    it('has the gradient of its loss, by finite differences through the surrogate', () => {
      const p = fresh();
      const rows = 6;
      const z = latents(9, rows);
      const { key, progress } = moment();
      // The choice of codes is held fixed by steps too small to change it; the state is put back after each look.
      const saved = exportParams(p);
      const held = surrogate?.(p, z);
      const lossAt = (x: tf.Tensor2D): number => {
        if (held) return held(x).dataSync()[0]!;
        const value = family.train(p, x, { key, progress }, config).loss.dataSync()[0]!;
        for (const [name, { data, shape }] of Object.entries(saved))
          p[name]!.assign(tf.tensor(data as Float32Array, shape));
        return value;
      };
      // A loss that the latents do not enter, as that of a quantizer without one, has a gradient of zero.
      const gradient = tf
        .grad((x) => tf.add(family.train(p, x as tf.Tensor2D, { key, progress }, config).loss, tf.mul(tf.sum(x), 0)))(z)
        .dataSync();
      for (const [name, { data, shape }] of Object.entries(saved))
        p[name]!.assign(tf.tensor(data as Float32Array, shape));
      const values = z.dataSync();
      const h = 1e-2;
      const scale = Math.max(1e-3, ...gradient.map(Math.abs));
      let misses = 0;
      for (let i = 0; i < values.length; i++) {
        const at = (delta: number): number =>
          lossAt(
            tf.tensor2d(
              values.map((v, j) => (j === i ? v + delta : v)),
              [rows, width],
            ),
          );
        if (Math.abs((at(h) - at(-h)) / (2 * h) - gradient[i]!) > 0.05 * scale) misses++;
      }
      // A step across the border between two codes differs by right.
      expect(misses).toBeLessThanOrEqual(values.length * 0.1);
      disposeParams(p);
    });

    it('gives the same ids after saving and loading', () => {
      const p = fresh();
      family.train(p, latents(), moment(), config);
      const loaded = importParams('test', specs, exportParams(p));
      expect(family.encode(loaded, latents(7), config).dataSync()).toEqual(
        family.encode(p, latents(7), config).dataSync(),
      );
      disposeParams(p);
      disposeParams(loaded);
    });

    it('names a field it does not know', () => {
      expect(() => family.parseConfig({ ...json, nonsense: 1 })).toThrow(/E_CONFIG.*nonsense/);
    });
  });
}

/** Brute force over a codebook [K, D] in float64: the nearest row, the first of equals. */
export function nearestRow(codebook: number[][], row: number[]): number {
  const distance = (code: number[]): number => code.reduce((sum, value, d) => sum + (value - row[d]!) ** 2, 0);
  return codebook.reduce((best, code, k) => (distance(code) < distance(codebook[best]!) ? k : best), 0);
}
