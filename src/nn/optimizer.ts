// AdamW (Loshchilov and Hutter, arXiv:1711.05101) with global-norm clipping, as a function to be compiled with the step.
import { mapTensors, tensorsOf, tf } from '../engine/index.js';
import type { Structure } from '../engine/index.js';
import { createParams, ZEROS } from '../model/params.js';
import type { Params } from '../model/params.js';

export interface AdamWConfig {
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Applied to matrices and kernels, but not to biases, gains or embeddings of rank 1. */
  weightDecay: number;
  /** Maximum global norm of the gradient; 0 does not clip. */
  clip: number;
}

export const ADAMW_DEFAULTS: AdamWConfig = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, clip: 0 };

/** The optimizer's state: first and second moments `m.NAME`, `v.NAME`, all zero. */
export function adamWSlots(params: Params): Params {
  const specs = Object.entries(params).flatMap(([name, { shape }]) =>
    ['m', 'v'].map((slot) => [`${slot}.${name}`, { shape: [...shape], init: ZEROS }]),
  );
  return createParams(Object.fromEntries(specs), 0);
}

/** The values that change from step to step, as one tensor: learning rate and bias corrections. float32 [3]. `step` counts from 1. */
export function adamWHyper(step: number, learningRate: number, { beta1, beta2 }: AdamWConfig): tf.Tensor1D {
  return tf.tensor1d([learningRate, 1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)], 'float32');
}

/**
 * Assigns updated parameters and moments.
 *
 * @param hyper float32 [3] of {@link adamWHyper}.
 * @returns the gradient's global norm before clipping, a scalar.
 */
export function adamW(
  params: Params,
  slots: Params,
  grads: Record<string, tf.Tensor>,
  hyper: tf.Tensor1D,
  config: AdamWConfig,
): tf.Scalar {
  const [rate, correct1, correct2] = tf.unstack(hyper) as [tf.Scalar, tf.Scalar, tf.Scalar];
  const squares = Object.keys(params).map((name): tf.Scalar => tf.sum(tf.square(grads[name]!)));
  const norm: tf.Scalar = tf.sqrt(tf.addN(squares));
  // Everything that is the same for all elements is computed with scalars, because each pass over the weights takes time.
  const scale = config.clip > 0 ? tf.minimum(1, tf.div(config.clip, tf.add(norm, 1e-6))) : tf.scalar(1);
  const share1 = tf.mul(scale, 1 - config.beta1);
  const share2 = tf.mul(tf.square(scale), 1 - config.beta2);
  const deviation = tf.sqrt(correct2);
  const epsilon = tf.div(config.epsilon, deviation);
  const step = tf.div(tf.mul(rate, correct1), deviation);
  const kept = tf.sub(1, tf.mul(rate, config.weightDecay));
  for (const [name, param] of Object.entries(params)) {
    const gradient = grads[name]!;
    const m = slots[`m.${name}`]!;
    const v = slots[`v.${name}`]!;
    const newM = tf.add(tf.mul(m, config.beta1), tf.mul(gradient, share1));
    const newV = tf.add(tf.mul(v, config.beta2), tf.mul(tf.square(gradient), share2));
    // rate * (newM * correct1) / (sqrt(newV * correct2) + epsilon), both corrections in the scalars.
    const update = tf.mul(tf.div(newM, tf.add(tf.sqrt(newV), epsilon)), step);
    const decayed = config.weightDecay > 0 && param.rank >= 2 ? tf.mul(param, kept) : param;
    m.assign(newM);
    v.assign(newV);
    param.assign(tf.sub(decayed, update));
  }
  return norm;
}

/**
 * Gradients of `loss` by parameter name.
 *
 * @param fn returns the loss and other tensors, which are returned in `result`.
 */
export function gradients<T extends { loss: tf.Scalar }>(
  params: Params,
  fn: () => T,
): { result: T; grads: Record<string, tf.Tensor> } {
  let kept: T | undefined;
  const { grads } = tf.variableGrads(() => {
    kept = fn();
    // TF.js disposes all tensors except the loss when the forward pass ends.
    for (const tensor of tensorsOf(kept)) tf.keep(tensor);
    return kept.loss;
  }, Object.values(params));
  const result = mapTensors(kept, (tensor) => tf.clone(tensor)) as T;
  tf.dispose(tensorsOf(kept as Structure));
  return {
    result,
    grads: Object.fromEntries(Object.entries(params).map(([name, variable]) => [name, grads[variable.name]!])),
  };
}

/** Moves averaged weights towards the current ones: shadow += (1 - decay) * (param - shadow). decay float32 [1]. */
export function averageWeights(shadow: Params, params: Params, decay: tf.Tensor1D): void {
  const share = tf.reshape(tf.sub(1, decay), []);
  for (const [name, param] of Object.entries(params))
    shadow[name]!.assign(tf.add(shadow[name]!, tf.mul(tf.sub(param, shadow[name]!), share)));
}
