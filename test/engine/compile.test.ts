import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { compile, engineInUse, randomKey, randomUniform, stopGradient, tf, useEngine } from '../../src/engine/index.js';
import type { RandomKey } from '../../src/engine/index.js';
import { remedyFor } from '../../src/engine/specialization.js';
import { EngineError, UsageError } from '../../src/errors.js';

const numbers = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());

/** The code and message of what a promise is rejected with. */
async function failureOf(promise: Promise<unknown>): Promise<EngineError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
}

describe('arguments and results', () => {
  it('keep their nesting', async () => {
    const f = compile(({ pair: [a, b], scale }: { pair: [tf.Tensor, tf.Tensor]; scale: number }) => ({
      sum: tf.add(a, b),
      more: [tf.mul(a, scale), { none: null, text: 'x' }],
    }));
    const y = await f({ pair: [tf.tensor1d([1, 2]), tf.tensor1d([3, 4])], scale: 10 });
    expect(numbers(y.sum)).toEqual([4, 6]);
    expect(numbers(y.more[0] as tf.Tensor)).toEqual([10, 20]);
    expect(y.more[1]).toEqual({ none: null, text: 'x' });
  });

  it('may be int32, bool, scalar or empty', async () => {
    const f = compile((i: tf.Tensor, b: tf.Tensor, s: tf.Tensor, e: tf.Tensor) =>
      [tf.add(i, tf.scalar(1, 'int32')), tf.logicalNot(b), tf.mul(s, 2), tf.add(e, 1)].map((x) => x.clone()),
    );
    const [i, b, s, e] = await f(
      tf.tensor1d([1, -2], 'int32'),
      tf.tensor1d([true, false]),
      tf.scalar(3),
      tf.zeros([0, 2]),
    );
    expect([i!.dtype, numbers(i!)]).toEqual(['int32', [2, -1]]);
    expect([b!.dtype, numbers(b!)]).toEqual(['bool', [0, 1]]);
    expect([s!.shape, numbers(s!)]).toEqual([[], [6]]);
    expect([e!.shape, numbers(e!)]).toEqual([[0, 2], []]);
  });

  it('may pass through, repeat and be constant', async () => {
    const f = compile((x: tf.Tensor) => [x, x, tf.scalar(5), tf.reshape(x, [2, 1])]);
    const x = tf.tensor1d([1, 2]);
    const y = await f(x);
    expect(y.map(numbers)).toEqual([[1, 2], [1, 2], [5], [1, 2]]);
    x.dispose();
    expect(numbers(y[0]!)).toEqual([1, 2]);
  });

  it('may be none, with nothing to compute', async () => {
    const f = compile((x: tf.Tensor) => {
      tf.square(x);
      return null;
    });
    expect(await f(tf.scalar(2))).toBeNull();
    expect(await f(tf.scalar(3))).toBeNull();
    await f.dispose();
  });

  it('select a graph by shapes, dtypes and plain values', async () => {
    const f = compile((x: tf.Tensor, mode: string, on: boolean) =>
      mode === 'double' && on ? tf.mul(x, 2) : tf.neg(x),
    );
    const x = tf.tensor1d([1, 2]);
    expect(numbers(await f(x, 'double', true))).toEqual([2, 4]);
    expect(numbers(await f(x, 'double', false))).toEqual([-1, -2]);
    expect(numbers(await f(x, 'other', true))).toEqual([-1, -2]);
    expect(f.traces).toBe(3);
    expect(numbers(await f(tf.tensor1d([5, 6]), 'double', true))).toEqual([10, 12]);
    expect(f.traces).toBe(3);
    await f(tf.tensor1d([1, 2, 3]), 'double', true);
    await f(tf.tensor1d([1, 2], 'int32'), 'double', true);
    expect(f.traces).toBe(5);
  });

  it('keep at most maxGraphs graphs, dropping the one not used for longest', async () => {
    const f = compile((x: tf.Tensor) => tf.add(x, 1), { maxGraphs: 2 });
    const call = (n: number): Promise<tf.Tensor> => f(tf.ones([n]));
    await call(1);
    await call(2);
    await call(1);
    await call(3);
    expect(f.graphs().length).toBe(2);
    await call(1);
    expect(f.traces).toBe(3);
    await call(2);
    expect(f.traces).toBe(4);
  });
});

describe('captured tensors', () => {
  it('are read anew at each call, or held when frozen', async () => {
    const variable = tf.variable(tf.scalar(2));
    const captured = tf.tensor1d([1, 2, 3]);
    const body = (x: tf.Tensor): tf.Tensor => tf.add(tf.mul(x, variable), captured);
    const live = compile(body);
    const frozen = compile(body, { freeze: true });
    const x = tf.ones([3]);
    expect([numbers(await live(x)), numbers(await frozen(x))]).toEqual([
      [3, 4, 5],
      [3, 4, 5],
    ]);
    variable.assign(tf.scalar(10));
    expect([numbers(await live(x)), numbers(await frozen(x))]).toEqual([
      [11, 12, 13],
      [3, 4, 5],
    ]);
    expect([live.traces, frozen.traces]).toEqual([1, 1]);
  });

  it('are named when they were disposed', async () => {
    const captured = tf.tensor1d([1, 2]);
    const f = compile((x: tf.Tensor) => tf.add(x, captured));
    await f(tf.ones([2]));
    captured.dispose();
    expect((await failureOf(f(tf.ones([2])))).message).toMatch(/E_ENGINE_DISPOSED.*disposed float32 \[2\]/);
  });

  it('an argument disposed before its turn is reported, not read', async () => {
    const f = compile((x: tf.Tensor) => tf.add(x, 1));
    const x = tf.ones([2]);
    const call = f(x);
    x.dispose();
    expect((await failureOf(call)).code).toBe('E_ENGINE_DISPOSED');
  });
});

describe('variables', () => {
  it('keep their state and can be read after assignment in the same call', async () => {
    const count = tf.variable(tf.scalar(1));
    const f = compile((by: tf.Tensor) => {
      const before = stopGradient(count);
      count.assign(tf.add(count, by) as tf.Scalar);
      const between = tf.mul(count, 100);
      count.assign(tf.mul(count, 2) as tf.Scalar);
      return [before, between, tf.add(count, 0)];
    });
    expect((await f(tf.scalar(2))).map(numbers)).toEqual([[1], [300], [6]]);
    expect(numbers(count)).toEqual([6]);
    expect((await f(tf.scalar(1))).map(numbers)).toEqual([[6], [700], [14]]);
    expect(numbers(count)).toEqual([14]);
  });

  it('exchange values without mixing them up', async () => {
    const a = tf.variable(tf.tensor1d([1, 1]));
    const b = tf.variable(tf.tensor1d([2, 3]));
    const f = compile(() => {
      const old = a.clone();
      a.assign(tf.add(b, 0) as tf.Tensor1D);
      b.assign(old as tf.Tensor1D);
      return tf.add(a, b);
    });
    for (let i = 0; i < 5; i++) await f();
    expect([numbers(a), numbers(b)]).toEqual([
      [2, 3],
      [1, 1],
    ]);
  });

  it('leave alone what others hold of them: clones, reshapes, arrays read earlier', async () => {
    const v = tf.variable(tf.tensor1d([1, 2]));
    const f = compile(() => {
      v.assign(tf.mul(v, 2) as tf.Tensor1D);
      return tf.sum(v);
    });
    await f();
    const clone = v.clone();
    const reshaped = tf.reshape(v, [2, 1]);
    await f();
    const array = v.dataSync();
    const later = await v.data();
    for (let i = 0; i < 4; i++) await f();
    expect([numbers(clone), numbers(reshaped)]).toEqual([
      [2, 4],
      [2, 4],
    ]);
    expect([Array.from(array), Array.from(later)]).toEqual([
      [4, 8],
      [4, 8],
    ]);
    expect(numbers(v)).toEqual([64, 128]);
    clone.dispose();
    reshaped.dispose();
    await f();
    expect(numbers(v)).toEqual([128, 256]);
  });

  it('a clone from outside is what it was, not what the variable became', async () => {
    const v = tf.variable(tf.scalar(1));
    const clone = v.clone();
    const f = compile(() => {
      v.assign(tf.add(v, 1) as tf.Scalar);
      return [tf.mul(v, 1), tf.mul(clone, 1)];
    });
    expect((await f()).map(numbers)).toEqual([[2], [1]]);
    expect((await f()).map(numbers)).toEqual([[3], [1]]);
  });

  it('made in the first call are made once, from computed values or from tensors outside', async () => {
    const outside = tf.tensor1d([5, 6]);
    let made: { mean: tf.Variable; copy: tf.Variable } | undefined;
    const f = compile((x: tf.Tensor) => {
      made ??= { mean: tf.variable(tf.mul(x, 3)), copy: tf.variable(outside) };
      made.mean.assign(tf.add(made.mean, x));
      made.copy.assign(tf.add(made.copy, 1));
      return tf.add(made.mean, made.copy);
    });
    expect(numbers(await f(tf.tensor1d([1, 2])))).toEqual([10, 15]);
    expect(numbers(await f(tf.tensor1d([1, 1])))).toEqual([12, 17]);
    expect([numbers(made!.mean), numbers(made!.copy), numbers(outside)]).toEqual([
      [5, 9],
      [7, 8],
      [5, 6],
    ]);
  });

  it('made at every call are refused', async () => {
    const f = compile((x: tf.Tensor) => tf.add(tf.variable(x), 1), { name: 'careless' });
    const before = Object.keys(tf.engine().state.registeredVariables).length;
    expect((await failureOf(f(tf.ones([2])))).message).toMatch(/E_TRACE_VARIABLES careless/);
    // The first trace's variable stays, as the function may still hold it.
    expect(Object.keys(tf.engine().state.registeredVariables).length).toBeLessThanOrEqual(before + 1);
  });
});

const filled = (shape: number[], phase: number): tf.Variable =>
  tf.variable(
    tf.tensor(
      Array.from({ length: shape[0]! * shape[1]! }, (_, i) => Math.sin(i * 1.7 + phase)),
      shape,
    ),
  );

/** A two-layer regression whose parameters start the same everywhere. */
function model(optimizer: tf.Optimizer): {
  step: (x: tf.Tensor2D, y: tf.Tensor2D) => tf.Scalar;
  weights: tf.Variable[];
} {
  const weights = [filled([3, 8], 0), filled([1, 8], 1), filled([8, 2], 2)];
  const [first, bias, second] = weights as [tf.Variable, tf.Variable, tf.Variable];
  const loss = (x: tf.Tensor2D, y: tf.Tensor2D): tf.Scalar =>
    tf.mean(
      tf.square(tf.sub(tf.matMul(tf.tanh(tf.add(tf.matMul(x, first as tf.Tensor2D), bias)), second as tf.Tensor2D), y)),
    ) as tf.Scalar;
  return { step: (x, y) => optimizer.minimize(() => loss(x, y), true, weights)!, weights };
}

const batch = (n: number): [tf.Tensor2D, tf.Tensor2D] => [
  tf.tensor2d(
    Array.from({ length: 12 }, (_, i) => Math.cos(i * 2.3 + n)),
    [4, 3],
  ),
  tf.tensor2d(
    Array.from({ length: 8 }, (_, i) => Math.sin(i * 1.1 - n)),
    [4, 2],
  ),
];

describe('training steps', () => {
  const optimizers: Record<string, () => tf.Optimizer> = {
    sgd: () => tf.train.sgd(0.1),
    momentum: () => tf.train.momentum(0.05, 0.9),
    nesterov: () => tf.train.momentum(0.05, 0.9, true),
    rmsprop: () => tf.train.rmsprop(0.01),
    adagrad: () => tf.train.adagrad(0.1),
    adadelta: () => tf.train.adadelta(0.1),
    adam: () => tf.train.adam(0.02),
    adamax: () => tf.train.adamax(0.02),
  };

  it.each(Object.keys(optimizers))('by an unmodified tf.train.%s equal eager ones over 20 steps', async (name) => {
    const eager = model(optimizers[name]!());
    const compiled = model(optimizers[name]!());
    const step = compile(compiled.step, { name: 'step' });
    for (let i = 0; i < 20; i++) {
      const [x, y] = batch(i);
      const expected = eager.step(x, y).dataSync()[0]!;
      const actual = (await step(x, y)).dataSync()[0]!;
      // Rounding differs in the last bits; 20 steps of division by small second moments amplify it.
      expect(Math.abs(actual - expected) / expected, `loss of step ${i}`).toBeLessThan(2e-4);
    }
    expect(step.traces).toBe(1);
    eager.weights.forEach((weight, i) => {
      const actual = numbers(compiled.weights[i]!);
      numbers(weight).forEach((expected, k) => expect(Math.abs(actual[k]! - expected)).toBeLessThan(2e-4));
    });
  });
});

describe('errors', () => {
  // oxlint-disable-next-line vitest/no-standalone-expect -- holds after every failure
  afterEach(() => expect(tf.getBackend()).toBe('cpu'));

  it('name the op, the function and the shapes of a kernel without lowering', async () => {
    const f = compile((x: tf.Tensor) => tf.unique(x).values, { name: 'deduplicate' });
    const error = await failureOf(f(tf.tensor1d([1, 2, 2])));
    expect(error.code).toBe('E_ENGINE_OP');
    expect(error.message).toMatch(/deduplicate.*Unique.*x float32 \[3\]/);
  });

  it('refuse channels first, dilated or not', async () => {
    const f = compile((x: tf.Tensor4D) => tf.conv2d(x, tf.ones([3, 3, 2, 4]) as tf.Tensor4D, 1, 'same', 'NCHW'), {
      name: 'encode',
    });
    expect((await failureOf(f(tf.ones([1, 2, 5, 5]) as tf.Tensor4D))).message).toMatch(
      /E_ENGINE_OP encode.*Conv2D.*NCHW.*\[1, 2, 5, 5\]/,
    );
  });

  it('tell to draw from a key instead of multinomial and dropout', async () => {
    const seeded = compile((x: tf.Tensor2D) => tf.multinomial(x, 1, 7));
    expect((await failureOf(seeded(tf.ones([1, 4]) as tf.Tensor2D))).message).toMatch(/E_ENGINE_OP.*randomUniform/);
    for (const draw of [
      (x: tf.Tensor) => tf.dropout(x, 0.5),
      (x: tf.Tensor) => tf.add(x, tf.randomUniform([2])),
      (x: tf.Tensor) => tf.add(x, tf.randomNormal([2])),
    ]) {
      expect((await failureOf(compile(draw, { name: 'noisy' })(tf.ones([2])))).message).toMatch(/E_TRACE_RANDOM noisy/);
    }
  });

  it.each<[string, RegExp, (x: tf.Tensor) => tf.Tensor]>([
    ['dataSync', /E_TRACE_READ peek/, (x) => tf.scalar(x.dataSync()[0]!)],
    ['arraySync', /E_TRACE_READ peek/, (x) => tf.tensor(x.arraySync() as number[])],
    ['print', /E_TRACE_READ peek/, (x) => (x.print(), x)],
  ])('refuse a look at values by %s', async (_, message, body) => {
    expect((await failureOf(compile(body, { name: 'peek' })(tf.ones([2])))).message).toMatch(message);
  });

  const disposed = (x: tf.Tensor): tf.Tensor => (x.dispose(), x);
  const outside = disposed(tf.ones([2]));
  it.each<[string, (x: tf.Tensor) => tf.Tensor, string]>([
    ['an intermediate result, used later', (x) => tf.mul(disposed(tf.add(x, 1)), 2), 'float32 [2]'],
    ['an intermediate result, whose method is called', (x) => disposed(tf.add(x, 1)).clone(), 'one'],
    ['an intermediate result that is returned', (x) => disposed(tf.add(x, 1)), 'float32 [2]'],
    ['a tensor from outside', (x) => tf.mul(x, outside), 'float32 [2]'],
  ])('refuse a disposed tensor: %s', async (_, body, what) => {
    const error = await failureOf(compile(body, { name: 'careless' })(tf.ones([2])));
    expect([error.code, error.detail]).toEqual([
      'E_TRACE_DISPOSED',
      expect.stringContaining(`careless: expected a live tensor, received a disposed ${what}.`),
    ]);
  });

  it('take a tensor of which a clone lives on', async () => {
    const f = compile((x: tf.Tensor) => {
      const sum = tf.add(x, 1);
      const clone = sum.clone();
      sum.dispose();
      return tf.mul(clone, 2);
    });
    expect(numbers(await f(tf.ones([2])))).toEqual([4, 4]);
  });

  it('refuse an asynchronous function', async () => {
    const f = compile((async (x: tf.Tensor) => x) as never, { name: 'later' });
    expect((await failureOf((f as unknown as (x: tf.Tensor) => Promise<unknown>)(tf.ones([2])))).code).toBe(
      'E_TRACE_ASYNC',
    );
  });

  it('refuse a compiled function inside another', async () => {
    const inner = compile((x: tf.Tensor) => tf.add(x, 1), { name: 'inner' });
    const outer = compile(
      (x: tf.Tensor) => {
        void inner(x);
        return x;
      },
      { name: 'outer' },
    );
    expect((await failureOf(outer(tf.ones([2])))).message).toMatch(/E_TRACE_NESTED inner.*outer/);
  });

  it('report a symbolic tensor that escaped', async () => {
    let escaped: tf.Tensor | undefined;
    const f = compile((x: tf.Tensor) => tf.mul((escaped = tf.keep(tf.add(x, 1))), 2));
    await f(tf.ones([2]));
    expect(() => escaped!.dataSync()).toThrow(/E_TRACE_LEAK/);
  });

  it('refuse dtypes that have no place in a graph', async () => {
    expect(
      (await failureOf(compile((x: tf.Tensor) => x.clone(), { name: 'words' })(tf.tensor1d(['a', 'b'])))).message,
    ).toMatch(/E_ENGINE_DTYPE words.*string/);
  });

  it('pass on what the function itself throws, and work again afterwards', async () => {
    const v = tf.variable(tf.scalar(1));
    let broken = true;
    const f = compile((x: tf.Tensor) => {
      v.assign(tf.add(v, 1) as tf.Scalar);
      if (broken) throw new RangeError('mine');
      return tf.add(x, v);
    });
    await expect(f(tf.ones([1]))).rejects.toThrow(new RangeError('mine'));
    expect(numbers(v)).toEqual([1]);
    expect(numbers(tf.add(1, 2))).toEqual([3]);
    expect(Math.random()).toBeLessThan(1);
    broken = false;
    expect(numbers(await f(tf.ones([1])))).toEqual([3]);
  });

  it('name the function when the runtime fails, leave variables alone, and work again afterwards', async () => {
    const v = tf.variable(tf.scalar(1));
    const f = compile(
      (table: tf.Tensor, ids: tf.Tensor) => {
        v.assign(tf.add(v, 1) as tf.Scalar);
        return tf.gather(table, ids as tf.Tensor1D);
      },
      { name: 'lookup' },
    );
    const table = tf.tensor1d([5, 6, 7]);
    for (let i = 0; i < 4; i++) expect(numbers(await f(table, tf.tensor1d([2], 'int32')))).toEqual([7]);
    expect((await failureOf(f(table, tf.tensor1d([99], 'int32')))).message).toMatch(
      /E_ENGINE_RUN lookup.*indices.*out of range/i,
    );
    expect(numbers(v)).toEqual([5]);
    expect(numbers(await f(table, tf.tensor1d([0], 'int32')))).toEqual([5]);
    expect(numbers(v)).toEqual([6]);
  });

  it('blame an index only where one is out of range', () => {
    expect(
      remedyFor(
        new Error('Gather node. indices element out of data bounds, idx=99 must be within the inclusive range [-3,2]'),
      ),
    ).toMatch(/index/);
    expect(
      remedyFor(new TypeError("A float32 tensor's data must be type of function Float32Array() { [native code] }")),
    ).toBe('');
    expect(remedyFor(new Error('std::bad_alloc'))).toMatch(/memory.*smaller batch/);
  });

  it('refuse a variable assigned another shape, and a call after dispose', async () => {
    const v = tf.variable(tf.zeros([2]));
    const f = compile((x: tf.Tensor) => {
      v.assign(x as tf.Tensor1D);
      return x;
    });
    expect((await failureOf(f(tf.ones([3])))).message).toMatch(/E_ENGINE_ASSIGN.*float32 \[2\].*float32 \[3\]/);
    await f.dispose();
    await f.dispose();
    expect((await failureOf(f(tf.ones([2])))).code).toBe('E_ENGINE_DISPOSED');
  });

  it('refuse a key that is no argument', async () => {
    const key = randomKey(1, 2);
    const f = compile((x: tf.Tensor) => tf.add(x, randomUniform(key, [2], 's')), { name: 'stale' });
    expect((await failureOf(f(tf.ones([2])))).message).toMatch(/E_RANDOM_KEY stale/);
    const computed = compile((k: tf.Tensor) => randomUniform(tf.add(k, 1) as RandomKey, [2], 's'));
    expect((await failureOf(computed(key))).code).toBe('E_RANDOM_KEY');
    expect(() => randomKey(-1, 0)).toThrow(/E_RANDOM_KEY/);
    expect(() => randomKey(0, 2 ** 31)).toThrow(/E_RANDOM_KEY/);
  });
});

describe('calls', () => {
  it('made together are computed in order', async () => {
    const v = tf.variable(tf.scalar(0));
    const append = compile((digit: tf.Tensor) => {
      v.assign(tf.add(tf.mul(v, 10), digit) as tf.Scalar);
      return v.clone();
    });
    const read = compile((x: tf.Tensor) => tf.add(v, x));
    const results = await Promise.all([1, 2, 3].flatMap((digit) => [append(tf.scalar(digit)), read(tf.scalar(0))]));
    expect(results.map((y) => numbers(y)[0])).toEqual([1, 1, 12, 12, 123, 123]);
  });

  it('that fail do not hold up the next', async () => {
    const bad = compile((x: tf.Tensor) => tf.unique(x).values);
    const good = compile((x: tf.Tensor) => tf.add(x, 1));
    const [failed, worked] = await Promise.allSettled([bad(tf.ones([2])), good(tf.ones([2]))]);
    expect([failed.status, worked.status]).toEqual(['rejected', 'fulfilled']);
  });

  it('10,000 times leak neither tensors nor memory', async () => {
    const v = tf.variable(tf.zeros([64, 64]));
    const f = compile((x: tf.Tensor, key: RandomKey) => {
      v.assign(tf.add(tf.add(tf.mul(v, 0.9), x), randomUniform(key, [64], 'noise')) as tf.Tensor2D);
      return tf.mean(v);
    });
    const x = tf.ones([64, 64]);
    const once = async (step: number): Promise<void> => {
      const key = randomKey(3, step);
      const y = await f(x, key);
      tf.dispose([y, key]);
    };
    for (let i = 0; i < 1000; i++) await once(i);
    const tensors = tf.memory().numTensors;
    const bytes = tf.memory().numBytes;
    const resident = process.memoryUsage().rss;
    for (let i = 1000; i < 10_000; i++) await once(i);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.memory().numBytes).toBe(bytes);
    // Leaking one 16 KB result a call would add 147 MB.
    expect(process.memoryUsage().rss - resident).toBeLessThan(80e6);
    await f.dispose();
  });

  it('with clones of a variable held leak no tensors', async () => {
    const v = tf.variable(tf.zeros([4]));
    const f = compile((x: tf.Tensor) => {
      v.assign(tf.add(v, x) as tf.Tensor1D);
      return tf.sum(v);
    });
    const clone = v.clone();
    const x = tf.ones([4]);
    (await f(x)).dispose();
    const tensors = tf.memory().numTensors;
    for (let i = 0; i < 10; i++) (await f(x)).dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    clone.dispose();
  });

  it('that make variables leave as many tensors as there are variables', async () => {
    const before = tf.memory();
    let v: tf.Variable | undefined;
    const f = compile((x: tf.Tensor) => {
      v ??= tf.variable(tf.mul(x, 2));
      return tf.add(v, x);
    });
    const x = tf.ones([4]);
    tf.dispose([await f(x), x]);
    expect(tf.memory().numTensors).toBe(before.numTensors + 1);
    v!.dispose();
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
  });

  it('use as many threads as asked for, with equal results', async () => {
    const x = tf.tensor2d(
      Array.from({ length: 128 * 128 }, (_, i) => Math.sin(i)),
      [128, 128],
    );
    const results = await Promise.all(
      [1, 2].map(
        async (threads) =>
          numbers(await compile((y: tf.Tensor2D) => tf.sum(tf.relu(tf.matMul(y, y))), { threads })(x))[0]!,
      ),
    );
    expect(Math.abs(results[0]! / results[1]! - 1)).toBeLessThan(1e-5);
  });
});

describe('profiles', () => {
  // The WebAssembly build has no files to write to.
  it.skipIf(process.env.TESSERAE_ORT === 'wasm')('are complete after dispose', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'profile-'));
    const f = compile((x: tf.Tensor2D) => tf.matMul(x, x), { profilePrefix: join(folder, 'ops') });
    await f(tf.ones([4, 4]) as tf.Tensor2D);
    await f.dispose();
    const [file] = readdirSync(folder);
    expect(readFileSync(join(folder, file!), 'utf8')).toMatch(/Gemm|MatMul/);
    rmSync(folder, { recursive: true });
  });
});

describe('engines', () => {
  it('onnxruntime is in use unless another is chosen', () => expect(engineInUse()).toBe('onnxruntime'));

  it('reference runs eagerly, without tracing', async () => {
    const f = compile((x: tf.Tensor) => tf.tensor1d(Array.from(x.dataSync(), (v) => v + 1)), { engine: 'reference' });
    expect(numbers(await f(tf.tensor1d([1, 2])))).toEqual([2, 3]);
    expect(f.traces).toBe(0);
    await useEngine('reference');
    const g = compile((x: tf.Tensor) => tf.add(x, 1));
    expect(numbers(await g(tf.tensor1d([1])))).toEqual([2]);
    expect(g.traces).toBe(0);
    await useEngine('onnxruntime');
    expect(numbers(await g(tf.tensor1d([1])))).toEqual([2]);
    expect(g.traces).toBe(1);
  });

  it('tensorflow, where it is not installed, is refused with the command that installs it', async ({ skip }) => {
    const installed = await Promise.any(
      ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'].map((name) => import(name)),
    ).then(
      () => true,
      () => false,
    );
    skip(installed, 'TensorFlow is installed here');
    await expect(useEngine('tensorflow')).rejects.toThrow(
      /E_OPTIONAL.*tfjs-node-gpu.*npm install @tensorflow\/tfjs-node/s,
    );
    expect(engineInUse()).toBe('onnxruntime');
    await expect(compile((x: tf.Tensor) => x, { engine: 'tensorflow' })(tf.ones([1]))).rejects.toThrow(/E_OPTIONAL/);
  });

  it('an unknown or missing one is named', async () => {
    await expect(useEngine('abacus' as never)).rejects.toThrow(UsageError);
    await expect(useEngine('abacus' as never)).rejects.toThrow(
      /E_ENGINE_NAME.*onnxruntime, tensorflow, reference.*abacus/,
    );
  });
});

describe('graphs', () => {
  it('print one node a line', async () => {
    const w = tf.variable(tf.ones([3, 2]), true, 'graphs/w');
    const f = compile(
      (x: tf.Tensor2D) => {
        const y = tf.relu(tf.matMul(x, w as tf.Tensor2D));
        w.assign(tf.mul(w, 0.5) as tf.Tensor2D);
        return { y, mean: tf.mean(y) };
      },
      { name: 'layer' },
    );
    await f(tf.ones([4, 3]) as tf.Tensor2D);
    expect(f.graphs()).toMatchInlineSnapshot(`
      [
        "graph layer(%arg0: f32[4,3], %var0_graphs_w: f32[3,2]) {
        %0: f32[4,2] = Gemm(%arg0, %var0_graphs_w) {transA=0, transB=0}
        %1: f32[4,2] = Relu(%0)
        %2: f32[] = ReduceMean(%1, i64[2]{0,1}) {keepdims=0}
        %3: f32[3,2] = Mul(%var0_graphs_w, f32[]{0.5})
        return out0 = %1, out1 = %2, out2 = %3
      }",
      ]
    `);
  });

  it('hold shared work once and nothing unused', async () => {
    const f = compile(
      (x: tf.Tensor) => {
        tf.exp(x);
        return tf.add(tf.sin(x), tf.sin(x));
      },
      { name: 'shared' },
    );
    await f(tf.ones([2]));
    expect(f.graphs()).toMatchInlineSnapshot(`
      [
        "graph shared(%arg0: f32[2]) {
        %0: f32[2] = Sin(%arg0)
        %1: f32[2] = Add(%0, %0)
        return out0 = %1
      }",
      ]
    `);
  });

  it('takes booleans that were cast to int32', async () => {
    const signs = tf.cast(tf.greater(tf.tensor1d([1, -1, 2]), 0), 'int32');
    expect([...(await compile((x: tf.Tensor) => tf.add(x, x))(signs)).dataSync()]).toEqual([2, 0, 2]);
  });
});
