// ONNX models, run without TF.js: exported ones in threads that only compute, and those of others.
import type { Data, Dtype } from './graph.js';
import { loadRuntime } from './runtime.js';
import type { Port, SessionOptions } from './runtime.js';

export type { Port };

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
export async function openModel(bytes: Uint8Array, outputs: readonly string[], options: SessionOptions = {}): Promise<OpenModel> {
  const runtime = await loadRuntime();
  const session = await runtime.createSession(bytes, options);
  return {
    run: async (inputs) => {
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { dtype, data, shape }]) => [name, runtime.tensor(dtype, data, shape)]));
      const results = await session.run(feeds, Object.fromEntries(outputs.map((name) => [name, null])));
      return outputs.map((name) => results[name]!.data as Data);
    },
    release: () => session.release(),
  };
}

/** A model made elsewhere, which tells what it takes and gives. */
export interface ForeignModel {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** @param data float32 of the only input. @returns float32 of one output. */
  run(data: Float32Array, shape: readonly number[], output: string): Promise<{ data: Float32Array; shape: readonly number[] }>;
  release(): Promise<void>;
}

/**
 * Opens any ONNX file of one float32 input.
 *
 * @throws {EngineError} E_ENGINE_RUNTIME when ONNX Runtime does not load; its own error for a model it refuses.
 */
export async function openForeignModel(bytes: Uint8Array): Promise<ForeignModel> {
  const runtime = await loadRuntime();
  const session = await runtime.createSession(bytes);
  const { inputs, outputs } = session;
  return {
    inputs,
    outputs,
    run: async (data, shape, output) => {
      const results = await session.run({ [inputs[0]!.name]: runtime.tensor('float32', data, shape) }, { [output]: null });
      return { data: results[output]!.data as Float32Array, shape: results[output]!.dims };
    },
    release: () => session.release(),
  };
}
