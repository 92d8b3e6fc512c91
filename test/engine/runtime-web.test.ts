// Which ONNX Runtime is used where a program hands one in.
import * as ort from 'onnxruntime-web';
import { beforeEach, describe, expect, it, vi } from 'vitest';

describe('an ONNX Runtime that is handed in', () => {
  /** The modules as a page finds them: nothing is registered. */
  const fresh = async () => ({
    ...(await import('../../src/engine/runtime.js')),
    ...(await import('../../src/engine/runtime-web.js')),
    ...(await import('../../src/errors.js')),
  });

  beforeEach(() => vi.resetModules());

  it('is asked for when none was', async () => {
    const { EngineError, loadRuntime } = await fresh();
    await expect(loadRuntime()).rejects.toThrow(EngineError);
    await expect(loadRuntime()).rejects.toThrow(/E_ENGINE_RUNTIME .*Call setRuntime\(ort\) first/);
  });

  it('is used once it is there, even when it was missing before', async () => {
    const { loadRuntime, setRuntime } = await fresh();
    await expect(loadRuntime()).rejects.toThrow(/E_ENGINE_RUNTIME/);
    setRuntime(ort);
    const runtime = await loadRuntime();
    expect(runtime).toMatchObject({ kind: 'wasm', version: ort.env.versions.web });
    expect(await loadRuntime()).toBe(runtime);
  });

  it('replaces one that was registered but not loaded', async () => {
    const { loadRuntime, setRuntime, useRuntimeLoader } = await fresh();
    useRuntimeLoader(() => Promise.reject(new Error('not this one')));
    setRuntime(ort);
    expect((await loadRuntime()).kind).toBe('wasm');
  });

  it('may be given again, but not exchanged once it is loaded', async () => {
    const { loadRuntime, setRuntime } = await fresh();
    setRuntime(ort);
    await loadRuntime();
    expect(() => setRuntime(ort)).not.toThrow();
    expect(() => setRuntime({ ...ort })).toThrow(/E_ENGINE_RUNTIME .*another one is already loaded/);
  });
});
