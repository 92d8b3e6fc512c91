// The options of the training jobs.
import type { BadSample } from '../data/batches.js';
import type { TesseraeError } from '../errors.js';
import type { Conditioning } from '../interfaces/index.js';
import type { FeatureScaling } from '../features/scaling.js';
import type { TooLong } from '../train/conditions.js';
import type { LoopOptions } from '../train/loop.js';
import type { KeepRule } from '../train/watch.js';
import type { DataOptions, DataSource } from './dataset.js';

/** Settings of a training that override those of a preset or of the advice. */
export interface TrainingOverrides {
  steps?: number;
  /** Minutes to train, in place of `steps`: a few seconds of training on this machine tell how many steps fit into them. */
  minutes?: number;
  batchSize?: number;
  learningRate?: number;
  /** Which weights become the model: those with the best held-out figure, or the last ones. Default: that of the preset, otherwise `best`. */
  keep?: KeepRule;
  /** Number of evaluations without a better held-out figure after which training stops; 0 never stops. Default: that of the preset, otherwise 10 for priors and 0 for codecs. */
  patience?: number;
}

/** The overrides as fields of the training settings. `minutes` is not one of them. */
export function overridesOf({
  steps,
  batchSize,
  learningRate,
  keep,
  patience,
}: TrainingOverrides): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries({ steps, batchSize, learningRate, keep, patience }).filter(([, value]) => value !== undefined),
  );
}

/** Settings of both jobs. They override the preset. */
export interface TrainOptions extends LoopOptions, TrainingOverrides {
  /** Name of a preset that ships with the package. Default: settings that suit the data, as `adviseCodec` and `advisePrior` pick them. */
  preset?: string;
  /** Path of a JSON file in the form of a preset, which is used instead of one. */
  config?: string;
  /**
   * Model directory of a trained model, whose weights the run starts with. Its settings are used, unless a preset or a config of the
   * same network is named. A prior also keeps its text tokenizer.
   */
  from?: string;
  /** Default 0. */
  seed?: number;
}

export interface TrainCodecOptions extends TrainOptions, DataOptions {
  data: DataSource;
  /** Path of an ONNX network, images [B, 3, H, W] to feature maps. The distance of all its outputs is added to the loss. */
  features?: string;
  /** The pixel values it was trained on. Default: that of the preset, otherwise `imagenet`. */
  featureScaling?: FeatureScaling;
  onBad?: (error: TesseraeError, sample: BadSample) => void;
}

export interface TrainPriorOptions extends TrainOptions {
  /** Token shards written by `tokenize`. */
  tokens: string;
  /** Path of a Hugging Face `tokenizer.json` for the captions. Default: a tokenizer is trained on them. */
  tokenizer?: string;
  /** What to condition on. Default: text if captions say more than class names, otherwise classes if there are any, otherwise nothing. `onNote` receives the reason. */
  conditioning?: Conditioning;
  /** What to do with captions longer than the prior's text: train on their beginning, or stop with an error. Default `cut`; `onNote` receives their number. */
  tooLong?: TooLong;
}
