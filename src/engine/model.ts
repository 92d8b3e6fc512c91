// Exported ONNX models, run without TF.js in threads that only compute.
import type { Data, Dtype } from './graph.js';
import { loadRuntime } from './runtime.js';
import type { SessionOptions } from './runtime.js';

export interface HostTensor {
  dtype: Dtype;
  shape: readonly number[];
  data: Data;
}

export interface OpenModel {
  /** @returns the results in the order of the names the model was opened with. */
  run(inputs: Readonly<Record<string, HostTensor>>): Promise<Data[]>;
  release(): Promise<void>;
}

/**
 * Opens what `exportOnnx` made.
 *
 * @param outputs names of the results wanted.
 * @throws {EngineError} E_ENGINE_RUNTIME when ONNX Runtime does not load; its own error for a model it refuses.
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
