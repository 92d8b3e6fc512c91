// Models as jobs take them: a directory, which is opened for the job, or a loaded model, which stays open.
import { shown } from '../arguments.js';
import type { ModelCard, StoredModel } from '../checkpoint/card.js';
import { loadModel, readModelCard } from '../checkpoint/model.js';
import { UsageError } from '../errors.js';
import type { Media } from '../interfaces/index.js';
import type { LoadedCodec, LoadOptions } from './codec.js';
import { expectMedium } from './codec.js';
import { loadCodec, loadCodecFiles, loadPrior } from './models.js';
import { placeOf, storedOf } from './opened.js';
import type { LoadedPrior } from './prior.js';

/** A codec: its model directory, tokens or a prior that contain it, or one that `loadCodec` returned. It stays the caller's to dispose. */
export type CodecSource = string | LoadedCodec;

/** A prior: its model directory, or one that `loadPrior` returned. It stays the caller's to dispose. */
export type PriorSource = string | LoadedPrior;

/** @throws {UsageError} E_OPTIONS unless the value is a path or a loaded model of the kind. `where` names it. */
export function expectModelSource(
  where: string,
  value: unknown,
  kind: 'codec' | 'prior',
): asserts value is string | object {
  if ((typeof value === 'string' && value !== '') || storedOf(value, kind)) return;
  const other = (['codec', 'prior'] as const).find((one) => storedOf(value, one));
  throw new UsageError(
    'E_OPTIONS',
    `${where}: expected a path or a loaded ${kind}, received ${other === undefined ? shown(value) : `a loaded ${other}`}.`,
  );
}

/** The card and the weights of a codec. */
export const codecFiles = (source: CodecSource): StoredModel =>
  storedOf(source, 'codec') ?? loadCodecFiles(source as string);

/** The card and the weights of a prior. */
export const priorFiles = (source: PriorSource): StoredModel =>
  storedOf(source, 'prior') ?? loadModel(source as string, { kind: 'prior' });

/** The card of a prior. */
export const priorCard = (source: PriorSource): ModelCard =>
  typeof source === 'string' ? readModelCard(source, { kind: 'prior' }) : source.card;

/** What to call a model in messages and reports. */
export const sourceName = (source: string | object): string => (typeof source === 'string' ? source : placeOf(source));

/** Works with a codec, which is disposed afterwards if it was opened for the work. */
export async function withCodec<T, M extends Media = Media, I = unknown>(
  source: CodecSource,
  options: LoadOptions<M, I>,
  work: (codec: LoadedCodec<M, I>) => Promise<T>,
): Promise<T> {
  if (typeof source !== 'string') return work(expectMedium<M, I>(source, options.medium));
  const codec = await loadCodec(source, options);
  try {
    return await work(codec);
  } finally {
    codec.dispose();
  }
}

/** Works with a prior, which is disposed afterwards if it was opened for the work. */
export async function withPrior<T>(source: PriorSource, work: (prior: LoadedPrior) => Promise<T>): Promise<T> {
  if (typeof source !== 'string') return work(source);
  const prior = await loadPrior(source);
  try {
    return await work(prior);
  } finally {
    prior.dispose();
  }
}

/** Works with the codec of a prior: the given one, or the one that the prior carries. */
export async function withCodecOf<T, M extends Media = Media, I = unknown>(
  prior: PriorSource,
  codec: CodecSource | undefined,
  options: LoadOptions<M, I>,
  work: (codec: LoadedCodec<M, I>) => Promise<T>,
): Promise<T> {
  if (codec !== undefined || typeof prior === 'string') return withCodec(codec ?? (prior as string), options, work);
  return work(expectMedium<M, I>(await prior.carriedCodec(), options.medium));
}
