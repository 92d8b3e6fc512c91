// Attention over sequences.
import { tf } from '../engine/index.js';

/** Added to attention scores: 0 where a query may look, a large negative number where not. float32 [T, T]. */
export function causalMask(length: number): tf.Tensor2D {
  const mask = new Float32Array(length * length);
  for (let query = 0; query < length; query++) mask.fill(-1e9, query * length + query + 1, (query + 1) * length);
  return tf.tensor2d(mask, [length, length]);
}

/** Splits the fused projection into queries, keys and values. float32 [B, T, 3E] -> 3 x [B, H, T, E / H]. */
export function splitHeads(qkv: tf.Tensor3D, heads: number): [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D] {
  const [batch, length, width] = qkv.shape;
  const size = width / 3 / heads;
  return tf
    .split(qkv, 3, -1)
    .map((part) => tf.transpose(tf.reshape(part, [batch, length, heads, size]), [0, 2, 1, 3])) as [
    tf.Tensor4D,
    tf.Tensor4D,
    tf.Tensor4D,
  ];
}

/** float32 [B, H, T, D] -> [B, T, H * D]. */
export function mergeHeads(x: tf.Tensor4D): tf.Tensor3D {
  const [batch, heads, length, size] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]);
}

/** Number of queries that {@link causalAttention} computes together: small enough to skip most of the masked half. */
const ATTENTION_ROWS = 64;

/** One band of queries and the keys it may look at. */
interface Band {
  begin: number;
  end: number;
}

const bandsOf = (length: number): Band[] =>
  Array.from({ length: Math.ceil(length / ATTENTION_ROWS) }, (_, i) => ({
    begin: i * ATTENTION_ROWS,
    end: Math.min(length, (i + 1) * ATTENTION_ROWS),
  }));

/** Positions [begin, end) of [B, H, T, D]. */
const rowsOf = (x: tf.Tensor4D, begin: number, end: number): tf.Tensor4D =>
  tf.slice(x, [0, 0, begin, 0], [-1, -1, end - begin, -1]);

/** 0 where the queries of a band may look, a large negative number where not. float32 [end - begin, end]. */
function bandMask({ begin, end }: Band): tf.Tensor2D {
  return tf.slice(causalMask(end), [begin, 0], [end - begin, end]);
}

/**
 * Scaled dot-product attention of every position over itself and those before it.
 *
 * Computes the queries in bands, each over only the keys that it may see, and keeps the attention weights for the
 * gradient: with D = rowsum(dy * y), the scores' gradient is weights * (dweights - D).
 *
 * @param queries, keys, values float32 [B, H, T, D].
 * @returns float32 [B, H, T, D].
 */
export function causalAttention(queries: tf.Tensor4D, keys: tf.Tensor4D, values: tf.Tensor4D): tf.Tensor4D {
  const [, , length, size] = queries.shape;
  const scale = 1 / Math.sqrt(size);
  const bands = bandsOf(length);
  const op = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [q, k, v] = args as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
    const save = args[3] as tf.GradSaveFunc;
    const scaled: tf.Tensor4D = tf.mul(q, scale);
    const weights = bands.map((band) => {
      const scores = tf.matMul(rowsOf(scaled, band.begin, band.end), rowsOf(k, 0, band.end), false, true);
      return tf.softmax(tf.add(scores, bandMask(band)));
    });
    const value = tf.concat(
      bands.map(({ end }, i) => tf.matMul(weights[i] as tf.Tensor4D, rowsOf(v, 0, end))),
      2,
    );
    save([scaled, k, v, value, ...weights]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        attentionGradient(dy as tf.Tensor4D, saved as tf.Tensor4D[], bands, scale),
    };
  });
  return op(queries, keys, values) as tf.Tensor4D;
}

function attentionGradient(
  dy: tf.Tensor4D,
  [scaled, k, v, y, ...weights]: tf.Tensor4D[],
  bands: Band[],
  scale: number,
): tf.Tensor[] {
  const projected: tf.Tensor4D = tf.sum(tf.mul(dy, y!), -1, true); // [B, H, T, 1]
  const ofQueries: tf.Tensor4D[] = [];
  let ofKeys: tf.Tensor4D | undefined;
  let ofValues: tf.Tensor4D | undefined;
  // From the last band, which sees all keys, to the first. Each adds to the keys that it sees.
  for (const [i, { begin, end }] of [...bands.entries()].reverse()) {
    const dyBand = rowsOf(dy, begin, end);
    const ofWeights = tf.matMul(dyBand, rowsOf(v!, 0, end), false, true);
    const ofScores: tf.Tensor4D = tf.mul(weights[i]!, tf.sub(ofWeights, rowsOf(projected, begin, end)));
    ofQueries.unshift(tf.mul(tf.matMul(ofScores, rowsOf(k!, 0, end)), scale));
    ofKeys = addToFront(ofKeys, tf.matMul(ofScores, rowsOf(scaled!, begin, end), true, false));
    ofValues = addToFront(ofValues, tf.matMul(weights[i]!, dyBand, true, false));
  }
  return [tf.concat(ofQueries, 2), ofKeys!, ofValues!];
}

/** Adds `part` to the first positions of `sum`. */
function addToFront(sum: tf.Tensor4D | undefined, part: tf.Tensor4D): tf.Tensor4D {
  if (!sum) return part;
  const [length, shared] = [sum.shape[2], part.shape[2]];
  return tf.concat([tf.add(rowsOf(sum, 0, shared), part), rowsOf(sum, shared, length)], 2);
}
