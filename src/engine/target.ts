// Detects what the installed ONNX Runtime supports beyond standard ONNX, by running small graphs.
import { sizeOf } from '../shape.js';
import { GraphBuilder, reachable } from './graph.js';
import type { Value } from './graph.js';
import { convByBlocks } from './kernels/conv/blocked.js';
import type { ConvGeometry } from './kernels/conv/geometry.js';
import { Lower, PORTABLE } from './lowering.js';
import type { Target } from './lowering.js';
import { encodeModel } from './onnx.js';
import { loadRuntime } from './runtime.js';
import type { OrtTensor, Runtime } from './runtime.js';

let probing: Promise<Target> | undefined;

/** Returns the target for graphs that run in this process. Detection runs once. */
export function nativeTarget(): Promise<Target> {
  return (probing ??= probe());
}

async function probe(): Promise<Target> {
  const runtime = await loadRuntime();
  const microsoft = await answers(runtime, probeFusedMatMul);
  return { microsoft, nchwcBlock: microsoft && runtime.kind === 'native' ? await probeBlock(runtime) : 0 };
}

/** Whether the runtime accepts a small graph and computes the expected numbers. */
async function answers(
  runtime: Runtime,
  build: (g: GraphBuilder, x: Value) => { value: Value; expected: number[] },
): Promise<boolean> {
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
  return {
    value: g.op('FusedMatMul', [x, x], { dtype: 'float32', shape: [2, 2] }, { transA: 1, transB: 0 }, 'com.microsoft'),
    expected: [10, 14, 14, 20],
  };
}

/** A convolution whose result is wrong if the block size or the layout is wrong. */
const PROBE: ConvGeometry = {
  batch: 2,
  inHeight: 5,
  inWidth: 4,
  inChannels: 32,
  outHeight: 5,
  outWidth: 4,
  outChannels: 48,
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
};

/**
 * Finds the channel block of this machine's NCHWc convolutions: the size for which they agree with the plain operator,
 * or 0.
 */
async function probeBlock(runtime: Runtime): Promise<number> {
  for (const nchwcBlock of [16, 8])
    if (await blocksAgree(runtime, { ...PORTABLE, microsoft: true, nchwcBlock })) return nchwcBlock;
  return 0;
}

async function blocksAgree(runtime: Runtime, target: Target): Promise<boolean> {
  const g = new Lower(target);
  const { batch, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, kernel, pads } = PROBE;
  const x = g.input('x', 'float32', [batch, inHeight, inWidth, inChannels]);
  const filter = g.input('filter', 'float32', [...kernel, inChannels, outChannels]);
  const blocked = convByBlocks(g, x, filter, PROBE);
  const result = { dtype: 'float32' as const, shape: [batch, outChannels, outHeight, outWidth] };
  const plain = g.transpose(
    g.op('Conv', [g.transpose(x, [0, 3, 1, 2]), g.transpose(filter, [3, 2, 0, 1])], result, {
      kernel_shape: kernel,
      pads,
    }),
    [0, 2, 3, 1],
  );
  const outputs = [
    { name: 'blocked', value: blocked },
    { name: 'plain', value: plain },
  ];
  try {
    const session = await runtime.createSession(
      encodeModel({ name: 'probe', inputs: [x, filter], outputs, nodes: reachable([blocked, plain]) }),
    );
    const feed = (value: Value): OrtTensor =>
      runtime.tensor(
        'float32',
        Float32Array.from({ length: sizeOf(value.shape) }, (_, i) => ((i * 7919) % 31) / 31 - 0.5),
        value.shape,
      );
    const values = await session.run({ x: feed(x), filter: feed(filter) }, { blocked: null, plain: null });
    await session.release();
    const expected = values.plain!.data as Float32Array;
    return (values.blocked!.data as Float32Array).every((number, i) => Math.abs(number - expected[i]!) < 1e-3);
  } catch {
    return false;
  }
}
