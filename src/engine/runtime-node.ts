// ONNX Runtime under Node.js: the native library when it loads, WebAssembly otherwise.
import { deserialize, serialize } from 'node:v8';
import { EngineError, firstLineOf } from '../errors.js';
import { NATIVE_PACKAGE, nativeMissing, tellOfFallback } from '../native.js';
import { loadersOutside } from '../vendored.js';
import { classOf, runtimeOf } from './ort.js';
import type { Ort } from './ort.js';
import { defaultThreads } from './runtime.js';
import type { Runtime } from './runtime.js';

// The native library reports what runs to Microsoft, unless it is told not to before it loads; and it looks at the
// command line with a regular expression, whose recursion ends the process where that is long. A worker thread cannot
// change what native code sees of the environment: the main thread sets it for all.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

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
      const runtime = loadWebAssembly();
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

function loadWebAssembly(): Runtime {
  const ort = loadOutside('onnxruntime-web');
  ort.env.wasm!.numThreads = defaultThreads();
  return runtimeOf('wasm', ort);
}

/** The typed array class by which native code knows 32-bit floats. In a context of its own, a module has another. */
const OUTER_FLOATS = (deserialize(serialize(new Float32Array(0))) as Float32Array).constructor;

function loadOutside(name: string): Ort {
  const [first, ...others] = loadersOutside<Ort>(name) as [() => Ort, ...(() => Ort)[]];
  const ort = first();
  if (classOf(ort, 'float32') === OUTER_FLOATS) return ort;
  return others.map((load) => load()).find((other) => classOf(other, 'float32') === OUTER_FLOATS) ?? ort;
}
