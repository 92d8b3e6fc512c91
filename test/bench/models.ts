// The two training steps the benchmarks time, in plain TF.js ops: the same architectures, batches and optimizers as
// the PyTorch peers in peers/.
import { stopGradient, tf } from '../../src/engine/index.js';
import { fillNormal, streamId } from '../../src/rng.js';
import { sizeOf } from '../../src/shape.js';

export type Parameters = Record<string, tf.Variable>;

let seeds = 0;

function normal(shape: number[], deviation: number): tf.Tensor {
  const values = fillNormal({ seed: 7, stream: streamId('bench'), step: seeds++ }, new Float32Array(sizeOf(shape)));
  return tf.tensor(values.map((v) => v * deviation), shape, 'float32');
}

const variable = (initial: tf.Tensor, trainable = true): tf.Variable => tf.variable(initial, trainable);

/** Adam with the weight decay of AdamW on matrices; moments and step are variables of the returned update. */
export function adam(parameters: Parameters, options: { rate: number; beta1: number; beta2: number; decay: number }) {
  const { rate, beta1, beta2, decay } = options;
  const step = variable(tf.scalar(0), false);
  const moments = Object.values(parameters).map((p) => ({ p, m: variable(tf.zeros(p.shape), false), v: variable(tf.zeros(p.shape), false) }));
  return (gradients: tf.NamedTensorMap): void => {
    const t = tf.add(step, 1);
    step.assign(t as tf.Scalar);
    const first = tf.div(rate, tf.sub(1, tf.pow(beta1, t)));
    const second = tf.sqrt(tf.sub(1, tf.pow(beta2, t)));
    for (const { p, m, v } of moments) {
      const g = gradients[p.name]!;
      const mean = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
      const square = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
      m.assign(mean);
      v.assign(square);
      const kept = decay > 0 && p.rank > 1 ? tf.mul(p, 1 - rate * decay) : p;
      p.assign(tf.sub(kept, tf.div(tf.mul(first, mean), tf.add(tf.div(tf.sqrt(square), second), 1e-8))) as tf.Variable);
    }
  };
}

const HIDDEN = 128;
const RESIDUAL = 32;
const CODES = 512;
const WIDTH = 64;

/** Sonnet's CIFAR-10 VQ-VAE with an EMA codebook: x float32 [B, H, W, 3] -> loss, perplexity. */
export function vqvae() {
  const p: Parameters = {};
  const conv = (name: string, k: number, from: number, to: number): void => {
    p[`${name}.weight`] = variable(normal([k, k, from, to], Math.sqrt(1 / (k * k * from))));
    p[`${name}.bias`] = variable(tf.zeros([to]));
  };
  conv('e0', 4, 3, HIDDEN / 2);
  conv('e1', 4, HIDDEN / 2, HIDDEN);
  conv('e2', 3, HIDDEN, HIDDEN);
  for (const side of ['er', 'dr']) {
    for (const i of [0, 1]) {
      conv(`${side}${i}.3`, 3, HIDDEN, RESIDUAL);
      conv(`${side}${i}.1`, 1, RESIDUAL, HIDDEN);
    }
  }
  conv('pre', 1, HIDDEN, WIDTH);
  conv('d0', 3, WIDTH, HIDDEN);
  conv('d1', 4, HIDDEN / 2, HIDDEN);
  p['d1.bias'] = variable(tf.zeros([HIDDEN / 2]));
  conv('d2', 4, 3, HIDDEN / 2);
  p['d2.bias'] = variable(tf.zeros([3]));
  const codebook = variable(normal([CODES, WIDTH], 1), false);
  const counts = variable(tf.zeros([CODES]), false);
  const sums = variable(tf.zeros([CODES, WIDTH]), false);

  const layer = (x: tf.Tensor4D, name: string, stride = 1): tf.Tensor4D =>
    tf.add(tf.conv2d(x, p[`${name}.weight`] as unknown as tf.Tensor4D, stride, 'same'), p[`${name}.bias`]!);
  const up = (x: tf.Tensor4D, name: string): tf.Tensor4D => {
    const w = p[`${name}.weight`] as unknown as tf.Tensor4D;
    return tf.add(tf.conv2dTranspose(x, w, [x.shape[0], x.shape[1] * 2, x.shape[2] * 2, w.shape[2]], 2, 'same'), p[`${name}.bias`]!);
  };
  const residual = (x: tf.Tensor4D, side: string): tf.Tensor4D => {
    let h = x;
    for (const i of [0, 1]) h = tf.add(h, layer(tf.relu(layer(tf.relu(h), `${side}${i}.3`)), `${side}${i}.1`));
    return tf.relu(h);
  };
  const update = adam(p, { rate: 3e-4, beta1: 0.9, beta2: 0.999, decay: 0 });

  /** Moves the codebook towards the latents it was assigned; returns the perplexity of the batch. */
  const average = (flat: tf.Tensor2D, onehot: tf.Tensor2D): tf.Scalar => {
    const used = tf.sum(onehot, 0);
    const n = tf.add(tf.mul(counts, 0.99), tf.mul(used, 0.01));
    const s = tf.add(tf.mul(sums, 0.99), tf.mul(tf.matMul(onehot, flat, true, false), 0.01));
    counts.assign(n as tf.Variable);
    sums.assign(s as tf.Variable);
    const total = tf.sum(n);
    const smooth = tf.mul(tf.div(tf.add(n, 1e-5), tf.add(total, CODES * 1e-5)), total);
    codebook.assign(tf.div(s, tf.expandDims(smooth, 1)) as tf.Variable);
    const share = tf.div(used, flat.shape[0]);
    return tf.exp(tf.neg(tf.sum(tf.mul(share, tf.log(tf.add(share, 1e-10)))))) as tf.Scalar;
  };

  return (x: tf.Tensor4D, variance: tf.Scalar): [tf.Scalar, tf.Scalar] => {
    let perplexity: tf.Scalar | undefined;
    const { value, grads } = tf.variableGrads(() => {
      const z = layer(residual(layer(tf.relu(layer(tf.relu(layer(x, 'e0', 2)), 'e1', 2)), 'e2'), 'er'), 'pre');
      const flat = stopGradient(tf.reshape(z, [-1, WIDTH])) as tf.Tensor2D;
      const distance = tf.sub(tf.sum(tf.square(codebook), 1), tf.mul(2, tf.matMul(flat, codebook as unknown as tf.Tensor2D, false, true)));
      const ids = tf.argMin(distance, 1) as tf.Tensor1D;
      const onehot = tf.cast(tf.oneHot(ids, CODES), 'float32') as tf.Tensor2D;
      const codes = stopGradient(tf.reshape(tf.gather(codebook, ids), z.shape));
      const commitment = tf.mean(tf.square(tf.sub(z, codes)));
      const q = tf.add(z, stopGradient(tf.sub(codes, z))) as tf.Tensor4D;
      perplexity = tf.keep(average(flat, onehot));
      const y = up(tf.relu(up(residual(layer(q, 'd0'), 'dr'), 'd1')), 'd2');
      return tf.add(tf.div(tf.mean(tf.square(tf.sub(y, x))), variance), tf.mul(0.25, commitment)) as tf.Scalar;
    }, Object.values(p));
    update(grads);
    return [value, perplexity!];
  };
}

/** GPT-2 with tied embeddings and AdamW, clipped at norm 1: ids, targets int32 [B, T] -> loss in nats. */
export function gpt(c = { vocab: 1024, length: 256, layers: 4, heads: 8, width: 256 }) {
  const p: Parameters = {};
  p.wte = variable(normal([c.vocab, c.width], 0.02));
  p.wpe = variable(normal([c.length, c.width], 0.02));
  const linear = (name: string, from: number, to: number): void => {
    p[`${name}.weight`] = variable(normal([from, to], 0.02));
    p[`${name}.bias`] = variable(tf.zeros([to]));
  };
  const norm = (name: string): void => {
    p[`${name}.weight`] = variable(tf.ones([c.width]));
    p[`${name}.bias`] = variable(tf.zeros([c.width]));
  };
  for (let i = 0; i < c.layers; i++) {
    norm(`h${i}.ln1`);
    linear(`h${i}.qkv`, c.width, 3 * c.width);
    linear(`h${i}.proj`, c.width, c.width);
    norm(`h${i}.ln2`);
    linear(`h${i}.fc`, c.width, 4 * c.width);
    linear(`h${i}.out`, 4 * c.width, c.width);
  }
  norm('lnf');
  const update = adam(p, { rate: 3e-4, beta1: 0.9, beta2: 0.96, decay: 0.045 });
  const mask = tf.tensor2d(Float32Array.from({ length: c.length ** 2 }, (_, i) => (i % c.length > Math.floor(i / c.length) ? -1e9 : 0)), [c.length, c.length]);

  const dense = (x: tf.Tensor, name: string): tf.Tensor => tf.add(tf.matMul(x, p[`${name}.weight`]!), p[`${name}.bias`]!);
  const layerNorm = (x: tf.Tensor, name: string): tf.Tensor => {
    const centered = tf.sub(x, tf.mean(x, -1, true));
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centered), -1, true), 1e-5));
    return tf.add(tf.mul(tf.mul(centered, scale), p[`${name}.weight`]!), p[`${name}.bias`]!);
  };
  const gelu = (x: tf.Tensor): tf.Tensor => {
    const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x)))));
    return tf.mul(tf.mul(0.5, x), tf.add(1, tf.tanh(inner)));
  };
  const attention = (x: tf.Tensor, name: string): tf.Tensor => {
    const [b, t] = x.shape as [number, number];
    const each = c.width / c.heads;
    const [q, k, v] = tf.unstack(tf.transpose(tf.reshape(dense(x, `${name}.qkv`), [b, t, 3, c.heads, each]), [2, 0, 3, 1, 4])) as [tf.Tensor, tf.Tensor, tf.Tensor];
    const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(each)), mask);
    const attended = tf.matMul(tf.softmax(scores), v);
    return dense(tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [b, t, c.width]), `${name}.proj`);
  };

  return (ids: tf.Tensor2D, targets: tf.Tensor2D): tf.Scalar => {
    const { value, grads } = tf.variableGrads(() => {
      let x = tf.add(tf.gather(p.wte!, ids), p.wpe!);
      for (let i = 0; i < c.layers; i++) {
        x = tf.add(x, attention(layerNorm(x, `h${i}.ln1`), `h${i}`));
        x = tf.add(x, dense(gelu(dense(layerNorm(x, `h${i}.ln2`), `h${i}.fc`)), `h${i}.out`));
      }
      const logits = tf.reshape(tf.matMul(layerNorm(x, 'lnf'), p.wte!, false, true), [-1, c.vocab]);
      const shifted = tf.sub(logits, stopGradient(tf.max(logits, -1, true)));
      const normalizer = tf.log(tf.sum(tf.exp(shifted), -1));
      const chosen = tf.sum(tf.mul(shifted, tf.cast(tf.oneHot(tf.reshape(targets, [-1]) as tf.Tensor1D, c.vocab), 'float32')), -1);
      return tf.mean(tf.sub(normalizer, chosen)) as tf.Scalar;
    }, Object.values(p));
    const norm = tf.sqrt(tf.addN(Object.values(grads).map((g) => tf.sum(tf.square(g)))));
    const scale = tf.minimum(1, tf.div(1, tf.add(norm, 1e-6)));
    update(Object.fromEntries(Object.entries(grads).map(([name, g]) => [name, tf.mul(g, scale)])));
    return value;
  };
}
