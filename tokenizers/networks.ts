// The encoder and decoder networks of image codecs: strided convolutions down to the grid of codes and back, with
// residual blocks. The defaults are VQ-VAE's (van den Oord et al., arXiv:1711.00937); blocks at finer resolutions, group
// norm, SiLU and attention over the grid make VQGAN's (Esser et al., arXiv:2012.09841).
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { gridAttention } from '../src/nn/attention2d.js';
import { conv, convTranspose, resizedConv } from '../src/nn/conv.js';
import type { CodecLosses } from '../src/model/codec.js';
import { normalizedError, reconstructionLoss, toImages } from '../src/losses/reconstruction.js';
import type { ReconstructionConfig } from '../src/losses/reconstruction.js';
import { chain, reachOf } from '../src/model/layer.js';
import type { Layer, Sight } from '../src/model/layer.js';
import { residualStack } from '../src/nn/residual.js';

/** The part of a codec's config that says which images it sees. */
export const imageFields = {
  /** Size of the images that the codec sees, in pixels. Others are resized to it. */
  height: z.int().min(4).max(1024),
  width: z.int().min(4).max(1024),
  /** 1 for gray, 3 for RGB. */
  channels: z.union([z.literal(1), z.literal(3)]).default(3),
  /** sRGB color behind transparent pixels. */
  background: z
    .tuple([z.int().min(0).max(255), z.int().min(0).max(255), z.int().min(0).max(255)])
    .default([255, 255, 255]),
  /** How an image of another shape is fitted: cut, padded with the background, or stretched. */
  resize: z.enum(['cover', 'contain', 'fill']).default('contain'),
};

/** The fields of {@link imageFields}, for codecs of images of any size. */
export const anySizeFields = {
  ...imageFields,
  /** How an image of another shape is fitted: cut, padded with the background, or stretched; or `none`, which encodes each at its own size and trains on crops of height x width. */
  resize: z.enum(['cover', 'contain', 'fill', 'none']).default('contain'),
};

/** The part of a codec's config that defines its networks. */
export const networkFields = {
  /** Number of pixels along each side of a code. */
  downsample: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16), z.literal(32)]).default(4),
  /** Channels of the hidden layers at the resolution of the codes. */
  hidden: z.int().min(8).max(1024).default(128),
  /** Number of residual blocks at the resolution of the codes, in the encoder and in the decoder. */
  residualLayers: z.int().min(0).max(16).default(2),
  /** Inner channels of these blocks. Other blocks have the same proportion of inner to outer channels. */
  residualHidden: z.int().min(4).max(1024).default(32),
  /** Factor of each downsampling, beginning at the image. Their product is `downsample`. Default: all are 2. A factor of 4 is cheap, because nothing is computed at the resolution in between. */
  strides: z.array(z.union([z.literal(2), z.literal(4), z.literal(8)])).optional(),
  /** Channels at the resolutions between image and codes, finest first, as fractions of `hidden`. Default: half at first, because the finest resolution is the most expensive, and then all. */
  multipliers: z.array(z.number().positive().max(1)).optional(),
  /** Number of residual blocks at each resolution finer than that of the codes. */
  blocksPerStage: z.int().min(0).max(8).default(0),
  /** Channels of a convolution (and residual blocks) at the full resolution; 0 for none. */
  stem: z.int().min(0).max(512).default(0),
  /** Group normalization before each activation. It stabilizes deep networks and slows shallow ones. */
  norm: z.enum(['none', 'group']).default('none'),
  activation: z.enum(['relu', 'silu']).default('relu'),
  /** Number of heads of a self-attention over the grid of codes, in the encoder and in the decoder; 0 for none. It must divide `hidden`. */
  attentionHeads: z.int().min(0).max(16).default(0),
  /** How the decoder upsamples: by transposed convolutions, or by repeated pixels and a 3x3 convolution, which is more expensive and avoids checkerboard artifacts. */
  upsample: z.enum(['transposed', 'nearest']).default('transposed'),
};

const NetworkSchema = z.object(networkFields);

export type Network = z.infer<typeof NetworkSchema>;

/** Adds an issue to a config whose images are not whole numbers of codes high and wide. For `superRefine` of codecs' schemas. */
export function refusePartialCells(
  { height, width, downsample }: { height: number; width: number; downsample: number },
  context: z.RefinementCtx,
): void {
  if (height % downsample !== 0 || width % downsample !== 0)
    context.addIssue({ code: 'custom', message: 'height and width must be multiples of downsample' });
}

/** Adds an issue to a config whose network does not fit its images or itself. For `superRefine` of codecs' schemas. */
export function refuseBadNetwork(n: Network & { height: number; width: number }, context: z.RefinementCtx): void {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  const strides = stridesOf(n);
  refusePartialCells(n, context);
  if (strides.reduce((product, stride) => product * stride, 1) !== n.downsample)
    refuse(`strides must multiply to downsample, ${n.downsample}`);
  if (n.multipliers && n.multipliers.length !== strides.length - 1)
    refuse(`multipliers must be ${strides.length - 1}, one for each resolution between image and codes`);
  if (n.attentionHeads > 0 && n.hidden % n.attentionHeads !== 0) refuse('attentionHeads must divide hidden');
}

/** Factor of each downsampling, beginning at the image. */
export const stridesOf = ({ strides, downsample }: Network): number[] =>
  strides ?? Array.from({ length: Math.log2(downsample) }, () => 2);

/** A resolution: its channels, and how much coarser it is than the previous one. */
interface Stage {
  stride: number;
  width: number;
  /** Number of residual blocks. At the resolution of the codes they follow another convolution. */
  blocks: number;
}

/** The resolutions from the image to the codes. */
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

const stack = (blocks: number, width: number, n: Network): Layer => residualStack(blocks, width, innerOf(n, width), n);

/** The layers at the resolution of the codes. */
const middle = (n: Network, inChannels: number): Record<string, Layer | false> => ({
  conv: conv(3, inChannels, n.hidden),
  attention: n.attentionHeads > 0 && gridAttention(n.hidden, n.attentionHeads),
  residual: stack(n.residualLayers, n.hidden, n),
});

/**
 * float32 [B, H, W, inChannels] -> float32 [B, H / f, W / f, outChannels].
 *
 * @param gain scales the initial weights of the last layer.
 */
export function encoder(n: Network, inChannels: number, outChannels: number, gain: number): Layer {
  const stages = stagesOf(n);
  const down = stages.map(({ stride, width, blocks }, i) => ({
    [`down.${i}`]: conv(2 * stride, stages[i - 1]?.width ?? (n.stem || inChannels), width, { stride }),
    [`down.${i}.stack`]: stack(blocks, width, n),
  }));
  return chain({
    stem: n.stem > 0 && conv(3, inChannels, n.stem),
    'stem.stack': n.stem > 0 && stack(n.blocksPerStage, n.stem, n),
    ...Object.assign({}, ...down),
    ...middle(n, n.hidden),
    project: conv(1, n.hidden, outChannels, { gain }),
  });
}

/** float32 [B, h, w, inChannels] -> [B, h * f, w * f, outChannels]. @param gain as {@link encoder}'s. */
export function decoder(n: Network, inChannels: number, outChannels: number, gain: number): Layer {
  const stages = stagesOf(n).toReversed();
  const up = stages.map(({ stride, width }, i) => {
    const next = stages[i + 1]?.width ?? (n.stem || outChannels);
    const isLast = i === stages.length - 1 && n.stem === 0;
    return {
      [`up.${i}`]: finer(n, stride, width, next, isLast ? gain : 1),
      [`up.${i}.stack`]: !isLast && stack(n.blocksPerStage, next, n),
    };
  });
  return chain({
    ...middle(n, inChannels),
    ...Object.assign({}, ...up),
    stem: n.stem > 0 && conv(3, n.stem, outChannels, { gain }),
  });
}

const finer = ({ upsample }: Network, stride: number, from: number, to: number, gain: number): Layer =>
  upsample === 'transposed'
    ? convTranspose(2 * stride, stride, from, to, { gain })
    : resizedConv(3, stride, from, to, { gain });

/**
 * How far a codec's codes and pixels see beyond their cell of `side` x `side` pixels, in pixels along each axis. Undefined if
 * they see everything.
 *
 * @param encode the pixels that codes depend on; a cell has `codesPerCell` codes along each axis.
 * @param decode the codes that pixels depend on.
 */
export function squareReach(side: number, encode: Sight, decode: Sight, codesPerCell = 1): number[] | undefined {
  const reaches = [0, 1].map((axis) => {
    const ofCodes = reachOf(encode, axis, { outputs: codesPerCell, inputs: side });
    const ofPixels = reachOf(decode, axis, { outputs: side, inputs: codesPerCell });
    if (!ofCodes || !ofPixels) return undefined;
    const pixelsPerCode = side / codesPerCell;
    return Math.max(ofCodes.before, ofCodes.after, pixelsPerCode * ofPixels.before, pixelsPerCode * ofPixels.after);
  });
  return reaches.every((reach) => reach !== undefined) ? reaches : undefined;
}

/** The losses of a codec: the reconstruction loss of its decoder's output, and the losses of its quantizers. */
export function withReconstruction(
  output: tf.Tensor4D,
  images: tf.Tensor4D,
  dataVariance: number,
  config: ReconstructionConfig,
  ofQuantizers: tf.Scalar,
): CodecLosses<tf.Tensor4D> {
  const reconstruction = toImages(output, config);
  const nmse = normalizedError(reconstruction, images, dataVariance);
  const ofImages = config.kind === 'mse' ? nmse : reconstructionLoss(output, images, dataVariance, config);
  const terms = config.kind === 'mse' ? undefined : { reconstructionLoss: ofImages };
  return { loss: tf.add(ofImages, ofQuantizers), nmse, reconstruction, terms };
}
