// The native library of ONNX Runtime: whether it is there, and the line that says so where it is not.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { VENDOR, vendoredPackages } from './vendored.js';

/** The npm package that holds it. */
export const NATIVE_PACKAGE = 'onnxruntime-node';

/** Systems with a build, as `process.platform` and `process.arch` name them. */
const BUILDS: readonly string[] = ['darwin/arm64', 'linux/arm64', 'linux/x64', 'win32/arm64', 'win32/x64'];

/** This system, as the package names the folder of its build. */
export const SYSTEM = `${process.platform}/${process.arch}`;

/** How many times longer WebAssembly takes. `node test/bench/fallback.mjs` measures it. */
export const FALLBACK_FACTOR = '2 to 5';

/** Whether ONNX Runtime has a native build for this system. */
export const hasNativeBuild = BUILDS.includes(SYSTEM);

/** Folder of the package, or undefined where node_modules lacks it. */
export function nativeFolder(): string | undefined {
  if (vendoredPackages()) return join(VENDOR, NATIVE_PACKAGE);
  try {
    return dirname(createRequire(import.meta.url).resolve(`${NATIVE_PACKAGE}/package.json`));
  } catch {
    return undefined;
  }
}

/** Files that this system loads, relative to the folder of the package. */
export function nativeFiles(): string[] {
  const vendored = vendoredPackages()?.[NATIVE_PACKAGE];
  const own = `bin/napi-v6/${SYSTEM}/`;
  return vendored
    ? Object.keys(vendored.files).filter((path) => path.startsWith(own) || path.startsWith('dist/'))
    : [`${own}onnxruntime_binding.node`];
}

/** Why the native library cannot load, as far as a look at the files tells; undefined when they are there. */
export function nativeMissing(): string | undefined {
  if (!hasNativeBuild) return `ONNX Runtime has none for ${process.platform} ${process.arch}`;
  const folder = nativeFolder();
  if (folder === undefined) return `${NATIVE_PACKAGE} is not installed`;
  const lost = nativeFiles().find((path) => !existsSync(join(folder, path)));
  return lost === undefined ? undefined : `${join(folder, lost)} is missing`;
}

/** The command that mends a missing library. */
const REPAIR_COMMAND = `${process.versions['pnp'] === undefined ? 'npx' : 'yarn'} tesserae doctor --repair`;

/** One line for people: that WebAssembly computes, what it costs, and what to do. */
export function fallbackLine(reason: string): string {
  const remedy = !hasNativeBuild
    ? 'No remedy on this system.'
    : nativeMissing()
      ? `Run "${REPAIR_COMMAND}" to restore it.`
      : `"${REPAIR_COMMAND}" checks its files.`;
  return `Computing in WebAssembly, ${FALLBACK_FACTOR} times slower than the native library, which did not load: ${reason}. ${remedy}`;
}

// Shared with worker threads, so that a process says it once.
const KEY = 'tesserae:fallback-told';
if (isMainThread && getEnvironmentData(KEY) === undefined)
  setEnvironmentData(KEY, new Int32Array(new SharedArrayBuffer(4)));
const told = (getEnvironmentData(KEY) as Int32Array | undefined) ?? new Int32Array(1);

/** For a caller that reports it in its own way. */
export function keepFallbackQuiet(): void {
  Atomics.store(told, 0, 1);
}

/** Says it on stderr, once a process. */
export function tellOfFallback(reason: string): void {
  if (Atomics.exchange(told, 0, 1) === 0) process.stderr.write(`${fallbackLine(reason)}\n`);
}
