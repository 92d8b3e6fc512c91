import { describe, expect, it } from 'vitest';
import { compile, randomKey, randomNormal, randomUniform, subKey, tf } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';

const draws = (key: RandomKey): tf.Tensor[] => [
  randomUniform(key, [3, 5], 'a'),
  randomNormal(key, [7], 'b'),
  randomUniform(key, [3, 5], 'c'),
];
const numbers = (tensors: tf.Tensor[]): number[][] => tensors.map((tensor) => Array.from(tensor.dataSync()));

describe('random tensors', () => {
  it('are the same compiled, eager and outside any function', async () => {
    const key = randomKey(7, 3);
    const compiled = numbers(await compile(draws)(key));
    expect(compiled).toEqual(numbers(await compile(draws, { engine: 'reference' })(key)));
    expect(compiled).toEqual(numbers(draws(key)));
  });

  it('differ by seed, step and stream, and repeat for equal keys, without new traces', async () => {
    const f = compile(draws);
    const seen = new Set<string>();
    for (const [seed, step] of [
      [1, 0],
      [1, 1],
      [2, 0],
      [2 ** 31 - 1, 2 ** 31 - 1],
    ] as const) {
      const [a, , c] = numbers(await f(randomKey(seed, step)));
      seen.add(a!.join()).add(c!.join());
    }
    expect(seen.size).toBe(8);
    expect(numbers(await f(randomKey(1, 1)))).toEqual(numbers(draws(randomKey(1, 1))));
    expect(f.traces).toBe(1);
  });

  it('differ between the parts of a function that draw from keys of their own, compiled as eager', async () => {
    const parts = (key: RandomKey): tf.Tensor[] =>
      [key, subKey(key, '0'), subKey(key, '1'), subKey(subKey(key, '1'), '0')].map((own) =>
        randomUniform(own, [4], 'a'),
      );
    const compiled = numbers(await compile(parts)(randomKey(7, 3)));
    expect(new Set(compiled.map((values) => values.join())).size).toBe(4);
    expect(compiled).toEqual(numbers(parts(randomKey(7, 3))));
  });

  it('do not change under the feet of an earlier result', async () => {
    const f = compile((key: RandomKey) => randomUniform(key, [4], 's'));
    const first = await f(randomKey(1, 1));
    const before = Array.from(first.dataSync());
    await f(randomKey(1, 2));
    expect(Array.from(first.dataSync())).toEqual(before);
  });

  it('are uniform and normal', async () => {
    const f = compile((key: RandomKey) => {
      const [u, n] = [randomUniform(key, [100_000], 'u'), randomNormal(key, [100_000], 'n')];
      return [tf.mean(u), tf.mean(tf.square(u)), tf.mean(n), tf.mean(tf.square(n)), tf.min(u), tf.max(u)];
    });
    const [mean, square, normalMean, normalSquare, least, most] = numbers(await f(randomKey(9, 0))).map(
      ([value]) => value!,
    );
    // Four standard errors of each mean of 100,000 draws.
    expect(Math.abs(mean! - 1 / 2)).toBeLessThan(0.0037);
    expect(Math.abs(square! - 1 / 3)).toBeLessThan(0.0038);
    expect(Math.abs(normalMean!)).toBeLessThan(0.013);
    expect(Math.abs(normalSquare! - 1)).toBeLessThan(0.018);
    expect(least! > 0 && most! < 1).toBe(true);
  });

  it('may be drawn twice from one stream, giving the same numbers', async () => {
    const f = compile((key: RandomKey) => tf.sub(randomUniform(key, [4], 's'), randomUniform(key, [4], 's')));
    expect(Array.from((await f(randomKey(1, 1))).dataSync())).toEqual([0, 0, 0, 0]);
  });
});
