// Rebuilds ONNX networks as TF.js functions, so that they can be differentiated and compiled together with other code.
import { CorruptError, EngineError, TesseraeError, messageOf } from '../errors.js';
import { OPERATORS } from './onnx-ops.js';
import { Site, constantTensor, filterForm } from './onnx-site.js';
import type { Form, Operand } from './onnx-site.js';
import { MAX_VALUES } from './onnx-spatial.js';
import { isStandard, readOnnx } from './onnx-reader.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from './onnx-reader.js';
import { sizeOf } from '../shape.js';
import { tf } from './tf.js';

/** A network read from a file. It holds plain arrays and no tensors. */
export interface ImportedNetwork {
  /** Open extents are undefined. All inputs are float32. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly (number | undefined)[] }[];
  readonly outputs: readonly string[];
  /**
   * Builds the network with its weights as constants of the current trace. Call it once per trace, in a scope that
   * outlives the calls of the returned function.
   *
   * @returns A function that takes one tensor per input and returns one tensor per output. Axes are those of the file:
   *   [B, C, H, W].
   */
  prepare(): (...inputs: tf.Tensor[]) => tf.Tensor[];
}

/**
 * Reads an ONNX model and rebuilds it in TF.js ops: convolutions, pooling, normalization in inference mode, dense
 * layers and the operators between them (see `OPERATORS`), in any version of the standard operators. Dropout is
 * ignored.
 *
 * @param where Name of the file, for errors.
 * @throws {CorruptError} E_ONNX_FILE for bytes that are not a valid model.
 * @throws {EngineError} E_IMPORT_OP naming the operator and node that cannot be rebuilt, either here or, if it depends
 *   on shapes, when the network is called; E_IMPORT_TENSOR for unsupported weights; E_IMPORT_SIZE for values that are
 *   too large.
 */
export function importOnnx(bytes: Uint8Array, where = 'model.onnx'): ImportedNetwork {
  const model = readOnnx(bytes, where);
  refuseUnknown(model, where);
  return {
    inputs: model.inputs,
    outputs: model.outputs,
    prepare: () => {
      const tensors = tensorsOf(model);
      const materialize = (constant: OnnxTensor, form: Form): tf.Tensor =>
        tensors.get(constant)?.[form] ?? constantTensor(constant, form);
      return (...inputs) => run(model, inputs, where, materialize);
    },
  };
}

/** Checks that every operator is supported and that every value is computed before it is read. */
function refuseUnknown(model: OnnxModel, where: string): void {
  const made = new Set([...model.weights.keys(), ...model.inputs.map(({ name }) => name)]);
  for (const { op, name, domain, inputs, outputs } of model.nodes) {
    if (!isStandard(domain) || !Object.hasOwn(OPERATORS, op)) {
      throw new EngineError(
        'E_IMPORT_OP',
        `${where}, node "${name}": expected one of ${Object.keys(OPERATORS).join(', ')}, received ${domain ? `${domain}.` : ''}${op}. Export the part of the network before it.`,
      );
    }
    refuseMissing(
      inputs.filter((input) => input !== ''),
      made,
      where,
      `node "${name}" (${op})`,
    );
    // Additional outputs, such as Dropout's mask, are not computed; a node that reads one is rejected.
    if (outputs[0]) made.add(outputs[0]);
  }
  refuseMissing(model.outputs, made, where, 'outputs');
  if (model.outputs.length === 0) throw new CorruptError('E_ONNX_FILE', `${where}: expected outputs, found none.`);
}

function refuseMissing(names: readonly string[], made: ReadonlySet<string>, where: string, reader: string): void {
  const missing = names.find((name) => !made.has(name));
  if (missing !== undefined)
    throw new CorruptError(
      'E_ONNX_FILE',
      `${where}, ${reader}: expected a value "${missing}" to be computed first, found none.`,
    );
}

/** Creates each weight once, in the form in which it is read. A trace shares equal constants only if they are small. */
function tensorsOf({ nodes, weights }: OnnxModel): Map<OnnxTensor, Partial<Record<Form, tf.Tensor>>> {
  const tensors = new Map<OnnxTensor, Partial<Record<Form, tf.Tensor>>>();
  for (const { op, inputs, attributes } of nodes) {
    for (const [index, name] of inputs.entries()) {
      const weight = weights.get(name);
      if (weight?.dtype !== 'float32') continue;
      const forms = tensors.get(weight) ?? {};
      const form = op === 'Conv' && index === 1 ? filterForm(weight.shape, attributes['group']) : 'plain';
      forms[form] ??= constantTensor(weight, form);
      tensors.set(weight, forms);
    }
  }
  return tensors;
}

function run(
  model: OnnxModel,
  inputs: readonly tf.Tensor[],
  where: string,
  materialize: (constant: OnnxTensor, form: Form) => tf.Tensor,
): tf.Tensor[] {
  const values = new Map<string, Operand>(model.weights);
  model.inputs.forEach(({ name }, i) => values.set(name, inputs[i]!));
  for (const node of model.nodes) values.set(node.outputs[0]!, compute(node, values, model.opset, where, materialize));
  return model.outputs.map((name) => {
    const value = values.get(name)!;
    return value instanceof tf.Tensor ? value : materialize(value, 'plain');
  });
}

function compute(
  node: OnnxNode,
  values: ReadonlyMap<string, Operand>,
  opset: number,
  where: string,
  materialize: (constant: OnnxTensor, form: Form) => tf.Tensor,
): Operand {
  const site = new Site(
    node,
    node.inputs.map((name) => (name === '' ? undefined : values.get(name))),
    opset,
    where,
    materialize,
  );
  try {
    const value = OPERATORS[node.op]!(site);
    if (!(sizeOf(value.shape) <= MAX_VALUES))
      throw new EngineError(
        'E_IMPORT_SIZE',
        `${where}, node "${node.name}" (${node.op}): expected at most ${MAX_VALUES} values, found [${value.shape.join(', ')}]. Use another network, or smaller images.`,
      );
    return value;
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    // TF.js rejects invalid shapes with plain errors.
    throw new EngineError('E_IMPORT_OP', `${where}, node "${node.name}" (${node.op}): ${messageOf(error)}`, {
      cause: error,
    });
  }
}
