// The engine in a context with typed arrays of its own: vitest.config.ts runs this file in one.
import { deserialize, serialize } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { compile, loadRuntime, tf } from '../../src/engine/index.js';
import { load } from '../../src/engine/runtime-node.js';

it('is where this file runs', () => {
  expect((deserialize(serialize(new Float32Array(1))) as Float32Array) instanceof Float32Array).toBe(false);
});

describe('in a context of its own', () => {
  it('the native library is used, and a training step writes the variables back', async () => {
    expect((await loadRuntime()).kind).toBe('native');
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const optimizer = tf.train.sgd(0.5);
    const step = compile(
      (target: tf.Tensor) => optimizer.minimize(() => tf.sum(tf.square(tf.sub(w, target))), true, [w]) as tf.Scalar,
    );
    const losses: number[] = [];
    for (let i = 0; i < 3; i++) losses.push((await step(tf.tensor1d([0, 0, 1]))).dataSync()[0]!);
    // A rate of one half reaches the minimum of a square in one step.
    expect(losses).toEqual([9, 0, 0]);
    const values = w.dataSync();
    expect(values).toBeInstanceOf(Float32Array);
    expect([...values]).toEqual([0, 0, 1]);
  });

  it('ids come back as integers', async () => {
    const best = compile((x: tf.Tensor) => tf.argMax(x, 1), { name: 'best' });
    expect([...(await best(tf.tensor2d([1, 3, 2, 5, 4, 0], [2, 3]))).dataSync()]).toEqual([1, 0]);
  });

  it('WebAssembly takes the same arrays', async () => {
    const runtime = await load('wasm');
    const data = Float32Array.of(1, 2);
    const tensor = runtime.tensor('float32', data, [2]);
    expect(tensor.data).toBe(data);
    await expect(runtime.createSession(Uint8Array.of(1, 2, 3))).rejects.toThrow(/protobuf|model/i);
  });
});
