// ONNX Runtime: the only place that talks to it. The native library when it loads, WebAssembly otherwise.
import { availableParallelism } from 'node:os';
import { deserialize, serialize } from 'node:v8';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { EngineError, firstLineOf } from '../errors.js';
import { NATIVE_PACKAGE, nativeMissing, tellOfFallback } from '../native.js';
import { loadersOutside } from '../vendored.js';
import type { Data, Dtype } from './graph.js';

// The native library reports what runs to Microsoft, unless it is told not to before it loads; and it looks at the command line
// with a regular expression, whose recursion ends the process where that is long. A worker thread cannot change what native
// code sees of the environment: the main thread sets it for all.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

/** The part of the onnxruntime-node and onnxruntime-web packages that is used. */
interface Ort {
  InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: string, data: Data, dims: readonly number[]) => Tensor;
  env: { logLevel?: string; wasm?: { numThreads?: number } };
}

export type OrtTensor = Tensor;

export interface Runtime {
  /** `native` is onnxruntime-node, `wasm` is onnxruntime-web. */
  readonly kind: 'native' | 'wasm';
  readonly version: string;
  /** Why the native library did not load, where WebAssembly stands in for it. */
  readonly standsIn?: string;
  tensor(dtype: Dtype, data: Data, shape: readonly number[]): OrtTensor;
  createSession(model: Uint8Array, options?: SessionOptions): Promise<Session>;
}

export interface SessionOptions {
  /** Threads inside one operator. Default: {@link defaultThreads}. */
  threads?: number;
  /** Graph optimisations of ONNX Runtime. Default `all`. */
  optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Writes a Chrome trace of every operator to files that begin with this path. */
  profilePrefix?: string;
}

/** What a model takes or gives. Open extents have names. */
export interface Port {
  name: string;
  /** As ONNX Runtime names it: `float32`, `int64`, ... */
  dtype: string;
  shape: readonly (number | string)[];
}

export interface Session {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  run(feeds: Record<string, OrtTensor>, fetches: Record<string, OrtTensor | null>): Promise<Record<string, OrtTensor>>;
  /** Stops profiling, where it was asked for: the trace file is complete afterwards. */
  endProfiling(): void;
  release(): Promise<void>;
}

let threads = Math.max(1, Number(process.env.TESSERAE_THREADS) || availableParallelism());

/** Threads each operator may use: TESSERAE_THREADS, or the cores this process may run on. */
export function defaultThreads(): number {
  return threads;
}

/** Sets the threads of sessions made from now on. Workers that run side by side share the cores by it. */
export function setDefaultThreads(count: number): void {
  threads = Math.max(1, Math.floor(count));
}

let loading: Promise<Runtime> | undefined;

/**
 * Loads ONNX Runtime once.
 *
 * @throws {EngineError} E_ENGINE_RUNTIME when neither the native library nor WebAssembly loads.
 */
export function loadRuntime(): Promise<Runtime> {
  return (loading ??= load(process.env.TESSERAE_ORT));
}

/**
 * Loads one build of ONNX Runtime, native first when none is named. Where WebAssembly has to stand in, stderr says so
 * once. Exported for tests of the fallback, and for the repair of a missing library.
 */
export async function load(wanted: string | undefined): Promise<Runtime> {
  const failures: string[] = [];
  if (wanted !== 'wasm') {
    try {
      return runtimeOf('native', loadOutside(NATIVE_PACKAGE));
    } catch (error) {
      failures.push(nativeMissing() ?? firstLineOf(error));
    }
  }
  if (wanted !== 'native') {
    try {
      const runtime = runtimeOf('wasm', loadOutside('onnxruntime-web'));
      const [standsIn] = failures;
      if (standsIn === undefined) return runtime;
      tellOfFallback(standsIn);
      return { ...runtime, standsIn };
    } catch (error) {
      failures.push(`onnxruntime-web: ${firstLineOf(error)}`);
    }
  }
  throw new EngineError(
    'E_ENGINE_RUNTIME',
    `ONNX Runtime: expected the native library or WebAssembly to load, received ${failures.join('; ')}. Install tesserae again.`,
  );
}

function runtimeOf(kind: Runtime['kind'], ort: Ort): Runtime {
  if (kind === 'wasm') ort.env.wasm!.numThreads = threads;
  const versions = (ort.env as { versions?: Record<string, string> }).versions ?? {};
  const { tensor, bytes, local } = realmOf(ort);
  return {
    kind,
    version: versions.node ?? versions.web ?? versions.common ?? 'unknown',
    tensor,
    createSession: async (model, options = {}) => {
      const session = await ort.InferenceSession.create(bytes(model), {
        executionProviders: [kind === 'native' ? 'cpu' : 'wasm'],
        graphOptimizationLevel: options.optimization ?? 'all',
        intraOpNumThreads: options.threads ?? threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 3,
        enableProfiling: options.profilePrefix !== undefined,
        ...(options.profilePrefix === undefined ? {} : { profileFilePrefix: options.profilePrefix }),
        // Denormal numbers, plentiful in Adam's second moments, run a hundred times slower than normal ones.
        extra: { session: { set_denormal_as_zero: '1' } },
      });
      return {
        inputs: session.inputMetadata.flatMap(portOf),
        outputs: session.outputMetadata.flatMap(portOf),
        // The WebAssembly build takes outputs made beforehand and leaves them as they were.
        run: async (feeds, fetches) =>
          local(
            (await session.run(feeds, kind === 'native' ? fetches : Object.keys(fetches))) as Record<string, OrtTensor>,
          ),
        endProfiling: () => (session as unknown as { endProfiling(): void }).endProfiling(),
        release: () => session.release(),
      };
    },
  };
}

/** The typed array class by which native code knows 32-bit floats. In a context of its own, a module has another. */
const OUTER_FLOATS = (deserialize(serialize(new Float32Array(0))) as Float32Array).constructor;

function loadOutside(name: string): Ort {
  const [first, ...others] = loadersOutside<Ort>(name) as [() => Ort, ...(() => Ort)[]];
  const ort = first();
  if (classOf(ort, 'float32') === OUTER_FLOATS) return ort;
  return others.map((load) => load()).find((other) => classOf(other, 'float32') === OUTER_FLOATS) ?? ort;
}

const classOf = (ort: Ort, dtype: string): unknown => new ort.Tensor(dtype, [] as never, [0]).data.constructor;

/**
 * How data goes to ONNX Runtime and back. A test runner that evaluates modules in a context of their own (Jest) gives
 * them typed arrays that are not instances of those ONNX Runtime knows; the same bytes under the other class are.
 */
function realmOf(ort: Ort): {
  tensor: Runtime['tensor'];
  bytes(data: Uint8Array): Uint8Array;
  local(outputs: Record<string, OrtTensor>): Record<string, OrtTensor>;
} {
  const make = (dtype: string, data: Data, shape: readonly number[]): OrtTensor => new ort.Tensor(dtype, data, shape);
  const foreign = (dtype: string): TypedArrayClass => classOf(ort, dtype) as TypedArrayClass;
  if (foreign('float32') === (Float32Array as unknown))
    return { tensor: make, bytes: (data) => data, local: (outputs) => outputs };
  const view = <T>(Class: TypedArrayClass, data: Data): T => new Class(data.buffer, data.byteOffset, data.length) as T;
  return {
    tensor: (dtype, data, shape) => withData(make(dtype, view(foreign(dtype), data), shape), data),
    bytes: (data) => view(foreign('uint8'), data as unknown as Data),
    local(outputs) {
      for (const output of Object.values(outputs)) {
        const data = output.data as Data;
        const Class = (globalThis as unknown as Record<string, TypedArrayClass>)[data.constructor.name]!;
        if (!(data instanceof (Class as never))) withData(output, view(Class, data));
      }
      return outputs;
    },
  };
}

type TypedArrayClass = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => Data;

/** ONNX Runtime reads the data of a tensor by this property, whatever its class. */
function withData(tensor: OrtTensor, data: Data): OrtTensor {
  return Object.defineProperty(tensor, 'data', { value: data });
}

/** Sequences and maps, which no model here has, are left out. */
function portOf(metadata: InferenceSession.ValueMetadata): Port[] {
  return metadata.isTensor ? [{ name: metadata.name, dtype: metadata.type, shape: metadata.shape }] : [];
}
