// Model directories to live models, through the registry.
import { join } from 'node:path';
import { loadModel, saveModel } from '../checkpoint/model.js';
import type { ModelCard, StoredModel } from '../checkpoint/model.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { CorruptError } from '../errors.js';
import { nodeFiles } from '../files.js';
import { flatCodes, toIds } from '../interfaces/index.js';
import type { Conditioning, ImageInput, Prior, Prompt, SamplingOptions, TokenMapSpec, TokenSample, Tokenizer, Tokens } from '../interfaces/index.js';
import type { CodecFamily, OpenOptions, PriorFamily, PriorModel } from '../nn/family.js';
import { importParams } from '../nn/params.js';
import type { Params } from '../nn/params.js';
import { codecFamily, priorFamily } from '../registry.js';
import { generateCodes } from '../sample/generate.js';
import { sizeOf } from '../shape.js';
import { loadTokenizer } from '../text/tokenizer.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { ConditionSource } from '../train/conditions.js';

/** A codec with the card of its model directory. */
export interface LoadedCodec extends Tokenizer {
  readonly card: ModelCard;
  /** How it sees pictures: `encode` brings others to this. */
  readonly input: ImageInput;
}

/** A copy of the codec travels with tokens and priors under this name, so that they can be decoded on their own. */
export const CODEC_FOLDER = 'codec';

/**
 * Opens a codec.
 *
 * @param directory a model directory written by `train codec`, or tokens or a prior that carry their codec.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND. @throws {CorruptError} for damaged files.
 */
export async function loadCodec(directory: string, options: OpenOptions = {}): Promise<LoadedCodec> {
  return openCodec(loadCodecFiles(directory), options);
}

/** The files of a codec; a directory that carries a codec stands for it. */
export function loadCodecFiles(directory: string): StoredModel {
  return loadModel(carriesCodec(directory) ? join(directory, CODEC_FOLDER) : directory, { kind: 'codec' });
}

/** A codec's family, and its config parsed. */
export function codecOf({ card }: Pick<StoredModel, 'card'>): { family: CodecFamily; config: unknown } {
  const family = codecFamily(card.name);
  return { family, config: family.parseConfig(card.config) };
}

/** All that a codec has stored, as variables, which the caller disposes. @throws {CorruptError} E_MODEL_TENSORS naming `where`. */
export function codecParams(where: string, { family, config }: { family: CodecFamily; config: unknown }, tensors: NamedTensors): Params {
  return importParams(where, { ...family.trainable(config), ...family.state(config) }, tensors);
}

export function openCodec({ card, tensors }: Pick<StoredModel, 'card' | 'tensors'>, options: OpenOptions = {}): LoadedCodec {
  const { family, config } = codecOf({ card });
  return Object.assign(family.open(config, tensors, card.fingerprint, options), { card, input: family.input(config) });
}

/** Puts a copy of a codec into a directory. */
export function carryCodec(directory: string, { card, tensors }: StoredModel): void {
  const { format: _format, formatVersion: _version, fingerprint: _fingerprint, files: _files, ...rest } = card;
  saveModel(join(directory, CODEC_FOLDER), rest, tensors);
}

/** The codec a directory carries, if it does. */
export function carriedCodec(directory: string): StoredModel | undefined {
  return carriesCodec(directory) ? loadModel(join(directory, CODEC_FOLDER), { kind: 'codec' }) : undefined;
}

/** False for a file too, of which loadModel knows what to say. */
function carriesCodec(directory: string): boolean {
  return nodeFiles.status(join(directory, CODEC_FOLDER, 'model.json')) !== undefined;
}

/**
 * Opens a prior.
 *
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL, E_MODEL_KIND. @throws {CorruptError} for damaged files.
 */
export async function loadPrior(directory: string): Promise<LoadedPrior> {
  const { card, tensors, extras } = loadModel(directory, { kind: 'prior' });
  return new LoadedPrior(card, tensors, storedTokenizer(extras));
}

/** The text tokenizer a prior was stored with, for priors that read text. */
export function storedTokenizer({ 'tokenizer.json': json }: StoredModel['extras']): TextTokenizer | undefined {
  return json ? loadTokenizer(new TextDecoder().decode(json)) : undefined;
}

/** @throws {CorruptError} E_MODEL_CARD for the card of a prior that names none. */
function codecFingerprintOf({ fingerprint, codec }: ModelCard): string {
  if (!codec) throw new CorruptError('E_MODEL_CARD', `prior ${fingerprint.slice(0, 12)}: expected the fingerprint of its codec in the card, found none.`);
  return codec.fingerprint;
}

/** @throws {CorruptError} E_CODEC_MISMATCH unless the codec is the one the prior of this card was trained for. */
export function assertCodecOf(card: ModelCard, fingerprint: string): void {
  const wanted = codecFingerprintOf(card);
  if (fingerprint !== wanted) {
    throw new CorruptError('E_CODEC_MISMATCH', `prior ${card.fingerprint.slice(0, 12)}: expected codec ${wanted.slice(0, 12)}, received ${fingerprint.slice(0, 12)}. Use the codec this prior was trained for.`);
  }
}

/** A prior with the card of its model directory. */
export class LoadedPrior implements Prior {
  readonly name: string;
  readonly fingerprint: string;
  readonly codec: string;
  readonly conditioning: Conditioning;
  readonly maps: readonly TokenMapSpec[];
  readonly classes: readonly string[] | undefined;
  private readonly model: PriorModel;
  /** Most text tokens it reads of a prompt, for priors conditioned on text. */
  readonly textLength: number | undefined;
  private readonly strict: ConditionSource;
  private readonly cutting: ConditionSource;

  constructor(
    readonly card: ModelCard,
    tensors: NamedTensors,
    /** The text tokenizer, for priors conditioned on text. */
    readonly text: TextTokenizer | undefined,
  ) {
    const family: PriorFamily = priorFamily(card.name);
    const config = family.parseConfig(card.config);
    this.name = card.name;
    this.fingerprint = card.fingerprint;
    this.codec = codecFingerprintOf(card);
    this.conditioning = family.conditioning(config);
    this.maps = family.maps(config);
    this.classes = family.classes(config);
    this.model = family.open(config, tensors);
    this.textLength = family.textLength?.(config);
    this.strict = ConditionSource.of(family, config, { text });
    this.cutting = ConditionSource.of(family, config, { text, tooLong: 'cut' });
  }

  /** Labels of samples count in {@link classes}; a caption too long is read as in training, by its beginning. */
  async score(samples: readonly TokenSample[]): Promise<Float64Array> {
    const nats = new Float64Array(samples.length);
    for (let first = 0; first < samples.length; first += 32) {
      const batch = samples.slice(first, first + 32);
      for (const { tokens } of batch) this.assertCodec(tokens.codec);
      const codes = flatCodes(batch);
      const conditions = Int32Array.from(batch.flatMap((sample) => [...this.cutting.of(sample)]));
      nats.set((await this.model.score(codes, conditions, batch.length)).nats, first);
    }
    return nats;
  }

  async generate(prompts: readonly Prompt[], options: SamplingOptions = {}): Promise<Tokens[]> {
    const n = options.n ?? 1;
    const [map] = this.maps as [TokenMapSpec];
    const source = options.tooLong === 'cut' ? this.cutting : this.strict;
    const conditions = prompts.flatMap((prompt) => Array.from({ length: n }, () => source.prompt(prompt)));
    const codeCount = sizeOf(map.shape);
    const task = { model: this.model, conditions, unconditional: source.prompt(null), codeCount, vocabSize: map.vocabSize };
    const codes = await generateCodes(task, options);
    const [height, width] = map.shape as [number, number];
    return codes.map((ids) => ({
      codec: this.codec,
      media: { kind: 'image', width, height, channels: 3 },
      maps: [{ ...map, shape: [...map.shape], ids: toIds(ids, map.vocabSize) }],
    }));
  }

  /** What is read of a prompt that is too long, and its length in text tokens; undefined for others. */
  cutPrompt(prompt: Prompt): { read: string; tokens: number } | undefined {
    if (typeof prompt !== 'string' || this.text === undefined || this.textLength === undefined) return undefined;
    const ids = this.text.encode(prompt);
    return ids.length > this.textLength ? { read: this.text.decode(ids.slice(0, this.textLength)), tokens: ids.length } : undefined;
  }

  /** @throws {CorruptError} E_CODEC_MISMATCH unless the codec is the one this prior was trained for. */
  assertCodec(fingerprint: string): void {
    assertCodecOf(this.card, fingerprint);
  }

  dispose(): void {
    this.model.dispose();
  }
}
