// VQ-VAE for images: a convolutional encoder, a grid of codebook entries, and a convolutional decoder.
// van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", arXiv:1711.00937.
import { z } from 'zod';
import { ReconstructionConfigSchema } from '../src/losses/reconstruction.js';
import { anySizeFields, decoder, encoder, networkFields, refuseBadNetwork } from './networks.js';
import { oneMapFamily } from './one-map.js';
import { QuantizerConfigSchema } from './quantizers/index.js';

const VqVaeConfigSchema = z
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
  encoder: (c, outChannels) => encoder(c, c.channels, outChannels, 0.6),
  // A small gain: the first images have little contrast, so the first errors are moderate.
  decoder: (c, inChannels, outChannels) => decoder(c, inChannels, outChannels, 0.1),
  anyExtent: true,
});
