// Elementwise kernels: arithmetic, comparison, logic, activations, casts.
import type { Dtype, Value } from '../graph.js';
import { inputList } from '../lowering.js';
import type { Lower, Lowering } from '../lowering.js';

const unary =
  (op: string): Lowering =>
  (g, { x }) =>
    g.unary(op, x);

const binary =
  (op: string): Lowering =>
  (g, { a, b }) =>
    g.binary(op, a, b);

const compare =
  (op: string): Lowering =>
  (g, { a, b }) =>
    g.binary(op, a, b, 'bool');

/** x - floor(x / y) * y: the remainder has the sign of the divisor. */
function floorMod(g: Lower, a: Value, b: Value): Value {
  if (a.dtype === 'int32') return g.binary('Mod', a, b);
  return g.sub(a, g.mul(g.unary('Floor', g.binary('Div', a, b)), b));
}

function floorDiv(g: Lower, a: Value, b: Value): Value {
  if (a.dtype !== 'int32') return g.unary('Floor', g.binary('Div', a, b));
  // Integer division truncates in ONNX, so the floored remainder is subtracted first.
  return g.binary('Div', g.sub(a, g.binary('Mod', a, b)), b);
}

/** Angle of the point (x, y) in (-pi, pi], computed with the one-argument arctangent. */
function atan2(g: Lower, y: Value, x: Value): Value {
  const zero = g.scalar(0);
  const base = g.unary('Atan', g.binary('Div', y, x));
  const pi = g.scalar(Math.PI);
  const left = g.where(g.binary('Less', y, zero, 'bool'), g.sub(base, pi), g.add(base, pi));
  const vertical = g.mul(g.unary('Sign', y), g.scalar(Math.PI / 2));
  const byX = g.where(g.binary('Less', x, zero, 'bool'), left, base);
  return g.where(g.binary('Equal', x, zero, 'bool'), vertical, byX);
}

function divide(g: Lower, a: Value, b: Value): Value {
  return g.binary('Div', g.cast(a, 'float32'), g.cast(b, 'float32'));
}

/** 1 where x > 0, `alpha` elsewhere. NaN stays NaN. */
function step(g: Lower, x: Value, alpha: number): Value {
  const positive = g.cast(g.binary('Greater', x, g.like(x, 0), 'bool'), x.dtype);
  return alpha === 0 ? positive : g.add(g.mul(positive, g.like(x, 1 - alpha)), g.like(x, alpha));
}

/** exp(x) - 1. Near 0 the difference would cancel; there 2t / (1 - t) with t = tanh(x / 2) keeps full precision. */
function expm1(g: Lower, x: Value): Value {
  const one = g.scalar(1);
  const t = g.unary('Tanh', g.mul(x, g.scalar(0.5)));
  const near = g.binary('Div', g.add(t, t), g.sub(one, t));
  return g.where(g.binary('Less', g.unary('Abs', x), one, 'bool'), near, g.sub(g.unary('Exp', x), one));
}

/** log(1 + x). Near 0 the factor x / ((1 + x) - 1) corrects the rounding error of 1 + x. */
function log1p(g: Lower, x: Value): Value {
  const one = g.scalar(1);
  const u = g.add(x, one);
  const kept = g.sub(u, one);
  const plain = g.unary('Log', u);
  const corrected = g.where(g.binary('Equal', kept, g.scalar(0), 'bool'), x, g.binary('Div', g.mul(plain, x), kept));
  return g.where(g.binary('Less', g.unary('Abs', x), one, 'bool'), corrected, plain);
}

const SELU_SCALE_ALPHA = 1.7580993408473768;
const SELU_SCALE = 1.0507009873554805;

function selu(g: Lower, x: Value): Value {
  const negative = g.mul(
    g.scalar(SELU_SCALE_ALPHA),
    g.sub(g.unary('Exp', g.binary('Min', x, g.scalar(0))), g.scalar(1)),
  );
  return g.where(g.binary('Greater', x, g.scalar(0), 'bool'), g.mul(g.scalar(SELU_SCALE), x), negative);
}

/** Dtypes that a tensor can be cast to. */
const CAST_TARGETS: Record<string, Dtype> = { float32: 'float32', int32: 'int32', bool: 'bool' };

export const elementwise: Record<string, Lowering> = {
  Abs: unary('Abs'),
  Acos: unary('Acos'),
  Acosh: unary('Acosh'),
  Asin: unary('Asin'),
  Asinh: unary('Asinh'),
  Atan: unary('Atan'),
  Atanh: unary('Atanh'),
  Ceil: unary('Ceil'),
  Cos: unary('Cos'),
  Cosh: unary('Cosh'),
  Elu: unary('Elu'),
  Erf: unary('Erf'),
  Exp: unary('Exp'),
  Floor: unary('Floor'),
  Log: unary('Log'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal'),
  Relu: unary('Relu'),
  Round: unary('Round'),
  Sigmoid: unary('Sigmoid'),
  Sign: unary('Sign'),
  Sin: unary('Sin'),
  Sinh: unary('Sinh'),
  Softplus: unary('Softplus'),
  Sqrt: unary('Sqrt'),
  Tan: unary('Tan'),
  Tanh: unary('Tanh'),
  Identity: (_, { x }) => x,
  Expm1: (g, { x }) => expm1(g, x),
  Log1p: (g, { x }) => log1p(g, x),
  Rsqrt: (g, { x }) => g.unary('Reciprocal', g.unary('Sqrt', x)),
  Square: (g, { x }) => g.mul(x, x),
  Step: (g, { x }, { alpha }) => step(g, x, (alpha as number | undefined) ?? 0),
  Relu6: (g, { x }) => g.op('Clip', [x, g.like(x, 0), g.like(x, 6)], x),
  ClipByValue: (g, { x }, { clipValueMin, clipValueMax }) =>
    g.op('Clip', [x, g.like(x, clipValueMin as number), g.like(x, clipValueMax as number)], x),
  LeakyRelu: (g, { x }, { alpha }) => g.unary('LeakyRelu', x, { alpha: { float: alpha as number } }),
  Prelu: (g, { x, alpha }) => g.where(g.binary('Less', x, g.scalar(0), 'bool'), g.mul(x, alpha), x),
  Selu: (g, { x }) => selu(g, x),
  IsNan: (g, { x }) => g.op('IsNaN', [x], { dtype: 'bool', shape: x.shape }),
  IsInf: (g, { x }) => g.op('IsInf', [x], { dtype: 'bool', shape: x.shape }),
  // x - x is 0 for finite x and NaN otherwise.
  IsFinite: (g, { x }) =>
    g.op('Not', [g.op('IsNaN', [g.sub(x, x)], { dtype: 'bool', shape: x.shape })], {
      dtype: 'bool',
      shape: x.shape,
    }),
  Add: binary('Add'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow'),
  RealDiv: (g, { a, b }) => divide(g, a, b),
  FloorDiv: (g, { a, b }) => floorDiv(g, a, b),
  Mod: (g, { a, b }) => floorMod(g, a, b),
  Atan2: (g, { a, b }) => atan2(g, a, b),
  SquaredDifference: (g, { a, b }) => {
    const difference = g.sub(a, b);
    return g.mul(difference, difference);
  },
  AddN: (g, inputs) => {
    const all = inputList(inputs);
    // ONNX's Sum supports floating-point types only.
    return all[0]!.dtype === 'float32' && all.length > 1
      ? g.op('Sum', all, all[0]!)
      : all.reduce((total, x) => g.add(total, x));
  },
  Equal: compare('Equal'),
  Greater: compare('Greater'),
  GreaterEqual: compare('GreaterOrEqual'),
  Less: compare('Less'),
  LessEqual: compare('LessOrEqual'),
  NotEqual: (g, { a, b }) => {
    const equal = g.binary('Equal', a, b, 'bool');
    return g.op('Not', [equal], equal);
  },
  LogicalAnd: compare('And'),
  LogicalOr: compare('Or'),
  LogicalNot: (g, { x }) => g.op('Not', [x], x),
  Select: (g, { condition, t, e }) => g.where(condition, t, e),
  Cast: (g, { x }, { dtype }) => g.cast(x, CAST_TARGETS[dtype as string]!),
  ZerosLike: (g, { x }) => g.fill(x.shape, 0, x.dtype as 'float32'),
  OnesLike: (g, { x }) => g.fill(x.shape, 1, x.dtype as 'float32'),
};
