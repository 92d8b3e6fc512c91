// The discrete VAE of DALL-E: residual blocks with a small gain, max-pooling down, repeated pixels up, a relaxed choice of
// codes that hardens as training goes on, and a likelihood over the logits of the pixels.
// Ramesh et al., "Zero-Shot Text-to-Image Generation", arXiv:2102.12092, appendix A.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import { conv, convSpecs } from '../src/nn/conv.js';
import { ReconstructionConfigSchema } from '../src/nn/losses.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
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

/** A block at work at a quarter of its channels, beside a 1x1 convolution where the number of channels changes. */
function blockSpecs(name: string, side: Side, inChannels: number, outChannels: number): ParamSpecs {
  const inner = Math.max(1, Math.floor(outChannels / 4));
  const widths = [inChannels, inner, inner, inner, outChannels];
  return Object.assign(
    {},
    inChannels !== outChannels && convSpecs(`${name}.skip`, 1, inChannels, outChannels, GAIN),
    ...KERNELS[side].map((size, i) => convSpecs(`${name}.conv.${i}`, size, widths[i]!, widths[i + 1]!, GAIN)),
  ) as ParamSpecs;
}

/** float32 [B, H, W, Ci] -> [B, H, W, Co]. */
function block(p: Params, name: string, side: Side, x: tf.Tensor4D, gain: number): tf.Tensor4D {
  const kept = p[`${name}.skip.weight`] ? conv(p, `${name}.skip`, x) : x;
  const added = KERNELS[side].reduce((h, _, i) => conv(p, `${name}.conv.${i}`, tf.relu(h)), x);
  return tf.add(kept, tf.mul(added, gain));
}

/** Groups of blocks, the first given `inChannels`. */
function groupSpecs(side: Side, inChannels: number, widths: number[], blocks: number): ParamSpecs {
  const specs = widths.flatMap((width, g) =>
    Array.from({ length: blocks }, (_, b) =>
      blockSpecs(`group.${g}.${b}`, side, b > 0 ? width : (widths[g - 1] ?? inChannels), width),
    ),
  );
  return Object.assign({}, ...specs) as ParamSpecs;
}

/** float32 [B, H, W, Ci] -> [B, H', W', Co]; `between` changes the resolution from one group to the next. */
function groups(
  p: Params,
  scope: string,
  side: Side,
  x: tf.Tensor4D,
  c: DVaeConfig,
  between: (x: tf.Tensor4D) => tf.Tensor4D,
): tf.Tensor4D {
  const gain = residualGain(c);
  for (let g = 0; g < groupWidths(c).length; g++) {
    if (g > 0) x = between(x);
    for (let b = 0; b < c.blocksPerGroup; b++) x = block(p, `${scope}.group.${g}.${b}`, side, x, gain);
  }
  return tf.relu(x);
}

const halved = (x: tf.Tensor4D): tf.Tensor4D => tf.maxPool(x, 2, 2, 'valid');
const doubled = (x: tf.Tensor4D): tf.Tensor4D => tf.image.resizeNearestNeighbor(x, [x.shape[1] * 2, x.shape[2] * 2]);

function encoderSpecs(c: DVaeConfig, outChannels: number): ParamSpecs {
  const widths = groupWidths(c);
  return {
    ...convSpecs('input', 7, c.channels, c.hidden, GAIN),
    ...groupSpecs('encoder', c.hidden, widths, c.blocksPerGroup),
    ...convSpecs('output', 1, widths.at(-1)!, outChannels, GAIN),
  };
}

function decoderSpecs(c: DVaeConfig, inChannels: number, outChannels: number): ParamSpecs {
  const widths = groupWidths(c).toReversed();
  return {
    ...convSpecs('input', 1, inChannels, widths[0]!, GAIN),
    ...groupSpecs('decoder', widths[0]!, widths, c.blocksPerGroup),
    // The first pictures are faint: an error to learn from, not one to recover from.
    ...convSpecs('output', 1, c.hidden, outChannels, 0.1),
  };
}

/** Input layer, groups of blocks, output layer. */
const network =
  (side: Side, between: (x: tf.Tensor4D) => tf.Tensor4D) =>
  (p: Params, scope: string, x: tf.Tensor4D, c: DVaeConfig): tf.Tensor4D =>
    conv(p, `${scope}.output`, groups(p, scope, side, conv(p, `${scope}.input`, x), c, between));

/** The discrete VAE as the registry knows it. */
export const dVae = oneMapFamily<DVaeConfig>({
  name: 'dvae',
  schema: DVaeConfigSchema,
  encoderSpecs,
  decoderSpecs,
  encoder: network('encoder', halved),
  decoder: network('decoder', doubled),
  outputLayer: () => 'output.weight',
});
