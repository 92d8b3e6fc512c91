// ONNX Runtime: the only place that talks to it. The native library when it loads, WebAssembly otherwise.
import { availableParallelism } from 'node:os';
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { EngineError, firstLineOf } from '../errors.js';
import type { Data, Dtype } from './graph.js';

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

/** Loads one build of ONNX Runtime, native first when none is named. Exported for tests of the fallback. */
export async function load(wanted: string | undefined): Promise<Runtime> {
  const failures: string[] = [];
  if (wanted !== 'wasm') {
    try {
      return runtimeOf('native', (await import('onnxruntime-node')) as unknown as Ort & { default?: Ort });
    } catch (error) {
      failures.push(`onnxruntime-node: ${firstLineOf(error)}`);
    }
  }
  try {
    return runtimeOf('wasm', (await import('onnxruntime-web')) as unknown as Ort & { default?: Ort });
  } catch (error) {
    failures.push(`onnxruntime-web: ${firstLineOf(error)}`);
  }
  throw new EngineError('E_ENGINE_RUNTIME', `ONNX Runtime: expected onnxruntime-node or onnxruntime-web to load, received ${failures.join('; ')}. Reinstall with "npm ci".`);
}

function runtimeOf(kind: Runtime['kind'], module: Ort & { default?: Ort }): Runtime {
  const ort = module.InferenceSession ? module : module.default!;
  if (kind === 'wasm') ort.env.wasm!.numThreads = threads;
  const versions = (ort.env as { versions?: Record<string, string> }).versions ?? {};
  return {
    kind,
    version: versions.node ?? versions.web ?? versions.common ?? 'unknown',
    tensor: (dtype, data, shape) => new ort.Tensor(dtype, data, shape),
    createSession: async (model, options = {}) => {
      const session = await ort.InferenceSession.create(model, {
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
        run: (feeds, fetches) => session.run(feeds, kind === 'native' ? fetches : Object.keys(fetches)) as Promise<Record<string, OrtTensor>>,
        endProfiling: () => (session as unknown as { endProfiling(): void }).endProfiling(),
        release: () => session.release(),
      };
    },
  };
}

/** Sequences and maps, which no model here has, are left out. */
function portOf(metadata: InferenceSession.ValueMetadata): Port[] {
  return metadata.isTensor ? [{ name: metadata.name, dtype: metadata.type, shape: metadata.shape }] : [];
}
