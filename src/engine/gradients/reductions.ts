// Gradients of operations along axes.
import { tf } from '../tf.js';
import { asFloat, ofInput } from './rule.js';
import type { Rule } from './rule.js';

/** Broadcasts a reduced gradient back over the reduced axes. */
function broadcastBack(dy: tf.Tensor, shape: number[], axes: unknown): tf.Tensor {
  const kept = tf.backend_util.expandShapeToKeepDim(
    shape.filter((_, axis) => !tf.util.parseAxisParam(axes as number[], shape).includes(axis)),
    tf.util.parseAxisParam(axes as number[], shape),
  );
  return tf.mul(tf.reshape(dy, kept), tf.ones(shape));
}

const reducedCount = (shape: number[], axes: unknown): number =>
  tf.util.parseAxisParam(axes as number[], shape).reduce((n, axis) => n * shape[axis]!, 1);

/** Rule for minimum and maximum: the gradient goes to every element that equals the result. */
const extremum = (axisKey: string): Rule => ({
  save: ['x'],
  saveOutput: true,
  gradient: (dy, { x, y }, attributes) => ({
    x: () =>
      tf.mul(
        broadcastBack(dy, x.shape, attributes[axisKey]),
        asFloat(tf.equal(x, broadcastBack(y, x.shape, attributes[axisKey]))),
      ),
  }),
});

export const REDUCTIONS: Record<string, Rule> = {
  Sum: ofInput((dy, x, { axis }) => broadcastBack(dy, x.shape, axis)),
  Mean: ofInput((dy, x, { axis }) => broadcastBack(tf.div(dy, reducedCount(x.shape, axis)), x.shape, axis)),
  Max: extremum('reductionIndices'),
  Min: extremum('axis'),
  Prod: {
    save: ['x'],
    gradient: (dy, { x }, { axis }) => ({ x: () => prodGradient(dy, x, axis) }),
  },
  Cumsum: {
    gradient: (dy, _, { axis, exclusive, reverse }) => ({
      x: () => tf.cumsum(dy, axis as number, exclusive as boolean, !(reverse as boolean)),
    }),
  },
  Softmax: {
    saveOutput: true,
    gradient: (dy, { y }, { dim }) => ({
      logits: () => {
        const weighted = tf.mul(dy, y);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, dim as number, true), y));
      },
    }),
  },
};

/**
 * Gradient of a product. The product of all other elements is the product of those before times the product of those
 * after, so zeros need no division.
 */
function prodGradient(dy: tf.Tensor, x: tf.Tensor, axis: unknown): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis as number[], x.shape);
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const order = [...kept, ...axes];
  const moved = tf.transpose(x, order);
  const rows = tf.reshape(moved, [kept.reduce((n, i) => n * x.shape[i]!, 1), reducedCount(x.shape, axis)]);
  const others = tf.mul(tf.cumprod(rows, 1, true, false), tf.cumprod(rows, 1, true, true));
  const broadcast = tf.mul(others, tf.reshape(dy, [rows.shape[0], 1]));
  return tf.transpose(tf.reshape(broadcast, moved.shape), tf.backend_util.getUndoAxesPermutation(order));
}
