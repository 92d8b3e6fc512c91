// The discrete VAE of DALL-E: residual blocks with a small gain, max-pooling down, repeated pixels up, a relaxed choice of
// codes that hardens as training goes on, and a likelihood over the logits of the pixels.
// Ramesh et al., "Zero-Shot Text-to-Image Generation", arXiv:2102.12092, appendix A.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { conv, maxPool, repeat } from '../src/nn/conv.js';
import { chain, pointwise, SEES_ITSELF, together } from '../src/model/layer.js';
import type { Layer } from '../src/model/layer.js';
import { ReconstructionConfigSchema } from '../src/losses/reconstruction.js';
import { prefixed, scoped } from '../src/model/params.js';
import { pictureFields } from './networks.js';
import { oneMapFamily } from './one-map.js';
import { QuantizerConfigSchema } from './quantizers/index.js';

/** What is used where the config names none. */
const orElse = (json: unknown, defaults: Record<string, unknown>): unknown =>
  json === undefined || (typeof json === 'object' && json !== null) ? { ...defaults, ...json } : json;

export const DVaeConfigSchema = z
  .strictObject({
    ...pictureFields,
    /** Pixels of one code's side: 2, 4, 8 or 16. A group of blocks stands at each resolution from the picture to the codes. */
    downsample: z.union([z.literal(2), z.literal(4), z.literal(8), z.literal(16)]).default(8),
    /** Channels at the full resolution; twice as many at each coarser one. */
    hidden: z.int().min(4).max(512).default(64),
    /** Residual blocks at each resolution, in encoder and decoder each. */
    blocksPerGroup: z.int().min(1).max(8).default(2),
    /** The relaxed choice with its temperature and KL schedules, where no other quantizer is named. */
    quantizer: z.preprocess((json) => orElse(json, { name: 'gumbel' }), QuantizerConfigSchema),
    /** The logit-Laplace likelihood where no other loss is named. */
    reconstruction: z.preprocess((json) => orElse(json, { kind: 'logit-laplace' }), ReconstructionConfigSchema),
  })
  .refine((c) => c.height % c.downsample === 0 && c.width % c.downsample === 0, {
    message: 'height and width must be multiples of downsample',
  });

export type DVaeConfig = z.infer<typeof DVaeConfigSchema>;

/** Channels at each resolution, from the picture to the codes. */
const groupWidths = ({ downsample, hidden }: DVaeConfig): number[] =>
  Array.from({ length: Math.log2(downsample) + 1 }, (_, i) => hidden * 2 ** i);

/** What a block adds is scaled by 1 / (number of blocks)^2, so that deep stacks start near the identity. */
const residualGain = (c: DVaeConfig): number => 1 / (groupWidths(c).length * c.blocksPerGroup) ** 2;

/** Kernel sizes of a block's convolutions: the encoder's narrow its sight last, the decoder's first. */
const KERNELS = { encoder: [3, 3, 3, 1], decoder: [1, 3, 3, 3] } as const;
type Side = keyof typeof KERNELS;

/** Weights of variance 1 / fanIn: a block's input has been through a ReLU, but what it adds is scaled down anyway. */
const GAIN = Math.SQRT1_2;

const relu = pointwise((x) => tf.relu(x));

/** A block at work at a quarter of its channels, beside a 1x1 convolution where the number of channels changes. */
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

/** Groups of blocks, the first given `inChannels`, with `between` to change the resolution from one group to the next. */
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
    // The first pictures are faint: an error to learn from, not one to recover from.
    output: conv(1, c.hidden, outChannels, { gain: 0.1 }),
  });
}

/** The discrete VAE as the registry knows it. */
export const dVae = oneMapFamily<DVaeConfig>({ name: 'dvae', schema: DVaeConfigSchema, encoder, decoder });
