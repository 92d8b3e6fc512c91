// ONNX Runtime behind the engine's own interface: the one place that knows its API, which all builds of it share.
import type { InferenceSession } from 'onnxruntime-common';
import type { Data } from './graph.js';
import { defaultThreads } from './runtime.js';
import type { OrtTensor, Port, Runtime } from './runtime.js';

/** The part of the onnxruntime-node and onnxruntime-web packages that is used. */
export interface Ort {
  InferenceSession: { create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: new (type: string, data: Data, dims: readonly number[]) => OrtTensor;
  env: { logLevel?: string; wasm?: { numThreads?: number } };
}

/** A runtime of one build of ONNX Runtime. */
export function runtimeOf(kind: Runtime['kind'], ort: Ort): Runtime {
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
        intraOpNumThreads: options.threads ?? defaultThreads(),
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
          local(await session.run(feeds, kind === 'native' ? fetches : Object.keys(fetches))),
        endProfiling: () => (session as { endProfiling(): void }).endProfiling(),
        release: () => session.release(),
      };
    },
  };
}

/** The class of the typed arrays that a build makes for a dtype. */
export const classOf = (ort: Ort, dtype: string): unknown => new ort.Tensor(dtype, [] as never, [0]).data.constructor;

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
    bytes: (data) => view(foreign('uint8'), data as Data),
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
