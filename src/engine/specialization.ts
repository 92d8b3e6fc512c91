// One compiled graph: a function specialized to the shapes, dtypes and plain arguments of one call.
import { EngineError, MemoryError, firstLineOf, messageOf } from '../errors.js';
import { SMALLER, expectMemory, isOutOfMemory } from '../memory.js';
import { sizeOf } from '../shape.js';
import type { Data, Graph, Value } from './graph.js';
import { reachable } from './graph.js';
import type { Lower, Target } from './lowering.js';
import { encodeModel } from './onnx.js';
import { optimize } from './passes.js';
import { fillRandom } from './random.js';
import { loadRuntime } from './runtime.js';
import type { OrtTensor, Runtime, Session, SessionOptions } from './runtime.js';
import { mapTensors, tensorsOf } from './structure.js';
import type { Structure } from './structure.js';
import { hostValues, isHandedOut, setHostValues, tf, useHostBackend } from './tf.js';
import { traceFunction } from './trace.js';
import type { RandomInput } from './trace.js';

type Host = Float32Array | Int32Array | Uint8Array;
type AnyFunction = (...args: Structure[]) => Structure;

export interface BuildOptions extends SessionOptions {
  freeze?: boolean;
}

/** Where an input of the graph gets its data from at each call. */
type Source =
  | { argument: number }
  | { capture: tf.TensorInfo }
  | { variable: tf.Variable }
  | { random: RandomInput; key: number; buffer: Float32Array };

/** A traced function, with what is needed to feed it and to rebuild its result. */
export interface TracedFunction {
  graph: Graph;
  sources: Map<Value, Source>;
  /** Assigned variables, in the order of the graph's last outputs. */
  written: tf.Variable[];
  /** The result with symbolic tensors, which are replaced in order by the graph's first outputs. */
  result: Structure;
  resultShapes: { dtype: tf.DataType; shape: number[] }[];
}

/**
 * Traces `fn` for arguments with the shapes of `args`.
 *
 * @throws {EngineError} the errors of {@link traceFunction}; E_TRACE_VARIABLES when a second trace creates variables
 *   again.
 */
export async function traceCall(
  name: string,
  fn: AnyFunction,
  args: readonly Structure[],
  target: Target,
  freeze: boolean,
): Promise<TracedFunction> {
  const first = traceOnce(name, fn, args, target);
  if (first.created.length === 0) return finish(name, first, freeze);
  try {
    await initialize(name, first, args);
  } catch (error) {
    for (const { variable } of first.created) variable.dispose();
    throw error;
  }
  const second = traceOnce(name, fn, args, target);
  if (second.created.length > 0) {
    for (const { variable } of second.created) variable.dispose();
    throw new EngineError(
      'E_TRACE_VARIABLES',
      `${name}: expected variables to be created in the first call only, received new ones again. Create them outside, or keep them for the next call.`,
    );
  }
  return finish(name, second, freeze);
}

type Once = ReturnType<typeof traceOnce>;

function traceOnce(name: string, fn: AnyFunction, args: readonly Structure[], target: Target) {
  let outputs: Value[] = [];
  let result: Structure;
  const { trace, created } = traceFunction(name, target, (trace) => {
    result = fn(...args.map((arg) => mapTensors(arg, (tensor) => trace.argument(tensor))));
    if (result instanceof Promise) {
      result.catch(() => undefined);
      throw new EngineError(
        'E_TRACE_ASYNC',
        `${name}: expected a function that returns tensors, received a promise. Compile a synchronous function.`,
      );
    }
    outputs = tensorsOf(result).map((tensor) => trace.valueOf(tensor));
  });
  return { trace, created, outputs, result };
}

/** Computes the initial values of variables that the function created and moves the variables to the cpu backend. */
async function initialize(name: string, once: Once, args: readonly Structure[]): Promise<void> {
  const outputs = once.created.map(({ created }) => created!);
  const traced = assemble(`${name}_init`, once, outputs, [], false);
  const session = await Specialization.open(traced, {});
  const values = await session.values(args);
  await session.release();
  once.created.forEach(({ variable }, i) => {
    assignValues(variable, values[i]!);
  });
}

function finish(name: string, once: Once, freeze: boolean): TracedFunction {
  const written = [...once.trace.variables.values()].filter((entry) => entry.written);
  const traced = assemble(
    name,
    once,
    [...once.outputs, ...written.map((entry) => entry.written!)],
    written.map((entry) => entry.variable),
    freeze,
  );
  traced.result = once.result;
  return traced;
}

/** Builds a graph from the nodes that `outputs` need and records where its inputs come from. */
function assemble(name: string, once: Once, outputs: Value[], written: tf.Variable[], freeze: boolean): TracedFunction {
  const { trace } = once;
  const { placeholders } = trace;
  const sources = new Map<Value, Source>();
  placeholders.forEach((value, argument) => sources.set(value, { argument }));
  for (const { tensor, value } of trace.captures.values()) sources.set(value, { capture: tensor });
  for (const { variable, read } of trace.variables.values()) if (read) sources.set(read, { variable });
  for (const random of trace.randoms) {
    sources.set(random.value, {
      random,
      key: placeholders.indexOf(random.key),
      buffer: new Float32Array(sizeOf(random.value.shape)),
    });
  }
  if (freeze) freezeSources(sources);

  const named = nameOutputs(trace.builder, optimize(trace.builder, outputs));
  const nodes = reachable(named.map(({ value }) => value));
  const used = new Set<Value>();
  for (const node of nodes)
    for (const value of node.inputs) if (value?.name !== undefined && !value.data) used.add(value);
  const inputs = [...sources.keys()].filter((value) => used.has(value));
  const resultShapes = outputs
    .slice(0, outputs.length - written.length)
    .map(({ dtype, shape }) => ({ dtype: dtype as tf.DataType, shape: [...shape] }));
  return {
    graph: { name: identifier(name), inputs, outputs: named, nodes },
    sources,
    written,
    result: null,
    resultShapes,
  };
}

/** Turns the current values of variables and captured tensors into constants of the graph. */
function freezeSources(sources: Map<Value, Source>): void {
  for (const [value, source] of sources) {
    const tensor = 'variable' in source ? source.variable : 'capture' in source ? source.capture : undefined;
    if (!tensor) continue;
    value.data = hostValues(tensor).slice() as Data;
    sources.delete(value);
  }
}

/**
 * Names the outputs. ONNX requires them to be distinct results of nodes, so inputs, constants and repeats pass through
 * an Identity.
 */
function nameOutputs(g: Lower, outputs: Value[]): { name: string; value: Value }[] {
  const taken = new Set<Value>();
  return outputs.map((value, i) => {
    const direct = value.node && !taken.has(value);
    taken.add(value);
    return { name: `out${i}`, value: direct ? value : g.multi('Identity', [value], [value])[0] };
  });
}

const identifier = (name: string): string => name.replace(/\W/g, '_') || 'function';

/** Arrays created by the engine, which it may overwrite in place. */
const owned = new WeakSet<Host>();

/** ORT tensors that wrap host arrays, so that feeding an unchanged variable costs nothing. */
const wrapped = new WeakMap<Host, OrtTensor>();

/** A session for graphs without nodes, which ONNX Runtime refuses to open. */
const IDLE: Pick<Session, 'run' | 'endProfiling' | 'release'> = {
  run: () => Promise.resolve({}),
  endProfiling: () => {},
  release: () => Promise.resolve(),
};

/** A traced function with its session. */
export class Specialization {
  private constructor(
    private readonly traced: TracedFunction,
    private readonly session: typeof IDLE,
    private readonly runtime: Runtime,
  ) {}

  get graph(): Graph {
    return this.traced.graph;
  }

  static async build(
    name: string,
    fn: AnyFunction,
    args: readonly Structure[],
    target: Target,
    options: BuildOptions,
  ): Promise<Specialization> {
    return Specialization.open(await traceCall(name, fn, args, target, options.freeze ?? false), options);
  }

  static async open(traced: TracedFunction, options: SessionOptions): Promise<Specialization> {
    expectMemory(traced.graph.name, leastBytes(traced.graph), SMALLER);
    const runtime = await loadRuntime();
    try {
      const session =
        traced.graph.outputs.length === 0 ? IDLE : await runtime.createSession(encodeModel(traced.graph), options);
      return new Specialization(traced, session, runtime);
    } catch (error) {
      if (isOutOfMemory(error)) throw outOfMemory(traced.graph.name, error);
      throw new EngineError(
        'E_ENGINE_SESSION',
        `${traced.graph.name}: ONNX Runtime refused the graph: ${firstLineOf(error)}.`,
        { cause: error },
      );
    }
  }

  /** Runs the graph once, writes the assigned variables back and rebuilds the function's result. */
  async run(args: readonly Structure[]): Promise<Structure> {
    const values = await this.values(args);
    let next = 0;
    useHostBackend();
    return mapTensors(this.traced.result, () => {
      const { dtype, shape } = this.traced.resultShapes[next]!;
      return tf.tensor(values[next++]!, shape, dtype);
    });
  }

  /** Runs the graph once and returns the result's tensors as typed arrays. */
  async values(args: readonly Structure[]): Promise<Host[]> {
    const { graph, written } = this.traced;
    const tensors = tensorsOf(args);
    const feeds: Record<string, OrtTensor> = {};
    for (const input of graph.inputs) feeds[input.name!] = this.feed(input, tensors);
    const results = graph.outputs.length - written.length;
    const fetches: Record<string, OrtTensor | null> = {};
    graph.outputs.forEach(({ name }, i) => {
      fetches[name] = i < results ? null : (spares.get(written[i - results]!) ?? null);
    });
    const outputs = await this.compute(feeds, fetches);
    written.forEach((variable, i) => store(variable, outputs[graph.outputs[results + i]!.name]!));
    return graph.outputs.slice(0, results).map(({ name }) => outputs[name]!.data as Host);
  }

  async release(): Promise<void> {
    await this.session.release();
  }

  endProfiling(): void {
    this.session.endProfiling();
  }

  /** @throws {EngineError} E_ENGINE_RUN, {MemoryError} E_MEMORY. No variable has changed in either case. */
  private async compute(
    feeds: Record<string, OrtTensor>,
    fetches: Record<string, OrtTensor | null>,
  ): Promise<Record<string, OrtTensor>> {
    try {
      return await this.session.run(feeds, fetches);
    } catch (error) {
      if (isOutOfMemory(error)) throw outOfMemory(this.traced.graph.name, error);
      throw new EngineError(
        'E_ENGINE_RUN',
        `${this.traced.graph.name}: ONNX Runtime failed: ${firstLineOf(error)}.${remedyFor(error)}`,
        { cause: error },
      );
    }
  }

  private feed(input: Value, args: readonly tf.Tensor[]): OrtTensor {
    const source = this.traced.sources.get(input)!;
    if ('argument' in source) return this.wrap(hostValues(args[source.argument]!), input);
    if ('capture' in source) return this.wrap(hostValues(source.capture), input);
    if ('variable' in source) return this.wrap(hostValues(source.variable), input);
    const [seed, step] = hostValues(args[source.key]!);
    fillRandom(source.random.kind, seed!, step!, source.random.stream, source.buffer);
    return this.wrap(source.buffer, input);
  }

  private wrap(values: Host, { dtype, shape }: Value): OrtTensor {
    const known = wrapped.get(values);
    if (known && known.dims.length === shape.length && known.dims.every((dim, i) => dim === shape[i])) return known;
    const tensor = this.runtime.tensor(dtype, values, shape);
    wrapped.set(values, tensor);
    return tensor;
  }
}

/** Returns a remedy if ONNX Runtime's message indicates one. */
export function remedyFor(error: unknown): string {
  const message = messageOf(error);
  if (/indices element out of data bounds|invalid ind(ex|ice)|index out of (range|bounds)/i.test(message))
    return ' An index is out of range: clip the ids.';
  if (/bad_?alloc|failed to allocate|out of memory/i.test(message))
    return ' There is not enough memory: use a smaller batch, smaller images or a smaller model.';
  return '';
}

/**
 * Arrays that variables held before their current ones. ONNX Runtime writes the next values into them, so that a
 * training step allocates nothing. Overwriting the current array instead would change it while nodes still read it.
 */
const spares = new WeakMap<tf.Variable, OrtTensor>();

/** Gives a variable data that it does not share. */
function assignValues(variable: tf.Variable, values: Host): void {
  const tensor = tf.tensor(values, variable.shape, variable.dtype);
  variable.assign(tensor);
  tensor.dispose();
}

/** Gives a variable its new value without changing tensors that share the old one. */
function store(variable: tf.Variable, value: OrtTensor): void {
  const values = value.data as Host;
  const before = hostValues(variable);
  wrapped.set(values, value);
  if (useHostBackend().refCount(variable.dataId) > 1) {
    spares.delete(variable);
    assignValues(variable, values);
  } else {
    setHostValues(variable, values);
    if (owned.has(before) && !isHandedOut(before)) spares.set(variable, wrapped.get(before)!);
    else spares.delete(variable);
  }
  owned.add(values);
}

function outOfMemory(name: string, cause: unknown): MemoryError {
  return new MemoryError('E_MEMORY', `${name}: no memory left (${firstLineOf(cause)}). ${SMALLER}`, { cause });
}

/**
 * Returns a lower bound of the bytes that a graph needs: the operands and results of a node are in memory at the same
 * time. The element types counted here have four bytes.
 */
function leastBytes({ nodes }: Graph): number {
  const bytesOf = (values: readonly (Value | null)[]): number =>
    values.reduce((sum, value) => sum + (value && WIDE.has(value.dtype) ? 4 * Math.max(0, sizeOf(value.shape)) : 0), 0);
  return nodes.reduce((most, { inputs, outputs }) => Math.max(most, bytesOf(inputs) + bytesOf(outputs)), 0);
}

const WIDE: ReadonlySet<string> = new Set(['float32', 'int32']);
