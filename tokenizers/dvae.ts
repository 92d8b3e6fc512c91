// The discrete VAE of DALL-E: residual blocks with a small gain, downsampling by max-pooling, upsampling by repetition, a relaxed
// choice of codes that hardens during training, and a likelihood over the logits of the pixels.
// Ramesh et al., "Zero-Shot Text-to-Image Generation", arXiv:2102.12092, appendix A.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { relu } from '../src/nn/activations.js';
import { conv, maxPool, repeat } from '../src/nn/conv.js';
import { chain, SEES_ITSELF, together } from '../src/model/layer.js';
import type { Layer } from '../src/model/layer.js';
import { ReconstructionConfigSchema } from '../src/losses/reconstruction.js';
import { prefixed, scoped } from '../src/model/params.js';
import { imageFields, refusePartialCells } from './networks.js';
import { oneMapFamily } from './one-map.js';
import { QuantizerConfigSchema } from './quantizers/index.js';

/** What is used where the config names none. */
const orElse = (json: unknown, defaults: Record<string, unknown>): unknown =>
  json === undefined || (typeof json === 'object' && json !== null) ? { ...defaults, ...json } : json;

const DVaeConfigSchema = z
  .strictObject({
    ...imageFields,
    /** Number of pixels along each side of a code: 2, 4, 8 or 16. There is a group of blocks at each resolution from the image to the codes. */
    downsample: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16)]).default(8),
    /** Number of channels at the full resolution. It doubles at each coarser resolution. */
    hidden: z.int().min(4).max(512).default(64),
    /** Number of residual blocks at each resolution, in the encoder and in the decoder. */
    blocksPerGroup: z.int().min(1).max(8).default(2),
    /** Default: the relaxed choice `gumbel` with its temperature and KL schedules. */
    quantizer: z.preprocess((json) => orElse(json, { name: 'gumbel' }), QuantizerConfigSchema),
    /** Default: the logit-Laplace likelihood. */
    reconstruction: z.preprocess((json) => orElse(json, { kind: 'logit-laplace' }), ReconstructionConfigSchema),
  })
  .superRefine(refusePartialCells);

export type DVaeConfig = z.infer<typeof DVaeConfigSchema>;

/** Channels at each resolution, from the image to the codes. */
const groupWidths = ({ downsample, hidden }: DVaeConfig): number[] =>
  Array.from({ length: Math.log2(downsample) + 1 }, (_, i) => hidden * 2 ** i);

/** The output of a block is scaled by 1 / (number of blocks)^2, so that deep stacks start near the identity. */
const residualGain = (c: DVaeConfig): number => 1 / (groupWidths(c).length * c.blocksPerGroup) ** 2;

/** Kernel sizes of a block's convolutions: the 1x1 convolution is the last one in the encoder and the first one in the decoder. */
const KERNELS = { encoder: [3, 3, 3, 1], decoder: [1, 3, 3, 3] } as const;
type Side = keyof typeof KERNELS;

/** Gives weights of variance 1 / fanIn. Blocks follow a ReLU, but their output is scaled down anyway. */
const GAIN = Math.SQRT1_2;

/** A bottleneck block with a quarter of its channels, and a 1x1 convolution on the skip path if the number of channels changes. */
function block(side: Side, inChannels: number, outChannels: number, gain: number): Layer {
  const inner = Math.max(1, Math.floor(outChannels / 4));
  const widths = [inChannels, inner, inner, inner, outChannels];
  const skip = inChannels !== outChannels && conv(1, inChannels, outChannels, { gain: GAIN });
  const convs = KERNELS[side].map((size, i) => ({
    [`before.${i}`]: relu,
    [`conv.${i}`]: conv(size, widths[i]!, widths[i + 1]!, { gain: GAIN }),
  }));
  const added = chain(Object.assign({}, ...convs));
  return {
    params: { ...(skip && prefixed('skip', skip.params)), ...added.params },
    apply: (p, x) => tf.add(skip ? skip.apply(scoped('skip', p), x) : x, tf.mul(added.apply(p, x), gain)),
    sees: together(SEES_ITSELF, added.sees),
    output: added.output,
  };
}

/** Groups of blocks, the first of which has `inChannels`. `between` changes the resolution from one group to the next. */
function groups(
  side: Side,
  inChannels: number,
  widths: readonly number[],
  between: Layer,
  c: DVaeConfig,
): Record<string, Layer | false> {
  const gain = residualGain(c);
  const parts = widths.map((width, g) => ({
    [`between.${g}`]: g > 0 && between,
    ...Object.fromEntries(
      Array.from({ length: c.blocksPerGroup }, (_, b) => [
        `group.${g}.${b}`,
        block(side, b > 0 ? width : (widths[g - 1] ?? inChannels), width, gain),
      ]),
    ),
  }));
  return Object.assign({}, ...parts, { activation: relu });
}

/** float32 [B, H, W, channels] -> [B, H / f, W / f, outChannels]. */
function encoder(c: DVaeConfig, outChannels: number): Layer {
  const widths = groupWidths(c);
  return chain({
    input: conv(7, c.channels, c.hidden, { gain: GAIN }),
    ...groups('encoder', c.hidden, widths, maxPool(2), c),
    output: conv(1, widths.at(-1)!, outChannels, { gain: GAIN }),
  });
}

/** float32 [B, h, w, inChannels] -> [B, h * f, w * f, outChannels]. */
function decoder(c: DVaeConfig, inChannels: number, outChannels: number): Layer {
  const widths = groupWidths(c).toReversed();
  return chain({
    input: conv(1, inChannels, widths[0]!, { gain: GAIN }),
    ...groups('decoder', widths[0]!, widths, repeat(2), c),
    // A small gain: the first images have little contrast, so the first errors are moderate.
    output: conv(1, c.hidden, outChannels, { gain: 0.1 }),
  });
}

/** The discrete VAE as the registry knows it. */
export const dVae = oneMapFamily<DVaeConfig>({ name: 'dvae', schema: DVaeConfigSchema, encoder, decoder });
