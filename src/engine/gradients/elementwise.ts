// Gradients of operations that compute each element separately.
import { tf } from '../tf.js';
import { asFloat, ofInput, ofOutput, sumTo, zeroGradient, zeros } from './rule.js';
import type { Rule } from './rule.js';

/** Rule for y = f(a, b) with broadcasting. */
const ofOperands = (
  left: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  right: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Rule => ({
  save: ['a', 'b'],
  gradient: (dy, { a, b }) => ({
    a: () => sumTo(left(dy, a, b), a.shape),
    b: () => sumTo(right(dy, a, b), b.shape),
  }),
});

const where = (condition: tf.Tensor, a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.where(condition, a, b);

export const UNARY: Record<string, Rule> = {
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Acos: ofInput((dy, x) => tf.neg(tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x)))))),
  Acosh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.square(x), 1)))),
  Asin: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x))))),
  Asinh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.add(tf.square(x), 1)))),
  Atan: ofInput((dy, x) => tf.div(dy, tf.add(tf.square(x), 1))),
  Atanh: ofInput((dy, x) => tf.div(dy, tf.sub(1, tf.square(x)))),
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  Cosh: ofInput((dy, x) => tf.mul(dy, tf.sinh(x))),
  Elu: ofOutput((dy, y) => tf.mul(dy, where(tf.greater(y, 0), tf.onesLike(y), tf.add(y, 1)))),
  Erf: ofInput((dy, x) => tf.mul(dy, tf.mul(2 / Math.sqrt(Math.PI), tf.exp(tf.neg(tf.square(x)))))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Neg: { gradient: (dy) => ({ x: () => tf.neg(dy) }) },
  Identity: { gradient: (dy) => ({ x: () => dy }) },
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Relu: ofOutput((dy, y) => tf.mul(dy, tf.step(y))),
  Relu6: ofInput((dy, x) => where(tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)), dy, tf.zerosLike(dy))),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(-0.5, tf.mul(y, tf.square(y))))),
  Selu: ofInput((dy, x) =>
    tf.mul(dy, where(tf.greater(x, 0), tf.fill(x.shape, 1.0507009873554805), tf.mul(1.7580993408473768, tf.exp(x)))),
  ),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(x))),
  Sinh: ofInput((dy, x) => tf.mul(dy, tf.cosh(x))),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sqrt: ofOutput((dy, y) => tf.div(tf.mul(dy, 0.5), y)),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(2, asFloat(x)))),
  Tan: ofOutput((dy, y) => tf.mul(dy, tf.add(tf.square(y), 1))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  Cast: { gradient: (dy) => ({ x: () => asFloat(dy) }) },
  ClipByValue: ofInput((dy, x, { clipValueMin, clipValueMax }) =>
    where(
      tf.logicalAnd(tf.greaterEqual(x, clipValueMin as number), tf.lessEqual(x, clipValueMax as number)),
      dy,
      tf.zerosLike(dy),
    ),
  ),
  LeakyRelu: ofInput((dy, x, { alpha }) => tf.mul(dy, tf.step(x, alpha as number))),
};

export const BINARY: Record<string, Rule> = {
  Add: ofOperands(
    (dy) => dy,
    (dy) => dy,
  ),
  Sub: ofOperands(
    (dy) => dy,
    (dy) => tf.neg(dy),
  ),
  Multiply: ofOperands(
    (dy, _, b) => tf.mul(dy, asFloat(b)),
    (dy, a) => tf.mul(dy, asFloat(a)),
  ),
  RealDiv: ofOperands(
    (dy, _, b) => tf.div(dy, asFloat(b)),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, asFloat(a)), tf.square(asFloat(b)))),
  ),
  Maximum: ofOperands(
    (dy, a, b) => tf.mul(dy, asFloat(tf.greaterEqual(a, b))),
    (dy, a, b) => tf.mul(dy, asFloat(tf.less(a, b))),
  ),
  Minimum: ofOperands(
    (dy, a, b) => tf.mul(dy, asFloat(tf.lessEqual(a, b))),
    (dy, a, b) => tf.mul(dy, asFloat(tf.greater(a, b))),
  ),
  SquaredDifference: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.mul(2, tf.sub(a, b))),
    (dy, a, b) => tf.mul(dy, tf.mul(2, tf.sub(b, a))),
  ),
  Mod: ofOperands(
    (dy) => dy,
    (dy, a, b) => tf.neg(tf.mul(dy, tf.floor(tf.div(a, b)))),
  ),
  Atan2: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.div(b, tf.add(tf.square(a), tf.square(b)))),
    (dy, a, b) => tf.neg(tf.mul(dy, tf.div(a, tf.add(tf.square(a), tf.square(b))))),
  ),
  Pow: ofOperands(
    (dy, a, b) => tf.mul(dy, tf.mul(asFloat(b), tf.pow(a, tf.sub(b, tf.scalar(1, b.dtype))))),
    // A base that is not positive has no real logarithm, so the exponent gets no gradient there.
    (dy, a, b) =>
      tf.mul(
        dy,
        where(tf.greater(a, 0), tf.mul(tf.pow(a, b), tf.log(tf.maximum(a, 1e-38))), tf.zerosLike(tf.pow(a, b))),
      ),
  ),
  Prelu: {
    save: ['x', 'alpha'],
    gradient: (dy, { x, alpha }) => ({
      x: () => where(tf.greater(x, 0), dy, tf.mul(dy, alpha)),
      alpha: () => sumTo(where(tf.greater(x, 0), tf.zerosLike(dy), tf.mul(dy, x)), alpha.shape),
    }),
  },
  Select: {
    save: ['condition'],
    gradient: (dy, { condition }) => ({
      condition: () => zeros(condition),
      t: () => where(condition, dy, tf.zerosLike(dy)),
      e: () => where(condition, tf.zerosLike(dy), dy),
    }),
  },
};

export const FLAT: Record<string, Rule> = {
  ...Object.fromEntries(
    [
      'ArgMax',
      'ArgMin',
      'Ceil',
      'Floor',
      'Round',
      'Sign',
      'Step',
      'ZerosLike',
      'OnesLike',
      'IsNan',
      'IsInf',
      'IsFinite',
      'LogicalNot',
    ].map((name) => [name, zeroGradient('x')]),
  ),
  ...Object.fromEntries(
    ['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr', 'FloorDiv'].map(
      (name) => [name, zeroGradient('a', 'b')],
    ),
  ),
  OneHot: zeroGradient('indices'),
};
