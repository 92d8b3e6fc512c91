// Every kernel the engine lowers against TF.js's cpu backend, forward and gradient, and gradients against differences.
import { describe, expect, it } from 'vitest';
import { tf } from '../../src/engine/index.js';
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

    it.runIf(tf.getGradient(kernel))('has the gradient that differences show', () => checkGradient(kernel, cases, tolerance * 4));
  });
});

describe('numbers that are not finite', () => {
  it.each(Object.keys(SPECIALS))('pass through %s as in the cpu backend', (kernel) => checkForward(kernel, SPECIALS[kernel]!, LOOSER[kernel] ?? TOLERANCE));
});
