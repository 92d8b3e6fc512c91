import { describe, expect, it } from 'vitest';
import { randomKey, tf } from '../../../src/engine/index.js';
import { createParams, scoped } from '../../../src/model/params.js';
import type { Params } from '../../../src/model/params.js';
import { codesOf, inSpace } from '../../../tokenizers/quantizers/codebook.js';
import { emaVq } from '../../../tokenizers/quantizers/ema-vq.js';
import type { EmaVqConfig } from '../../../tokenizers/quantizers/ema-vq.js';
import { fromColumn } from '../../../tokenizers/quantizers/nearest.js';
import { projection } from '../../../tokenizers/quantizers/projection.js';
import { residual, ResidualConfigSchema } from '../../../tokenizers/quantizers/residual.js';
import { quantizerConformance } from '../../conformance/quantizer.js';
import { nearestIds } from './codebook-support.js';

const EMA = { name: 'ema-vq', codebookSize: 12, codeDim: 2 };
const INNER = emaVq.parseConfig(EMA);

/** Level by level: the nearest code, and what it leaves. */
function greedy(p: Params, latents: number[][], levels: number): number[][] {
  return latents.map((row) => {
    let rest = row;
    return Array.from({ length: levels }, (_, level) => {
      const own = scoped(String(level), p);
      const id = nearestIds(own, [rest])[0]![0]!;
      const code = (own.codebook!.arraySync() as number[][])[id]!;
      rest = rest.map((value, d) => value - code[d]!);
      return id;
    });
  });
}

/** The losses of all levels, each a function of what the surrogates of the levels before it leave. */
const surrogate = (levels: number, inner: EmaVqConfig) => (p: Params, at: tf.Tensor2D) => {
  let rest = at;
  const held = Array.from({ length: levels }, (_, level) => {
    const own = scoped(String(level), p);
    const ids = emaVq.encode(own, rest, inner);
    const codes = tf.gather(codesOf(own, inner), fromColumn(ids));
    const step = tf.sub(codes, inSpace(own, rest, inner));
    rest = tf.sub(rest, emaVq.decode(own, ids, inner));
    return { own, codes, step };
  });
  return (x: tf.Tensor2D): tf.Scalar => {
    let left = x;
    const losses = held.map(({ own, codes, step }) => {
      const z = inSpace(own, left, inner);
      left = tf.sub(left, projection(inner.width, z.shape[1]!).outward(own, tf.add(z, step) as tf.Tensor2D));
      return tf.mul(inner.commitment, tf.mean(tf.squaredDifference(z, codes)));
    });
    return tf.addN(losses) as tf.Scalar;
  };
};

quantizerConformance(
  { name: 'residual', levels: 3, quantizer: EMA },
  { bruteForce: (p, latents) => greedy(p, latents, 3), surrogate: surrogate(3, INNER) },
);
quantizerConformance({ name: 'residual', levels: 1, quantizer: EMA });
quantizerConformance(
  { name: 'residual', levels: 3, quantizer: EMA, dropout: 1, dropoutOf: 'position' },
  { random: true, relaxed: true, surrogate: surrogate(3, INNER) },
);
quantizerConformance(
  { name: 'residual', levels: 2, quantizer: [EMA, { name: 'grouped', groups: 2, quantizer: { ...EMA, codeDim: 1 } }] },
  { surrogate: surrogate(1, INNER) },
);
// The case of neural audio codecs: narrow codes on the sphere, projected at every level.
const NARROW = { name: 'ema-vq', codebookSize: 12, codeDim: 2, width: 4, normalize: true };
quantizerConformance(
  { name: 'residual', levels: 2, quantizer: NARROW },
  { surrogate: surrogate(2, emaVq.parseConfig(NARROW)) },
);

const CONFIG = ResidualConfigSchema.parse({ levels: 4, quantizer: EMA });
const latents = tf.randomNormal([64, 2], 0, 1, 'float32', 5) as tf.Tensor2D;
const moment = (step = 1) => ({ key: randomKey(0, step), progress: tf.scalar(0) });

function started(config = CONFIG): Params {
  const p = createParams({ ...residual.trainable(config), ...residual.state(config) }, 0);
  residual.initialize!(p, latents, randomKey(0, 0), config);
  return p;
}

/** Codes of the first levels alone, [N, D]. */
function coarse(p: Params, levels: number): number[][] {
  const ids = residual.encode(p, latents, CONFIG);
  const parts = Array.from({ length: levels }, (_, level) =>
    emaVq.decode(scoped(String(level), p), tf.slice2d(ids, [0, level], [-1, 1]), INNER),
  );
  return (tf.addN(parts) as tf.Tensor2D).arraySync();
}

const near = (a: number[], b: number[]): boolean => a.every((value, d) => Math.abs(value - b[d]!) < 1e-5);

describe('the residual quantizer', () => {
  it('comes nearer to the latents with every level', () => {
    const p = started();
    const errors = [1, 2, 3, 4].map(
      (levels) => tf.mean(tf.squaredDifference(latents, coarse(p, levels))).dataSync()[0]!,
    );
    errors.slice(1).forEach((error, i) => expect(error).toBeLessThan(0.7 * errors[i]!));
  });

  it('passes the gradient straight through once, however many levels there are', () => {
    const weights = tf.randomNormal(latents.shape, 0, 1, 'float32', 6);
    const gradient = tf
      .grad((x) => tf.sum(tf.mul(residual.train(started(), x as tf.Tensor2D, moment(), CONFIG).codes, weights)))(
        latents,
      )
      .dataSync();
    weights.dataSync().forEach((value, i) => expect(gradient[i]).toBeCloseTo(value, 5));
  });

  it('keeps the same number of levels for a batch, from batch to batch another', () => {
    const config = { ...CONFIG, dropout: 1 };
    const seen = new Set<number>();
    for (let step = 1; step <= 12; step++) {
      const p = started(config);
      const codes = residual.train(p, latents, moment(step), config).codes.arraySync();
      const fits = [1, 2, 3, 4].filter((levels) =>
        coarse(started(config), levels).every((row, i) => near(row, codes[i]!)),
      );
      expect(fits).toHaveLength(1);
      seen.add(fits[0]!);
    }
    expect([...seen].sort()).toEqual([1, 2, 3, 4]);
  });

  it('keeps a number of levels of its own for each position', () => {
    const config = { ...CONFIG, dropout: 0.8, dropoutOf: 'position' as const };
    const codes = residual.train(started(config), latents, moment(), config).codes.arraySync();
    const p = started(config);
    const byLevels = [1, 2, 3, 4].map((levels) => coarse(p, levels));
    const kept = codes.map((row, i) => 1 + byLevels.findIndex((rows) => near(rows[i]!, row)));
    const counts = [1, 2, 3, 4].map((levels) => kept.filter((count) => count === levels).length);
    // Of 64 positions 0.8 / 4 are expected at each number of levels, and 0.2 more at all four.
    expect(counts.reduce((a, b) => a + b, 0)).toBe(64);
    counts.slice(0, 3).forEach((count) => expect(count).toBeGreaterThan(3));
    expect(counts[3]).toBeGreaterThan(13);
  });

  it('gives the same ids whatever is dropped', () => {
    const all = residual.train(started(), latents, moment(), CONFIG).ids.arraySync();
    expect(residual.train(started(), latents, moment(), { ...CONFIG, dropout: 1 }).ids.arraySync()).toEqual(all);
  });

  it('reads its own config again', () => {
    expect(residual.parseConfig(JSON.parse(JSON.stringify(CONFIG)))).toEqual(CONFIG);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'levels of different widths',
      { levels: 2, quantizer: [EMA, { ...EMA, codeDim: 3 }] },
      /E_CONFIG quantizer residual: quantizer: expected one width for all levels, received 2, 3/,
    ],
    [
      'codebooks of different sizes',
      { levels: 2, quantizer: [EMA, { ...EMA, codebookSize: 16 }] },
      /expected one number of codes for all levels, received 12, 16/,
    ],
    [
      'a wrong number of quantizers',
      { levels: 3, quantizer: [EMA, EMA] },
      /expected one config for all or one for each of the 3 levels, received 2/,
    ],
  ])('refuses %s', (_, json, message) => expect(() => residual.parseConfig(json)).toThrow(message));
});
