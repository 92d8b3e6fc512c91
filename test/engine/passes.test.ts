import { describe, expect, it } from 'vitest';
import { compile, hostValues, tf } from '../../src/engine/index.js';
import { printGraph, reachable } from '../../src/engine/graph.js';
import type { Graph, Value } from '../../src/engine/graph.js';
import { Lower, PORTABLE } from '../../src/engine/lowering.js';
import { optimize } from '../../src/engine/passes.js';
import { nativeTarget } from '../../src/engine/target.js';

/** A graph of two inputs, optimised and printed without its frame. */
function optimized(build: (g: Lower, x: Value, y: Value) => Value, target = PORTABLE): string {
  const g = new Lower(target);
  const x = g.input('x', 'float32', [4, 8]);
  const y = g.input('y', 'float32', [4, 8]);
  const [value] = optimize(g, [build(g, x, y)]);
  const graph: Graph = {
    name: 'test',
    inputs: [x, y],
    outputs: [{ name: 'out', value: value! }],
    nodes: reachable([value!]),
  };
  return printGraph(graph)
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim())
    .join('\n');
}

describe('optimize', () => {
  it('drops factors of one and terms of zero', () => {
    expect(optimized((g, x) => g.add(g.mul(x, g.fill([4, 8], 1, 'float32')), g.scalar(0)))).toBe('return out = %x');
  });

  it('keeps the spreading of a smaller operand that is multiplied by ones', () => {
    const text = optimized((g) => g.mul(g.input('row', 'float32', [1, 8]), g.fill([4, 8], 1, 'float32')));
    expect(text).toContain('Expand');
    expect(text).not.toContain('Mul');
  });

  it('passes a spread operand unspread to an operator that broadcasts', () => {
    expect(optimized((g, x) => g.mul(x, g.expand(g.scalar(3), [4, 8])))).toBe(
      '%0: f32[4,8] = Mul(%x, f32[]{3})\nreturn out = %0',
    );
  });

  it('joins chains of scalar factors', () => {
    expect(optimized((g, x) => g.mul(g.mul(x, g.scalar(2)), g.scalar(3)))).toBe(
      '%0: f32[4,8] = Mul(%x, f32[]{6})\nreturn out = %0',
    );
  });

  it('leaves a chain alone whose middle is needed', () => {
    const text = optimized((g, x) => {
      const middle = g.mul(x, g.scalar(2));
      return g.add(g.mul(middle, g.scalar(3)), middle);
    });
    expect(text.match(/Mul/g)).toHaveLength(2);
  });

  it('sums squares in one pass', () => {
    expect(optimized((g, x) => g.reduce('ReduceSum', g.mul(x, x), [0, 1], false))).toContain('ReduceSumSquare(%x');
  });

  it('takes a bias and a residual into a product', () => {
    const withBias = optimized((g, x, y) => g.add(g.matMul(x, y, false, true), g.input('bias', 'float32', [4])));
    expect(withBias).toMatch(/^%\d+: f32\[4,4\] = Gemm\(%x, %y, %\w+\) \{transA=0, transB=1\}\nreturn/);
    const withResidual = optimized((g, x, y) =>
      g.add(g.input('residual', 'float32', [4, 4]), g.matMul(x, y, false, true)),
    );
    expect(withResidual).toContain('Gemm(%x, %y, %');
  });

  it('subtracts a product from a bias within it', () => {
    const text = optimized((g, x, y) => g.sub(g.input('bias', 'float32', [4]), g.matMul(x, y, false, true)));
    expect(text).toMatch(/Gemm\(%x, %y, %\w+\) \{transA=0, transB=1, alpha=-1f\}/);
  });

  it('does not take a bias into a product that others read', () => {
    const text = optimized((g, x, y) => {
      const product = g.matMul(x, y, false, true);
      return g.add(g.add(product, g.input('bias', 'float32', [4])), g.unary('Exp', product));
    });
    expect(text.match(/Gemm/g)).toHaveLength(1);
    expect(text).toContain('Gemm(%x, %y) ');
  });

  it('uses standard operators alone for the portable target', () => {
    const text = optimized((g) => g.matMul(g.input('a', 'float32', [2048, 64]), g.input('b', 'float32', [64, 2048])));
    expect(text).toContain('Gemm');
    expect(text).not.toContain('com.microsoft');
  });

  it('fuses bias and rectifier into blocked convolutions and keeps values blocked between them', async () => {
    const target = await nativeTarget();
    if (target.nchwcBlock === 0) return; // No blocked convolutions on this machine.
    const weights = [0, 1].map(() => tf.randomNormal([3, 3, 32, 32], 0, 0.1));
    const bias = tf.randomNormal([32]);
    const layer = (x: tf.Tensor4D, w: tf.Tensor): tf.Tensor4D =>
      tf.relu(tf.add(tf.conv2d(x, w as tf.Tensor4D, 1, 'same'), bias));
    const fn = (x: tf.Tensor): tf.Tensor => layer(layer(x as tf.Tensor4D, weights[0]!), weights[1]!);
    const x = tf.randomNormal([1, 6, 6, 32]);
    const compiled = compile(fn);
    const actual = await compiled(x);
    const [text] = compiled.graphs();
    expect(text!.match(/ReorderInput/g)).toHaveLength(1);
    expect(text!.match(/ReorderOutput/g)).toHaveLength(1);
    expect(text!.match(/activation="Relu"/g)).toHaveLength(2);
    const expected = hostValues(fn(x));
    hostValues(actual).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
    await compiled.dispose();
  });

  it('computes a wide product in slabs as it computes it whole', async () => {
    const [a, b, bias] = [tf.randomNormal([1024, 16]), tf.randomNormal([16, 1024]), tf.randomNormal([1024])] as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor1D,
    ];
    const fn = (a: tf.Tensor2D, b: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor => tf.add(tf.matMul(a, b), bias);
    const compiled = compile(fn);
    const actual = await compiled(a, b, bias);
    expect(compiled.graphs()[0]!.includes('FusedMatMul')).toBe((await nativeTarget()).microsoft);
    const difference = tf.max(tf.abs(tf.sub(actual, fn(a, b, bias)))).dataSync()[0]!;
    expect(difference).toBeLessThan(1e-4); // sums of 16 products of magnitude about 10
    await compiled.dispose();
  });
});
