// Codecs of one map: an encoder, a quantizer, a decoder. VQ-VAE and dVAE differ in their networks alone.
import type { tf } from '../src/engine/index.js';
import type { ImageInput } from '../src/interfaces/index.js';
import type { CodecFamily } from '../src/nn/family.js';
import { outputChannels, toPictures } from '../src/nn/losses.js';
import type { ReconstructionConfig } from '../src/nn/losses.js';
import { prefixed } from '../src/nn/params.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
import { pictureFamily } from './family.js';
import type { CodecParts } from './family.js';
import { withReconstruction } from './networks.js';
import { Quantizer } from './quantizers/index.js';
import type { QuantizerConfig } from './quantizers/index.js';

/** What a one-map codec's config holds besides its networks. */
export interface OneMapConfig extends ImageInput {
  /** Pixels of one code's side. */
  downsample: number;
  quantizer: QuantizerConfig;
  reconstruction: ReconstructionConfig;
}

/** The networks of a one-map codec; their weights are named without a prefix. */
export interface OneMapNetworks<C extends OneMapConfig> extends Pick<CodecParts<C>, 'name' | 'schema'> {
  /** Weights of an encoder that gives `outChannels`. */
  encoderSpecs(config: C, outChannels: number): ParamSpecs;
  /** Weights of a decoder from `inChannels` to `outChannels`. */
  decoderSpecs(config: C, inChannels: number, outChannels: number): ParamSpecs;
  /** float32 [B, H, W, C] in [-1, 1] -> latents float32 [B, H / f, W / f, D], the weights named `scope`.*. */
  encoder(p: Params, scope: string, images: tf.Tensor4D, config: C): tf.Tensor4D;
  /** Codes float32 [B, H / f, W / f, D] -> what the reconstruction loss takes, float32 [B, H, W, C']. */
  decoder(p: Params, scope: string, codes: tf.Tensor4D, config: C): tf.Tensor4D;
  /** Name of the decoder's kernel that makes the pictures. */
  outputLayer(config: C): string;
  /** For networks that follow the size of their pictures: see `AnySize`. */
  reach?(config: C): number | undefined;
}

const both = (reach: number | undefined): number[] | undefined => (reach === undefined ? undefined : [reach, reach]);

/** A one-map codec as the registry knows it. The map is named `codes`; it has a third axis for quantizers that give several ids a position. */
export function oneMapFamily<C extends OneMapConfig>({
  name,
  schema,
  outputLayer,
  reach,
  ...networks
}: OneMapNetworks<C>): CodecFamily<C> {
  const quantizerOf = (c: C): Quantizer => new Quantizer(c.quantizer);
  const gridOf = ({ height, width, downsample }: C): [number, number] => [height / downsample, width / downsample];
  const latents = (p: Params, images: tf.Tensor4D, c: C): tf.Tensor4D => networks.encoder(p, 'encoder', images, c);
  const output = (p: Params, codes: tf.Tensor4D, c: C): tf.Tensor4D => networks.decoder(p, 'decoder', codes, c);
  const decodeIds = (p: Params, ids: tf.Tensor, c: C): tf.Tensor4D =>
    toPictures(output(p, quantizerOf(c).decode(p, ids), c), c.reconstruction);
  return pictureFamily<C>({
    name,
    schema,
    maps: (c) => [quantizerOf(c).map('codes', gridOf(c))],
    trainable: (c) => {
      const quantizer = quantizerOf(c);
      return {
        ...prefixed('encoder', networks.encoderSpecs(c, quantizer.width)),
        ...quantizer.trainable(),
        ...prefixed('decoder', networks.decoderSpecs(c, quantizer.width, outputChannels(c.channels, c.reconstruction))),
      };
    },
    state: (c) => quantizerOf(c).state(),
    initialize: (p, images, key, c) => {
      quantizerOf(c).initialize(p, latents(p, images, c), key);
    },
    // The reconstruction loss + what the quantizer adds.
    loss: (p, { images, dataVariance, ...moment }, c) => {
      const quantized = quantizerOf(c).train(p, latents(p, images, c), moment);
      return withReconstruction(output(p, quantized.codes, c), images, dataVariance, c.reconstruction, quantized.loss);
    },
    encode: (p, images, c) => [quantizerOf(c).encode(p, latents(p, images, c))],
    decode: (p, [ids], c) => decodeIds(p, ids!, c),
    latents: {
      shapes: (c) => [[...gridOf(c), quantizerOf(c).width]],
      encode: (p, images, c) => [latents(p, images, c)],
      decode: (p, [z], c) => decodeIds(p, quantizerOf(c).encode(p, z as tf.Tensor4D), c),
    },
    lastLayer: (c) => `decoder.${outputLayer(c)}`,
    anyExtent: reach && { multiple: ({ downsample }) => [downsample, downsample], reach: (c) => both(reach(c)) },
  });
}
