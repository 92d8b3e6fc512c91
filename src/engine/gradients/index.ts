// Gradients of TF.js kernels, written in TF.js ops. The build of tfjs-core that Node loads registers none. These rules
// keep the compiled backward pass cheap (they save outputs rather than inputs where either works) and give integer
// inputs zero gradients, so that lookups by computed ids need no workaround.
import { tf } from '../tf.js';
import { ARRAYS } from './arrays.js';
import { BINARY, FLAT, UNARY } from './elementwise.js';
import { REDUCTIONS } from './reductions.js';
import { savedOf } from './rule.js';
import type { Attributes } from './rule.js';
import { SPATIAL } from './spatial.js';

/**
 * Gradients of an einsum. The gradient of an operand is the product of dy with all other operands, with the operand's
 * indices. An index that occurs only in that operand was summed, so the gradient is constant along it.
 */
function einsumGradient(dy: tf.Tensor, operands: tf.Tensor[], equation: string): tf.Tensor[] {
  const [left, out] = equation.replaceAll(' ', '').split('->') as [string, string];
  const terms = left.split(',');
  return operands.map((operand, i) => {
    const others = terms.filter((_, k) => k !== i);
    const known = [...terms[i]!].filter((index) => out.includes(index) || others.some((term) => term.includes(index)));
    const factors = [dy, ...operands.filter((_, k) => k !== i)];
    const product = tf.einsum(`${[out, ...others].join()}->${known.join('')}`, ...factors);
    const shape = [...terms[i]!].map((index, axis) => (known.includes(index) ? operand.shape[axis]! : 1));
    return tf.broadcastTo(tf.reshape(product, shape), operand.shape);
  });
}

function register(): void {
  const rules = { ...UNARY, ...BINARY, ...REDUCTIONS, ...ARRAYS, ...SPATIAL, ...FLAT };
  for (const [kernelName, rule] of Object.entries(rules)) {
    tf.registerGradient({
      kernelName,
      inputsToSave: [...(rule.save ?? [])],
      outputsToSave: [rule.saveOutput ?? false],
      gradFunc: (dy, saved, attributes) => rule.gradient([dy].flat()[0]!, savedOf(kernelName, rule, saved), attributes),
    });
  }
  registerVariadic();
}

/** Registers the gradient of a kernel over a list of tensors. */
function registerListGradient(
  kernelName: string,
  gradient: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => tf.Tensor[],
): void {
  tf.registerGradient({
    kernelName,
    saveAllInputs: true,
    gradFunc: ((dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) =>
      gradient(dy, saved, attributes).map((dx) => () => dx)) as unknown as tf.GradFunc,
  });
}

/** Kernels with lists of inputs or outputs. */
function registerVariadic(): void {
  // Each gradient needs a tensor of its own, because TF.js disposes gradients after adding them up.
  registerListGradient('AddN', (dy, saved) => saved.map(() => tf.clone(dy)));
  registerListGradient('Einsum', (dy, saved, { equation }) => einsumGradient(dy, saved, equation as string));
  registerListGradient('Pack', (dy, _, { axis }) => tf.unstack(dy, axis as number));
  registerListGradient('Concat', (dy, saved, { axis }) => {
    const at = tf.util.parseAxisParam(axis as number, saved[0]!.shape)[0]!;
    return tf.split(
      dy,
      saved.map((x) => x.shape[at]!),
      at,
    );
  });
  tf.registerGradient({
    kernelName: 'TopK',
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    // The gradient of each value goes back to its position in the row.
    gradFunc: ((dys: tf.Tensor[], [x, indices]: tf.Tensor[]) => ({
      x: () => tf.sum(tf.mul(tf.oneHot(tf.cast(indices!, 'int32'), x!.shape.at(-1)!), tf.expandDims(dys[0]!, -1)), -2),
    })) as tf.GradFunc,
  });
  tf.registerGradient({
    kernelName: 'Unpack',
    gradFunc: ((dys: tf.Tensor[], _: unknown, { axis }: Attributes) => ({
      value: () => tf.stack([dys].flat(), axis as number),
    })) as tf.GradFunc,
  });
  tf.registerGradient({
    kernelName: 'SplitV',
    gradFunc: ((dys: tf.Tensor[], _: unknown, { axis }: Attributes) => ({
      x: () => tf.concat([dys].flat(), axis as number),
    })) as tf.GradFunc,
  });
}

register();
