// What the presets give: sizes, bits, parameters, and how long they train on this machine.
import { flopsOf, randomKey, tf } from '../engine/index.js';
import { codeCount } from '../interfaces/index.js';
import type { TokenMapSpec } from '../interfaces/index.js';
import { fullMedium } from '../media/node.js';
import { itemShapeOf } from '../media/item-shape.js';
import { nominalBits } from '../metrics/codebook.js';
import { parseConfig } from '../model/config.js';
import { createParams, disposeParams } from '../model/params.js';
import type { Params, ParamSpecs } from '../model/params.js';
import { Stages } from '../prior/stages.js';
import { codecFamily, priorFamily } from '../registry.js';
import { sizeOf } from '../shape.js';
import { CodecTrainingSchema, PriorTrainingSchema } from '../train/config.js';
import { convGflops } from './doctor.js';
import { codecPreset, presetNames, priorPreset } from './presets.js';

interface PresetSummary {
  name: string;
  purpose: string;
  /** Number of trained parameters, and the size of the model that contains them, in megabytes (10^6 bytes). */
  parameters: number;
  megabytes: number;
  /** Number of training steps, and samples in each. */
  steps: number;
  batchSize: number;
  /** Seconds that these steps take on this machine, about: from their arithmetic and the measured speed of a convolution. */
  seconds: number;
}

export interface CodecPresetSummary extends PresetSummary {
  codec: string;
  /** Shape [height, width, channels] of an image. */
  image: number[];
  /** The token maps; none for continuous latents. */
  maps: TokenMapSpec[];
  /** Number of codes of an image, and their bits at fixed-length coding. */
  codes: number;
  bits: number;
}

/** A prior's size depends on the tokens. It is given for {@link PresetList.priorTokens}, unconditional. */
export interface PriorPresetSummary extends PresetSummary {
  prior: string;
}

export interface PresetList {
  kind: 'presets';
  codecs: CodecPresetSummary[];
  priors: PriorPresetSummary[];
  priorTokens: TokenMapSpec;
  /** The measured speed of a convolution, in billions of operations per second. */
  gflops: number;
}

const PRIOR_TOKENS: TokenMapSpec = { name: 'codes', grid: [8, 8], levels: 1, vocabSize: 512 };

/** Operations of a training step for each of the forward pass: two more for the gradients. */
const TRAINING_FACTOR = 3;

/**
 * Speed of the steps of training, relative to that of the measured convolution: the rest is spent on small layers and on what is not
 * counted. Rough: from one training of `color-32` (0.39) and one of `small` (0.6) beside the measurement, on a machine that did other work too.
 */
const EFFICIENCY = { codec: 0.35, prior: 0.5 };

/** Lists the presets. Takes a few seconds, in which the speed of the machine is measured. */
export async function listPresets(): Promise<PresetList> {
  const gflops = await convGflops();
  const secondsOf = (flops: number, kind: 'codec' | 'prior'): number => flops / (1e9 * gflops * EFFICIENCY[kind]);
  const codecs: CodecPresetSummary[] = [];
  for (const name of presetNames('codec')) codecs.push(await codecSummary(name, (flops) => secondsOf(flops, 'codec')));
  const priors: PriorPresetSummary[] = [];
  for (const name of presetNames('prior')) priors.push(await priorSummary(name, (flops) => secondsOf(flops, 'prior')));
  return { kind: 'presets', codecs, priors, priorTokens: PRIOR_TOKENS, gflops };
}

async function codecSummary(name: string, secondsOf: (flops: number) => number): Promise<CodecPresetSummary> {
  const { codec, purpose = '', config: json, training } = codecPreset({ preset: name });
  const family = codecFamily(codec);
  const config = family.parseConfig(json);
  const { steps, batchSize } = parseConfig(name, CodecTrainingSchema, training);
  const image = itemShapeOf(fullMedium(family.medium), family.input(config));
  const maps = family.maps(config);
  const specs = { ...family.trainable(config), ...family.state(config) };
  const params = createParams(specs, 0);
  const inputs: [tf.Tensor, tf.Tensor1D, tf.Scalar] = [tf.zeros([1, ...image]), randomKey(0, 0), tf.scalar(0.5)];
  const forward = await forwardFlops(
    params,
    inputs,
    (values: tf.Tensor, key: tf.Tensor1D, progress: tf.Scalar) =>
      family.loss(params, { inputs: values, key, progress, dataVariance: 1 }, config).loss,
  );
  return {
    name,
    codec,
    purpose,
    image,
    maps,
    codes: maps.reduce((sum, map) => sum + codeCount(map), 0),
    bits: nominalBits(maps),
    ...sizeFor(family.trainable(config), specs),
    steps,
    batchSize,
    seconds: steps * secondsOf(TRAINING_FACTOR * batchSize * forward),
  };
}

async function priorSummary(name: string, secondsOf: (flops: number) => number): Promise<PriorPresetSummary> {
  const { prior, purpose = '', config: json, training } = priorPreset({ preset: name });
  const family = priorFamily(prior);
  const config = family.parseConfig({ ...json, ...family.mapFields([PRIOR_TOKENS]), conditioning: 'none' });
  const { steps, batchSize } = parseConfig(name, PriorTrainingSchema, training);
  const stages = Stages.of(family, config);
  const params = createParams(stages.params, 0);
  const inputs: [tf.Tensor2D, tf.Tensor2D, tf.Tensor1D] = [
    tf.zeros<tf.Rank.R2>([1, stages.codeCount], 'int32'),
    tf.zeros<tf.Rank.R2>([1, family.condition(config).length], 'int32'),
    randomKey(0, 0),
  ];
  const forward = await forwardFlops(
    params,
    inputs,
    (codes: tf.Tensor2D, condition: tf.Tensor2D, key: tf.Tensor1D) =>
      stages.loss(params, { codes, condition }, key).loss,
  );
  return {
    name,
    prior,
    purpose,
    ...sizeFor(stages.params, stages.params),
    steps,
    batchSize,
    seconds: steps * secondsOf(TRAINING_FACTOR * batchSize * forward),
  };
}

/** Operations of the loss of one sample. Weights and inputs are disposed. */
async function forwardFlops<A extends tf.Tensor[]>(
  params: Params,
  inputs: A,
  loss: (...inputs: A) => tf.Tensor,
): Promise<number> {
  try {
    return await flopsOf(loss, inputs);
  } finally {
    tf.dispose(inputs);
    disposeParams(params);
  }
}

/** Size of a model whose weights are stored as float32. */
function sizeFor(trained: ParamSpecs, stored: ParamSpecs): Pick<PresetSummary, 'parameters' | 'megabytes'> {
  const count = (specs: ParamSpecs): number => Object.values(specs).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return { parameters: count(trained), megabytes: (4 * count(stored)) / 1e6 };
}
