// Says what a path is: every directory that Tesserae writes and every dataset that it reads, recognized by its content.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { expectPath } from '../arguments.js';
import { modelDirectory } from '../checkpoint/bundled.js';
import { isCardSealed } from '../checkpoint/card.js';
import { loadModel } from '../checkpoint/model.js';
import { checkpointSteps, runIdentity } from '../checkpoint/store.js';
import { decodeSample } from '../data/decode.js';
import type { DatasetOptions } from '../data/indexed.js';
import { openDataset } from '../data/open.js';
import { CorruptError, InputError, UsageError } from '../errors.js';
import { canonicalJson, decodeUtf8, parseJson } from '../json.js';
import { isGlob } from '../names.js';
import { nodeFiles } from '../files/system.js';
import { readFile, sha256File } from '../files/read.js';
import { sha256 } from '../hash.js';
import type { Dataset, TokenSample } from '../interfaces/index.js';
import { fullMedium, mediaWithFiles } from '../media/node.js';
import { readMetrics } from '../report/metrics-file.js';
import { isTokenFile, readTokenFile } from '../shards/token-file.js';
import { specOf } from '../interfaces/index.js';
import { unsealJson } from '../sealed.js';
import { sizeOf } from '../shape.js';
import { readOwnFile } from '../snapshot.js';
import { isExport, readExport } from './export.js';
import { verifyCarriedCodec } from './models.js';
import { codecOfPrior, storedTokenizer } from './prior.js';
import { hasSamplesCard, readSamplesCard } from './samples-card.js';
import type {
  ModelInspection,
  DatasetInspection,
  RunInspection,
  ExportInspection,
  SamplesInspection,
  TokenFileInspection,
  DemoInspection,
  Inspection,
} from './inspection.js';
import { inspectTokens, isTokens } from './inspect-tokens.js';

/** Files that are treated as the directory they are in. */
const PARTS_OF =
  /^(model\.json|model\.safetensors|manifest\.json|metrics\.jsonl|card\.json|samples\.json|pictures\.json|part-\d{5}\.msgpack)$/;

/**
 * Says what a path is by its content. Models, exports and tokens are verified completely. Files of a dataset that cannot be
 * used are listed in its `summary`.
 *
 * @param path a path, or several paths or globs of archives of one dataset.
 * @param options how a dataset is opened.
 * @throws {UsageError} E_NOT_FOUND. @throws {CorruptError} for a damaged model or export. @throws {InputError} for data that cannot be read.
 */
export async function inspect(path: string | readonly string[], options: DatasetOptions = {}): Promise<Inspection> {
  if (!Array.isArray(path)) expectPath('inspect', path);
  if (typeof path !== 'string') return path.length === 1 ? inspect(path[0]!, options) : inspectDataset(path, options);
  if (!existsSync(path)) {
    if (isGlob(path)) return inspectDataset(path, options);
    if (modelDirectory(path) !== path) return inspectModel(path);
    throw new UsageError('E_NOT_FOUND', `${path}: expected to exist, found nothing. Check the path.`);
  }
  if (!statSync(path).isDirectory())
    return PARTS_OF.test(basename(path)) ? inspect(dirname(path)) : inspectFile(path, options);
  const names = readdirSync(path);
  if (names.includes('model.json') || names.includes('.commit.json')) return inspectModel(path);
  if (isTokens(path, names)) return inspectTokens(path, names);
  if (isExport(path)) return inspectExport(path);
  if (hasSamplesCard(path)) return inspectSamples(path);
  if (names.includes('demo.json')) return inspectDemo(path);
  if (names.includes('checkpoints') || names.includes('metrics.jsonl')) return inspectRun(path, names);
  return inspectDataset(path, options);
}

async function inspectFile(path: string, options: DatasetOptions): Promise<Inspection> {
  if (isTokenFile(path)) return inspectTokenFile(path);
  const head = nodeFiles.status(path)!.size < 2 ** 28 ? readFile(path) : new Uint8Array(0);
  const media = options.medium === undefined ? mediaWithFiles() : [fullMedium(options.medium)];
  for (const { files, info } of media) {
    const format = files.sniff(head);
    if (format === undefined) continue;
    const { media: sample } = await files.decode(head, path);
    return { kind: 'sample', fingerprint: sha256(head), path, format, media: info(sample) };
  }
  return inspectDataset(path, options);
}

/** Verifies a file of tokens completely. */
function inspectTokenFile(path: string): TokenFileInspection {
  const { header, samples } = readTokenFile(path);
  const [{ key, tokens }] = samples as [TokenSample];
  return {
    kind: 'token-file',
    fingerprint: sha256File(path),
    path,
    samples: samples.length,
    bytes: nodeFiles.status(path)!.size,
    codec: header.codec.fingerprint,
    family: header.codec.name,
    source: header.source,
    maps: header.maps.map(specOf),
    first: { key, media: tokens.media, maps: tokens.maps.map(specOf) },
  };
}

function inspectModel(path: string): ModelInspection {
  const stored = loadModel(path);
  const { card, tensors } = stored;
  // Refuses a prior that cannot read prompts.
  if (card.kind === 'prior') storedTokenizer(stored);
  const hasCodec = card.kind === 'codec' || verifyCarriedCodec(path, codecOfPrior(card));
  const health = `${
    isCardSealed(card)
      ? 'every byte verified'
      : 'weights and files verified; model.json, of format 1.0, carries no hash over itself'
  }${hasCodec ? '' : '; no copy of its codec'}`;
  const { kind, fingerprint, name, config, maps = [], codec, conditioning, classes, training, metrics } = card;
  const steps = (training?.training as { steps?: number } | undefined)?.steps;
  const parameters = Object.values(tensors).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    kind,
    fingerprint,
    path,
    name,
    config,
    maps,
    parameters,
    codec: codec?.fingerprint,
    conditioning,
    classes,
    steps,
    training,
    metrics,
    health,
  };
}

function inspectExport(path: string): ExportInspection {
  const { kind, name, fingerprint, functions } = readExport(path);
  return {
    kind: 'export',
    fingerprint,
    path,
    model: { kind, name },
    functions: Object.entries(functions).map(([name, { file, inputs, outputs }]) => ({
      name,
      file,
      inputs: inputs.map(tensorText),
      outputs: outputs.map(tensorText),
    })),
  };
}

function inspectSamples(path: string): SamplesInspection {
  const { format: _format, version: _version, fingerprint, ...made } = readSamplesCard(path);
  return { kind: 'samples', fingerprint, path, made };
}

function inspectDemo(path: string): DemoInspection {
  const where = join(path, 'demo.json');
  const text = decodeUtf8(readOwnFile(where, 'E_DEMO', { limit: 2 ** 20 }), where);
  const fields = unsealJson(text, parseJson(text, where), {
    where,
    code: 'E_DEMO',
    sealed: false,
    remedy: 'Run the demo again.',
  });
  const result = demoSchema.safeParse(fields);
  if (!result.success)
    throw new CorruptError('E_DEMO', `${where}: expected the result of a demo, ${z.prettifyError(result.error)}.`);
  const { prompts, obeyed, seconds } = result.data;
  return { kind: 'demo', fingerprint: sha256(canonicalJson(fields)), path, prompts, obeyed, seconds };
}

const demoSchema = z.strictObject({
  codec: z.record(z.string(), z.unknown()),
  prior: z.record(z.string(), z.unknown()),
  prompts: z.int(),
  obeyed: z.int(),
  seconds: z.record(z.string(), z.number()),
  picture: z.string(),
  report: z.string(),
});

const tensorText = ({ name, shape }: { name: string; shape: readonly (number | string)[] }): string =>
  `${name} [${shape.join(', ')}]`;

/** Describes a run. Its directory is only read, because a live run may be writing there. */
function inspectRun(path: string, names: readonly string[]): RunInspection {
  const records = names.includes('metrics.jsonl') ? readMetrics(join(path, 'metrics.jsonl')) : [];
  const checkpoints = checkpointSteps(path);
  const identity = runIdentity(path);
  const steps = (identity?.training as { steps?: number } | undefined)?.steps;
  return {
    kind: 'run',
    fingerprint: identity ? sha256(canonicalJson(identity)) : null,
    path,
    model: (identity?.codec ?? identity?.prior) as string | undefined,
    step: Math.max(0, checkpoints.at(-1) ?? 0, ...records.slice(-2).map(({ step }) => step)),
    steps,
    checkpoints,
    lastMetrics: records.findLast(({ split }) => split !== 'test'),
    lastEvaluation: records.findLast(({ split }) => split === 'test'),
  };
}

async function inspectDataset(path: string | readonly string[], options: DatasetOptions): Promise<DatasetInspection> {
  const dataset = await openDataset(path, { skipBad: true, ...options });
  try {
    const samples = { train: dataset.size('train'), test: dataset.size('test') };
    const counts = new Array<number>(dataset.classes?.length ?? 0).fill(0);
    const captions = new Set<string>();
    let captioned = 0;
    for (const split of ['train', 'test'] as const) {
      for (let i = 0; i < samples[split]; i++) {
        const { captions: own, label } = dataset.describe(split, i);
        if (own.length > 0) captioned++;
        for (const caption of own) captions.add(caption);
        if (label !== undefined) counts[label]! += 1;
      }
    }
    const classes = dataset.classes?.map((name, i) => ({ name, samples: counts[i]! }));
    return {
      kind: 'dataset',
      fingerprint: dataset.fingerprint,
      path: dataset.source,
      format: dataset.kind,
      medium: dataset.medium,
      samples,
      captions: { samples: captioned, distinct: captions.size },
      classes,
      first: await firstOf(dataset),
      summary: dataset.summary!,
    };
  } finally {
    await dataset.close();
  }
}

/** Number of samples tried. */
const TRIES = 10;

/** Describes the first sample that can be decoded. */
async function firstOf(dataset: Dataset): Promise<DatasetInspection['first']> {
  const split = dataset.size('train') > 0 ? 'train' : 'test';
  const medium = fullMedium(dataset.medium);
  for (let i = 0; i < Math.min(TRIES, dataset.size(split)); i++) {
    try {
      const { key, original, captions, label } = await decodeSample(await dataset.read(split, i), medium);
      return { key, media: original, caption: captions[0], label };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
  }
  return undefined;
}
