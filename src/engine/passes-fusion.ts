// Fuses biases, residual sums and ReLUs into the preceding product or convolution, and keeps blocked values blocked.
import { sameShape, sizeOf } from '../shape.js';
import type { Node, Value } from './graph.js';
import { NCHWC, fromBlocked, interleave, interleavedParts } from './kernels/conv/blocked.js';
import type { Lower } from './lowering.js';
import { madeBy } from './passes-algebra.js';
import type { Rule, Site } from './passes-rewrite.js';

type Single = Site['single'];

/** Looks through a reshape that has no other reader. */
function throughReshape(value: Value, single: Single): Value {
  const reshape = madeBy(value, 'Reshape');
  return reshape && single(value) ? reshape.inputs[0]! : value;
}

/** Returns the Gemm behind a value if it has no addend yet and no other reader. */
function fusibleGemm(value: Value, single: Single): { gemm: Node; product: Value } | undefined {
  const product = throughReshape(value, single);
  const gemm = single(value) && single(product) ? madeBy(product, 'Gemm') : undefined;
  return gemm && gemm.inputs.length === 2 ? { gemm, product } : undefined;
}

/** Whether a value is a vector along the last axis of `shape`. */
const isChannelVector = (value: Value, shape: readonly number[]): boolean =>
  value.shape.length > 0 && value.shape.at(-1) === shape.at(-1) && sizeOf(value.shape) === shape.at(-1);

/** Fuses A @ B + bias, and A @ B + addend of the same shape, into one Gemm. */
const gemmAddend: Rule = (g, { op, domain, inputs, output, single }) => {
  if (op !== 'Add' || domain !== '' || output.dtype !== 'float32') return undefined;
  const [a, b] = inputs as [Value, Value];
  for (const [x, addend] of [
    [a, b],
    [b, a],
  ] as const) {
    if (!sameShape(x.shape, output.shape)) continue;
    const found = fusibleGemm(x, single);
    if (!found) continue;
    const { gemm, product } = found;
    const [rows, columns] = product.shape as [number, number];
    const isBias = x.shape.at(-1) === columns && isChannelVector(addend, x.shape);
    if (!isBias && !sameShape(addend.shape, x.shape)) continue;
    const third = g.reshape(addend, isBias ? [columns] : [rows, columns]);
    return g.reshape(g.op('Gemm', [gemm.inputs[0]!, gemm.inputs[1]!, third], product, gemm.attributes), output.shape);
  }
  return undefined;
};

/** Fuses bias - A @ B into one Gemm. Distances to codebook entries have this form. */
const gemmSubtrahend: Rule = (g, { op, domain, inputs, output, single }) => {
  if (op !== 'Sub' || domain !== '' || output.dtype !== 'float32') return undefined;
  const [bias, x] = inputs as [Value, Value];
  const found = sameShape(x.shape, output.shape) && isChannelVector(bias, x.shape) ? fusibleGemm(x, single) : undefined;
  if (!found || found.product.shape[1] !== x.shape.at(-1) || found.gemm.attributes.alpha !== undefined)
    return undefined;
  const { gemm, product } = found;
  const inputsWithBias = [gemm.inputs[0]!, gemm.inputs[1]!, g.reshape(bias, [product.shape[1]!])];
  return g.reshape(g.op('Gemm', inputsWithBias, product, { ...gemm.attributes, alpha: { float: -1 } }), output.shape);
};

/** Rows per slab of a wide product. A slab of the result stays in a core's cache while its columns are summed. */
const SLAB_ROWS = 128;
/** Minimum number of rows and of columns for a product to be split into slabs. */
const WIDE = 1024;

/**
 * Splits a tall product with a wide result into a batch of slabs multiplied by the same matrix, which is a third
 * faster.
 */
const wideProduct: Rule = (g, { op, domain, inputs, attributes, output }) => {
  if (
    op !== 'Gemm' ||
    domain !== '' ||
    attributes.transA ||
    attributes.alpha !== undefined ||
    output.dtype !== 'float32'
  )
    return undefined;
  const [a, b, c] = inputs as [Value, Value, Value | undefined];
  const [rows, columns] = output.shape as [number, number];
  const depth = a.shape[1]!;
  if (!g.target.microsoft || rows < WIDE || columns < WIDE || depth > columns || rows % SLAB_ROWS !== 0)
    return undefined;
  if (c && !isChannelVector(c, output.shape)) return undefined;
  const slabs = g.reshape(a, [rows / SLAB_ROWS, SLAB_ROWS, depth]);
  const result = { dtype: output.dtype, shape: [rows / SLAB_ROWS, SLAB_ROWS, columns] };
  // FusedMatMul is used even without a transpose: ONNX Runtime would merge MatMul and Add back into one Gemm.
  const product = g.op(
    'FusedMatMul',
    [slabs, b],
    result,
    { transA: 0, transB: attributes.transB ?? 0 },
    'com.microsoft',
  );
  return g.reshape(c ? g.add(product, c) : product, output.shape);
};

/** Moves a ReLU from behind a reshape to before it, where ONNX Runtime fuses it with the product. */
const rectifiedGemm: Rule = (g, { op, domain, inputs, output, single }) => {
  if (op !== 'Relu' || domain !== '') return undefined;
  const x = inputs[0]!;
  const source = throughReshape(x, single);
  if (source === x || !madeBy(source, 'Gemm') || !single(source)) return undefined;
  return g.reshape(g.unary('Relu', source), output.shape);
};

/** Returns the blocked value that an NHWC value was converted from. */
const blockedOf = (value: Value | null | undefined): Value | undefined =>
  value?.node?.op === 'ReorderOutput' ? value.node.inputs[0]! : undefined;

/**
 * Returns the blocked convolution behind an NHWC value if the value has no other reader and the convolution has no
 * activation yet.
 */
function fusibleConv(value: Value, single: Single): Node | undefined {
  const blocked = blockedOf(value);
  const conv = blocked && single(value) && single(blocked) ? blocked.node : undefined;
  return conv?.op === 'Conv' && conv.domain === NCHWC && conv.attributes.activation === undefined ? conv : undefined;
}

/** Rebuilds a convolution with another bias, addend or activation. */
function withConv(g: Lower, conv: Node, inputs: (Value | null)[], activation?: string): Value {
  const attributes = activation ? { ...conv.attributes, activation } : conv.attributes;
  return fromBlocked(g, g.op('Conv', inputs, conv.outputs[0]!, attributes, NCHWC));
}

/** Returns the convolutions behind a value: a single one, or the phases of a transposed convolution. */
function fusibleConvs(value: Value, single: Single): Node[] | undefined {
  const parts = single(value) ? (interleavedParts(value) ?? [value]) : [];
  const convs = parts.map((part) => fusibleConv(part, single));
  return convs.length > 0 && convs.every((conv) => conv !== undefined) ? convs : undefined;
}

const rejoin = (g: Lower, original: Value, parts: Value[]): Value =>
  parts.length === 1 ? parts[0]! : interleave(g, parts, original.shape);

const convBias: Rule = (g, { op, domain, inputs, output, single }) => {
  if (op !== 'Add' || domain !== '' || output.shape.length !== 4) return undefined;
  const [a, b] = inputs as [Value, Value];
  for (const [x, bias] of [
    [a, b],
    [b, a],
  ] as const) {
    const convs =
      sameShape(x.shape, output.shape) && isChannelVector(bias, x.shape) ? fusibleConvs(x, single) : undefined;
    if (!convs || convs.some((conv) => conv.inputs.length > 2)) continue;
    const vector = g.reshape(bias, [x.shape.at(-1)!]);
    return rejoin(
      g,
      x,
      convs.map((conv) => withConv(g, conv, [conv.inputs[0]!, conv.inputs[1]!, vector])),
    );
  }
  return undefined;
};

const convRectifier: Rule = (g, { op, domain, inputs, single }) => {
  if (op !== 'Relu' || domain !== '') return undefined;
  const convs = fusibleConvs(inputs[0]!, single);
  return (
    convs &&
    rejoin(
      g,
      inputs[0]!,
      convs.map((conv) => withConv(g, conv, conv.inputs, 'Relu')),
    )
  );
};

/** Removes a conversion from blocks to NHWC and back. */
const roundTrip: Rule = (_, { op, domain, inputs }) =>
  op === 'ReorderInput' && domain === NCHWC ? blockedOf(inputs[0]) : undefined;

/** Rules that must run after all rules that match Gemm. */
export const SPLITTING: readonly Rule[] = [wideProduct];

export const FUSION: readonly Rule[] = [gemmAddend, gemmSubtrahend, rectifiedGemm, convBias, convRectifier, roundTrip];
