// Random tensors for compiled functions. In a trace, a draw becomes an input that each call fills from the key it is
// given; in eager execution the same function fills the tensor immediately. In both cases the numbers depend only on
// (key, stream, shape).
import { EngineError } from '../errors.js';
import { fillNormal, fillUniform, streamId } from '../rng.js';
import { sizeOf } from '../shape.js';
import { currentTrace } from './trace.js';
import type { RandomKind } from './trace.js';
import { tf } from './tf.js';

/** int32 [2]: seed and step, both in [0, 2^31). Create it with {@link randomKey} and pass it as an argument. */
export type RandomKey = tf.Tensor1D;

/** Creates a key for a compiled function. The caller disposes it. */
export function randomKey(seed: number, step: number): RandomKey {
  for (const [name, value] of [
    ['seed', seed],
    ['step', step],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 31) {
      throw new EngineError('E_RANDOM_KEY', `randomKey(${name}): expected an integer in [0, 2^31), received ${value}.`);
    }
  }
  return tf.tensor1d([seed, step], 'int32');
}

/** Stream prefixes of the keys created by {@link subKey}. */
const scopes = new WeakMap<tf.Tensor, string>();

/**
 * Derives a key with independent random numbers, so that parts of a function that use the same stream names draw
 * different numbers.
 */
export function subKey(key: RandomKey, part: string): RandomKey {
  const own = tf.clone(key);
  scopes.set(own, `${scopes.get(key) ?? ''}${part}/`);
  return own;
}

/** Draws float32 uniform numbers in (0, 1). `stream` distinguishes the draws within one function. */
export function randomUniform(key: RandomKey, shape: number[], stream: string): tf.Tensor {
  return draw('uniform', key, shape, stream);
}

/** Draws float32 standard normal numbers. `stream` distinguishes the draws within one function. */
export function randomNormal(key: RandomKey, shape: number[], stream: string): tf.Tensor {
  return draw('normal', key, shape, stream);
}

function draw(kind: RandomKind, key: RandomKey, shape: number[], name: string): tf.Tensor {
  const stream = `${scopes.get(key) ?? ''}${name}`;
  const trace = currentTrace();
  if (!trace) {
    const [seed, step] = key.dataSync();
    return tf.tensor(
      fillRandom(kind, seed!, step!, streamId(stream), new Float32Array(sizeOf(shape))),
      shape,
      'float32',
    );
  }
  const keyValue = trace.valueOf(key);
  if (!trace.placeholders.includes(keyValue) || keyValue.dtype !== 'int32' || keyValue.shape.join() !== '2') {
    throw new EngineError(
      'E_RANDOM_KEY',
      `${trace.name}: expected the random key to be an argument of the compiled function made by randomKey, received another tensor of ${keyValue.dtype} [${keyValue.shape.join(', ')}].`,
    );
  }
  const value = trace.builder.input(`random${trace.randoms.length}_${stream.replace(/\W/g, '_')}`, 'float32', shape);
  trace.randoms.push({ value, kind, stream: streamId(stream), key: keyValue });
  return tf.engine().makeTensorFromTensorInfo(trace.hold(value));
}

export function fillRandom(
  kind: RandomKind,
  seed: number,
  step: number,
  stream: number,
  out: Float32Array,
): Float32Array {
  return (kind === 'uniform' ? fillUniform : fillNormal)({ seed, stream, step }, out);
}
