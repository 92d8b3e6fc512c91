import { describe, expect, it } from 'vitest';
import { Rng } from '../../src/rng.js';
import { checkDrawOptions, drawCode, guide } from '../../src/sample/logits.js';

const LOGITS = Float32Array.of(1, 3, 2, 3, -5);
const PLAIN = { temperature: 1, topK: 0, topP: 1 };

function frequencies(options: Partial<typeof PLAIN>, draws = 20_000): number[] {
  const rng = new Rng(1, 'test');
  const counts = Array.from(LOGITS, () => 0);
  for (let i = 0; i < draws; i++) counts[drawCode(LOGITS, { ...PLAIN, ...options }, rng)]!++;
  return counts.map((count) => count / draws);
}

const softmax = (logits: ArrayLike<number>, temperature = 1): number[] => {
  const weights = Array.from(logits, (v) => Math.exp(v / temperature));
  const total = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / total);
};

describe('drawCode', () => {
  // 20,000 draws: three standard deviations of a frequency are below 0.011.
  it.each([0.5, 1, 2])('follows the softmax at temperature %f', (temperature) => {
    const expected = softmax(LOGITS, temperature);
    frequencies({ temperature }).forEach((f, i) => expect(Math.abs(f - expected[i]!)).toBeLessThan(0.011));
  });

  it('takes the first of the largest at temperature 0', () => {
    expect(frequencies({ temperature: 0 }, 10)).toEqual([0, 1, 0, 0, 0]);
  });

  it('draws from the k largest alone', () => {
    const found = frequencies({ topK: 2 });
    expect(found[1]! + found[3]!).toBe(1);
    expect(frequencies({ topK: 1 }, 100)).toEqual([0, 1, 0, 0, 0]);
  });

  it('draws from the smallest set that holds the share p', () => {
    // Softmax: 0.05, 0.39, 0.14, 0.39, 0.0001.
    expect(frequencies({ topP: 0.3 }, 100)).toEqual([0, 1, 0, 0, 0]);
    const two = frequencies({ topP: 0.7 });
    expect(two[0]! + two[2]! + two[4]!).toBe(0);
    expect(frequencies({ topP: 0.85 })[2]).toBeGreaterThan(0);
  });

  it('survives logits far from zero', () => {
    expect(drawCode(Float32Array.of(-1e30, 5000, 4000), PLAIN, new Rng(0))).toBe(1);
  });
});

it.each([Number.NaN, Infinity, -Infinity])('refuses to draw from logits with %f', (value) => {
  for (const options of [PLAIN, { ...PLAIN, temperature: 0 }, { ...PLAIN, topK: 2, topP: 0.5 }]) {
    expect(() => drawCode(Float32Array.of(1, value, 2), options, new Rng(0))).toThrow(
      /^E_LOGITS_NOT_FINITE draw: expected finite logits, received \S+ for code 1\./,
    );
  }
});

describe('guide', () => {
  it('refuses a scale that no number holds', () => {
    expect(() => guide(Float32Array.of(1, 2), Float32Array.of(7, 4), 1e308)).toThrow(
      /^E_SAMPLING cfg: expected .* received 1e\+308\./,
    );
  });

  it('moves away from the unconditional logits', () => {
    expect([...guide(Float32Array.of(1, 2), Float32Array.of(0, 4), 3)]).toEqual([3, -2]);
  });

  it('is the condition alone at scale 1', () => {
    expect([...guide(Float32Array.of(1, 2), Float32Array.of(7, 4), 1)]).toEqual([1, 2]);
  });
});

it.each([
  ['temperature', { temperature: -1 }],
  ['temperature', { temperature: Number.NaN }],
  ['topK', { topK: 1.5 }],
  ['topP', { topP: 0 }],
  ['topP', { topP: 1.1 }],
])('refuses a bad %s', (name, change) => {
  expect(() => checkDrawOptions({ ...PLAIN, ...change })).toThrow(new RegExp(`E_SAMPLING ${name}`));
});
