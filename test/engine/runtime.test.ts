import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reachable } from '../../src/engine/graph.js';
import { Lower, PORTABLE } from '../../src/engine/lowering.js';
import { encodeModel } from '../../src/engine/onnx.js';
import { load } from '../../src/engine/runtime-node.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A small model with a product, a nonlinearity and an int32 result. */
function model(): Uint8Array {
  const g = new Lower(PORTABLE);
  const x = g.input('x', 'float32', [2, 3]);
  const y = g.unary('Tanh', g.matMul(x, g.constant('float32', [3, 2], Float32Array.of(1, -2, 3, 0.5, 0, 1))));
  const best = g.argument('ArgMax', y, 1);
  return encodeModel({
    name: 'small',
    inputs: [x],
    outputs: [
      { name: 'y', value: y },
      { name: 'best', value: best },
    ],
    nodes: reachable([y, best]),
  });
}

describe('ONNX Runtime', () => {
  it('computes the same as native library and as WebAssembly', async () => {
    const results: number[][] = [];
    for (const kind of ['native', 'wasm'] as const) {
      const runtime = await load(kind);
      expect(runtime.kind).toBe(kind);
      expect(runtime.version).toMatch(/^\d+\.\d+/);
      const session = await runtime.createSession(model());
      const { y, best } = await session.run(
        { x: runtime.tensor('float32', Float32Array.of(1, 2, 3, -1, 0, 1), [2, 3]) },
        { y: null, best: null },
      );
      results.push([
        ...Array.from(y!.data as Float32Array, (v) => Math.round(v * 1e5) / 1e5),
        ...Array.from(best!.data as Int32Array),
      ]);
      await session.release();
    }
    expect(results[0]).toEqual(results[1]);
  });

  it('refuses a model it cannot read with an error, not a crash', async () => {
    const runtime = await load(undefined);
    await expect(runtime.createSession(Uint8Array.of(1, 2, 3))).rejects.toThrow(/protobuf|model/i);
  });
});

/** Runs a training step in a fresh process and prints what it computed and on what. */
const SCRIPT = `
import { compile, defaultThreads, loadRuntime, randomKey, randomNormal, tf } from './engine/node.js';
const w = tf.variable(tf.tensor2d([0.5, -0.5, 0.25, 1], [2, 2]));
const optimizer = tf.train.adam(0.1);
const step = compile((x, key) => optimizer.minimize(() => tf.mean(tf.square(tf.tanh(tf.matMul(tf.add(x, randomNormal(key, [3, 2], 'noise')), w)))), true, [w]));
const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
for (let i = 0; i < 3; i++) await step(x, randomKey(1, i));
console.log(JSON.stringify({ kind: (await loadRuntime()).kind, threads: defaultThreads(), weights: Array.from(w.dataSync(), (v) => Math.round(v * 1e4) / 1e4) }));
process.exit(0);
`;

describe('a process of its own', () => {
  // Within the project, so that packages resolve.
  const folder = join(root, 'node_modules/.cache', `engine-test-${process.pid}`);

  beforeAll(() => {
    for (const file of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
      if (!/^(engine[\\/].*|[^\\/]+)\.ts$/.test(file)) continue;
      const out = join(folder, file.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(
        out,
        ts.transpileModule(readFileSync(join(root, 'src', file), 'utf8'), {
          compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
        }).outputText,
      );
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'script.js'), SCRIPT);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** From now on the library fails to load, as where the system lacks what it needs. */
  const breakNative = (): void => {
    const broken = join(folder, 'node_modules', 'onnxruntime-node');
    mkdirSync(broken, { recursive: true });
    writeFileSync(join(broken, 'package.json'), '{"main":"index.js"}');
    writeFileSync(join(broken, 'index.js'), `throw new Error('libonnxruntime.so.1: cannot open shared object file');`);
  };

  const runScript = async (
    environment: Record<string, string> = {},
  ): Promise<{ kind: string; weights: number[]; threads: number; stderr: string }> => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(folder, 'script.js')], {
      env: { ...process.env, ...environment },
    });
    return {
      ...(JSON.parse(stdout.trim().split('\n').at(-1)!) as { kind: string; weights: number[]; threads: number }),
      stderr,
    };
  };

  it('falls back to WebAssembly where the native library does not load, and trains the same weights', async () => {
    const native = await runScript();
    const chosen = await runScript({ TESSERAE_ORT: 'wasm', TESSERAE_THREADS: '1' });
    breakNative();
    const fallen = await runScript();
    expect([native.kind, chosen.kind, fallen.kind]).toEqual(['native', 'wasm', 'wasm']);
    expect(chosen.threads).toBe(1);
    // Weights are printed to four digits; three Adam steps differ in the seventh.
    expect(chosen.weights).toEqual(native.weights);
    expect(fallen.weights).toEqual(native.weights);
    expect([native.stderr, chosen.stderr]).toEqual(['', '']);
    expect(fallen.stderr).toMatch(
      /^Computing in WebAssembly, [\d a-z]+ times slower than the native library, which did not load: [^\n]+\n$/,
    );
  });
});
