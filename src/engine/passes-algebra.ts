// Removes unnecessary arithmetic: neutral operands, expansion before broadcasting, chains of scalar factors, division
// by constants.
import { sameShape, sizeOf } from '../shape.js';
import type { Value } from './graph.js';
import { broadcastShapes } from './lowering.js';
import type { Lower } from './lowering.js';
import type { Rule } from './passes-rewrite.js';

const BROADCASTING = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Pow',
  'Max',
  'Min',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'And',
  'Or',
  'Where',
]);

/** Returns the node that computed a value if it is the standard operator `op`. */
export const madeBy = (value: Value | null | undefined, op: string): Value['node'] =>
  value?.node?.op === op && value.node.domain === '' ? value.node : undefined;

/** Returns the number that all elements of a value are known to equal. */
function uniformNumber(value: Value): number | undefined {
  const source = madeBy(value, 'Expand')?.inputs[0] ?? value;
  if (!source.data || source.dtype === 'int64' || source.data.length !== 1) return undefined;
  return Number(source.data[0]);
}

const isScalar = (value: Value): boolean => sizeOf(value.shape) === 1;

/** Removes an Expand whose only purpose is to match the other operands: the operator broadcasts by itself. */
const implicitBroadcast: Rule = (g, { op, domain, inputs, attributes, output }) => {
  if (domain !== '' || !BROADCASTING.has(op)) return undefined;
  const operands = inputs as Value[];
  for (let i = 0; i < operands.length; i++) {
    const source = madeBy(operands[i], 'Expand')?.inputs[0];
    if (!source) continue;
    const replaced = operands.with(i, source);
    const shape = replaced.map((value) => value.shape).reduce((a, b) => broadcastShapes(op, a, b));
    if (sameShape(shape, output.shape))
      return (
        implicitBroadcast(g, { op, domain, inputs: replaced, attributes, output, single: () => true }) ??
        g.op(op, replaced, output, attributes)
      );
  }
  return undefined;
};

/** Replaces x * 1, x / 1, x + 0 and x - 0 by x, expanded if the other operand was larger. */
const neutralOperands: Rule = (g, { op, domain, inputs, output }) => {
  if (domain !== '' || output.dtype !== 'float32') return undefined;
  const neutral = op === 'Mul' || op === 'Div' ? 1 : op === 'Add' || op === 'Sub' ? 0 : undefined;
  if (neutral === undefined) return undefined;
  const [a, b] = inputs as [Value, Value];
  if (uniformNumber(b) === neutral) return g.expand(a, output.shape);
  if ((op === 'Mul' || op === 'Add') && uniformNumber(a) === neutral) return g.expand(b, output.shape);
  return undefined;
};

/** Splits a product with exactly one scalar factor into its factors, scalar last. */
function scaled(value: Value): [Value, Value] | undefined {
  const product = madeBy(value, 'Mul');
  if (!product || value.dtype !== 'float32') return undefined;
  const [a, b] = product.inputs as [Value, Value];
  if (isScalar(b) && !isScalar(a)) return [a, b];
  return isScalar(a) && !isScalar(b) ? [b, a] : undefined;
}

function scalarProduct(g: Lower, a: Value, b: Value): Value {
  const [known, other] = [uniformNumber(a), uniformNumber(b)];
  return known !== undefined && other !== undefined ? g.scalar(known * other) : g.mul(a, b);
}

/** Replaces (x * s) * t by x * (s * t): one pass over x instead of two. */
const scalarChains: Rule = (g, { op, domain, inputs, output, single }) => {
  if (domain !== '' || op !== 'Mul' || output.dtype !== 'float32') return undefined;
  const [a, b] = inputs as [Value, Value];
  for (const [x, t] of [
    [a, b],
    [b, a],
  ] as const) {
    if (!isScalar(t) || isScalar(x)) continue;
    const inner = single(x) ? scaled(x) : undefined;
    if (inner && sameShape(x.shape, output.shape)) return g.mul(inner[0], scalarProduct(g, inner[1], t));
  }
  return undefined;
};

/** Replaces x / s, for a constant scalar s, by a product, which costs half as much. */
const divisionByConstant: Rule = (g, { op, domain, inputs, output }) => {
  if (domain !== '' || op !== 'Div' || output.dtype !== 'float32') return undefined;
  const [a, b] = inputs as [Value, Value];
  const divisor = isScalar(b) && !isScalar(a) ? uniformNumber(b) : undefined;
  return divisor === undefined || divisor === 0 || !sameShape(a.shape, output.shape)
    ? undefined
    : g.mul(a, g.scalar(1 / divisor));
};

/** Computes a sum of squares in one pass. */
const sumOfSquares: Rule = (g, { op, domain, inputs, attributes, output, single }) => {
  if (domain !== '' || op !== 'ReduceSum' || output.dtype !== 'float32') return undefined;
  const square = madeBy(inputs[0], 'Mul');
  if (!square || square.inputs[0] !== square.inputs[1] || !single(inputs[0]!)) return undefined;
  return g.op('ReduceSumSquare', [square.inputs[0]!, inputs[1]!], output, attributes);
};

export const ALGEBRA: readonly Rule[] = [
  neutralOperands,
  implicitBroadcast,
  divisionByConstant,
  scalarChains,
  sumOfSquares,
];
