// Runs exported ONNX models without TF.js, in worker threads that only run inference.
import type { Data, Dtype } from './graph.js';
import { loadRuntime } from './runtime.js';
import type { SessionOptions } from './runtime.js';

export interface HostTensor {
  dtype: Dtype;
  shape: readonly number[];
  data: Data;
}

export interface OpenModel {
  /** @returns The results, in the order of the output names given to {@link openModel}. */
  run(inputs: Readonly<Record<string, HostTensor>>): Promise<Data[]>;
  release(): Promise<void>;
}

/**
 * Opens a model written by `exportOnnx`.
 *
 * @param outputs Names of the requested results.
 * @throws {EngineError} E_ENGINE_RUNTIME when ONNX Runtime cannot be loaded. ONNX Runtime's own error is passed on when
 *   it rejects the model.
 */
export async function openModel(
  bytes: Uint8Array,
  outputs: readonly string[],
  options: SessionOptions = {},
): Promise<OpenModel> {
  const runtime = await loadRuntime();
  const session = await runtime.createSession(bytes, options);
  return {
    run: async (inputs) => {
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { dtype, data, shape }]) => [name, runtime.tensor(dtype, data, shape)]),
      );
      const results = await session.run(feeds, Object.fromEntries(outputs.map((name) => [name, null])));
      return outputs.map((name) => results[name]!.data as Data);
    },
    release: () => session.release(),
  };
}
