// The engine's own operators, which transformers compute often. Each is one node of standard ONNX with a short
// gradient, instead of a dozen passes over memory. Eager backends run them as compositions of TF.js ops.
import { EngineError } from '../../errors.js';
import { sizeOf } from '../../shape.js';
import type { Value } from '../graph.js';
import type { Lower } from '../lowering.js';
import { byName } from '../named.js';
import { tf } from '../tf.js';
import { registerTraceKernel } from '../trace.js';

type Attributes = Record<string, unknown>;

/** A kernel with inputs `In`, whose first output is the result; further outputs are saved for the gradient. */
interface FusedKernel<In extends string, Out extends string> {
  name: string;
  inputs: readonly In[];
  outputs: readonly Out[];
  /** The inputs and outputs that the gradient needs, inputs first. */
  save: readonly (In | Out)[];
  /** Lowers the kernel to graph nodes. */
  lowering: (g: Lower, inputs: Readonly<Record<In, Value>>, attributes: Attributes) => Value | Value[];
  /** Computes the same in TF.js ops. */
  compose: (inputs: Readonly<Record<In, tf.Tensor>>, attributes: Attributes) => tf.Tensor[];
  /** Computes the gradients of the inputs from the gradient of the first output. */
  gradient: (
    dy: tf.Tensor,
    saved: Readonly<Record<In | Out, tf.Tensor>>,
    attributes: Attributes,
  ) => Record<In, () => tf.Tensor>;
}

type Compose = (inputs: Record<string, tf.Tensor>, attributes: Attributes) => tf.Tensor[];

const compositions = new Map<string, Compose>();

function define<In extends string, Out extends string>(kernel: FusedKernel<In, Out>): void {
  const { name, save } = kernel;
  const saved = (values: readonly tf.Tensor[]): Record<In | Out, tf.Tensor> =>
    byName(`the gradient of ${name}`, Object.fromEntries(save.map((value, i) => [value, values[i]])));
  compositions.set(name, kernel.compose as Compose);
  registerTraceKernel(name, (g, inputs, attributes) => kernel.lowering(g, inputs as Record<In, Value>, attributes));
  tf.registerGradient({
    kernelName: name,
    inputsToSave: kernel.inputs.filter((input) => save.includes(input)),
    outputsToSave: kernel.outputs.map((output) => save.includes(output)),
    gradFunc: (dys, values, attributes) => {
      const [dy] = [dys].flat() as [tf.Tensor];
      return kernel.gradient(dy, saved(values), attributes);
    },
  });
}

/** Runs a fused kernel on the current backend, as a composition if the backend does not implement it. */
function run(name: string, inputs: Record<string, tf.Tensor>, attributes: Attributes): tf.Tensor[] {
  const backendName = tf.getBackend();
  const compose = compositions.get(name);
  if (compose && !tf.getKernel(name, backendName)) {
    tf.registerKernel({
      kernelName: name,
      backendName,
      kernelFunc: (call) => compose(call.inputs as Record<string, tf.Tensor>, call.attrs ?? {}),
    });
  }
  return [tf.engine().runKernel(name, inputs, attributes as tf.NamedAttrMap)].flat();
}

const TANH_SCALE = 2 * Math.sqrt(2 / Math.PI);
const TANH_CUBE = TANH_SCALE * 0.044715;

/** gelu(x) = x * sigmoid(x * (a + b x^2)). Returns a + b x^2. */
const geluInner = (x: tf.Tensor): tf.Tensor => tf.add(tf.mul(tf.square(x), TANH_CUBE), TANH_SCALE);

define({
  name: 'TesseraeGelu',
  inputs: ['x'],
  outputs: ['y'],
  save: ['x', 'y'],
  lowering: (g, { x }) => g.unary('Gelu', x, { approximate: 'tanh' }),
  compose: ({ x }) => [tf.mul(x, tf.sigmoid(tf.mul(x, geluInner(x))))],
  gradient: (dy, { x, y }) => ({
    x: () => {
      const inner = geluInner(x);
      const gate = tf.sigmoid(tf.mul(x, inner));
      // d/dx of x * (a + b x^2) is a + 3 b x^2.
      const slope = tf.sub(tf.mul(inner, 3), 2 * TANH_SCALE);
      return tf.mul(dy, tf.add(gate, tf.mul(tf.mul(y, tf.sub(1, gate)), slope)));
    },
  }),
});

/** The tanh approximation of GELU that GPT-2 uses (Hendrycks and Gimpel, arXiv:1606.08415). float32, any shape. */
export function gelu<T extends tf.Tensor>(x: T): T {
  return run('TesseraeGelu', { x }, {})[0] as T;
}

define({
  name: 'TesseraeLayerNorm',
  inputs: ['x', 'weight', 'bias'],
  outputs: ['y', 'mean', 'inverse'],
  save: ['x', 'weight', 'mean', 'inverse'],
  lowering: (g, { x, weight, bias }, { epsilon }) => {
    const perRow = { dtype: 'float32' as const, shape: [...x.shape.slice(0, -1), 1] };
    return g.multi('LayerNormalization', [x, weight, bias], [x, perRow, perRow], {
      axis: -1,
      epsilon: { float: epsilon as number },
    });
  },
  compose: ({ x, weight, bias }, { epsilon }) => {
    const mean = tf.mean(x, -1, true);
    const centered = tf.sub(x, mean);
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centered), -1, true), epsilon as number));
    return [tf.add(tf.mul(tf.mul(centered, inverse), weight), bias), mean, inverse];
  },
  gradient: layerNormGradient,
});

/** With n = (x - mean) / deviation and d = dy * weight: dx = (d - mean(d) - n * mean(d * n)) / deviation. */
function layerNormGradient(
  dy: tf.Tensor,
  { x, weight, mean, inverse }: Record<'x' | 'weight' | 'mean' | 'inverse', tf.Tensor>,
): Record<'x' | 'weight' | 'bias', () => tf.Tensor> {
  const width = x.shape.at(-1)!;
  const leading = x.shape.slice(0, -1);
  const normal = tf.mul(tf.sub(x, mean), inverse);
  const weighted = tf.mul(dy, normal);
  // Means over the last axis are matrix products with one column, cheaper than a multiplication and a reduction.
  const column: tf.Tensor2D = tf.reshape(tf.mul(weight, 1 / width), [width, 1]);
  const meanOver = (value: tf.Tensor): tf.Tensor =>
    tf.reshape(tf.matMul(tf.reshape(value, [-1, width]), column), [...leading, 1]);
  const rows = leading.map((_, axis) => axis);
  return {
    x: () => tf.mul(tf.sub(tf.sub(tf.mul(dy, weight), meanOver(dy)), tf.mul(normal, meanOver(weighted))), inverse),
    weight: () => tf.sum(weighted, rows),
    bias: () => tf.sum(dy, rows),
  };
}

/**
 * Layer normalization over the last axis (Ba et al., arXiv:1607.06450).
 *
 * @param x      float32 [.., E].
 * @param weight float32 [E].
 * @param bias   float32 [E].
 */
export function layerNorm<T extends tf.Tensor>(x: T, weight: tf.Tensor, bias: tf.Tensor, epsilon = 1e-5): T {
  return run('TesseraeLayerNorm', { x, weight, bias }, { epsilon })[0] as T;
}

/** Returns x[i, ids[i]] for each row: [N, K] and int32 [N, 1] -> [N, 1]. */
const pick = (g: Lower, x: Value, ids: Value): Value =>
  g.op('GatherElements', [x, ids], { dtype: x.dtype, shape: ids.shape }, { axis: 1 });

define({
  name: 'TesseraeCrossEntropy',
  inputs: ['logits', 'targets'],
  outputs: ['losses', 'logProbabilities'],
  save: ['targets', 'logProbabilities'],
  lowering: (g, { logits, targets }) => {
    const rows = logits.shape[0]!;
    const logProbabilities = g.unary('LogSoftmax', logits, { axis: 1 });
    return [
      g.unary('Neg', g.reshape(pick(g, logProbabilities, g.reshape(targets, [rows, 1])), [rows])),
      logProbabilities,
    ];
  },
  compose: ({ logits, targets }) => {
    const shifted = tf.sub(logits, tf.max(logits, 1, true));
    const logProbabilities = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
    const oneHot = tf.oneHot(targets, logits.shape[1]!);
    return [tf.neg(tf.sum(tf.mul(logProbabilities, oneHot), 1)), logProbabilities];
  },
  gradient: (dy, { targets, logProbabilities }) => ({
    logits: () => run('TesseraeCrossEntropyGradient', { dy, targets, logProbabilities }, {})[0]!,
    targets: () => tf.zeros(targets.shape),
  }),
});

define({
  name: 'TesseraeCrossEntropyGradient',
  inputs: ['dy', 'targets', 'logProbabilities'],
  outputs: ['logits'],
  save: [],
  // softmax * dy, minus dy at each row's target: one scatter of single elements, all at distinct positions.
  lowering: (g, { dy, targets, logProbabilities }) => {
    const rows = sizeOf(dy.shape);
    const spread = g.reshape(dy, [rows, 1]);
    const ids = g.reshape(targets, [rows, 1]);
    const scaled = g.mul(g.unary('Exp', logProbabilities), spread);
    const chosen = g.sub(pick(g, scaled, ids), spread);
    return g.op('ScatterElements', [scaled, ids, chosen], scaled, { axis: 1 });
  },
  compose: ({ dy, targets, logProbabilities }) => {
    const oneHot = tf.oneHot(targets, logProbabilities.shape[1]!);
    return [tf.mul(tf.sub(tf.exp(logProbabilities), oneHot), tf.reshape(dy, [-1, 1]))];
  },
  gradient: () => {
    throw new EngineError(
      'E_ENGINE_GRADIENT',
      'crossEntropy: expected first derivatives only, received a request for the second. Compose it from other ops to get it.',
    );
  },
});

/**
 * Computes the cross-entropy of each row in nats. Only first derivatives are supported.
 *
 * @param logits  float32 [N, K].
 * @param targets int32 [N], each in [0, K).
 * @returns float32 [N].
 */
export function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  return run('TesseraeCrossEntropy', { logits, targets }, {})[0] as tf.Tensor1D;
}
