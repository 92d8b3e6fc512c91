// The ONNX Runtime in use, whichever it is: a native library, or WebAssembly. What loads one registers here.
import type { Tensor } from 'onnxruntime-common';
import { EngineError, UsageError } from '../errors.js';
import type { Data, Dtype } from './graph.js';

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

let threads = Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);

/** Threads that each operator may use. Default: all cores; under Node.js, TESSERAE_THREADS overrides it. */
export function defaultThreads(): number {
  return threads;
}

/** Sets the threads of sessions made from now on. Workers that run side by side share the cores by it. */
export function setDefaultThreads(count: number): void {
  threads = Math.max(1, Math.floor(count));
}

let load: (() => Promise<Runtime>) | undefined;
let loading: Promise<Runtime> | undefined;

/**
 * Registers what loads ONNX Runtime when it is first needed.
 *
 * @throws {UsageError} E_ENGINE_RUNTIME when another runtime is already loaded: compiled functions are bound to it.
 */
export function useRuntimeLoader(loader: () => Promise<Runtime>): void {
  if (loading !== undefined)
    throw new UsageError(
      'E_ENGINE_RUNTIME',
      'ONNX Runtime: expected to be chosen before the first model runs, another one is already loaded. Choose it earlier.',
    );
  load = loader;
}

/**
 * Loads ONNX Runtime once.
 *
 * @throws {EngineError} E_ENGINE_RUNTIME when no runtime is registered, or none loads.
 */
export function loadRuntime(): Promise<Runtime> {
  if (load === undefined)
    return Promise.reject(
      new EngineError(
        'E_ENGINE_RUNTIME',
        "ONNX Runtime: expected a runtime, received none. Call setRuntime(ort) first, with ort from import * as ort from 'onnxruntime-web'.",
      ),
    );
  return (loading ??= load());
}
