/* oxlint-disable vitest/expect-expect -- checkForward and checkGradient assert */
// Every kernel the engine lowers against TF.js's cpu backend, forward and gradient, and gradients against differences.
import { describe, expect, it } from 'vitest';
import { compile, tf } from '../../src/engine/index.js';
import { LOWERINGS } from '../../src/engine/kernels/index.js';
import { CASES, SPECIALS } from './support/cases.js';
import { checkForward, checkGradient } from './support/conformance.js';

/**
 * float32 keeps 24 bits (6e-8); sums of up to a hundred terms in another order lose a few of them. Kernels that
 * approximate transcendental functions by polynomials lose more, and say so.
 */
const TOLERANCE = 3e-6;
const LOOSER: Record<string, number> = {
  // ONNX Runtime's erf, tanh and logistic are minimax approximations good to about 1e-6; tfjs's erf to 1.5e-7 in float64.
  Erf: 2e-5,
};

describe('every kernel of the engine', () => {
  it('has cases', () => {
    expect(Object.keys(LOWERINGS).filter((kernel) => !CASES[kernel])).toEqual([]);
    expect(Object.keys(CASES).filter((kernel) => !LOWERINGS[kernel])).toEqual([]);
  });

  describe.each(Object.keys(CASES))('%s', (kernel) => {
    const cases = CASES[kernel]!;
    const tolerance = LOOSER[kernel] ?? TOLERANCE;

    it('computes what the cpu backend computes', () => checkForward(kernel, cases, tolerance));

    it.runIf(tf.getGradient(kernel))('has the gradient that differences show', () =>
      checkGradient(kernel, cases, tolerance * 4),
    );
  });
});

describe('numbers near zero', () => {
  const tiny = Float32Array.from({ length: 200 }, (_, i) => (i - 99.5) * 10 ** -(1 + (i % 7)));
  // A few units in the last place of float32; the plain formulas lose all digits at 1e-7.
  it.each([
    ['expm1', (x: number) => Math.expm1(x), (x: tf.Tensor) => tf.expm1(x)],
    ['log1p', (x: number) => Math.log1p(x), (x: tf.Tensor) => tf.log1p(x)],
  ] as const)('%s keeps its digits', async (_, exact, op) => {
    const compiled = compile((x: tf.Tensor) => op(x));
    const inside = tiny.filter((x) => x > -0.99);
    const y = (await compiled(tf.tensor1d(inside))).dataSync();
    inside.forEach((x, i) => expect(Math.abs(y[i]! - exact(x)) / Math.abs(exact(x))).toBeLessThan(1e-6));
  });
});

describe('numbers that are not finite', () => {
  it.each(Object.keys(SPECIALS))('pass through %s as in the cpu backend', (kernel) =>
    checkForward(kernel, SPECIALS[kernel]!, LOOSER[kernel] ?? TOLERANCE),
  );
});
