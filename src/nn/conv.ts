// Convolutions over [B, T, C] and [B, H, W, C] with "same" padding, as layers. Kernels are stored as TensorFlow stores
// them, [k, in, out] and [kh, kw, in, out].
import { tf } from '../engine/index.js';
import { ShapeError } from '../errors.js';
import { chain, weight } from '../model/layer.js';
import type { Layer, Sight } from '../model/layer.js';
import { heUniform, ZEROS } from '../model/params.js';
import type { Params } from '../model/params.js';

export interface ConvOptions {
  /** Distance between the inputs of neighboring outputs. Default 1. */
  stride?: number;
  /** Scales the initial weights. Default 1. */
  gain?: number;
  /** 1 for sequences [B, T, C], 2 for grids [B, H, W, C]. Default 2. */
  axes?: 1 | 2;
}

/** Number of positions of "same" padding before the first input, if the stride divides the extent. */
const paddingBefore = (size: number, stride: number): number => Math.floor(Math.max(0, size - stride) / 2);

/** Computes a layer of tensors of one rank, [B, ...axes, C], and refuses others. */
const ofRank =
  <R extends tf.Rank>(rank: number) =>
  (compute: (p: Params, x: tf.Tensor<R>) => tf.Tensor<R>): Layer['apply'] =>
  <T extends tf.Rank>(p: Params, x: tf.Tensor<T>) => {
    if (x.rank !== rank)
      throw new ShapeError(
        'E_LAYER_RANK',
        `layer of ${rank - 2} ${rank === 3 ? 'axis' : 'axes'}: expected a tensor of rank ${rank}, received [${x.shape.join(', ')}]. Use \`axes\` for the number of axes between batch and channels.`,
      );
    return compute(p, x as tf.Tensor as tf.Tensor<R>) as tf.Tensor as tf.Tensor<T>;
  };

const onSequences = ofRank<tf.Rank.R3>(3);
const onGrids = ofRank<tf.Rank.R4>(4);

const biased = <T extends tf.Tensor>(p: Params, x: T): T => tf.add(x, weight(p, 'bias'));

/** A convolution of `size` along each axis. float32 [B, ...axes, from] -> [B, ...axes / stride, to]. */
export function conv(
  size: number,
  from: number,
  to: number,
  { stride = 1, gain = 1, axes = 2 }: ConvOptions = {},
): Layer {
  const before = paddingBefore(size, stride);
  const extent = new Array<number>(axes).fill(size);
  return {
    params: {
      weight: { shape: [...extent, from, to], init: heUniform(size ** axes * from, gain) },
      bias: { shape: [to], init: ZEROS },
    },
    apply:
      axes === 1
        ? onSequences((p, x) => biased(p, tf.conv1d(x, weight<tf.Rank.R3>(p, 'weight'), stride, 'same')))
        : onGrids((p, x) => biased(p, tf.conv2d(x, weight<tf.Rank.R4>(p, 'weight'), stride, 'same'))),
    sees: ({ first, last }) => ({ first: first * stride - before, last: last * stride - before + size - 1 }),
    output: 'weight',
  };
}

/** A transposed convolution: kernel [.., out, in]. float32 [B, ...axes, from] -> [B, ...axes * stride, to]. */
export function convTranspose(
  size: number,
  stride: number,
  from: number,
  to: number,
  { gain = 1, axes = 2 }: Omit<ConvOptions, 'stride'> = {},
): Layer {
  const before = paddingBefore(size, stride);
  const extent = new Array<number>(axes).fill(size);
  return {
    params: {
      // Each output position is reached by (size / stride) taps along each axis, of every input channel.
      weight: { shape: [...extent, to, from], init: heUniform((size / stride) ** axes * from, gain) },
      bias: { shape: [to], init: ZEROS },
    },
    apply:
      axes === 1
        ? onSequences((p, x) => biased(p, grow1d(x, weight<tf.Rank.R3>(p, 'weight'), stride, to)))
        : onGrids((p, x) => biased(p, grow2d(x, weight<tf.Rank.R4>(p, 'weight'), stride, to))),
    sees: ({ first, last }) => ({
      first: Math.ceil((first + before - size + 1) / stride),
      last: Math.floor((last + before) / stride),
    }),
    output: 'weight',
  };
}

function grow2d(x: tf.Tensor4D, kernel: tf.Tensor4D, stride: number, to: number): tf.Tensor4D {
  const [batch, height, width] = x.shape;
  return tf.conv2dTranspose(x, kernel, [batch, height * stride, width * stride, to], stride, 'same');
}

/** Computes a sequence as a grid of one row. */
function grow1d(x: tf.Tensor3D, kernel: tf.Tensor3D, stride: number, to: number): tf.Tensor3D {
  const [batch, length, from] = x.shape;
  const [size] = kernel.shape;
  const row: tf.Tensor4D = tf.reshape(x, [batch, 1, length, from]);
  const grown = tf.conv2dTranspose(
    row,
    tf.reshape(kernel, [1, size, to, from]),
    [batch, 1, length * stride, to],
    [1, stride],
    'same',
  );
  return tf.reshape(grown, [batch, length * stride, to]);
}

/** The sight of a layer that makes `factor` outputs of each input. */
const seesOne =
  (factor: number): Sight =>
  ({ first, last }) => ({ first: Math.floor(first / factor), last: Math.floor(last / factor) });

/** Repeats every cell of a grid. float32 [B, H, W, C] -> [B, H * factor, W * factor, C]. */
export function repeat(factor: number): Layer {
  return {
    params: {},
    apply: onGrids((_, x) => tf.image.resizeNearestNeighbor(x, [x.shape[1] * factor, x.shape[2] * factor])),
    sees: seesOne(factor),
  };
}

/** The maximum of every `size` x `size` cells. float32 [B, H, W, C] -> [B, H / size, W / size, C]. */
export function maxPool(size: number): Layer {
  return {
    params: {},
    apply: onGrids((_, x) => tf.maxPool(x, size, size, 'valid')),
    sees: ({ first, last }) => ({ first: first * size, last: last * size + size - 1 }),
  };
}

/** Repeats cells and convolves them, which avoids checkerboard artifacts. The weights are those of the convolution. */
export function resizedConv(
  size: number,
  factor: number,
  from: number,
  to: number,
  options: Pick<ConvOptions, 'gain'> = {},
): Layer {
  const [grown, convolved] = [repeat(factor), conv(size, from, to, options)];
  const { sees } = chain({ grown, convolved });
  return { ...convolved, apply: (p, x) => convolved.apply(p, grown.apply(p, x)), sees };
}
