// Codecs of one map: an encoder, a quantizer and a decoder. VQ-VAE and dVAE differ only in their networks.
import type { tf } from '../src/engine/index.js';
import type { ImageInput } from '../src/interfaces/index.js';
import type { CodecFamily } from '../src/model/codec.js';
import { outputChannels, toImages } from '../src/losses/reconstruction.js';
import type { ReconstructionConfig } from '../src/losses/reconstruction.js';
import { chain } from '../src/model/layer.js';
import type { Layer } from '../src/model/layer.js';
import type { Params } from '../src/model/params.js';
import { imageFamily } from './family.js';
import type { CodecParts } from './family.js';
import { squareReach, withReconstruction } from './networks.js';
import { Quantizer } from './quantizers/index.js';
import type { QuantizerConfig } from './quantizers/index.js';

/** The config of a one-map codec, without its networks. */
export interface OneMapConfig extends ImageInput {
  /** Number of pixels along each side of a code. */
  downsample: number;
  quantizer: QuantizerConfig;
  reconstruction: ReconstructionConfig;
}

/** The networks of a one-map codec. Each is one layer, which defines weights, forward pass, reach and output layer. */
export interface OneMapNetworks<C extends OneMapConfig> extends Pick<CodecParts<C>, 'name' | 'schema'> {
  /** Images float32 [B, H, W, C] in [-1, 1] -> latents float32 [B, H / f, W / f, outChannels]. */
  encoder(config: C, outChannels: number): Layer;
  /** Codes float32 [B, H / f, W / f, inChannels] -> what the reconstruction loss takes, float32 [B, H, W, outChannels]. */
  decoder(config: C, inChannels: number, outChannels: number): Layer;
  /** True if images may keep their size. The networks must take any size. */
  anyExtent?: boolean;
}

/** A quantizer and the networks around it, for one config. */
interface Parts {
  quantizer: Quantizer;
  /** Weights named `encoder.*`, `decoder.*`. */
  encoder: Layer;
  decoder: Layer;
}

/** A one-map codec as the registry knows it. The map is named `codes`. */
export function oneMapFamily<C extends OneMapConfig>({
  name,
  schema,
  anyExtent = false,
  ...networks
}: OneMapNetworks<C>): CodecFamily<C, tf.Tensor4D> {
  const gridOf = ({ height, width, downsample }: C): [number, number] => [height / downsample, width / downsample];
  const partsOf = (c: C): Parts => {
    const quantizer = new Quantizer(c.quantizer);
    const outputs = outputChannels(c.channels, c.reconstruction);
    return {
      quantizer,
      encoder: chain({ encoder: networks.encoder(c, quantizer.width) }),
      decoder: chain({ decoder: networks.decoder(c, quantizer.width, outputs) }),
    };
  };
  const decodeIds = ({ quantizer, decoder }: Parts, p: Params, ids: tf.Tensor, c: C): tf.Tensor4D =>
    toImages(decoder.apply(p, quantizer.decode<tf.Rank.R4>(p, ids)), c.reconstruction);
  const latentsOf = ({ encoder }: Parts, p: Params, images: tf.Tensor4D): tf.Tensor4D => encoder.apply(p, images);
  return imageFamily<C>({
    name,
    schema,
    maps: (c) => [new Quantizer(c.quantizer).map('codes', gridOf(c))],
    trainable: (c) => {
      const { quantizer, encoder, decoder } = partsOf(c);
      return { ...encoder.params, ...quantizer.trainable(), ...decoder.params };
    },
    state: (c) => new Quantizer(c.quantizer).state(),
    initialize: (p, images, key, c) => {
      const parts = partsOf(c);
      parts.quantizer.initialize(p, latentsOf(parts, p, images), key);
    },
    // The reconstruction loss and the loss of the quantizer.
    loss: (p, { inputs, dataVariance, ...moment }, c) => {
      const parts = partsOf(c);
      const quantized = parts.quantizer.train(p, latentsOf(parts, p, inputs), moment);
      const output: tf.Tensor4D = parts.decoder.apply(p, quantized.codes);
      return withReconstruction(output, inputs, dataVariance, c.reconstruction, quantized.loss);
    },
    encode: (p, images, c) => {
      const parts = partsOf(c);
      return [parts.quantizer.encode(p, latentsOf(parts, p, images))];
    },
    decode: (p, [ids], c) => decodeIds(partsOf(c), p, ids!, c),
    latents: {
      shapes: (c) => [[...gridOf(c), new Quantizer(c.quantizer).width]],
      encode: (p, images, c) => [latentsOf(partsOf(c), p, images)],
      decode: (p, [z], c) => {
        const parts = partsOf(c);
        return decodeIds(parts, p, parts.quantizer.encode(p, z!), c);
      },
    },
    lastLayer: (c) => partsOf(c).decoder.output!,
    ...(anyExtent && {
      anyExtent: {
        multiple: ({ downsample: f }) => [f, f],
        reach: (c) => {
          const { encoder, decoder } = partsOf(c);
          return squareReach(c.downsample, encoder.sees, decoder.sees);
        },
      },
    }),
  });
}
