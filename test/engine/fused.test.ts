import { describe, expect, it } from 'vitest';
import { compile, crossEntropy, gelu, hostValues, layerNorm, tf } from '../../src/engine/index.js';

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

const TARGETS = tf.tensor1d([1, 0, 4, 2, 2, 6], 'int32');

/** Each operator beside what it stands for, written in plain TF.js ops. */
const CASES: [string, Op, Op, number[][]][] = [
  [
    'gelu',
    (x) => gelu(x!),
    (x) =>
      tf.mul(
        tf.mul(0.5, x!),
        tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), tf.add(x!, tf.mul(0.044715, tf.mul(x!, tf.square(x!))))))),
      ),
    [[3, 5, 7]],
  ],
  [
    'layerNorm',
    (x, weight, bias) => layerNorm(x!, weight!, bias!),
    (x, weight, bias) => {
      const centered = tf.sub(x!, tf.mean(x!, -1, true));
      const variance = tf.mean(tf.square(centered), -1, true);
      return tf.add(tf.mul(tf.div(centered, tf.sqrt(tf.add(variance, 1e-5))), weight!), bias!);
    },
    [[3, 5, 32], [32], [32]],
  ],
  [
    'crossEntropy',
    (x) => crossEntropy(x as tf.Tensor2D, TARGETS),
    (x) => tf.neg(tf.sum(tf.mul(tf.log(tf.softmax(x as tf.Tensor2D)), tf.oneHot(TARGETS, 7)), 1)),
    [[6, 7]],
  ],
];

/** Result and gradients of all inputs; the last argument is the gradient of the result. */
const withGradients =
  (op: Op) =>
  (...args: tf.Tensor[]): tf.Tensor[] => {
    const inputs = args.slice(0, -1);
    return [op(...inputs), ...tf.grads(op)(inputs, args.at(-1)!)];
  };

/** The largest difference of any tensor, over that tensor's largest magnitude. */
function relativeError(actual: tf.Tensor[], expected: tf.Tensor[]): number {
  const errors = actual.map((tensor, i) => {
    const reference = hostValues(expected[i]!) as Float32Array;
    const scale = reference.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    return (
      (hostValues(tensor) as Float32Array).reduce((max, v, j) => Math.max(max, Math.abs(v - reference[j]!)), 0) / scale
    );
  });
  return Math.max(...errors);
}

// Rounding of a dozen operations and short sums.
const TOLERANCE = 2e-6;

describe.each(CASES)('%s', (_, op, plain, shapes) => {
  const inputs = shapes.map((shape, i) => tf.randomNormal(shape, 0, 1.5, 'float32', i + 1));
  const args = [...inputs, tf.randomNormal(plain(...inputs).shape, 0, 1, 'float32', 9)];
  const expected = withGradients(plain)(...args);

  it('and its gradients are those of the plain formula', () => {
    expect(relativeError(withGradients(op)(...args), expected)).toBeLessThan(TOLERANCE);
  });

  it('compiled computes the same', async () => {
    const compiled = compile(withGradients(op));
    expect(relativeError(await compiled(...args), expected)).toBeLessThan(TOLERANCE);
    await compiled.dispose();
  });
});

describe('crossEntropy', () => {
  it('stays finite where the probability of the target vanishes', async () => {
    const compiled = compile((x: tf.Tensor2D, ids: tf.Tensor1D) => crossEntropy(x, ids));
    const nats = await compiled(
      tf.tensor2d([
        [500, -500],
        [0, 0],
      ]),
      tf.tensor1d([1, 0], 'int32'),
    );
    expect(Array.from(hostValues(nats))).toEqual([1000, expect.closeTo(Math.LN2, 6)]);
    await compiled.dispose();
  });
});
