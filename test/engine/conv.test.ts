import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostValues, tf } from '../../src/engine/index.js';
import { PORTABLE } from '../../src/engine/lowering.js';
import type { Target } from '../../src/engine/lowering.js';
import { printGraph } from '../../src/engine/graph.js';
import { Specialization } from '../../src/engine/specialization.js';
import { nativeTarget } from '../../src/engine/target.js';
import { fillUniform } from '../../src/rng.js';
import { sizeOf } from '../../src/shape.js';

interface Case {
  x: [number, number, number, number];
  kernel: [number, number];
  out: number;
  stride: number;
  pad: 'same' | 'valid';
  dilation: number;
}

let drawn = 0;

const random = (shape: number[]): tf.Tensor =>
  tf.tensor(
    fillUniform({ seed: 3, stream: 1, step: drawn++ }, new Float32Array(sizeOf(shape))).map((u) => u - 0.5),
    shape,
  );

/** A convolution of x, then both its gradients; x [B, H, W, Ci], filter [kh, kw, Ci, Co], dy like the result. */
const convolution = ({ stride, pad, dilation }: Case) => {
  const forward = (x: tf.Tensor, filter: tf.Tensor): tf.Tensor =>
    tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, stride, pad, 'NHWC', dilation);
  return (x: tf.Tensor, filter: tf.Tensor, dy: tf.Tensor): tf.Tensor[] => [
    forward(x, filter),
    ...tf.grads(forward)([x, filter], dy),
  ];
};

/** The largest difference over the largest magnitude. */
function relativeError(actual: tf.Tensor, expected: tf.Tensor): number {
  const [a, e] = [hostValues(actual) as Float32Array, hostValues(expected) as Float32Array];
  const scale = e.reduce((max, v) => Math.max(max, Math.abs(v)), 1e-30);
  return a.reduce((max, v, i) => Math.max(max, Math.abs(v - e[i]!)), 0) / scale;
}

/** Compiles for a target and compares with the cpu backend. */
async function compare(c: Case, target: Target): Promise<{ errors: number[]; graph: string }> {
  const fn = convolution(c);
  const x = random(c.x);
  const filter = random([...c.kernel, c.x[3], c.out]);
  const dy = random(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, c.stride, c.pad, 'NHWC', c.dilation).shape);
  const expected = fn(x, filter, dy);
  const compiled = await Specialization.build('conv', fn as never, [x, filter, dy], target, {});
  const actual = (await compiled.run([x, filter, dy])) as tf.Tensor[];
  const result = {
    errors: actual.map((value, i) => relativeError(value, expected[i]!)),
    graph: printGraph(compiled.graph),
  };
  await compiled.release();
  tf.dispose([x, filter, dy, ...expected, ...actual]);
  return result;
}

const BASE: Case = { x: [2, 6, 6, 32], kernel: [3, 3], out: 32, stride: 1, pad: 'same', dilation: 1 };

// Sums of a few hundred products in another order; the cpu backend itself rounds by as much.
const TOLERANCE = 3e-6;

describe('convolution', () => {
  it.each<[string, Partial<Case>]>([
    ['of whole blocks', {}],
    ['to more channels', { out: 64 }],
    ['to fewer channels, from the patches of dy', { x: [2, 5, 7, 48], out: 16 }],
    ['of awkward channels', { x: [2, 6, 6, 3], out: 5 }],
    ['of few channels under a wide kernel', { x: [2, 6, 8, 1], kernel: [7, 7], out: 16 }],
    ['of few channels, dilated', { x: [2, 8, 7, 3], kernel: [3, 4], dilation: 2, out: 5 }],
    ['of few channels with stride 2 and a wide kernel', { x: [2, 9, 8, 3], kernel: [5, 7], stride: 2, out: 6 }],
    ['without padding', { pad: 'valid' }],
    ['with stride 2 and a kernel it divides', { kernel: [4, 4], stride: 2, out: 16 }],
    ['with stride 2 and an odd extent', { x: [1, 7, 9, 16], kernel: [4, 4], stride: 2 }],
    ['with stride 2 and a kernel it does not divide', { kernel: [3, 3], stride: 2 }],
    ['with stride 3', { x: [1, 6, 9, 16], kernel: [3, 3], stride: 3, out: 16 }],
    ['of a single column', { kernel: [1, 5] }],
    ['1x1', { kernel: [1, 1], out: 48 }],
    ['1x1 with stride 2', { kernel: [1, 1], stride: 2 }],
  ])('%s agrees with the cpu backend, gradients included', async (_, change) => {
    const c = { ...BASE, ...change };
    for (const target of [await nativeTarget(), { ...(await nativeTarget()), nchwcBlock: 0 }, PORTABLE]) {
      const { errors } = await compare(c, target);
      expect(Math.max(...errors)).toBeLessThan(TOLERANCE);
    }
  });

  it('agrees with the cpu backend on random shapes', async () => {
    const shapes = fc.record({
      x: fc.tuple(
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 4, max: 8 }),
        fc.integer({ min: 4, max: 8 }),
        fc.constantFrom(1, 3, 8, 16, 32),
      ),
      kernel: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      out: fc.constantFrom(2, 16, 32),
      stride: fc.integer({ min: 1, max: 2 }),
      pad: fc.constantFrom('same' as const, 'valid' as const),
      dilation: fc.constant(1),
    });
    const target = await nativeTarget();
    await fc.assert(
      fc.asyncProperty(shapes, async (c) => {
        expect(Math.max(...(await compare(c, target)).errors)).toBeLessThan(TOLERANCE);
      }),
      { numRuns: 25, seed: 11 },
    );
  });

  it('is written in standard ONNX for the portable target', async () => {
    const { graph } = await compare(BASE, PORTABLE);
    expect(graph).toContain('= Conv(');
    expect(graph).not.toContain('com.microsoft');
  });

  it('gathers the patches of a strided convolution once for result and filter gradient', async () => {
    const target = await nativeTarget();
    if (target.nchwcBlock === 0) return; // Nothing to share where the plain operator convolves.
    const { graph } = await compare({ ...BASE, kernel: [4, 4], stride: 2, out: 16 }, target);
    expect(graph.match(/ = Gather\(/g)).toHaveLength(2); // the patches of x, and the taps sorted into phases
  });
});
