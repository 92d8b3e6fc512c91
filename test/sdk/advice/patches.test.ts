import { describe, expect, it } from 'vitest';
import { difficultyOf } from '../../../src/sdk/advice/patches.js';
import type { PixelBlock } from '../../../src/sdk/advice/patches.js';
import { Rng } from '../../../src/rng.js';

const SIDE = 16;

/** Images whose cells are drawn from `kinds` patches, and noise on them. */
function block(count: number, kinds: number, noise: number, seed: number): PixelBlock {
  const rng = new Rng(seed, 'test.block');
  const shared = new Rng(0, 'test.kinds');
  const patches = Array.from({ length: kinds }, () =>
    Float32Array.from({ length: 16 }, () => 2 * shared.uniform() - 1),
  );
  const values = new Float32Array(count * SIDE * SIDE);
  for (let image = 0; image < count; image++)
    for (let cell = 0; cell < 16; cell++) {
      const patch = patches[rng.int(kinds)]!;
      for (let y = 0; y < 4; y++)
        for (let x = 0; x < 4; x++)
          values[(image * SIDE + 4 * Math.floor(cell / 4) + y) * SIDE + 4 * (cell % 4) + x] =
            patch[4 * y + x]! + noise * (2 * rng.uniform() - 1);
    }
  return { values, count, height: SIDE, width: SIDE, channels: 1 };
}

const difficulty = (kinds: number, noise: number, codes = 32) =>
  difficultyOf(block(64, kinds, noise, 1), block(32, kinds, noise, 2), { cell: 4, codes });

describe('the difficulty of images', () => {
  it('is almost nothing where a vocabulary has every patch', async () => {
    expect((await difficulty(4, 0)).alone).toBeLessThan(1e-6);
  });

  it('grows with noise, and falls with a larger vocabulary', async () => {
    const [little, much, larger] = [await difficulty(8, 0.1), await difficulty(8, 0.5), await difficulty(8, 0.5, 256)];
    expect(much.alone).toBeGreaterThan(4 * little.alone);
    expect(larger.alone).toBeLessThan(much.alone);
    // Noise of variance 0.25 / 3 beside patches of variance 1 / 3, which 8 of 32 codes can tell.
    expect(much.alone).toBeGreaterThan(0.1);
    expect(much.alone).toBeLessThan(0.3);
  });

  it('gains by coding cells together only if neighbors are alike', async () => {
    const independent = await difficulty(64, 0);
    expect(independent.together).toBeGreaterThan(0.9);
    const ramps = block(64, 1, 0, 1);
    // Every image has one gray value of its own, so one cell says all of its neighbors.
    const flat = { ...ramps, values: ramps.values.map((_, i) => ((Math.floor(i / 256) * 37) % 64) / 32 - 1) };
    expect((await difficultyOf(flat, flat, { cell: 4, codes: 4 })).together).toBeLessThan(0.1);
  });
});
