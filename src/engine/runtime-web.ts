// ONNX Runtime for the browser: the module is handed in, so that the program decides where its WebAssembly is served
// from.
import { UsageError } from '../errors.js';
import { runtimeOf } from './ort.js';
import type { Ort } from './ort.js';
import { useRuntimeLoader } from './runtime.js';

/** Oldest minor version of ONNX Runtime 1 that runs the graphs. */
const OLDEST = 30;

let current: Ort | undefined;

/**
 * Sets the ONNX Runtime that models run on.
 *
 * @param ort the module `onnxruntime-web`. Set its `ort.env.wasm.wasmPaths` and `numThreads` before the first model
 * runs.
 * @throws {UsageError} E_ENGINE_RUNTIME for a value of another kind, or when a model already runs on another runtime.
 */
export function setRuntime(ort: Ort): void {
  const version = (ort?.env as { versions?: { web?: string } } | undefined)?.versions?.web;
  if (typeof ort?.InferenceSession?.create !== 'function' || typeof ort.Tensor !== 'function')
    throw new UsageError(
      'E_ENGINE_RUNTIME',
      `setRuntime(ort): expected the module onnxruntime-web, received ${ort === null ? 'null' : typeof ort}. Use import * as ort from 'onnxruntime-web'.`,
    );
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (!(major > 1 || (major === 1 && minor >= OLDEST)))
    throw new UsageError(
      'E_ENGINE_RUNTIME',
      `setRuntime(ort): expected onnxruntime-web of version 1.${OLDEST} or later, received ${version === undefined ? 'another module' : `version ${version}`}. Install onnxruntime-web@latest.`,
    );
  if (ort === current) return;
  useRuntimeLoader(async () => runtimeOf('wasm', ort));
  current = ort;
}
