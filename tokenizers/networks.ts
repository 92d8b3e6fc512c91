// The encoder and decoder networks of picture codecs: strided convolutions down to the grid of codes and back, with
// residual blocks. The defaults are VQ-VAE's (van den Oord et al., arXiv:1711.00937); blocks at finer resolutions, group
// norm, SiLU and attention over the grid make VQGAN's (Esser et al., arXiv:2012.09841).
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { gridAttention, gridAttentionSpecs } from '../src/nn/attention2d.js';
import {
  conv,
  convSpecs,
  convTranspose,
  convTransposeSpecs,
  residualStack,
  residualStackSpecs,
} from '../src/nn/conv.js';
import type { CodecLosses } from '../src/nn/family.js';
import { normalizedError, reconstructionLoss, toPictures } from '../src/nn/losses.js';
import type { ReconstructionConfig } from '../src/nn/losses.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';

/** The part of a codec's config that says which pictures it sees. */
export const pictureFields = {
  /** Size of the pictures the codec sees, in pixels; others are resized to it. */
  height: z.int().min(4).max(1024),
  width: z.int().min(4).max(1024),
  /** 1 grey, 3 RGB. */
  channels: z.union([z.literal(1), z.literal(3)]).default(3),
  /** sRGB color that transparent pixels are flattened on. */
  background: z
    .tuple([z.int().min(0).max(255), z.int().min(0).max(255), z.int().min(0).max(255)])
    .default([255, 255, 255]),
  /** How a picture of another shape is fitted: cut, padded with the background, or stretched. */
  resize: z.enum(['cover', 'contain', 'fill']).default('contain'),
};

/** As {@link pictureFields}, for codecs of pictures of any size. */
export const anySizeFields = {
  ...pictureFields,
  /** How a picture of another shape is fitted: cut, padded with the background, or stretched; or `none`, which codes each at its own size and trains on pieces of height x width. */
  resize: z.enum(['cover', 'contain', 'fill', 'none']).default('contain'),
};

/** The part of a codec's config that sets up its networks. */
export const networkFields = {
  /** Pixels of one code's side. */
  downsample: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16), z.literal(32)]).default(4),
  /** Channels of the hidden layers at the resolution of the codes. */
  hidden: z.int().min(8).max(1024).default(128),
  /** Residual blocks at the resolution of the codes, in encoder and decoder each. */
  residualLayers: z.int().min(0).max(16).default(2),
  /** Inner channels of these blocks; in others they are in the same proportion to the outer ones. */
  residualHidden: z.int().min(4).max(1024).default(32),
  /** Factor of each downsampling from the picture on; their product is `downsample`. Left out, all are 2. One of 4 is cheap: nothing is computed in between. */
  strides: z.array(z.union([z.literal(2), z.literal(4), z.literal(8)])).optional(),
  /** Channels at the resolutions between picture and codes, finest first, as parts of `hidden`. Left out, half of it first, as the full resolution is the dearest, and all of it then. */
  multipliers: z.array(z.number().positive().max(1)).optional(),
  /** Residual blocks at each resolution finer than that of the codes. */
  blocksPerStage: z.int().min(0).max(8).default(0),
  /** Channels of a convolution (and residual blocks) at the full resolution; 0 for none. */
  stem: z.int().min(0).max(512).default(0),
  /** Group normalisation before each activation: steadies deep networks, slows shallow ones. */
  norm: z.enum(['none', 'group']).default('none'),
  activation: z.enum(['relu', 'silu']).default('relu'),
  /** Heads of a self-attention over the grid of codes, in encoder and decoder each; 0 for none. Divides `hidden`. */
  attentionHeads: z.int().min(0).max(16).default(0),
  /** How the decoder gets finer: transposed convolutions, or repeated pixels and a 3x3 convolution, which is dearer and leaves no checkerboard. */
  upsample: z.enum(['transposed', 'nearest']).default('transposed'),
};

const NetworkSchema = z.object(networkFields);

export type Network = z.infer<typeof NetworkSchema>;

/** Adds an issue to a config whose network does not fit its pictures or itself. For `superRefine` of codecs' schemas. */
export function refuseBadNetwork(n: Network & { height: number; width: number }, context: z.RefinementCtx): void {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  const strides = stridesOf(n);
  if (n.height % n.downsample !== 0 || n.width % n.downsample !== 0)
    refuse('height and width must be multiples of downsample');
  if (strides.reduce((product, stride) => product * stride, 1) !== n.downsample)
    refuse(`strides must multiply to downsample, ${n.downsample}`);
  if (n.multipliers && n.multipliers.length !== strides.length - 1)
    refuse(`multipliers must be ${strides.length - 1}, one for each resolution between picture and codes`);
  if (n.attentionHeads > 0 && n.hidden % n.attentionHeads !== 0) refuse('attentionHeads must divide hidden');
}

/** Factor of each downsampling, from the picture on. */
export const stridesOf = ({ strides, downsample }: Network): number[] =>
  strides ?? Array.from({ length: Math.log2(downsample) }, () => 2);

/** A resolution: its channels, and how much coarser it is than the one before. */
interface Stage {
  stride: number;
  width: number;
  /** Residual blocks; those at the resolution of the codes come after a further convolution. */
  blocks: number;
}

/** From the picture to the codes. */
function stagesOf(n: Network): Stage[] {
  const strides = stridesOf(n);
  const multiplier = (i: number): number => (n.multipliers ? n.multipliers[i]! : i === 0 ? 0.5 : 1);
  return strides.map((stride, i) =>
    i === strides.length - 1
      ? { stride, width: n.hidden, blocks: 0 }
      : { stride, width: Math.round(n.hidden * multiplier(i)), blocks: n.blocksPerStage },
  );
}

const innerOf = (n: Network, width: number): number => Math.max(4, Math.round((n.residualHidden * width) / n.hidden));

const stackSpecs = (name: string, blocks: number, width: number, n: Network): ParamSpecs =>
  residualStackSpecs(name, blocks, width, innerOf(n, width), n);

/** Weights of an encoder. `gain` scales the initial weights of the last layer. */
export function encoderSpecs(n: Network, inChannels: number, outChannels: number, gain: number): ParamSpecs {
  const stages = stagesOf(n);
  return Object.assign(
    {},
    n.stem > 0 && {
      ...convSpecs('stem', 3, inChannels, n.stem),
      ...stackSpecs('stem.stack', n.blocksPerStage, n.stem, n),
    },
    ...stages.map(({ stride, width, blocks }, i) => ({
      ...convSpecs(`down.${i}`, 2 * stride, stages[i - 1]?.width ?? (n.stem || inChannels), width),
      ...stackSpecs(`down.${i}.stack`, blocks, width, n),
    })),
    middleSpecs(n, n.hidden),
    convSpecs('project', 1, n.hidden, outChannels, gain),
  ) as ParamSpecs;
}

/** Weights of a decoder. `gain` scales the initial weights of the last layer. */
export function decoderSpecs(n: Network, inChannels: number, outChannels: number, gain: number): ParamSpecs {
  const stages = stagesOf(n).toReversed();
  const last = stages.length - 1;
  return Object.assign(
    {},
    middleSpecs(n, inChannels),
    ...stages.map(({ stride, width }, i) => {
      const next = stages[i + 1]?.width ?? (n.stem || outChannels);
      const blocks = i === last && n.stem === 0 ? {} : stackSpecs(`up.${i}.stack`, n.blocksPerStage, next, n);
      return { ...upSpecs(`up.${i}`, n, stride, width, next, i === last && n.stem === 0 ? gain : 1), ...blocks };
    }),
    n.stem > 0 && convSpecs('stem', 3, n.stem, outChannels, gain),
  ) as ParamSpecs;
}

/** Name of the decoder's kernel that makes the pictures, within its scope. */
export const outputLayer = (n: Network): string =>
  n.stem > 0 ? 'stem.weight' : `up.${stridesOf(n).length - 1}.weight`;

/** At the resolution of the codes. */
function middleSpecs(n: Network, inChannels: number): ParamSpecs {
  return {
    ...convSpecs('conv', 3, inChannels, n.hidden),
    ...(n.attentionHeads > 0 ? gridAttentionSpecs('attention', n.hidden) : {}),
    ...stackSpecs('residual', n.residualLayers, n.hidden, n),
  };
}

/** float32 [B, h, w, C] -> [B, h, w, hidden]. */
function middle(p: Params, scope: string, x: tf.Tensor4D, n: Network): tf.Tensor4D {
  x = conv(p, `${scope}.conv`, x);
  if (n.attentionHeads > 0) x = gridAttention(p, `${scope}.attention`, x, n.attentionHeads);
  return residualStack(p, `${scope}.residual`, n.residualLayers, x, n);
}

function upSpecs(
  name: string,
  { upsample }: Network,
  stride: number,
  inChannels: number,
  outChannels: number,
  gain: number,
): ParamSpecs {
  return upsample === 'transposed'
    ? convTransposeSpecs(name, 2 * stride, stride, inChannels, outChannels, gain)
    : convSpecs(name, 3, inChannels, outChannels, gain);
}

/** float32 [B, H, W, C] -> [B, H * stride, W * stride, C']. */
function up(p: Params, name: string, { upsample }: Network, stride: number, x: tf.Tensor4D): tf.Tensor4D {
  if (upsample === 'transposed') return convTranspose(p, name, x, stride);
  const [, height, width] = x.shape;
  return conv(p, name, tf.image.resizeNearestNeighbor(x, [height * stride, width * stride]));
}

/** float32 [B, H, W, C] -> float32 [B, H / f, W / f, C'], the weights named `scope`.*, as {@link encoderSpecs} has them. */
export function encoder(p: Params, scope: string, x: tf.Tensor4D, n: Network): tf.Tensor4D {
  if (n.stem > 0) x = residualStack(p, `${scope}.stem.stack`, n.blocksPerStage, conv(p, `${scope}.stem`, x), n);
  for (const [i, { stride, blocks }] of stagesOf(n).entries()) {
    x = residualStack(p, `${scope}.down.${i}.stack`, blocks, conv(p, `${scope}.down.${i}`, x, stride), n);
  }
  return conv(p, `${scope}.project`, middle(p, scope, x, n));
}

/** float32 [B, H / f, W / f, C] -> float32 [B, H, W, C'], the weights named `scope`.*, as {@link decoderSpecs} has them. */
export function decoder(p: Params, scope: string, x: tf.Tensor4D, n: Network): tf.Tensor4D {
  const stages = stagesOf(n).toReversed();
  x = middle(p, scope, x, n);
  for (const [i, { stride }] of stages.entries()) {
    x = up(p, `${scope}.up.${i}`, n, stride, x);
    const isPicture = i === stages.length - 1 && n.stem === 0;
    if (!isPicture) x = residualStack(p, `${scope}.up.${i}.stack`, n.blocksPerStage, x, n);
  }
  return n.stem > 0 ? conv(p, `${scope}.stem`, x) : x;
}

/** The losses of a codec: how far its decoder's output is from the pictures, and what its quantizers add. */
export function withReconstruction(
  output: tf.Tensor4D,
  images: tf.Tensor4D,
  dataVariance: number,
  config: ReconstructionConfig,
  ofQuantizers: tf.Scalar,
): CodecLosses {
  const reconstruction = toPictures(output, config);
  const nmse = normalizedError(reconstruction, images, dataVariance);
  const ofPictures = config.kind === 'mse' ? nmse : reconstructionLoss(output, images, dataVariance, config);
  const terms = config.kind === 'mse' ? undefined : { reconstructionLoss: ofPictures };
  return { loss: tf.add(ofPictures, ofQuantizers), nmse, reconstruction, terms };
}
