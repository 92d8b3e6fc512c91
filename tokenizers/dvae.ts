// The discrete VAE of DALL-E: residual blocks with a small gain, max-pooling down, repeated pixels up, a relaxed choice of
// codes that hardens as training goes on, and a likelihood over the logits of the pixels.
// Ramesh et al., "Zero-Shot Text-to-Image Generation", arXiv:2102.12092, appendix A.
import { z } from 'zod';
import { tf } from '../src/engine/index.js';
import type { TokenMapSpec } from '../src/interfaces/index.js';
import { parseConfig } from '../src/nn/config.js';
import { conv, convSpecs } from '../src/nn/conv.js';
import type { CodecBatch, CodecFamily, CodecLosses } from '../src/nn/family.js';
import { outputChannels, ReconstructionConfigSchema, toPictures } from '../src/nn/losses.js';
import { importParams, prefixed } from '../src/nn/params.js';
import type { Params, ParamSpecs } from '../src/nn/params.js';
import { ImageCodec } from './image-codec.js';
import { pictureFields, withReconstruction } from './networks.js';
import { Quantizer, QuantizerConfigSchema } from './quantizers/index.js';

/** What is used where the config names none. */
const orElse = (json: unknown, defaults: Record<string, unknown>): unknown => (json === undefined || (typeof json === 'object' && json !== null) ? { ...defaults, ...json } : json);

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
  .refine((c) => c.height % c.downsample === 0 && c.width % c.downsample === 0, { message: 'height and width must be multiples of downsample' });

export type DVaeConfig = z.infer<typeof DVaeConfigSchema>;

const quantizerOf = (c: DVaeConfig): Quantizer => new Quantizer(c.quantizer);

/** Rows and columns of the code grid. */
const gridOf = ({ height, width, downsample }: DVaeConfig): [number, number] => [height / downsample, width / downsample];

/** Channels at each resolution, from the picture to the codes. */
const groupWidths = ({ downsample, hidden }: DVaeConfig): number[] => Array.from({ length: Math.log2(downsample) + 1 }, (_, i) => hidden * 2 ** i);

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
    Array.from({ length: blocks }, (_, b) => blockSpecs(`group.${g}.${b}`, side, b > 0 ? width : (widths[g - 1] ?? inChannels), width)),
  );
  return Object.assign({}, ...specs) as ParamSpecs;
}

/** float32 [B, H, W, Ci] -> [B, H', W', Co]; `between` changes the resolution from one group to the next. */
function groups(p: Params, side: Side, x: tf.Tensor4D, c: DVaeConfig, between: (x: tf.Tensor4D) => tf.Tensor4D): tf.Tensor4D {
  const gain = residualGain(c);
  for (let g = 0; g < groupWidths(c).length; g++) {
    if (g > 0) x = between(x);
    for (let b = 0; b < c.blocksPerGroup; b++) x = block(p, `${side}.group.${g}.${b}`, side, x, gain);
  }
  return tf.relu(x);
}

const halved = (x: tf.Tensor4D): tf.Tensor4D => tf.maxPool(x, 2, 2, 'valid');
const doubled = (x: tf.Tensor4D): tf.Tensor4D => tf.image.resizeNearestNeighbor(x, [x.shape[1] * 2, x.shape[2] * 2]);

function encoderSpecs(c: DVaeConfig): ParamSpecs {
  const widths = groupWidths(c);
  return {
    ...convSpecs('input', 7, c.channels, c.hidden, GAIN),
    ...groupSpecs('encoder', c.hidden, widths, c.blocksPerGroup),
    ...convSpecs('output', 1, widths.at(-1)!, quantizerOf(c).width, GAIN),
  };
}

function decoderSpecs(c: DVaeConfig): ParamSpecs {
  const widths = groupWidths(c).toReversed();
  return {
    ...convSpecs('input', 1, quantizerOf(c).width, widths[0]!, GAIN),
    ...groupSpecs('decoder', widths[0]!, widths, c.blocksPerGroup),
    // The first pictures are faint: an error to learn from, not one to recover from.
    ...convSpecs('output', 1, c.hidden, outputChannels(c.channels, c.reconstruction), 0.1),
  };
}

const trainableSpecs = (c: DVaeConfig): ParamSpecs => ({ ...prefixed('encoder', encoderSpecs(c)), ...quantizerOf(c).trainable(), ...prefixed('decoder', decoderSpecs(c)) });
const stateSpecs = (c: DVaeConfig): ParamSpecs => quantizerOf(c).state();

/** float32 [B, H, W, C] in [-1, 1] -> latents float32 [B, H / f, W / f, D]. */
const encoderForward = (p: Params, images: tf.Tensor4D, c: DVaeConfig): tf.Tensor4D =>
  conv(p, 'encoder.output', groups(p, 'encoder', conv(p, 'encoder.input', images), c, halved));

/** Codes float32 [B, H / f, W / f, D] -> what the reconstruction loss takes, float32 [B, H, W, C']. */
const decoderForward = (p: Params, codes: tf.Tensor4D, c: DVaeConfig): tf.Tensor4D =>
  conv(p, 'decoder.output', groups(p, 'decoder', conv(p, 'decoder.input', codes), c, doubled));

/** float32 [B, H, W, C] -> int32 [B, h, w], with a fourth axis for quantizers that give several ids a position. */
const encodeIds = (p: Params, images: tf.Tensor4D, c: DVaeConfig): tf.Tensor => quantizerOf(c).encode(p, encoderForward(p, images, c));

/** Ids as {@link encodeIds} gives them -> float32 [B, H, W, C]. */
const decodeIds = (p: Params, ids: tf.Tensor, c: DVaeConfig): tf.Tensor4D => toPictures(decoderForward(p, quantizerOf(c).decode(p, ids), c), c.reconstruction);

/** The training objective: reconstruction loss through relaxed codes + what the quantizer adds, its KL term among it. */
function dVaeLoss(p: Params, { images, dataVariance, ...moment }: CodecBatch, c: DVaeConfig): CodecLosses {
  const quantized = quantizerOf(c).train(p, encoderForward(p, images, c), moment);
  return withReconstruction(decoderForward(p, quantized.codes, c), images, dataVariance, c.reconstruction, quantized.loss);
}

const mapSpecs = (c: DVaeConfig): TokenMapSpec[] => [quantizerOf(c).map('codes', gridOf(c))];

/** The discrete VAE as the registry knows it. */
export const dVae: CodecFamily<DVaeConfig> = {
  name: 'dvae',
  kind: 'image',
  parseConfig: (json) => parseConfig('dvae', DVaeConfigSchema, json),
  input: ({ height, width, channels, background, resize }) => ({ height, width, channels, background, resize }),
  maps: mapSpecs,
  trainable: trainableSpecs,
  state: stateSpecs,
  initialize: (p, images, key, c) => {
    quantizerOf(c).initialize(p, encoderForward(p, images, c), key);
  },
  loss: dVaeLoss,
  lastLayer: () => 'decoder.output.weight',
  reconstruct: (p, images, c) => {
    const ids = encodeIds(p, images, c);
    return { maps: [ids], images: decodeIds(p, ids, c) };
  },
  open: (c, tensors, fingerprint) =>
    new ImageCodec({
      name: 'dvae',
      fingerprint,
      input: dVae.input(c),
      maps: mapSpecs(c),
      params: importParams('dvae', { ...trainableSpecs(c), ...stateSpecs(c) }, tensors),
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
