// Runs TF.js kernels three ways: compiled, eagerly on the cpu backend (the oracle), and by finite differences.
import { expect } from 'vitest';
import { compile, tf } from '../../../src/engine/index.js';
import type { Structure } from '../../../src/engine/index.js';
import { Rng } from '../../../src/rng.js';
import { sizeOf } from '../../../src/shape.js';

/** A random tensor: uniform in [from, to), or the given values repeated. */
export interface Spec {
  shape: number[];
  dtype?: 'float32' | 'int32' | 'bool';
  from?: number;
  to?: number;
  /** Kinks and poles: floats keep 0.1 away from them. */
  avoid?: number[];
  /** Values 0.2 apart, shuffled, so that small steps change no order. */
  distinct?: boolean;
  values?: number[];
}

/** One call of a kernel. Inputs keyed as TF.js names them, or a list for variadic kernels. */
export interface Case {
  inputs: Record<string, Spec> | Spec[];
  attributes?: Record<string, unknown>;
  /** False where the function has no derivative to check, with the reason beside the case. Default true. */
  gradient?: boolean;
}

type Inputs = Record<string, tf.Tensor> | tf.Tensor[];

export function makeTensor(spec: Spec, rng: Rng): tf.Tensor {
  const dtype = spec.dtype ?? 'float32';
  return tf.tensor(valuesOf(spec, rng, dtype), spec.shape, dtype);
}

function valuesOf(spec: Spec, rng: Rng, dtype: string): number[] {
  const size = sizeOf(spec.shape);
  if (spec.values) return Array.from({ length: size }, (_, i) => spec.values![i % spec.values!.length]!);
  if (spec.distinct) {
    const order = Array.from({ length: size }, (_, i) => (i - size / 2) * 0.2 + 0.05);
    for (let i = size - 1; i > 0; i--) {
      const j = rng.int(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
  const from = spec.from ?? (dtype === 'int32' ? -9 : dtype === 'bool' ? 0 : -2);
  const to = spec.to ?? (dtype === 'int32' ? 10 : 2);
  return Array.from({ length: size }, () => {
    if (dtype !== 'float32') return from + rng.int(to - from);
    let value: number;
    do value = from + rng.uniform() * (to - from);
    while (spec.avoid?.some((point) => Math.abs(value - point) < 0.1));
    return value;
  });
}

const specsOf = (oneCase: Case): Spec[] => Object.values(oneCase.inputs);

function makeInputs({ inputs }: Case, rng: Rng): Inputs {
  if (Array.isArray(inputs)) return inputs.map((spec) => makeTensor(spec, rng));
  return Object.fromEntries(Object.entries(inputs).map(([name, spec]) => [name, makeTensor(spec, rng)]));
}

const run = (kernel: string, inputs: Inputs, { attributes }: Case): tf.Tensor[] =>
  [
    tf.engine().runKernel(kernel, inputs as tf.NamedTensorMap, (attributes ?? {}) as tf.NamedAttrMap) as
      tf.Tensor | tf.Tensor[],
  ].flat();

const describeCase = (kernel: string, oneCase: Case): string => {
  const specs = specsOf(oneCase).map(({ dtype, shape }) => `${dtype ?? 'float32'}[${shape.join()}]`);
  return `${kernel}(${specs.join(', ')}) ${JSON.stringify(oneCase.attributes ?? {})}`;
};

/** Compiled and eager results of all cases of one kernel agree in dtype, shape and values. */
export async function checkForward(kernel: string, cases: readonly Case[], tolerance: number): Promise<void> {
  const rng = new Rng(7, kernel);
  const inputs = cases.map((oneCase) => makeInputs(oneCase, rng));
  const body = (all: Structure): Structure =>
    cases.map((oneCase, i) => run(kernel, (all as unknown as Inputs[])[i]!, oneCase));
  const [compiled, eager] = await onBoth<tf.Tensor[][]>(body, [inputs as unknown as Structure]);
  cases.forEach((oneCase, i) => {
    if (compiled[i]!.length !== eager[i]!.length)
      expect.fail(`${describeCase(kernel, oneCase)}: ${compiled[i]!.length} results, expected ${eager[i]!.length}`);
    compiled[i]!.forEach((tensor, k) => expectClose(describeCase(kernel, oneCase), tensor, eager[i]![k]!, tolerance));
  });
}

/** Compiled gradients equal eager ones, and eager ones equal central differences, for all cases of one kernel. */
export async function checkGradient(kernel: string, cases: readonly Case[], tolerance: number): Promise<number> {
  const rng = new Rng(11, kernel);
  const wanted = cases.filter(
    (oneCase) =>
      oneCase.gradient !== false &&
      floatKeys(oneCase).length > 0 &&
      specsOf(oneCase).every(({ shape }) => sizeOf(shape) > 0),
  );
  const prepared = wanted.flatMap((oneCase) => {
    const inputs = makeInputs(oneCase, rng);
    const outputs = run(kernel, inputs, oneCase);
    if (outputs.some(({ dtype }) => dtype !== 'float32')) return [];
    return [{ oneCase, inputs, weights: outputs.map(({ shape }) => makeTensor({ shape }, rng)) }];
  });
  if (prepared.length === 0) return 0;
  const body = (allInputs: Structure, allWeights: Structure): Structure =>
    prepared.map(({ oneCase }, i) =>
      gradientsOf(
        kernel,
        oneCase,
        (allInputs as unknown as Inputs[])[i]!,
        (allWeights as unknown as tf.Tensor[][])[i]!,
      ),
    );
  const args = [prepared.map(({ inputs }) => inputs), prepared.map(({ weights }) => weights)] as unknown as Structure[];
  const [compiled, eager] = await onBoth<tf.Tensor[][]>(body, args);
  prepared.forEach(({ oneCase, inputs, weights }, i) => {
    floatKeys(oneCase).forEach((key, k) => {
      const what = `d/d${key} ${describeCase(kernel, oneCase)}`;
      expectClose(what, compiled[i]![k]!, eager[i]![k]!, tolerance);
      expectDifferences(what, kernel, oneCase, inputs, weights, key, eager[i]![k]!);
    });
  });
  return prepared.length;
}

const floatKeys = ({ inputs }: Case): string[] =>
  Object.keys(inputs).filter((key) => ((inputs as Record<string, Spec>)[key]!.dtype ?? 'float32') === 'float32');

/** Gradients of sum(weights * kernel(inputs)) with respect to every float input. */
function gradientsOf(kernel: string, oneCase: Case, inputs: Inputs, weights: tf.Tensor[]): tf.Tensor[] {
  const keys = floatKeys(oneCase);
  const loss = (...xs: tf.Tensor[]): tf.Scalar => {
    const replaced: Record<string, tf.Tensor> = { ...(inputs as Record<string, tf.Tensor>) };
    keys.forEach((key, i) => (replaced[key] = xs[i]!));
    const outputs = run(kernel, Array.isArray(inputs) ? Object.values(replaced) : replaced, oneCase);
    return tf.addN(outputs.map((y, i) => tf.sum(tf.mul(y, weights[i]!)))) as tf.Scalar;
  };
  return tf.grads(loss)(keys.map((key) => (inputs as Record<string, tf.Tensor>)[key]!));
}

/** At most this many elements of an input are nudged. */
const NUDGED = 6;
/** Half width of the central difference: its error falls with the square, the rounding of float32 rises with the inverse. */
const STEP = 1 / 128;

function expectDifferences(
  what: string,
  kernel: string,
  oneCase: Case,
  inputs: Inputs,
  weights: tf.Tensor[],
  key: string,
  gradient: tf.Tensor,
): void {
  const x = (inputs as Record<string, tf.Tensor>)[key]!;
  const values = Float32Array.from(x.dataSync());
  const analytic = gradient.dataSync();
  const lossAt = (at: number, value: number): number =>
    tf.tidy(() => {
      const nudged = values.slice();
      nudged[at] = value;
      const replaced = { ...(inputs as Record<string, tf.Tensor>), [key]: tf.tensor(nudged, x.shape) };
      return run(kernel, Array.isArray(inputs) ? Object.values(replaced) : replaced, oneCase).reduce(
        (sum, y, i) => sum + dot(y.dataSync(), weights[i]!.dataSync()),
        0,
      );
    });
  const stride = Math.max(1, Math.floor(values.length / NUDGED));
  for (let at = 0; at < values.length; at += stride) {
    const above = Math.fround(values[at]! + STEP);
    const below = Math.fround(values[at]! - STEP);
    const numeric = (lossAt(at, above) - lossAt(at, below)) / (above - below);
    // Rounding leaves about 1e-7 * |loss| / STEP, truncation about STEP^2 times the third derivative.
    const allowed = 3e-3 * (1 + Math.abs(numeric));
    if (!(Math.abs(numeric - analytic[at]!) <= allowed))
      expect.fail(`${what}: element ${at} has gradient ${analytic[at]}, central difference ${numeric}`);
  }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** The function's result compiled for ONNX Runtime, and eagerly on the cpu backend. */
export async function onBoth<R>(fn: (...args: Structure[]) => Structure, args: Structure[]): Promise<[R, R]> {
  const compiled = compile(fn, { name: 'case' });
  const eager = compile(fn, { name: 'case', engine: 'reference' });
  try {
    return [(await compiled(...args)) as R, (await eager(...args)) as R];
  } finally {
    await compiled.dispose();
  }
}

/** Same dtype, shape and values; NaN equals NaN and infinities equal themselves. */
export function expectClose(what: string, actual: tf.Tensor, expected: tf.Tensor, tolerance: number): void {
  expect({ what, dtype: actual.dtype, shape: actual.shape }).toEqual({
    what,
    dtype: expected.dtype,
    shape: expected.shape,
  });
  const a = actual.dataSync();
  const b = expected.dataSync();
  expect({ what, size: a.length }).toEqual({ what, size: b.length });
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    if (!(Math.abs(a[i]! - b[i]!) <= tolerance * (1 + Math.abs(b[i]!))))
      expect.fail(`${what}: element ${i} is ${a[i]}, expected ${b[i]}`);
  }
}
