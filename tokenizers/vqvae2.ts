// VQ-VAE-2 for pictures: a coarse map of codes for what is far apart, a fine one for the rest, chosen in its light.
// Razavi, van den Oord and Vinyals, "Generating Diverse High-Fidelity Images with VQ-VAE-2", arXiv:1906.00446.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import type { TokenMapSpec } from '../src/interfaces/index.js';
import { conv, convSpecs, convTranspose, convTransposeSpecs } from '../src/nn/conv.js';
import type { CodecBatch, CodecLosses } from '../src/nn/family.js';
import { outputChannels, ReconstructionConfigSchema, toPictures } from '../src/nn/losses.js';
import { prefixed } from '../src/nn/params.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
import { sizeOf } from '../src/shape.js';
import { pictureFamily } from './family.js';
import { anySizeFields, decoder, decoderSpecs, encoder, encoderSpecs, networkFields, outputLayer, refuseBadNetwork, withReconstruction } from './networks.js';
import type { Network } from './networks.js';
import { Quantizer, QuantizerConfigSchema } from './quantizers/index.js';
import { decoderReach, encoderReach } from './tiles.js';

const LevelSchema = QuantizerConfigSchema.unwrap().optional();

export const VqVae2ConfigSchema = z
  .strictObject({
    ...anySizeFields,
    /** `downsample` is that of the bottom map; a code of the top map covers twice its side. */
    ...networkFields,
    /** Of both levels, unless they have their own. */
    quantizer: QuantizerConfigSchema,
    topQuantizer: LevelSchema,
    bottomQuantizer: LevelSchema,
    reconstruction: ReconstructionConfigSchema,
  })
  .superRefine(refuseBadNetwork)
  .refine((c) => c.height % (2 * c.downsample) === 0 && c.width % (2 * c.downsample) === 0, { message: 'height and width must be multiples of twice downsample' });

export type VqVae2Config = z.infer<typeof VqVae2ConfigSchema>;

const topOf = (c: VqVae2Config): Quantizer => new Quantizer(c.topQuantizer ?? c.quantizer, 'topQuantizer');
const bottomOf = (c: VqVae2Config): Quantizer => new Quantizer(c.bottomQuantizer ?? c.quantizer, 'bottomQuantizer');

/** Between the bottom grid and the top grid: one halving, the rest as in the networks of the bottom. */
const betweenGrids = (c: VqVae2Config): Network => ({ ...c, downsample: 2, strides: undefined, multipliers: undefined, stem: 0 });

/** Rows and columns of the grids. */
function gridsOf({ height, width, downsample }: VqVae2Config): { top: [number, number]; bottom: [number, number] } {
  const grid = (side: number): [number, number] => [height / side, width / side];
  return { top: grid(2 * downsample), bottom: grid(downsample) };
}

function trainableSpecs(c: VqVae2Config): ParamSpecs {
  const [top, bottom] = [topOf(c), bottomOf(c)];
  return {
    ...prefixed('bottomEncoder', encoderSpecs(c, c.channels, c.hidden, 1)),
    // Latents of about unit variance let the codebooks and the commitment losses start in balance.
    ...prefixed('topEncoder', encoderSpecs(betweenGrids(c), c.hidden, top.width, 0.6)),
    ...top.trainable(),
    ...prefixed('topDecoder', decoderSpecs(betweenGrids(c), top.width, c.hidden, 1)),
    ...convSpecs('bottomProject', 1, 2 * c.hidden, bottom.width, 0.6),
    ...bottom.trainable(),
    ...convTransposeSpecs('topUp', 4, 2, top.width, c.hidden),
    // The first pictures are faint: an error to learn from, not one to recover from.
    ...prefixed('decoder', decoderSpecs(c, c.hidden + bottom.width, outputChannels(c.channels, c.reconstruction), 0.1)),
  };
}

/** What the picture's latents are made from. */
interface Features {
  /** float32 [B, h, w, hidden]. */
  bottom: tf.Tensor4D;
  /** Latents of the top map, float32 [B, h / 2, w / 2, D]. */
  top: tf.Tensor4D;
}

/** float32 [B, H, W, C] in [-1, 1] -> features of the bottom grid and latents of the top one. */
function featuresOf(p: Params, images: tf.Tensor4D, c: VqVae2Config): Features {
  const bottom = tf.relu(encoder(p, 'bottomEncoder', images, c));
  return { bottom, top: encoder(p, 'topEncoder', bottom, betweenGrids(c)) };
}

/** Latents of the bottom map, float32 [B, h, w, D], given the top codes float32 [B, h / 2, w / 2, D]. */
function bottomLatents(p: Params, features: tf.Tensor4D, topCodes: tf.Tensor4D, c: VqVae2Config): tf.Tensor4D {
  const known = tf.relu(decoder(p, 'topDecoder', topCodes, betweenGrids(c)));
  return conv(p, 'bottomProject', tf.concat([known, features], -1) as tf.Tensor4D);
}

/** Codes of both maps, float32 [B, h / 2, w / 2, D] and [B, h, w, D'] -> what the reconstruction loss takes, float32 [B, H, W, C']. */
function decoderForward(p: Params, topCodes: tf.Tensor4D, bottomCodes: tf.Tensor4D, c: VqVae2Config): tf.Tensor4D {
  const spread = convTranspose(p, 'topUp', topCodes, 2);
  return decoder(p, 'decoder', tf.concat([spread, bottomCodes], -1) as tf.Tensor4D, c);
}

/** float32 [B, H, W, C] -> ids of the top and the bottom map, int32 [B, h / 2, w / 2] and [B, h, w]. */
function encodeIds(p: Params, images: tf.Tensor4D, c: VqVae2Config): [top: tf.Tensor, bottom: tf.Tensor] {
  const features = featuresOf(p, images, c);
  const top = topOf(c).encode(p, features.top);
  return [top, bottomOf(c).encode(p, bottomLatents(p, features.bottom, topOf(c).decode(p, top), c))];
}

/** Ids as {@link encodeIds} gives them -> float32 [B, H, W, C]. */
const decodeIds = (p: Params, [top, bottom]: readonly tf.Tensor[], c: VqVae2Config): tf.Tensor4D =>
  toPictures(decoderForward(p, topOf(c).decode(p, top!), bottomOf(c).decode(p, bottom!), c), c.reconstruction);

/** The training objective: reconstruction loss + what both quantizers add. Assigns their state. */
function vqVae2Loss(p: Params, { images, dataVariance, ...moment }: CodecBatch, c: VqVae2Config): CodecLosses {
  const features = featuresOf(p, images, c);
  const top = topOf(c).train(p, features.top, moment);
  const bottom = bottomOf(c).train(p, bottomLatents(p, features.bottom, top.codes, c), moment);
  return withReconstruction(decoderForward(p, top.codes, bottom.codes, c), images, dataVariance, c.reconstruction, tf.add(top.loss, bottom.loss));
}

function mapSpecs(c: VqVae2Config): TokenMapSpec[] {
  const { top, bottom } = gridsOf(c);
  return [topOf(c).map('top', top), bottomOf(c).map('bottom', bottom)];
}

/** A bottom code sees through the bottom encoder, the top one and the top decoder, one after another; a pixel through the decoder and, once more, the top grid. */
function reachOf(c: VqVae2Config): number | undefined {
  const ofCodes = [encoderReach(c), encoderReach(betweenGrids(c), c.downsample), decoderReach(betweenGrids(c), c.downsample)];
  const ofPixels = [decoderReach(c), 2 * c.downsample];
  const sum = (parts: (number | undefined)[]): number => parts.reduce<number>((total, part) => total + (part ?? NaN), 0);
  const reach = Math.max(sum(ofCodes), sum(ofPixels));
  return Number.isNaN(reach) ? undefined : reach;
}

/** Shapes of the latents of both maps, without the batch. */
function latentShapes(c: VqVae2Config): { top: [number, number, number]; bottom: [number, number, number] } {
  const { top, bottom } = gridsOf(c);
  return { top: [...top, topOf(c).width], bottom: [...bottom, bottomOf(c).width] };
}

/** float32 [B, H, W, C] -> [B, D]: latents of the top map, then of the bottom one. */
function latentsOf(p: Params, images: tf.Tensor4D, c: VqVae2Config): tf.Tensor2D {
  const features = featuresOf(p, images, c);
  const topCodes = topOf(c).decode(p, topOf(c).encode(p, features.top));
  const rows = images.shape[0];
  return tf.concat([tf.reshape(features.top, [rows, -1]), tf.reshape(bottomLatents(p, features.bottom, topCodes, c), [rows, -1])], -1) as tf.Tensor2D;
}

/** Latents as {@link latentsOf} gives them -> float32 [B, H, W, C], quantized on the way. */
function decodeLatents(p: Params, latents: tf.Tensor2D, c: VqVae2Config): tf.Tensor4D {
  const { top, bottom } = latentShapes(c);
  const [first, second] = tf.split(latents, [sizeOf(top), sizeOf(bottom)], -1) as [tf.Tensor2D, tf.Tensor2D];
  const rows = latents.shape[0];
  const topIds = topOf(c).encode(p, tf.reshape(first, [rows, ...top]));
  const bottomIds = bottomOf(c).encode(p, tf.reshape(second, [rows, ...bottom]));
  return decodeIds(p, [topIds, bottomIds], c);
}

/** VQ-VAE-2 as the registry knows it. */
export const vqVae2 = pictureFamily<VqVae2Config>({
  name: 'vqvae2',
  schema: VqVae2ConfigSchema,
  maps: mapSpecs,
  trainable: trainableSpecs,
  state: (c) => ({ ...topOf(c).state(), ...bottomOf(c).state() }),
  initialize: (p, images, key, c) => {
    const features = featuresOf(p, images, c);
    topOf(c).initialize(p, features.top, key);
    const topCodes = topOf(c).decode(p, topOf(c).encode(p, features.top));
    bottomOf(c).initialize(p, bottomLatents(p, features.bottom, topCodes, c), key);
  },
  loss: vqVae2Loss,
  encode: encodeIds,
  decode: decodeIds,
  latents: {
    shape: (c) => [sizeOf(latentShapes(c).top) + sizeOf(latentShapes(c).bottom)],
    encode: latentsOf,
    decode: (p, latents, c) => decodeLatents(p, latents as tf.Tensor2D, c),
  },
  lastLayer: (c) => `decoder.${outputLayer(c)}`,
  anySize: { multiple: ({ downsample }) => 2 * downsample, reach: reachOf },
});
