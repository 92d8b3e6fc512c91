// Writes a function as an ONNX file that any runtime can load: standard operators only, weights inside.
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

/** What an argument will be: a tensor's dtype and shape without its values. A tensor serves as well. */
export interface TensorSpec {
  dtype: 'float32' | 'int32' | 'bool';
  shape: readonly number[];
}

/** An argument: specifications within arrays and plain objects, plain values as they are. */
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
  /** Name of the graph. Default: the function's. */
  name?: string;
  /** Of tensor arguments, depth first. Default `input`, or `input0`, `input1`, ... */
  inputNames?: readonly string[];
  /** Of result tensors, depth first. Default `output`, or `output0`, ... */
  outputNames?: readonly string[];
  /** Axes left open, by input name: `{ image: { 0: 'batch' } }`. Axes of one name have one extent. At most three names. */
  dynamicAxes?: DynamicAxes;
  /** Stored in the file for its reader. */
  documentation?: string;
  /** `onnx` is what any runtime loads (default); `native` is faster, and only for the ONNX Runtime at hand: see {@link openModel}. */
  target?: 'onnx' | 'native';
}

/**
 * Exports a pure function as ONNX (opset 21). Variables and captured tensors are written as they are now.
 *
 * Open axes are found out by tracing the function at several multiples of the signature's extents: what varies between
 * the traces is computed in the file from the inputs' shapes.
 *
 * @param signature one entry for each parameter of `fn`.
 * @returns the bytes of the file.
 * @throws {EngineError} E_EXPORT_DYNAMIC when the graph depends on an open axis in more than shapes; E_EXPORT_STATE when
 *   the function assigns variables; E_EXPORT_RANDOM when it draws random numbers; all errors of a trace.
 * @throws {UsageError} E_EXPORT_NAMES, E_EXPORT_AXES for options that do not fit the function.
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
      // A size that happens to equal another extent can change the graph: another set of sizes tells.
      if (!(error instanceof TopologyError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/** Low, high and verifying size of an open axis, in multiples of the signature's extent: odd and even in each set. */
const MULTIPLES: readonly (readonly [number, number, number])[] = [
  [2, 3, 5],
  [7, 12, 17],
];

interface Exported {
  graph: Graph;
  /** The graph's inputs in the order of the signature. */
  inputs: Value[];
}

/** The open extents: names, the signature's sizes, and the axes that have them. */
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

/** Gives inputs and outputs their names; arguments that the function ignores stay inputs. */
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
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapSpecs(item as Signature, replace)]));
  return value as Structure;
}

function specsOf(value: Signature, out: TensorSpec[] = []): TensorSpec[] {
  if (isSpec(value)) out.push(value as TensorSpec);
  else if (value !== null && typeof value === 'object')
    for (const item of Object.values(value)) specsOf(item as Signature, out);
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
