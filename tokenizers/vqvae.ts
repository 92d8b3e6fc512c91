// VQ-VAE for pictures: a convolutional encoder, a grid of codebook entries, a convolutional decoder.
// van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", arXiv:1711.00937.
import { z } from 'zod';
import type { tf } from '../src/engine/index.js';
import type { TokenMapSpec } from '../src/interfaces/index.js';
import { parseConfig } from '../src/nn/config.js';
import { outputChannels, ReconstructionConfigSchema, toPictures } from '../src/nn/losses.js';
import type { AnySize, CodecBatch, CodecFamily, CodecLosses } from '../src/nn/family.js';
import { importParams, prefixed } from '../src/nn/params.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
import { ImageCodec } from './image-codec.js';
import { decoder, decoderSpecs, encoder, encoderSpecs, networkFields, outputLayer, pictureFields, refuseBadNetwork, withReconstruction } from './networks.js';
import { Quantizer, QuantizerConfigSchema } from './quantizers/index.js';
import { networkReach } from './tiles.js';

export const VqVaeConfigSchema = z
  .strictObject({
    ...pictureFields,
    /** How a picture of another shape is fitted: cut, padded with the background, or stretched; or `none`, which codes each at its own size and trains on pieces of height x width. */
    resize: z.enum(['cover', 'contain', 'fill', 'none']).default('contain'),
    ...networkFields,
    quantizer: QuantizerConfigSchema,
    reconstruction: ReconstructionConfigSchema,
  })
  .superRefine(refuseBadNetwork);

export type VqVaeConfig = z.infer<typeof VqVaeConfigSchema>;

const quantizerOf = (c: VqVaeConfig): Quantizer => new Quantizer(c.quantizer);

/** Rows and columns of the code grid. */
export const gridOf = ({ height, width, downsample }: VqVaeConfig): [number, number] => [height / downsample, width / downsample];

/** Weights trained by gradient. */
export function trainableSpecs(c: VqVaeConfig): ParamSpecs {
  const { width } = quantizerOf(c);
  return {
    // Latents of about unit variance let the codebook and the commitment loss start in balance.
    ...prefixed('encoder', encoderSpecs(c, c.channels, width, 0.6)),
    ...quantizerOf(c).trainable(),
    // The first pictures are faint: an error to learn from, not one to recover from.
    ...prefixed('decoder', decoderSpecs(c, width, outputChannels(c.channels, c.reconstruction), 0.1)),
  };
}

/** What the quantizer updates itself: codebooks, running statistics. */
export const stateSpecs = (c: VqVaeConfig): ParamSpecs => quantizerOf(c).state();

/** float32 [B, H, W, C] in [-1, 1] -> latents float32 [B, H / f, W / f, D]. */
const encoderForward = (p: Params, images: tf.Tensor4D, c: VqVaeConfig): tf.Tensor4D => encoder(p, 'encoder', images, c);

/** Codes float32 [B, H / f, W / f, D] -> what the reconstruction loss takes, float32 [B, H, W, C']. */
const decoderForward = (p: Params, codes: tf.Tensor4D, c: VqVaeConfig): tf.Tensor4D => decoder(p, 'decoder', codes, c);

/** float32 [B, H, W, C] -> int32 [B, h, w], with a fourth axis for quantizers that give several ids a position. */
export const encodeIds = (p: Params, x: tf.Tensor4D, c: VqVaeConfig): tf.Tensor => quantizerOf(c).encode(p, encoderForward(p, x, c));

/** Ids as {@link encodeIds} gives them -> float32 [B, H, W, C]. */
export const decodeIds = (p: Params, ids: tf.Tensor, c: VqVaeConfig): tf.Tensor4D => toPictures(decoderForward(p, quantizerOf(c).decode(p, ids), c), c.reconstruction);

/** The training objective: reconstruction loss + what the quantizer adds. Assigns the quantizer's state. */
export function vqVaeLoss(p: Params, { images, dataVariance, ...moment }: CodecBatch, c: VqVaeConfig): CodecLosses {
  const quantized = quantizerOf(c).train(p, encoderForward(p, images, c), moment);
  return withReconstruction(decoderForward(p, quantized.codes, c), images, dataVariance, c.reconstruction, quantized.loss);
}

const paramSpecs = (c: VqVaeConfig): ParamSpecs => ({ ...trainableSpecs(c), ...stateSpecs(c) });

const mapSpecs = (c: VqVaeConfig): TokenMapSpec[] => [quantizerOf(c).map('codes', gridOf(c))];

const anySize: AnySize<VqVaeConfig> = {
  multiple: ({ downsample }) => downsample,
  maps: (c, height, width) => mapSpecs({ ...c, height, width }),
  reach: networkReach,
};

/** The VQ-VAE as the registry knows it. */
export const vqVae: CodecFamily<VqVaeConfig> = {
  name: 'vqvae',
  kind: 'image',
  parseConfig: (json) => parseConfig('vqvae', VqVaeConfigSchema, json),
  input: ({ height, width, channels, background, resize }) => ({ height, width, channels, background, resize }),
  maps: mapSpecs,
  trainable: trainableSpecs,
  state: stateSpecs,
  initialize: (p, images, key, c) => {
    quantizerOf(c).initialize(p, encoderForward(p, images, c), key);
  },
  loss: vqVaeLoss,
  reconstruct: (p, images, c) => {
    const ids = encodeIds(p, images, c);
    return { maps: [ids], images: decodeIds(p, ids, c) };
  },
  anySize,
  open: (c, tensors, fingerprint, options) =>
    new ImageCodec({
      name: 'vqvae',
      fingerprint,
      input: vqVae.input(c),
      maps: mapSpecs(c),
      params: importParams('vqvae', paramSpecs(c), tensors),
      encode: (p, images) => [encodeIds(p, images, c)],
      decode: (p, [ids]) => decodeIds(p, ids!, c),
      anySize: { multiple: c.downsample, maps: (height, width) => anySize.maps(c, height, width), reach: anySize.reach(c) },
      ...options,
    }),
  latents: {
    shape: (c) => [...gridOf(c), quantizerOf(c).width],
    encode: encoderForward,
    decode: (p, latents, c) => decodeIds(p, quantizerOf(c).encode(p, latents as tf.Tensor4D), c),
  },
  lastLayer: (c) => `decoder.${outputLayer(c)}`,
  exports: (p, c) => ({
    encoder: {
      fn: (images) => encodeIds(p, images as tf.Tensor4D, c),
      inputs: [{ name: 'images', shape: [1, c.height, c.width, c.channels], dtype: 'float32' }],
      outputs: ['codes'],
      dynamicBatch: true,
    },
    decoder: {
      fn: (ids) => decodeIds(p, ids!, c),
      inputs: [{ name: 'codes', shape: [1, ...mapSpecs(c)[0]!.shape], dtype: 'int32' }],
      outputs: ['images'],
      dynamicBatch: true,
    },
  }),
};
