// What the ONNX Runtime at hand can do beyond standard ONNX, found out by asking it.
import { GraphBuilder } from './graph.js';
import type { Value } from './graph.js';
import type { Target } from './lowering.js';
import { encodeModel } from './onnx.js';
import { loadRuntime } from './runtime.js';
import type { Runtime } from './runtime.js';

let probing: Promise<Target> | undefined;

/** The target for graphs that run in this process. Probed once. */
export function nativeTarget(): Promise<Target> {
  return (probing ??= probe());
}

async function probe(): Promise<Target> {
  const runtime = await loadRuntime();
  const microsoft = await answers(runtime, probeFusedMatMul);
  return { microsoft, nchwcBlock: 0 };
}

/** True when the runtime accepts a small graph and computes what is expected of it. */
async function answers(runtime: Runtime, build: (g: GraphBuilder, x: Value) => { value: Value; expected: number[] }): Promise<boolean> {
  const g = new GraphBuilder();
  const x = g.input('x', 'float32', [2, 2]);
  const { value, expected } = build(g, x);
  try {
    const model = encodeModel({ name: 'probe', inputs: [x], outputs: [{ name: 'y', value }], nodes: [value.node!] });
    const session = await runtime.createSession(model);
    const { y } = await session.run({ x: runtime.tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]) }, { y: null });
    await session.release();
    return expected.every((number, i) => Math.abs(number - (y!.data as Float32Array)[i]!) < 1e-4);
  } catch {
    return false;
  }
}

function probeFusedMatMul(g: GraphBuilder, x: Value): { value: Value; expected: number[] } {
  return { value: g.op('FusedMatMul', [x, x], { dtype: 'float32', shape: [2, 2] }, { transA: 1, transB: 0 }, 'com.microsoft'), expected: [10, 14, 14, 20] };
}
