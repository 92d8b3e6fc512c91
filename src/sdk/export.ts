// Exports models as ONNX files for any runtime, with a card that describes their inputs and outputs.
import { join } from 'node:path';
import { z } from 'zod';
import { expectOptions } from '../arguments.js';
import { loadModel, readListedFile } from '../checkpoint/model.js';
import type { StoredModel } from '../checkpoint/card.js';
import { compile, exportOnnx, tf } from '../engine/index.js';
import { CorruptError } from '../errors.js';
import { decodeUtf8, parseJson } from '../json.js';
import { isPlainName } from '../names.js';
import { nodeFiles } from '../files/system.js';
import { readJson } from '../files/read.js';
import { sha256 } from '../hash.js';
import { writeFileAtomic } from '../files/commit.js';
import type { ExportedFunction } from '../model/exported.js';
import { disposeParams, importParams } from '../model/params.js';
import type { Params } from '../model/params.js';
import { exportsOf } from '../codec/networks.js';
import { mediumNamed } from '../media/registry.js';
import { openOutput } from '../output.js';
import { Stages } from '../prior/stages.js';
import { priorFamily } from '../registry.js';
import { isAtLeast, sealJson, unsealJson } from '../sealed.js';
import { TokenMapSpecSchema } from '../checkpoint/card.js';
import { sizeOf } from '../shape.js';
import { readOwnFile } from '../snapshot.js';
import { codecOf, codecParams } from './codec.js';
import { storedTokenizer } from './prior.js';

const CARD = 'card.json';
const CARD_LIMIT = 16 * 2 ** 20;

const tensorSchema = z.strictObject({
  name: z.string(),
  dtype: z.enum(['float32', 'int32']),
  /** `batch` stands for an axis of any extent. */
  shape: z.array(z.union([z.int(), z.string()])),
  meaning: z.string().optional(),
});

const hashFields = { bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) };
const fileFields = { file: z.string().regex(/^[a-z][a-z0-9_-]*\.onnx$/), ...hashFields };

const cardSchema = z.strictObject({
  format: z.literal('tesserae-export'),
  /** Since 1.1 the card lists every file and contains a sha256 over itself. Since 2.0 maps say their grid and levels. */
  version: z.enum(['1.0', '1.1', '2.0']),
  kind: z.enum(['codec', 'prior']),
  name: z.string(),
  /** Fingerprint of the model it was made from. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  /** Fingerprint of a prior's codec. */
  codec: z.string().optional(),
  config: z.record(z.string(), z.unknown()),
  maps: z.array(TokenMapSpecSchema),
  classes: z.array(z.string()).optional(),
  /** The encoded condition of a prior, int32 [P]: without a prompt, and for one example. */
  conditions: z
    .strictObject({
      none: z.array(z.int()),
      example: z.strictObject({ prompt: z.string(), ids: z.array(z.int()) }).optional(),
    })
    .optional(),
  functions: z.record(
    z.string(),
    z.strictObject({ ...fileFields, inputs: z.array(tensorSchema), outputs: z.array(tensorSchema) }),
  ),
  /** Files besides those of the functions, by name: `tokenizer.json`. */
  files: z.record(z.string().refine(isPlainName, 'expected a plain file name'), z.strictObject(hashFields)).optional(),
});

/** `card.json` of an export. */
export type ExportCard = z.infer<typeof cardSchema>;
type TensorCard = z.infer<typeof tensorSchema>;

export interface ExportModelOptions {
  /** Model directory of a codec or a prior, or of tokens that carry their codec. */
  model: string;
  out: string;
  force?: boolean;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes every function of a model as `<name>.onnx`, and `card.json`. A prior that reads text also gets `tokenizer.json`.
 *
 * @throws {UsageError} E_NOT_A_MODEL, E_OUTPUT_EXISTS. @throws {CorruptError} for a damaged model. @throws {IoError}, {LockError}.
 */
export async function exportModel(options: ExportModelOptions): Promise<ExportCard> {
  expectOptions('exportModel', options, { paths: ['model', 'out'] });
  const { model, out, force, onProgress } = options;
  const stored = loadModel(model);
  const { params, functions, card } = described(model, stored);
  const lock = openOutput(out, { force, owned: [CARD, 'tokenizer.json', /^[a-z][a-z0-9_-]*\.onnx$/] });
  try {
    const entries = Object.entries(functions);
    const written: ExportCard['functions'] = {};
    for (const [i, [name, fn]] of entries.entries()) {
      written[name] = await writeFunction(
        out,
        name,
        fn,
        `${stored.card.kind} ${stored.card.name} ${stored.card.fingerprint}: ${name}`,
      );
      onProgress?.(i + 1, entries.length);
    }
    for (const [name, bytes] of Object.entries(stored.extras)) writeFileAtomic(join(out, name), bytes);
    const files = Object.fromEntries(
      Object.entries(stored.extras).map(([name, bytes]) => [name, { bytes: bytes.length, sha256: sha256(bytes) }]),
    );
    const complete: ExportCard = cardSchema.parse(JSON.parse(JSON.stringify({ ...card, functions: written, files })));
    writeFileAtomic(join(out, CARD), sealJson(complete));
    return complete;
  } finally {
    lock.release();
    disposeParams(params);
  }
}

interface Described {
  params: Params;
  functions: Record<string, ExportedFunction>;
  card: Omit<ExportCard, 'functions' | 'files'>;
}

function described(directory: string, stored: StoredModel): Described {
  const { kind, name, fingerprint, config, classes } = stored.card;
  const common = {
    format: 'tesserae-export' as const,
    version: '2.0' as const,
    kind,
    name,
    fingerprint,
    config,
    classes,
  };
  if (kind === 'codec') {
    const codec = codecOf(stored);
    const params = codecParams(directory, codec, stored.tensors);
    return {
      params,
      functions: exportsOf(codec.family, codec.config, params, mediumNamed(codec.family.medium)),
      card: { ...common, maps: codec.family.maps(codec.config) },
    };
  }
  const family = priorFamily(name);
  const parsed = family.parseConfig(config);
  const stages = Stages.of(family, parsed);
  const params = importParams(directory, stages.params, stored.tensors);
  return {
    params,
    functions: stages.exports(params),
    card: {
      ...common,
      codec: stored.card.codec?.fingerprint,
      maps: [...stages.maps],
      conditions: conditionsOf(stored),
    },
  };
}

function conditionsOf(stored: StoredModel): ExportCard['conditions'] {
  const { card } = stored;
  const family = priorFamily(card.name);
  const condition = family.condition(family.parseConfig(card.config));
  const text = storedTokenizer(stored);
  const ids = (prompt: string | null): number[] => [...condition.encode(prompt, text)];
  const prompt = condition.classes?.[0] ?? (text && 'a');
  return { none: ids(null), ...(prompt === undefined ? {} : { example: { prompt, ids: ids(prompt) } }) };
}

async function writeFunction(
  out: string,
  name: string,
  exported: ExportedFunction,
  documentation: string,
): Promise<ExportCard['functions'][string]> {
  const { fn, inputs, outputs, dynamicBatch } = exported;
  const bytes = await exportOnnx(
    fn,
    inputs.map(({ dtype, shape }) => ({ dtype, shape })),
    {
      name,
      inputNames: inputs.map((input) => input.name),
      outputNames: outputs.map((output) => output.name),
      dynamicAxes: dynamicBatch ? Object.fromEntries(inputs.map((input) => [input.name, { 0: 'batch' }])) : {},
      documentation,
    },
  );
  const file = `${name}.onnx`;
  writeFileAtomic(join(out, file), bytes);
  const results = (await resultsOf(name, exported)).map((result, i) => ({ ...outputs[i]!, ...result }));
  const card = (tensor: ExportedFunction['inputs'][number]): TensorCard => ({
    ...tensor,
    shape: dynamicBatch ? ['batch', ...tensor.shape.slice(1)] : tensor.shape,
  });
  return { file, bytes: bytes.length, sha256: sha256(bytes), inputs: inputs.map(card), outputs: results.map(card) };
}

/** Runs the function once on zeros to find the types and shapes of its results. */
async function resultsOf(
  name: string,
  { fn, inputs }: ExportedFunction,
): Promise<{ dtype: 'float32' | 'int32'; shape: number[] }[]> {
  const compiled = compile((...args: tf.Tensor[]) => [fn(...args)].flat(), { name });
  const args = inputs.map(({ shape, dtype }) =>
    tf.tensor(dtype === 'int32' ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape)), shape, dtype),
  );
  const results = await compiled(...args);
  const shapes = results.map(({ shape, dtype }) => ({ dtype: dtype as 'float32' | 'int32', shape: [...shape] }));
  tf.dispose([args, results]);
  await compiled.dispose();
  return shapes;
}

/** True for a directory that {@link exportModel} wrote. */
export function isExport(directory: string): boolean {
  const path = join(directory, CARD);
  return (
    nodeFiles.status(path)?.kind === 'file' &&
    (readJson(path) as { format?: unknown } | null)?.format === 'tesserae-export'
  );
}

/**
 * Reads the card of an export, and verifies its files and the card itself by its sha256. Cards of version 1.0 have none.
 *
 * @throws {CorruptError} E_EXPORT_CARD, E_MODEL_FILE.
 */
export function readExport(directory: string): ExportCard {
  const path = join(directory, CARD);
  const text = decodeUtf8(readOwnFile(path, 'E_EXPORT_CARD', { limit: CARD_LIMIT }), path);
  const value = parseJson(text, path);
  const sealed = isAtLeast((value as { version?: unknown } | null)?.version, '1.1');
  const result = cardSchema.safeParse(
    unsealJson(text, value, { where: path, code: 'E_EXPORT_CARD', sealed, remedy: 'Export the model again.' }),
  );
  if (!result.success)
    throw new CorruptError(
      'E_EXPORT_CARD',
      `${path}: expected the card of an export, ${z.prettifyError(result.error)}.`,
    );
  const { functions, files = {} } = result.data;
  for (const listed of Object.values(functions)) readListedFile(directory, listed.file, listed, nodeFiles);
  for (const [name, listed] of Object.entries(files)) readListedFile(directory, name, listed, nodeFiles);
  return result.data;
}
