// The entropy loss of quantizers whose codes are the points of a grid. It makes each position confident of its code and uses all
// codes evenly (Yu et al., arXiv:2310.05737, equation 5, for signs; here for any levels).
import { tf } from '../../src/engine/index.js';

export interface EntropyOptions {
  /** Temperature: the squared distance between latents and codes that changes the odds of a code by the factor e. */
  temperature: number;
  /** Weight of the even use of codes, relative to the confidence of each position. */
  diversity: number;
  /** Sizes of consecutive groups of dimensions whose joint use is balanced. Groups are assumed to be independent. */
  groups: readonly number[];
}

const product = (numbers: readonly number[]): number => numbers.reduce((total, one) => total * one, 1);

/** All points of a grid, [K, D]; the first dimension changes fastest. @param levels the values of each dimension. */
function gridPoints(levels: readonly (readonly number[])[]): number[][] {
  return levels.reduceRight<number[][]>(
    (rest, values) => rest.flatMap((point) => values.map((value) => [value, ...point])),
    [[]],
  );
}

/** Log probabilities of the points of a grid: log softmax of minus the squared distance over the temperature. float32 [N, D] -> [N, K]. */
function logChoices(latents: tf.Tensor2D, levels: readonly (readonly number[])[], temperature: number): tf.Tensor2D {
  const points = tf.tensor2d(gridPoints(levels)); // [K, D]
  // |z|^2 is the same for every point and cancels.
  const nearness = tf.sub(tf.mul(tf.matMul(latents, points, false, true), 2), tf.sum(tf.square(points), 1));
  return tf.logSoftmax(tf.div(nearness, temperature));
}

/** Where to split dimensions into two parts so that neither has many points. */
function middle(levels: readonly (readonly number[])[]): number {
  const sizes = levels.map(({ length }) => length);
  const larger = (cut: number): number => Math.max(product(sizes.slice(0, cut)), product(sizes.slice(cut)));
  return sizes.reduce((best, _, cut) => (larger(cut) < larger(best) ? cut : best), 0);
}

/** Entropy in nats along the last axis, from log probabilities. */
const entropyOf = (logs: tf.Tensor): tf.Tensor => tf.neg(tf.sum(tf.mul(tf.exp(logs), logs), -1));

/** Codes with a smaller probability count as unused. */
const LEAST_USE = 1e-9;

/** The mean entropy of the choice of a position, and the entropy of the mean choice, of one group. Scalars, in nats. */
function groupEntropies(
  latents: tf.Tensor2D,
  levels: readonly (readonly number[])[],
  temperature: number,
): { choice: tf.Tensor; use: tf.Tensor } {
  const rows = latents.shape[0];
  const cut = middle(levels);
  const low = logChoices(tf.slice(latents, [0, 0], [rows, cut]), levels.slice(0, cut), temperature);
  const high = logChoices(tf.slice(latents, [0, cut], [rows, levels.length - cut]), levels.slice(cut), temperature);
  // Dimensions are independent given the latents: entropies add up, and the mean over positions of all points is one product.
  const use = tf.div(tf.matMul(tf.exp(high), tf.exp(low), true, false), rows);
  return {
    choice: tf.mean(tf.add(entropyOf(low), entropyOf(high))),
    use: tf.neg(tf.sum(tf.mul(use, tf.log(tf.maximum(use, LEAST_USE))))),
  };
}

/**
 * The mean entropy of each position's code, minus `diversity` times the entropy of the codes of the batch.
 *
 * @param latents float32 [N, D].
 * @param levels  values of the levels of each dimension. Codes are all combinations.
 * @returns a scalar, in nats per bit of the codes.
 *
 * The first entropy is exact. The second is exact within groups and summed over them. Memory: for a group of K codes about
 * N * sqrt(K) + K floats; [N, K] is never computed. A batch estimates the use of K codes only if it has many more positions.
 * Source: Yu et al., arXiv:2310.05737, equation 5; groups: Zhao et al., arXiv:2406.07548, section 3.2.
 */
export function entropyLoss(
  latents: tf.Tensor2D,
  levels: readonly (readonly number[])[],
  { temperature, diversity, groups }: EntropyOptions,
): tf.Scalar {
  let start = 0;
  const losses = groups.map((size) => {
    const columns = tf.slice(latents, [0, start], [latents.shape[0], size]);
    const { choice, use } = groupEntropies(columns, levels.slice(start, start + size), temperature);
    start += size;
    return tf.sub(choice, tf.mul(use, diversity));
  });
  const bits = levels.reduce((sum, { length }) => sum + Math.log2(length), 0);
  return tf.div(tf.addN(losses), bits);
}
