// VQ-VAE for pictures: a convolutional encoder, a grid of codebook entries, a convolutional decoder.
// van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", arXiv:1711.00937.
import { z } from 'zod';
import { ReconstructionConfigSchema } from '../src/nn/losses.js';
import {
  anySizeFields,
  decoder,
  decoderSpecs,
  encoder,
  encoderSpecs,
  networkFields,
  outputLayer,
  refuseBadNetwork,
} from './networks.js';
import { oneMapFamily } from './one-map.js';
import { QuantizerConfigSchema } from './quantizers/index.js';
import { networkReach } from './reach.js';

export const VqVaeConfigSchema = z
  .strictObject({
    ...anySizeFields,
    ...networkFields,
    quantizer: QuantizerConfigSchema,
    reconstruction: ReconstructionConfigSchema,
  })
  .superRefine(refuseBadNetwork);

export type VqVaeConfig = z.infer<typeof VqVaeConfigSchema>;

/** The VQ-VAE as the registry knows it. */
export const vqVae = oneMapFamily<VqVaeConfig>({
  name: 'vqvae',
  schema: VqVaeConfigSchema,
  // Latents of about unit variance let the codebook and the commitment loss start in balance.
  encoderSpecs: (c, outChannels) => encoderSpecs(c, c.channels, outChannels, 0.6),
  // The first pictures are faint: an error to learn from, not one to recover from.
  decoderSpecs: (c, inChannels, outChannels) => decoderSpecs(c, inChannels, outChannels, 0.1),
  encoder,
  decoder,
  outputLayer,
  reach: networkReach,
});
