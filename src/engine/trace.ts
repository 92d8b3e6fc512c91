// Runs a function once with symbolic tensors. A TF.js backend replaces the real one, and every kernel that TF.js
// dispatches (forward, gradient and optimizer alike) becomes graph nodes instead of numbers.
import { EngineError, TesseraeError, messageOf } from '../errors.js';
import type { Dtype, Value } from './graph.js';
import { LOWERINGS } from './kernels/index.js';
import { REMEDIES } from './kernels/refusals.js';
import { inputsOf, Lower } from './lowering.js';
import type { Lowering, Target } from './lowering.js';
import { hostBackend, isAlive, tf, useHostBackend } from './tf.js';

const BACKEND = 'tesserae-trace';

type DataId = tf.TensorInfo['dataId'];

export type RandomKind = 'uniform' | 'normal';

/** Random numbers that a compiled function draws anew at each call. */
export interface RandomInput {
  value: Value;
  kind: RandomKind;
  stream: number;
  /** The argument of the function that is the key. */
  key: Value;
}

/** A variable the function reads, assigns or creates. */
export interface TracedVariable {
  variable: tf.Variable;
  /** The input that feeds its current value, if it is read before any assignment. */
  read?: Value;
  /** Its value when the function returns, if it is assigned. */
  written?: Value;
  /** Its initial value, if the function created it. */
  created?: Value;
}

/** Everything recorded during one run of the function. */
export class Trace {
  readonly builder: Lower;
  /** Tensors that the function uses but that are not among its arguments. */
  readonly captures = new Map<DataId, { tensor: tf.TensorInfo; value: Value }>();
  readonly variables = new Map<tf.Variable, TracedVariable>();
  readonly randoms: RandomInput[] = [];
  /** Inputs for the function's tensor arguments, in order. */
  readonly placeholders: Value[] = [];
  private readonly held = new Map<DataId, { value: Value; references: number }>();

  constructor(
    readonly name: string,
    target: Target,
  ) {
    this.builder = new Lower(target);
  }

  /** Creates a symbolic tensor for an argument of the function. */
  argument(tensor: tf.Tensor): tf.Tensor {
    const placeholder = this.builder.input(
      `arg${this.placeholders.length}`,
      dtypeOf(this.name, tensor.dtype),
      tensor.shape,
    );
    this.placeholders.push(placeholder);
    return tf.engine().makeTensorFromTensorInfo(this.hold(placeholder));
  }

  /**
   * Returns the graph value that a tensor stands for. Tensors created outside the trace become inputs of the graph.
   *
   * @throws {EngineError} E_TRACE_DISPOSED when the tensor's data have been disposed.
   */
  valueOf(tensor: tf.TensorInfo): Value {
    // Check variables first: an assignment during the trace does not change the variable's data.
    if (tensor instanceof tf.Variable && (this.variables.get(tensor)?.written || !this.held.has(tensor.dataId)))
      return this.readVariable(tensor);
    const held = this.held.get(tensor.dataId);
    if (held) return this.shaped(held.value, tensor);
    let capture = this.captures.get(tensor.dataId);
    if (!capture) {
      if (!isAlive(tensor)) throw disposedError(this.name, `${tensor.dtype} [${tensor.shape.join(', ')}]`);
      capture = {
        tensor,
        value: this.builder.input(`capture${this.captures.size}`, dtypeOf(this.name, tensor.dtype), tensor.shape),
      };
      this.captures.set(tensor.dataId, capture);
    }
    return this.shaped(capture.value, tensor);
  }

  /** Creates a tensor info that stands for `value`. TF.js owns it like the output of any kernel. */
  hold(value: Value): tf.TensorInfo {
    const dataId = {};
    this.held.set(dataId, { value, references: 1 });
    return { dataId, shape: [...value.shape], dtype: value.dtype as tf.DataType };
  }

  assign(variable: tf.Variable, value: tf.TensorInfo): void {
    this.entryOf(variable).written = this.valueOf(value);
  }

  retain(dataId: DataId): void {
    const held = this.held.get(dataId);
    if (held) held.references++;
  }

  references(dataId: DataId): number {
    return this.held.get(dataId)?.references ?? 0;
  }

  release(dataId: DataId): boolean {
    const held = this.held.get(dataId);
    if (!held) return true;
    held.references--;
    if (held.references > 0) return false;
    this.held.delete(dataId);
    return true;
  }

  get size(): number {
    return this.held.size;
  }

  /**
   * Removes the variables that the function created from the trace and returns them, so that their initial values can
   * be computed once.
   */
  takeCreated(before: ReadonlySet<tf.Variable>): TracedVariable[] {
    const created: TracedVariable[] = [];
    for (const variable of Object.values(tf.engine().state.registeredVariables)) {
      if (before.has(variable)) continue;
      const entry = this.entryOf(variable);
      const { dataId, shape, dtype } = variable;
      entry.created = this.valueOf({ dataId, shape, dtype });
      created.push(entry);
    }
    return created;
  }

  private readVariable(variable: tf.Variable): Value {
    const entry = this.entryOf(variable);
    if (entry.written) return entry.written;
    entry.read ??= this.builder.input(
      `var${this.variables.size - 1}_${safeName(variable.name)}`,
      dtypeOf(this.name, variable.dtype),
      variable.shape,
    );
    return entry.read;
  }

  private entryOf(variable: tf.Variable): TracedVariable {
    let entry = this.variables.get(variable);
    if (!entry) this.variables.set(variable, (entry = { variable }));
    return entry;
  }

  /** Reshapes a value to the tensor's shape: reshaped tensors share their data in TF.js. */
  private shaped(value: Value, tensor: tf.TensorInfo): Value {
    return this.builder.reshape(value, tensor.shape);
  }
}

const safeName = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, '_');

function dtypeOf(where: string, dtype: string): Dtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new EngineError('E_ENGINE_DTYPE', `${where}: expected a float32, int32 or bool tensor, received ${dtype}.`);
}

let current: Trace | undefined;

/** The trace in progress, if any. */
export function currentTrace(): Trace | undefined {
  return current;
}

/** The TF.js backend that is active while a trace runs. */
class TraceBackend extends tf.KernelBackend {
  override write(values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): DataId {
    return active().hold(constantOf(active(), values, shape, dtype)).dataId;
  }
  override read(): Promise<tf.BackendValues> {
    return Promise.reject(this.readError());
  }
  override readSync(): tf.BackendValues {
    throw this.readError();
  }
  override disposeData(dataId: DataId): boolean {
    return current?.release(dataId) ?? true;
  }
  override refCount(dataId: DataId): number {
    return current?.references(dataId) ?? 0;
  }
  override incRef(dataId: DataId): void {
    if (current?.references(dataId)) current.retain(dataId);
    // A variable created from a tensor outside the trace shares that tensor's data.
    else if (hostBackend().data.has(dataId)) hostBackend().incRef(dataId);
  }
  override numDataIds(): number {
    return current?.size ?? 0;
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override dispose(): void {}

  private readError(): EngineError {
    return new EngineError(
      'E_TRACE_READ',
      `${active().name}: expected a function that does not read tensor values, but it reads one. Return the tensor instead and read it from the result.`,
    );
  }
}

function active(): Trace {
  if (!current)
    throw new EngineError(
      'E_TRACE_LEAK',
      'compile: a symbolic tensor was used after its trace had ended. Return tensors instead of keeping them in outer variables.',
    );
  return current;
}

function constantOf(trace: Trace, values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): Value {
  const type = dtypeOf(trace.name, dtype);
  const source = values as ArrayLike<number>;
  const data =
    type === 'float32'
      ? Float32Array.from(source)
      : type === 'int32'
        ? Int32Array.from(source)
        : Uint8Array.from(source);
  if (data.length > 1 && data.every((v) => Object.is(v, data[0])))
    return trace.builder.fill(shape, data[0]!, type as 'float32');
  return trace.builder.constant(type, shape, data);
}

function register(): void {
  tf.registerBackend(BACKEND, () => new TraceBackend());
  for (const [kernelName, lowering] of Object.entries(LOWERINGS)) registerTraceKernel(kernelName, lowering);
  for (const { kernelName } of tf.getKernelsForBackend('cpu'))
    if (!(kernelName in LOWERINGS)) registerTraceKernel(kernelName, refuse(kernelName));
}

/** Lowering for a kernel that the engine does not support: throws an error with the details needed to find the call. */
function refuse(kernelName: string): Lowering {
  const remedy = REMEDIES[kernelName] ?? 'Rewrite it in other ops, or run with the "reference" engine.';
  return (_, inputs) => {
    throw new EngineError(
      'E_ENGINE_OP',
      `${active().name}: the engine cannot lower the TF.js kernel ${kernelName} of ${describeInputs(inputs)}. ${remedy}`,
    );
  };
}

const describeInputs = (inputs: Record<string, Value>): string =>
  Object.entries(inputs)
    .map(([key, value]) => `${key} ${value.dtype} [${value.shape.join(', ')}]`)
    .join(', ');

/** Rejects other data formats: all lowerings assume that channels come last. */
function requireChannelsLast(kernelName: string, inputs: Record<string, Value>, dataFormat: unknown): void {
  if (dataFormat === undefined || dataFormat === 'NHWC' || dataFormat === 'channelsLast') return;
  throw new EngineError(
    'E_ENGINE_OP',
    `${active().name}: the engine lowers ${kernelName} with dataFormat NHWC only, received ${String(dataFormat)} of ${describeInputs(inputs)}. Transpose to [batch, height, width, channels] first.`,
  );
}

/** Registers a kernel with the tracer, either one of TF.js or one of the engine's own fused kernels. */
export function registerTraceKernel(kernelName: string, lowering: Lowering): void {
  tf.registerKernel({
    kernelName,
    backendName: BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const trace = active();
      const entries = Object.entries(inputs).filter(([, tensor]) => tensor != null);
      const values = Object.fromEntries(entries.map(([key, tensor]) => [key, trace.valueOf(tensor!)]));
      requireChannelsLast(kernelName, values, attrs?.dataFormat);
      const result = lowering(trace.builder, inputsOf(kernelName, values), attrs ?? {});
      return Array.isArray(result) ? result.map((value) => trace.hold(value)) : trace.hold(result);
    },
  });
}

/** Runs `fn` symbolically. Everything it computes is recorded in the returned trace; no tensor outlives the call. */
export function traceFunction<T>(
  name: string,
  target: Target,
  fn: (trace: Trace) => T,
): { trace: Trace; result: T; created: TracedVariable[] } {
  if (current)
    throw new EngineError(
      'E_TRACE_NESTED',
      `${name}: a compiled function was called inside a trace. Call the plain function there, and compile only the outermost one.`,
    );
  useHostBackend();
  const before = new Set(Object.values(tf.engine().state.registeredVariables));
  const trace = new Trace(name, target);
  const restore = enterTrace(trace);
  try {
    const result = tf.tidy(() => fn(trace) as tf.TensorContainer) as T;
    const created = trace.takeCreated(before);
    return { trace, result, created };
  } catch (error) {
    for (const variable of Object.values(tf.engine().state.registeredVariables))
      if (!before.has(variable)) variable.dispose();
    throw error instanceof TesseraeError ? error : explain(name, error);
  } finally {
    restore();
  }
}

/**
 * Activates the trace backend and symbolic assignment, and makes `Math.random` throw, because a graph would freeze its
 * result. Returns a function that restores everything.
 */
function enterTrace(trace: Trace): () => void {
  const assign = tf.Variable.prototype.assign;
  const random = Math.random;
  tf.Variable.prototype.assign = function (this: tf.Variable, value: tf.Tensor): void {
    if (value.dtype !== this.dtype || value.shape.join() !== this.shape.join()) {
      throw new EngineError(
        'E_ENGINE_ASSIGN',
        `${trace.name}: variable ${this.name} expected ${this.dtype} [${this.shape.join(', ')}], received ${value.dtype} [${value.shape.join(', ')}].`,
      );
    }
    trace.assign(this, value);
  };
  Math.random = () => {
    throw new EngineError(
      'E_TRACE_RANDOM',
      `${trace.name}: expected randomness through randomUniform or randomNormal with a key argument, received a draw that the graph would freeze.`,
    );
  };
  current = trace;
  void tf.setBackend(BACKEND);
  return () => {
    tf.Variable.prototype.assign = assign;
    Math.random = random;
    current = undefined;
    useHostBackend();
  };
}

function disposedError(name: string, what: string, cause?: unknown): EngineError {
  return new EngineError(
    'E_TRACE_DISPOSED',
    `${name}: expected a live tensor, received a disposed ${what}. Do not dispose tensors that are used later: intermediate results take no memory within a compiled function.`,
    { cause },
  );
}

/**
 * Adds the function's name to errors that TF.js reports without it: kernels that even the cpu backend lacks, and
 * methods of disposed tensors.
 */
function explain(name: string, error: unknown): Error {
  if (messageOf(error) === 'Tensor is disposed.') return disposedError(name, 'one', error);
  const missing = /Kernel '(\w+)' not registered/.exec(messageOf(error));
  if (!missing) return error as Error;
  return new EngineError(
    'E_ENGINE_OP',
    `${name}: the engine cannot lower the TF.js kernel ${missing[1]}. Rewrite it in other ops.`,
    { cause: error },
  );
}

register();
