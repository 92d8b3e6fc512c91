// VQ-VAE-2 for images: a coarse map of codes for the large structure, and a fine map for the details.
// Razavi, van den Oord and Vinyals, "Generating Diverse High-Fidelity Images with VQ-VAE-2", arXiv:1906.00446.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import type { TokenMapSpec } from '../src/interfaces/index.js';
import { conv } from '../src/nn/conv.js';
import { named, through, together } from '../src/model/layer.js';
import type { Layer } from '../src/model/layer.js';
import type { CodecBatch, CodecLosses } from '../src/model/codec.js';
import { outputChannels, ReconstructionConfigSchema, toImages } from '../src/losses/reconstruction.js';
import type { Params, ParamSpecs } from '../src/model/params.js';
import { imageFamily } from './family.js';
import {
  anySizeFields,
  decoder,
  encoder,
  networkFields,
  refuseBadNetwork,
  squareReach,
  withReconstruction,
} from './networks.js';
import type { Network } from './networks.js';
import { Quantizer, QuantizerConfigSchema } from './quantizers/index.js';

const LevelSchema = QuantizerConfigSchema.unwrap().optional();

const VqVae2ConfigSchema = z
  .strictObject({
    ...anySizeFields,
    /** `downsample` is that of the bottom map; a code of the top map covers twice its side. */
    ...networkFields,
    /** The quantizer of both maps, unless they have their own. */
    quantizer: QuantizerConfigSchema,
    topQuantizer: LevelSchema,
    bottomQuantizer: LevelSchema,
    reconstruction: ReconstructionConfigSchema,
  })
  .superRefine(refuseBadNetwork)
  .refine((c) => c.height % (2 * c.downsample) === 0 && c.width % (2 * c.downsample) === 0, {
    message: 'height and width must be multiples of twice downsample',
  });

export type VqVae2Config = z.infer<typeof VqVae2ConfigSchema>;

const topOf = (c: VqVae2Config): Quantizer => new Quantizer(c.topQuantizer ?? c.quantizer, 'topQuantizer');
const bottomOf = (c: VqVae2Config): Quantizer => new Quantizer(c.bottomQuantizer ?? c.quantizer, 'bottomQuantizer');

/** The networks between the bottom grid and the top grid: one downsampling by 2, otherwise like those of the bottom map. */
const betweenGrids = (c: VqVae2Config): Network => ({
  ...c,
  downsample: 2,
  strides: undefined,
  multipliers: undefined,
  stem: 0,
});

/** Rows and columns of the grids. */
function gridsOf({ height, width, downsample }: VqVae2Config): { top: [number, number]; bottom: [number, number] } {
  const grid = (side: number): [number, number] => [height / side, width / side];
  return { top: grid(2 * downsample), bottom: grid(downsample) };
}

/** The networks, each with the weights that its key names. */
function networksOf(
  c: VqVae2Config,
): Record<'bottomEncoder' | 'topEncoder' | 'topDecoder' | 'bottomProject' | 'decoder', Layer> {
  const [top, bottom] = [topOf(c), bottomOf(c)];
  return named({
    bottomEncoder: encoder(c, c.channels, c.hidden, 1),
    // Latents of about unit variance let the codebooks and the commitment losses start in balance.
    topEncoder: encoder(betweenGrids(c), c.hidden, top.width, 0.6),
    topDecoder: decoder(betweenGrids(c), top.width, bottom.width, 0.6),
    bottomProject: conv(1, c.hidden, bottom.width, { gain: 0.6 }),
    // A small gain: the first images have little contrast, so the first errors are moderate.
    decoder: decoder(c, bottom.width, outputChannels(c.channels, c.reconstruction), 0.1),
  });
}

function trainableSpecs(c: VqVae2Config): ParamSpecs {
  const { bottomEncoder, topEncoder, topDecoder, bottomProject, decoder: last } = networksOf(c);
  return {
    ...bottomEncoder.params,
    ...topEncoder.params,
    ...topOf(c).trainable(),
    ...topDecoder.params,
    ...bottomProject.params,
    ...bottomOf(c).trainable(),
    ...last.params,
  };
}

/** The outputs of both encoders. */
interface Features {
  /** float32 [B, h, w, hidden]. */
  bottom: tf.Tensor4D;
  /** Latents of the top map, float32 [B, h / 2, w / 2, D]. */
  top: tf.Tensor4D;
}

/** float32 [B, H, W, C] in [-1, 1] -> features of the bottom grid and latents of the top one. */
function featuresOf(p: Params, images: tf.Tensor4D, c: VqVae2Config): Features {
  const { bottomEncoder, topEncoder } = networksOf(c);
  const bottom: tf.Tensor4D = tf.relu(bottomEncoder.apply(p, images));
  return { bottom, top: topEncoder.apply(p, bottom) };
}

/** Decodes top codes float32 [B, h / 2, w / 2, D] into the space of the bottom codes: [B, h, w, D']. */
const baseOf = (p: Params, topCodes: tf.Tensor4D, c: VqVae2Config): tf.Tensor4D =>
  networksOf(c).topDecoder.apply(p, topCodes);

/** Latents of the bottom map, float32 [B, h, w, D']: the difference from the base. */
const bottomLatents = (p: Params, features: tf.Tensor4D, base: tf.Tensor4D, c: VqVae2Config): tf.Tensor4D =>
  tf.sub(networksOf(c).bottomProject.apply(p, features), base);

/** Base and codes of the bottom grid, float32 [B, h, w, D'] both -> what the reconstruction loss takes, float32 [B, H, W, C']. */
const decoderForward = (p: Params, base: tf.Tensor4D, bottomCodes: tf.Tensor4D, c: VqVae2Config): tf.Tensor4D =>
  networksOf(c).decoder.apply(p, tf.add(base, bottomCodes));

/** float32 [B, H, W, C] -> latents of both maps, the bottom ones given the ids of the top. */
function latentsOf(
  p: Params,
  images: tf.Tensor4D,
  c: VqVae2Config,
): { top: tf.Tensor4D; topIds: tf.Tensor; bottom: tf.Tensor4D } {
  const { top, bottom } = featuresOf(p, images, c);
  const topIds = topOf(c).encode(p, top);
  return { top, topIds, bottom: bottomLatents(p, bottom, baseOf(p, topOf(c).decode(p, topIds), c), c) };
}

/** float32 [B, H, W, C] -> ids of the top and the bottom map, int32 [B, h / 2, w / 2] and [B, h, w]. */
function encodeIds(p: Params, images: tf.Tensor4D, c: VqVae2Config): [top: tf.Tensor, bottom: tf.Tensor] {
  const { topIds, bottom } = latentsOf(p, images, c);
  return [topIds, bottomOf(c).encode(p, bottom)];
}

/** Ids as {@link encodeIds} gives them -> float32 [B, H, W, C]. */
const decodeIds = (p: Params, [top, bottom]: readonly tf.Tensor[], c: VqVae2Config): tf.Tensor4D =>
  toImages(
    decoderForward(p, baseOf(p, topOf(c).decode(p, top!), c), bottomOf(c).decode(p, bottom!), c),
    c.reconstruction,
  );

/** The training objective: the reconstruction loss and the losses of both quantizers. Assigns their state. */
function vqVae2Loss(
  p: Params,
  { inputs, dataVariance, ...moment }: CodecBatch<tf.Tensor4D>,
  c: VqVae2Config,
): CodecLosses<tf.Tensor4D> {
  const features = featuresOf(p, inputs, c);
  const top = topOf(c).train(p, features.top, moment);
  const base = baseOf(p, top.codes, c);
  const bottom = bottomOf(c).train(p, bottomLatents(p, features.bottom, base, c), moment);
  return withReconstruction(
    decoderForward(p, base, bottom.codes, c),
    inputs,
    dataVariance,
    c.reconstruction,
    tf.add(top.loss, bottom.loss),
  );
}

function mapSpecs(c: VqVae2Config): TokenMapSpec[] {
  const { top, bottom } = gridsOf(c);
  return [topOf(c).map('top', top), bottomOf(c).map('bottom', bottom)];
}

/** A bottom code sees through its own encoder and, through the top codes, the top encoder and decoder. A pixel sees through both decoders. */
function reachOfAll(c: VqVae2Config): number[] | undefined {
  const { bottomEncoder, topEncoder, topDecoder, decoder: last } = networksOf(c);
  const topCodes = through(bottomEncoder.sees, topEncoder.sees);
  const bottomCodes = together(bottomEncoder.sees, through(topCodes, topDecoder.sees));
  // Both kinds of code belong to one cell: that of a top code, which has two bottom codes along each axis.
  const bottomPixels = last.sees;
  const topPixels = through(topDecoder.sees, last.sees);
  const side = 2 * c.downsample;
  return larger(squareReach(side, bottomCodes, bottomPixels, 2), squareReach(side, topCodes, topPixels));
}

const larger = (a: number[] | undefined, b: number[] | undefined): number[] | undefined =>
  a && b && a.map((reach, axis) => Math.max(reach, b[axis]!));

/** VQ-VAE-2 as the registry knows it. */
export const vqVae2 = imageFamily<VqVae2Config>({
  name: 'vqvae2',
  schema: VqVae2ConfigSchema,
  maps: mapSpecs,
  trainable: trainableSpecs,
  state: (c) => ({ ...topOf(c).state(), ...bottomOf(c).state() }),
  initialize: (p, images, key, c) => {
    topOf(c).initialize(p, featuresOf(p, images, c).top, key);
    bottomOf(c).initialize(p, latentsOf(p, images, c).bottom, key);
  },
  loss: vqVae2Loss,
  encode: encodeIds,
  decode: decodeIds,
  latents: {
    shapes: (c) => [
      [...gridsOf(c).top, topOf(c).width],
      [...gridsOf(c).bottom, bottomOf(c).width],
    ],
    encode: (p, images, c) => {
      const { top, bottom } = latentsOf(p, images, c);
      return [top, bottom];
    },
    decode: (p, [top, bottom], c) => decodeIds(p, [topOf(c).encode(p, top!), bottomOf(c).encode(p, bottom!)], c),
  },
  lastLayer: (c) => networksOf(c).decoder.output!,
  anyExtent: {
    multiple: ({ downsample }) => [2 * downsample, 2 * downsample],
    reach: reachOfAll,
  },
});
