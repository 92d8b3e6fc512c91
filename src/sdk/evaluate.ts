// The two evaluations, on model directories.
import { loadModel } from '../checkpoint/model.js';
import type { DatasetOptions } from '../data/indexed.js';
import { openDataset } from '../data/open.js';
import { CorruptError, UsageError } from '../errors.js';
import type { Dataset, TokenMapSpec } from '../interfaces/index.js';
import { disposeParams, importParams } from '../nn/params.js';
import { codecFamily, priorFamily } from '../registry.js';
import { ShardReader } from '../shards/reader.js';
import { uniformMaps } from '../shards/uniform.js';
import { ConditionSource } from '../train/conditions.js';
import { evaluateCodec, evaluatePrior } from '../train/evaluate.js';
import type { CodecEvaluation, EvaluationOptions, PriorEvaluation, Splits } from '../train/evaluate.js';
import { loadCodecFiles, storedTokenizer } from './models.js';

export type { CodecEvaluation, PriorEvaluation };

export interface EvaluateCodecOptions extends EvaluationOptions, Omit<DatasetOptions, 'limit'> {
  codec: string;
  data: string | Dataset;
  /** Default `test`. */
  split?: Splits;
}

/** Error and codebook use of a codec over a split. @throws {UsageError}, {InputError}, {CorruptError}. */
export async function evaluateCodecOn(options: EvaluateCodecOptions): Promise<CodecEvaluation> {
  const { card, tensors } = loadCodecFiles(options.codec);
  const family = codecFamily(card.name);
  const config = family.parseConfig(card.config);
  const { limit: _limit, ...datasetOptions } = options;
  const dataset = typeof options.data === 'string' ? await openDataset(options.data, datasetOptions) : options.data;
  const params = importParams(options.codec, { ...family.trainable(config), ...family.state(config) }, tensors);
  try {
    return await evaluateCodec(family, config, params, dataset, options.split ?? 'test', options);
  } finally {
    disposeParams(params);
    if (typeof options.data === 'string') await dataset.close();
  }
}

export interface EvaluatePriorOptions extends EvaluationOptions {
  prior: string;
  tokens: string;
  /** Default `test`. */
  split?: Splits;
}

/** Cross-entropy of a prior over a split of tokens. @throws {CorruptError} E_CODEC_MISMATCH for tokens of another codec. */
export async function evaluatePriorOn(options: EvaluatePriorOptions): Promise<PriorEvaluation> {
  const { card, tensors, extras } = loadModel(options.prior, { kind: 'prior' });
  const family = priorFamily(card.name);
  const config = family.parseConfig(card.config);
  if (!card.codec) throw new CorruptError('E_MODEL_CARD', `${options.prior}: expected the fingerprint of its codec in the card, found none.`);
  const tokens = await ShardReader.open(options.tokens, { codec: card.codec.fingerprint });
  const text = storedTokenizer(extras);
  const params = importParams(options.prior, family.trainable(config), tensors);
  try {
    await expectMaps(tokens, family.maps(config));
    return await evaluatePrior(family, config, params, tokens, options.split ?? 'test', ConditionSource.of(family, config, text), options);
  } finally {
    disposeParams(params);
    await tokens.close();
  }
}

/** @throws {UsageError} E_MIXED_SHAPES, E_PRIOR_MAPS unless the tokens are of the shape the prior was trained for. */
async function expectMaps(tokens: ShardReader, maps: readonly TokenMapSpec[]): Promise<void> {
  const text = (specs: readonly TokenMapSpec[]): string => specs.map(({ shape }) => `[${shape.join(', ')}]`).join(' and ');
  const found = await uniformMaps(tokens);
  if (text(found) !== text(maps)) throw new UsageError('E_PRIOR_MAPS', `${tokens.directory}: expected maps ${text(maps)}, which the prior was trained for, found ${text(found)}.`);
}
