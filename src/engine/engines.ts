// Which engine runs compiled functions: ONNX Runtime, an installed TensorFlow, or the pure JavaScript oracle.
import { UsageError } from '../errors.js';

/**
 * - `onnxruntime`: trace, lower, run at native speed (WebAssembly where the native library is missing).
 * - `tensorflow`: run eagerly on tfjs-node-gpu or tfjs-node, whichever is installed.
 * - `reference`: run eagerly in plain JavaScript. Slow and simple: what the others are checked against.
 */
export type EngineName = 'onnxruntime' | 'tensorflow' | 'reference';

export const ENGINES: readonly EngineName[] = ['onnxruntime', 'tensorflow', 'reference'];

let inUse: EngineName = 'onnxruntime';

/** The engine compiled functions run on unless their options say otherwise. */
export function engineInUse(): EngineName {
  return inUse;
}

/**
 * Chooses the engine for compiled functions.
 *
 * @throws {UsageError} E_ENGINE_NAME for an unknown name, E_OPTIONAL when TensorFlow is asked for and not installed.
 */
export async function useEngine(name: EngineName): Promise<void> {
  if (!ENGINES.includes(name))
    throw new UsageError('E_ENGINE_NAME', `engine: expected one of ${ENGINES.join(', ')}, received ${String(name)}.`);
  if (name === 'tensorflow') await loadTensorflow();
  inUse = name;
}

let load = async (): Promise<void> => {
  throw new UsageError('E_OPTIONAL', 'engine tensorflow: expected Node.js, which this is not. Use onnxruntime.');
};

/** Brings up the TF.js backend `tensorflow`. @throws {UsageError} E_OPTIONAL where it is not installed. */
export function loadTensorflow(): Promise<void> {
  return load();
}

/** Registers what brings up the TF.js backend `tensorflow`. */
export function useTensorflowLoader(loader: () => Promise<void>): void {
  load = loader;
}
