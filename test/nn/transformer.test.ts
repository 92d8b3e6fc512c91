import { describe, expect, it } from 'vitest';
import { compile, hostValues, tf } from '../../src/engine/index.js';
import { causalAttention, causalMask } from '../../src/nn/transformer.js';

/** Attention as the definition has it, over the whole square of scores. */
function plainAttention(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D): tf.Tensor {
  const scores = tf.div(tf.matMul(q, k, false, true), Math.sqrt(q.shape[3]));
  return tf.matMul(tf.softmax(tf.add(scores, causalMask(q.shape[2]))), v);
}

type Attention = typeof plainAttention;

const withGradients =
  (attention: Attention) =>
  (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, dy: tf.Tensor): tf.Tensor[] => {
    const of = (...inputs: tf.Tensor[]): tf.Tensor =>
      attention(inputs[0] as tf.Tensor4D, inputs[1] as tf.Tensor4D, inputs[2] as tf.Tensor4D);
    return [of(q, k, v), ...tf.grads(of)([q, k, v], dy)];
  };

// Values of magnitude 1 to 5, sums of up to 150 terms.
const TOLERANCE = 1e-5;

// One band, bands that fill the length, and a last band that is cut short.
describe.each([5, 128, 150])('causal attention over %i positions', (length) => {
  const tensors = [1, 2, 3, 4].map((seed) => tf.randomNormal([1, 2, length, 8], 0, 1, 'float32', seed)) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const expected = withGradients(plainAttention)(...tensors);

  const largestError = (actual: tf.Tensor[]): number =>
    Math.max(
      ...actual.map((tensor, i) => {
        const reference = hostValues(expected[i]!) as Float32Array;
        return (hostValues(tensor) as Float32Array).reduce(
          (max, value, j) => Math.max(max, Math.abs(value - reference[j]!)),
          0,
        );
      }),
    );

  it('is attention under a causal mask, gradients included', () => {
    expect(largestError(withGradients(causalAttention)(...tensors))).toBeLessThan(TOLERANCE);
  });

  it('compiled computes the same', async () => {
    const compiled = compile(withGradients(causalAttention));
    expect(largestError(await compiled(...tensors))).toBeLessThan(TOLERANCE);
    await compiled.dispose();
  });
});
