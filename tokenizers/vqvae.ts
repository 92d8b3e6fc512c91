// VQ-VAE for pictures: a convolutional encoder, a grid of codebook entries, a convolutional decoder.
// van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", arXiv:1711.00937.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { conv, convSpecs, convTranspose, convTransposeSpecs, residualStack, residualStackSpecs } from '../src/nn/conv.js';
import type { TokenMapSpec } from '../src/interfaces/index.js';
import { parseConfig } from '../src/nn/config.js';
import type { CodecBatch, CodecFamily, CodecLosses } from '../src/nn/family.js';
import { importParams, prefixed } from '../src/nn/params.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
import { ImageCodec } from './image-codec.js';
import { Quantizer, QuantizerConfigSchema } from './quantizers/index.js';

export const VqVaeConfigSchema = z
  .strictObject({
    /** Size of the pictures the codec sees, in pixels; others are resized to it. Multiples of `downsample`. */
    height: z.int().min(4).max(1024),
    width: z.int().min(4).max(1024),
    /** 1 grey, 3 RGB. */
    channels: z.union([z.literal(1), z.literal(3)]).default(3),
    /** sRGB color that transparent pixels are flattened on. */
    background: z.tuple([z.int().min(0).max(255), z.int().min(0).max(255), z.int().min(0).max(255)]).default([255, 255, 255]),
    /** How a picture of another shape is fitted: cut, padded with the background, or stretched. */
    resize: z.enum(['cover', 'contain', 'fill']).default('contain'),
    /** Pixels of one code's side: 2, 4, 8 or 16. */
    downsample: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16)]).default(4),
    /** Channels of the hidden layers. */
    hidden: z.int().min(8).max(1024).default(128),
    /** Residual blocks in encoder and decoder each, and their inner channels. */
    residualLayers: z.int().min(0).max(16).default(2),
    residualHidden: z.int().min(4).max(512).default(32),
    quantizer: QuantizerConfigSchema,
  })
  .refine((c) => c.height % c.downsample === 0 && c.width % c.downsample === 0, { message: 'height and width must be multiples of downsample' });

export type VqVaeConfig = z.infer<typeof VqVaeConfigSchema>;

const quantizerOf = (c: VqVaeConfig): Quantizer => new Quantizer(c.quantizer);

/** Rows and columns of the code grid. */
export const gridOf = ({ height, width, downsample }: VqVaeConfig): [number, number] => [height / downsample, width / downsample];

/** Channels after each halving: half the hidden width first, as the full resolution is the dearest. */
function strideChannels({ downsample, hidden }: VqVaeConfig): number[] {
  const halvings = Math.log2(downsample);
  return Array.from({ length: halvings }, (_, i) => (i === 0 && halvings > 1 ? hidden / 2 : hidden));
}

function encoderSpecs(c: VqVaeConfig): ParamSpecs {
  const widths = strideChannels(c);
  return Object.assign(
    {},
    ...widths.map((width, i) => convSpecs(`down.${i}`, 4, i === 0 ? c.channels : widths[i - 1]!, width)),
    convSpecs('conv', 3, c.hidden, c.hidden),
    residualStackSpecs('residual', c.residualLayers, c.hidden, c.residualHidden),
    // Latents of about unit variance let the codebook and the commitment loss start in balance.
    convSpecs('project', 1, c.hidden, quantizerOf(c).width, 0.6),
  ) as ParamSpecs;
}

function decoderSpecs(c: VqVaeConfig): ParamSpecs {
  const widths = strideChannels(c).toReversed();
  return Object.assign(
    {},
    convSpecs('conv', 3, quantizerOf(c).width, c.hidden),
    residualStackSpecs('residual', c.residualLayers, c.hidden, c.residualHidden),
    // The first pictures are faint: an error to learn from, not one to recover from.
    ...widths.map((width, i) => convTransposeSpecs(`up.${i}`, 4, 2, width, widths[i + 1] ?? c.channels, i === widths.length - 1 ? 0.1 : 1)),
  ) as ParamSpecs;
}

/** Weights trained by gradient. */
export const trainableSpecs = (c: VqVaeConfig): ParamSpecs => ({ ...prefixed('encoder', encoderSpecs(c)), ...quantizerOf(c).trainable(), ...prefixed('decoder', decoderSpecs(c)) });

/** What the quantizer updates itself: codebooks, running statistics. */
export const stateSpecs = (c: VqVaeConfig): ParamSpecs => quantizerOf(c).state();

/** float32 [B, H, W, C] in [-1, 1] -> latents float32 [B, H / f, W / f, D]. */
export function encoderForward(p: Params, x: tf.Tensor4D, c: VqVaeConfig): tf.Tensor4D {
  for (let i = 0; i < Math.log2(c.downsample); i++) x = tf.relu(conv(p, `encoder.down.${i}`, x, 2));
  x = conv(p, 'encoder.conv', x);
  return conv(p, 'encoder.project', residualStack(p, 'encoder.residual', c.residualLayers, x));
}

/** Codes float32 [B, H / f, W / f, D] -> float32 [B, H, W, C], about [-1, 1]. */
export function decoderForward(p: Params, codes: tf.Tensor4D, c: VqVaeConfig): tf.Tensor4D {
  let x = residualStack(p, 'decoder.residual', c.residualLayers, conv(p, 'decoder.conv', codes));
  const steps = Math.log2(c.downsample);
  for (let i = 0; i < steps; i++) {
    x = convTranspose(p, `decoder.up.${i}`, x, 2);
    if (i < steps - 1) x = tf.relu(x);
  }
  return x;
}

/** float32 [B, H, W, C] -> int32 [B, h, w], with a fourth axis for quantizers that give several ids a position. */
export const encodeIds = (p: Params, x: tf.Tensor4D, c: VqVaeConfig): tf.Tensor => quantizerOf(c).encode(p, encoderForward(p, x, c));

/** Ids as {@link encodeIds} gives them -> float32 [B, H, W, C]. */
export const decodeIds = (p: Params, ids: tf.Tensor, c: VqVaeConfig): tf.Tensor4D => decoderForward(p, quantizerOf(c).decode(p, ids), c);

/** The training objective: error / variance of the data + what the quantizer adds. Assigns the quantizer's state. */
export function vqVaeLoss(p: Params, { images, dataVariance, ...moment }: CodecBatch, c: VqVaeConfig): CodecLosses {
  const quantized = quantizerOf(c).train(p, encoderForward(p, images, c), moment);
  const reconstruction = decoderForward(p, quantized.codes, c);
  const nmse = tf.div(tf.mean(tf.squaredDifference(reconstruction, images)), dataVariance) as tf.Scalar;
  return { loss: tf.add(nmse, quantized.loss), nmse, reconstruction };
}

const paramSpecs = (c: VqVaeConfig): ParamSpecs => ({ ...trainableSpecs(c), ...stateSpecs(c) });

const mapSpecs = (c: VqVaeConfig): TokenMapSpec[] => [quantizerOf(c).map('codes', gridOf(c))];

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
  open: (c, tensors, fingerprint) =>
    new ImageCodec({
      name: 'vqvae',
      fingerprint,
      input: vqVae.input(c),
      maps: mapSpecs(c),
      params: importParams('vqvae', paramSpecs(c), tensors),
      encode: (p, images) => [encodeIds(p, images, c)],
      decode: (p, [ids]) => decodeIds(p, ids!, c),
    }),
  latents: {
    shape: (c) => [...gridOf(c), quantizerOf(c).width],
    encode: encoderForward,
    decode: (p, latents, c) => decodeIds(p, quantizerOf(c).encode(p, latents as tf.Tensor4D), c),
  },
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
