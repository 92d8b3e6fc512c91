// Writes a function as an ONNX file that any runtime can load: it uses standard operators only and contains the
// weights.
import { EngineError, UsageError } from '../errors.js';
import { TopologyError, generalize, openAxes } from './dynamic.js';
import type { OpenExtent, Sample, Sizes } from './dynamic.js';
import { reachable } from './graph.js';
import type { Graph, Value } from './graph.js';
import { PORTABLE } from './lowering.js';
import type { Target } from './lowering.js';
import { encodeModel } from './onnx.js';
import type { DynamicAxes } from './onnx.js';
import { traceCall } from './specialization.js';
import type { TracedFunction } from './specialization.js';
import type { Structure } from './structure.js';
import { nativeTarget } from './target.js';
import { tf } from './tf.js';

/** Describes a tensor argument: dtype and shape without values. A tensor may be passed instead. */
export interface TensorSpec {
  dtype: 'float32' | 'int32' | 'bool';
  shape: readonly number[];
}

/**
 * Describes an argument: tensor specifications nested in arrays and plain objects. Plain values are passed through
 * unchanged.
 */
export type Signature =
  | TensorSpec
  | tf.Tensor
  | number
  | string
  | boolean
  | null
  | undefined
  | readonly Signature[]
  | { readonly [key: string]: Signature };

export interface ExportOptions {
  /** Name of the graph. Default: the function's name. */
  name?: string;
  /** Names of the tensor arguments, depth first. Default: `input`, or `input0`, `input1`, ... */
  inputNames?: readonly string[];
  /** Names of the result tensors, depth first. Default: `output`, or `output0`, `output1`, ... */
  outputNames?: readonly string[];
  /**
   * Axes left open, by input name: `{ image: { 0: 'batch' } }`. Axes that share a name have the same extent. At most
   * three names.
   */
  dynamicAxes?: DynamicAxes;
  /** Documentation string stored in the file. */
  documentation?: string;
  /**
   * `onnx` (default) produces a file that any runtime can load. `native` is faster but works only with the installed
   * ONNX Runtime: see {@link openModel}.
   */
  target?: 'onnx' | 'native';
}

/**
 * Exports a pure function as ONNX (opset 21). Variables and captured tensors are written with their current values.
 *
 * Open axes are resolved by tracing the function at several multiples of the signature's extents. Integers that vary
 * between the traces are computed in the file from the shapes of the inputs.
 *
 * @param signature One entry for each parameter of `fn`.
 * @returns The bytes of the file.
 * @throws {EngineError} E_EXPORT_DYNAMIC when the graph depends on an open axis in more than its shapes; E_EXPORT_STATE
 *   when the function assigns variables; E_EXPORT_RANDOM when it draws random numbers; any error of tracing.
 * @throws {UsageError} E_EXPORT_NAMES, E_EXPORT_AXES when the options do not match the function.
 */
export async function exportOnnx<A extends readonly Structure[]>(
  fn: (...args: A) => Structure,
  signature: readonly Signature[],
  options: ExportOptions = {},
): Promise<Uint8Array> {
  const name = options.name ?? (fn.name || 'function');
  const specs = specsOf(signature);
  const inputNames = namesFor('input', specs.length, options.inputNames);
  const plan = planOf(specs, inputNames, options.dynamicAxes ?? {});
  const target = options.target === 'native' ? await nativeTarget() : PORTABLE;
  const trace = (sizes: Sizes): Promise<Exported> =>
    traceAt(name, fn as never, signature, inputNames, plan, sizes, target, options.outputNames);
  if (plan.names.length === 0) {
    const { graph } = await trace([]);
    return encodeModel(graph, { documentation: options.documentation });
  }
  let failure: unknown;
  for (const multiples of MULTIPLES) {
    try {
      return await exportDynamic(plan, multiples, trace, options);
    } catch (error) {
      // A size that happens to equal another extent can change the graph, so another set of sizes is tried.
      if (!(error instanceof TopologyError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * Low, high and verification size of an open axis, as multiples of the signature's extent. Each set has odd and even
 * sizes.
 */
const MULTIPLES: readonly (readonly [number, number, number])[] = [
  [2, 3, 5],
  [7, 12, 17],
];

interface Exported {
  graph: Graph;
  /** Inputs of the graph, in the order of the signature. */
  inputs: Value[];
}

/** The open extents: their names, their sizes in the signature, and the axes that have them. */
interface Plan {
  names: string[];
  base: number[];
  axes: { name: string; input: number; axis: number }[];
}

async function exportDynamic(
  plan: Plan,
  [low, high, check]: readonly [number, number, number],
  trace: (sizes: Sizes) => Promise<Exported>,
  options: ExportOptions,
): Promise<Uint8Array> {
  const combinations = Array.from({ length: 2 ** plan.names.length }, (_, mask) =>
    plan.base.map((size, k) => size * (mask & (1 << k) ? high : low)),
  );
  const all = [...combinations, plan.base.map((size) => size * check)];
  const traced: (Exported & Sample)[] = [];
  for (const sizes of all) traced.push({ ...(await trace(sizes)), sizes });
  const [{ graph, inputs }] = traced as [Exported & Sample];
  const extents = plan.names.map((name): OpenExtent => {
    const { input, axis } = plan.axes.find((entry) => entry.name === name)!;
    return { name, input: inputs[input]!, axis };
  });
  generalize(traced, extents);
  graph.nodes = reachable(graph.outputs.map(({ value }) => value));
  const dynamicAxes: DynamicAxes = {};
  for (const { name, input, axis } of plan.axes) (dynamicAxes[inputs[input]!.name!] ??= {})[axis] = name;
  graph.outputs.forEach(({ name }, i) => {
    dynamicAxes[name] = openAxes(
      traced.map((sample) => sample.graph.outputs[i]!.value.shape),
      traced,
      extents,
      name,
    );
  });
  return encodeModel(graph, { dynamicAxes, documentation: options.documentation });
}

async function traceAt(
  name: string,
  fn: never,
  signature: readonly Signature[],
  inputNames: string[],
  plan: Plan,
  sizes: Sizes,
  target: Target,
  outputNames?: readonly string[],
): Promise<Exported> {
  let next = 0;
  const made: tf.Tensor[] = [];
  const args = mapSpecs(signature, ({ dtype, shape }) => {
    const index = next++;
    const resized = shape.map((extent, axis) => {
      const open = plan.axes.find((entry) => entry.input === index && entry.axis === axis);
      return open ? sizes[plan.names.indexOf(open.name)]! : extent;
    });
    const tensor = tf.zeros(resized, dtype);
    made.push(tensor);
    return tensor;
  }) as Structure[];
  try {
    const traced = await traceCall(name, fn, args, target, true);
    requirePure(name, traced);
    return named(traced, inputNames, namesFor('output', traced.graph.outputs.length, outputNames));
  } finally {
    tf.dispose(made);
  }
}

function requirePure(name: string, { written, sources }: TracedFunction): void {
  if (written.length > 0)
    throw new EngineError(
      'E_EXPORT_STATE',
      `${name}: expected a function without state to export, received one that assigns the variable ${written[0]!.name}. Return the new value instead.`,
    );
  for (const source of sources.values()) {
    if ('random' in source)
      throw new EngineError(
        'E_EXPORT_RANDOM',
        `${name}: expected a function without randomness to export, received one that draws it. Take the noise as an argument.`,
      );
  }
}

/** Names the inputs and outputs. Arguments that the function ignores remain inputs. */
function named({ graph, sources }: TracedFunction, inputNames: string[], outputNames: string[]): Exported {
  const inputs = [...sources].filter(([, source]) => 'argument' in source).map(([value]) => value);
  inputs.forEach((value, i) => (value.name = inputNames[i]!));
  graph.inputs = inputs;
  graph.outputs = graph.outputs.map(({ value }, i) => ({ name: outputNames[i]!, value }));
  return { graph, inputs };
}

const isSpec = (value: unknown): value is TensorSpec | tf.Tensor =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as TensorSpec).dtype === 'string' &&
  Array.isArray((value as TensorSpec).shape);

function mapSpecs(value: Signature, replace: (spec: TensorSpec) => tf.Tensor): Structure {
  if (isSpec(value)) return replace(value as TensorSpec);
  if (Array.isArray(value)) return value.map((item) => mapSpecs(item as Signature, replace));
  if (value !== null && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapSpecs(item, replace)]));
  return value;
}

function specsOf(value: Signature, out: TensorSpec[] = []): TensorSpec[] {
  if (isSpec(value)) out.push(value as TensorSpec);
  else if (value !== null && typeof value === 'object') for (const item of Object.values(value)) specsOf(item, out);
  return out;
}

function namesFor(kind: 'input' | 'output', count: number, given?: readonly string[]): string[] {
  const names = given ? [...given] : Array.from({ length: count }, (_, i) => (count === 1 ? kind : `${kind}${i}`));
  if (
    names.length !== count ||
    new Set(names).size !== count ||
    names.some((name) => !/^[A-Za-z_][\w.]*$/.test(name))
  ) {
    throw new UsageError(
      'E_EXPORT_NAMES',
      `exportOnnx(${kind}Names): expected ${count} distinct identifiers, received ${names.length === 0 ? 'none' : names.join(', ')}.`,
    );
  }
  return names;
}

function planOf(specs: readonly TensorSpec[], inputNames: readonly string[], dynamicAxes: DynamicAxes): Plan {
  const plan: Plan = { names: [], base: [], axes: [] };
  for (const [inputName, axes] of Object.entries(dynamicAxes)) {
    const input = inputNames.indexOf(inputName);
    for (const [key, name] of Object.entries(axes)) {
      const extent = specs[input]?.shape[Number(key)];
      const known = plan.names.indexOf(name);
      if (extent === undefined || extent < 1 || (known >= 0 && plan.base[known] !== extent)) {
        throw new UsageError(
          'E_EXPORT_AXES',
          `exportOnnx(dynamicAxes): expected axes of inputs ${inputNames.join(', ')}, equal where they share a name, received ${inputName}: { ${key}: '${name}' }${extent === undefined ? '' : ` of extent ${extent}`}.`,
        );
      }
      if (known < 0) {
        plan.names.push(name);
        plan.base.push(extent);
      }
      plan.axes.push({ name, input, axis: Number(key) });
    }
  }
  if (plan.names.length > 3)
    throw new UsageError(
      'E_EXPORT_AXES',
      `exportOnnx(dynamicAxes): expected at most 3 names, received ${plan.names.join(', ')}.`,
    );
  return plan;
}
