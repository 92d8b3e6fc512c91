// The two training jobs: from data on disk to a model directory.
import type { ModelCard } from '../checkpoint/model.js';
import type { BadSample } from '../data/batches.js';
import { UsageError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { readFile } from '../files.js';
import type { Conditioning, Image, Prompt } from '../interfaces/index.js';
import { parseConfig } from '../nn/config.js';
import type { FeatureScaling } from '../interfaces/feature-scaling.js';
import { codecFamily, priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { trainBpe } from '../text/bpe.js';
import { loadTokenizer } from '../text/tokenizer.js';
import { wordsIn } from '../text/words.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { trainCodec as runCodec } from '../train/codec.js';
import { CodecTrainingSchema, PriorTrainingSchema } from '../train/config.js';
import type { LoopOptions } from '../train/loop.js';
import { trainPrior as runPrior } from '../train/prior.js';
import { withDataset } from './dataset.js';
import type { DataOptions, DataSource } from './dataset.js';
import { carriedCodec, carryCodec, LoadedPrior, openCodec } from './models.js';
import { codecPreset, priorPreset } from './presets.js';
import type { CodecPreset, PriorPreset } from './presets.js';

/** Settings both jobs share. Overrides win over the preset. */
export interface TrainOptions extends LoopOptions {
  /** Name of a preset that ships with the package. Default `default`. */
  preset?: string;
  /** Path of a JSON file of the same form as a preset, in its place. */
  config?: string;
  /** Default 0. */
  seed?: number;
  steps?: number;
  batchSize?: number;
  learningRate?: number;
}

export interface TrainCodecOptions extends TrainOptions, DataOptions {
  data: DataSource;
  /** Path of an ONNX network, pictures [B, 3, H, W] to feature maps: adds the distance of all its outputs to the loss. */
  features?: string;
  /** The pixels it was trained on. Default what the preset says, else `imagenet`. */
  featureScaling?: FeatureScaling;
  onBad?: (error: TesseraeError, sample: BadSample) => void;
}

/**
 * Trains a codec and writes its model directory, with checkpoints, metrics and a report.
 *
 * @returns the model's card; `metrics` are over the whole held-out split.
 * @throws {UsageError} for settings, {InputError} for data, {CorruptError} or {EngineError} for a feature network, {DivergedError}, {AbortedError}, {IoError}, {LockError}.
 */
export async function trainCodec(options: TrainCodecOptions): Promise<ModelCard> {
  const preset = codecPreset(options);
  const family = codecFamily(preset.codec);
  const config = family.parseConfig(preset.config);
  const training = parseConfig('training', CodecTrainingSchema, { ...preset.training, ...overridesOf(options), ...perceptualOf(options, preset) });
  return withDataset(options.data, options, (dataset) => runCodec({ ...options, family, config, training, dataset, seed: options.seed ?? 0 }));
}

export interface TrainPriorOptions extends TrainOptions {
  /** Token shards written by `tokenize`. */
  tokens: string;
  /** Path of a Hugging Face `tokenizer.json` for the captions; left out, one is trained on them. */
  tokenizer?: string;
  /** What to condition on. Default: text where captions say more than class names, else classes where there are, else nothing. */
  conditioning?: Conditioning;
}

/**
 * Trains a prior and writes its model directory, with checkpoints, metrics and a report.
 *
 * @returns the model's card; `metrics` are over the whole held-out split.
 * @throws {UsageError} for settings, {CorruptError} for damaged shards, {DivergedError}, {AbortedError}, {IoError}, {LockError}.
 */
export async function trainPrior(options: TrainPriorOptions): Promise<ModelCard> {
  const preset = priorPreset(options);
  const family = priorFamily(preset.prior);
  const training = parseConfig('training', PriorTrainingSchema, { ...preset.training, ...overridesOf(options) });
  const tokens = await ShardReader.open(options.tokens);
  try {
    const captions = await captionsOf(tokens);
    const conditioning = options.conditioning ?? conditioningFor(tokens, captions);
    const text = conditioning === 'text' ? textTokenizer(options, preset, captions) : undefined;
    const config = family.parseConfig({ ...preset.config, ...conditionConfig(tokens, conditioning, preset, text, captions), codes: await codesOf(tokens) });
    const codec = carriedCodec(options.tokens);
    const card = await runPrior({
      ...options,
      family,
      config,
      training,
      tokens,
      seed: options.seed ?? 0,
      text,
      words: text && wordsIn([...captions].filter(([, count]) => count > 0)),
      sample: codec && (async (card, tensors) => drawSamples(new LoadedPrior(card, tensors, text), openCodec(codec), captions)),
    });
    if (codec) carryCodec(options.out, codec);
    return card;
  } finally {
    await tokens.close();
  }
}

/** A network turns the perceptual term on. */
function perceptualOf({ features, featureScaling }: TrainCodecOptions, { training }: CodecPreset): { perceptual?: unknown } {
  if (features === undefined) return {};
  return { perceptual: { ...(training['perceptual'] as object | undefined), ...(featureScaling && { scaling: featureScaling }) } };
}

function overridesOf({ steps, batchSize, learningRate }: TrainOptions): Record<string, number> {
  const given = Object.entries({ steps, batchSize, learningRate }).filter((entry): entry is [string, number] => entry[1] !== undefined);
  return Object.fromEntries(given);
}

/** Different captions of both splits, each once, with their number of training samples. */
async function captionsOf(tokens: ShardReader): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const split of ['train', 'test'] as const) {
    for await (const { captions } of tokens.stream(split)) {
      for (const caption of captions) counts.set(caption, (counts.get(caption) ?? 0) + (split === 'train' ? 1 : 0));
    }
  }
  return counts;
}

function conditioningFor(tokens: ShardReader, captions: Map<string, number>): Conditioning {
  if (captions.size > (tokens.classes?.length ?? 0)) return 'text';
  return tokens.classes ? 'label' : 'none';
}

/** The given tokenizer, the one of the run being resumed, or one trained on the captions. */
function textTokenizer(options: TrainPriorOptions, preset: PriorPreset, captions: Map<string, number>): TextTokenizer {
  if (options.tokenizer !== undefined) return loadTokenizer(new TextDecoder().decode(readFile(options.tokenizer)));
  if (captions.size === 0) throw new UsageError('E_NO_CAPTIONS', `--conditioning text: expected captions in ${options.tokens}, found none. Tokenize a dataset with captions.`);
  return trainBpe(repeated(captions), { vocabSize: preset.text.vocabSize, lowercase: true });
}

function* repeated(captions: Map<string, number>): Generator<string> {
  for (const [caption, count] of captions) for (let i = 0; i < count; i++) yield caption;
}

function conditionConfig(tokens: ShardReader, conditioning: Conditioning, preset: PriorPreset, text: TextTokenizer | undefined, captions: Map<string, number>): Record<string, unknown> {
  if (conditioning === 'none') return { conditioning };
  if (conditioning === 'text') {
    const longest = [...captions.keys()].reduce((most, caption) => Math.max(most, text!.encode(caption).length), 1);
    return { conditioning, text: { vocabSize: text!.vocabSize, length: preset.text.length ?? longest } };
  }
  if (!tokens.classes) throw new UsageError('E_NO_CLASSES', `--conditioning label: expected classes in ${tokens.directory}, found none. Tokenize a dataset with labels.`);
  return { conditioning, classes: [...tokens.classes] };
}

async function codesOf(tokens: ShardReader): Promise<unknown> {
  const [map, ...others] = await uniformMaps(tokens);
  if (!map || others.length > 0) throw new UsageError('E_PRIOR_MAPS', `${tokens.directory}: expected tokens with one map, found ${tokens.maps.length}.`);
  return map;
}

/** What a finished prior draws for its report: one picture each for some of the prompts it knows. */
async function drawSamples(prior: LoadedPrior, codec: ReturnType<typeof openCodec>, captions: Map<string, number>): Promise<{ images: Image[]; prompts: string[] }> {
  const known = prior.conditioning === 'text' ? [...captions.keys()] : (prior.classes ?? []);
  const spread = Array.from({ length: Math.min(24, known.length) }, (_, i) => known[Math.floor((i * known.length) / Math.min(24, known.length))]!);
  const prompts: Prompt[] = spread.length > 0 ? spread : Array.from({ length: 24 }, () => null);
  try {
    const tokens = await prior.generate(prompts, { seed: 0 });
    return { images: (await codec.decode(tokens)) as Image[], prompts: prompts.map((prompt) => String(prompt ?? '')) };
  } finally {
    prior.dispose();
    codec.dispose();
  }
}

export type { CodecPreset, PriorPreset };
