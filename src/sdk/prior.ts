// Opens stored priors through the registry.
import { expectOptions, namesOf } from '../arguments.js';
import type { ModelCard, StoredModel } from '../checkpoint/card.js';
import type { NamedTensors } from '../checkpoint/tensors.js';
import { isRecord } from '../json.js';
import { CorruptError, ShapeError, TesseraeError, UsageError } from '../errors.js';
import { expectCodec, shortFingerprint } from '../fingerprint.js';
import { excerpt, listNames } from '../names.js';
import { checkTokens, flatCodes, specOf, toIds } from '../interfaces/index.js';
import type {
  CallOptions,
  Conditioning,
  MediaInfo,
  Prior,
  PriorOptions,
  Prompt,
  SamplingDefaults,
  SamplingOptions,
  TokenMapSpec,
  TokenSample,
  Tokens,
} from '../interfaces/index.js';
import type { Condition } from '../model/prior.js';
import { PriorModel } from '../prior/model.js';
import { Stages } from '../prior/stages.js';
import { decodedInfo } from '../codec/networks.js';
import { mediumNamed } from '../media/registry.js';
import { importParams } from '../model/params.js';
import { codecFamily, priorFamily } from '../registry.js';
import { generateCodes } from '../sample/generate.js';
import { beginningOf } from '../text/beginning.js';
import { loadTextTokenizer } from '../text/tokenizer.js';
import type { TextTokenizer } from '../text/tokenizer.js';
import { parseWords, someKnownWords, unknownWords } from '../text/words.js';
import { ConditionSource } from '../train/conditions.js';
import { expectOwnMaps } from './codec.js';
import type { LoadedCodec } from './codec.js';
import { opened } from './opened.js';

/**
 * Opens a prior.
 *
 * @param carried opens the codec that the prior carries, if it does.
 * @throws {CorruptError} E_MODEL_CARD, E_MODEL_TENSORS.
 */
export function openPrior(stored: StoredModel, carried?: () => Promise<LoadedCodec>): LoadedPrior {
  const prior = new LoadedPrior(
    stored.card,
    stored.tensors,
    storedTokenizer(stored),
    parseWords(stored.extras['words.json']),
    carried,
  );
  return opened(prior, stored);
}

/**
 * The text tokenizer that a prior was stored with, if it reads text.
 *
 * @throws {CorruptError} E_MODEL_CARD for a prior that reads text and has none.
 */
export function storedTokenizer({ card, extras }: Pick<StoredModel, 'card' | 'extras'>): TextTokenizer | undefined {
  const json = extras['tokenizer.json'];
  if (json) return loadTextTokenizer(new TextDecoder().decode(json));
  const family = priorFamily(card.name);
  if (family.condition(family.parseConfig(card.config)).conditioning !== 'text') return undefined;
  throw new CorruptError(
    'E_MODEL_CARD',
    `prior ${shortFingerprint(card.fingerprint)}: expected tokenizer.json among its files, since it reads text, found none. Copy the model again, or train it again.`,
  );
}

/** The fingerprint of a prior's codec. @throws {CorruptError} E_MODEL_CARD for a card without one. */
export function codecOfPrior({ fingerprint, codec }: ModelCard): string {
  if (codec) return codec.fingerprint;
  throw new CorruptError(
    'E_MODEL_CARD',
    `prior ${shortFingerprint(fingerprint)}: expected the fingerprint of its codec in the card, found none. Copy the model again, or train it again.`,
  );
}

/** @throws {CorruptError} E_CODEC_MISMATCH unless the codec is the one the prior of this card was trained for. */
export function expectCodecOf(card: ModelCard, fingerprint: string): void {
  expectCodec(`prior ${shortFingerprint(card.fingerprint)}`, {
    expected: codecOfPrior(card),
    received: fingerprint,
    remedy: 'Use the codec that this prior was trained for.',
  });
}

/** Errors that prompts of unknown words cause: they have no ids, or too many. */
const FOR_UNKNOWN = ['E_TEXT_TOO_LONG', 'E_TEXT_UNKNOWN'];
/** Maximum number of names in a message. */
const MOST_NAMES = 10;
/** Maximum number of samples for one prompt. */
const MAX_SAMPLES = 1e6;

function checkPrompts(prompts: readonly Prompt[], conditioning: Conditioning): void {
  if (!Array.isArray(prompts))
    throw new UsageError(
      'E_PROMPT',
      `prompts: expected a list, received ${shownType(prompts)}. Use [null] for no prompt.`,
    );
  for (const [i, prompt] of prompts.entries()) {
    if (prompt !== null && typeof prompt !== 'string' && !Number.isInteger(prompt))
      throw new UsageError(
        'E_PROMPT',
        `prompts[${i}]: expected a text, the number of a class or null, received ${typeof prompt}.`,
      );
    if (prompt !== null && conditioning === 'none')
      throw new UsageError(
        'E_PROMPT',
        `prompts[${i}]: expected null, because this prior was trained without captions or classes, received ${JSON.stringify(prompt)}.`,
      );
    if (typeof prompt === 'number' && conditioning === 'text')
      throw new UsageError(
        'E_PROMPT',
        `prompts[${i}]: expected a text or null, as this prior reads texts and has no classes, received the number ${prompt}.`,
      );
  }
}

const TOO_LONG = { tooLong: ['cut', 'refuse'] };

/** All options of sampling. */
const SAMPLING = namesOf<SamplingOptions>({
  n: true,
  temperature: true,
  topK: true,
  topP: true,
  cfg: true,
  seed: true,
  tooLong: true,
  prime: true,
  batchSize: true,
});

/** All options that accompany a call. */
export const CALL = namesOf<CallOptions>({ signal: true, onProgress: true, onNote: true });

/**
 * Checks sampling options that {@link generateCodes} does not use, and their names.
 *
 * @param beside names of options that may stand beside them in the same object.
 */
export function checkSampling(options: SamplingOptions, beside: readonly string[] = []): void {
  const misplaced = isRecord(options) && CALL.find((name) => name in options && !beside.includes(name));
  if (misplaced)
    throw new UsageError(
      'E_SAMPLING',
      `sampling: ${misplaced}: expected beside sampling, received inside. Write { sampling: { ... }, ${misplaced} }.`,
    );
  const known = [...SAMPLING, ...beside];
  expectOptions('sampling', options, { whole: { n: [1, MAX_SAMPLES] }, choices: TOO_LONG, known }, 'E_SAMPLING');
}

/** Checks options that accompany a call. */
export function checkCall(options: CallOptions, code = 'E_OPTIONS'): void {
  const { onNote, onProgress, signal } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new UsageError(code, `signal: expected an AbortSignal, received ${shownType(signal)}.`);
  for (const [name, call] of Object.entries({ onNote, onProgress }))
    if (call !== undefined && typeof call !== 'function')
      throw new UsageError(code, `${name}: expected a function, received ${shownType(call)}.`);
}

const shownType = (value: unknown): string => (value === null ? 'null' : typeof value);

/**
 * What the tokens of a prior decode to, according to the codec in its card. It is unknown if that codec is not registered, or
 * if its config does not fit.
 */
function mediaOf({ codec }: ModelCard, maps: readonly TokenMapSpec[]): MediaInfo {
  try {
    const family = codecFamily(String(codec?.['name']));
    return decodedInfo(family, family.parseConfig(codec?.['config']), mediumNamed(family.medium), maps);
  } catch (error) {
    if (error instanceof UsageError) return { kind: 'unknown' };
    throw error;
  }
}

/** Sampling options, with the defaults of a prior for those that are left out. */
export const withDefaults = <O extends SamplingOptions>(options: O, defaults: SamplingDefaults = {}): O => ({
  ...options,
  ...Object.fromEntries(
    Object.entries(defaults).filter(([name]) => options[name as keyof SamplingDefaults] === undefined),
  ),
});

/** A prior with the card of its model directory. */
export class LoadedPrior implements Prior, Disposable {
  readonly name: string;
  readonly fingerprint: string;
  readonly codec: string;
  readonly conditioning: Conditioning;
  readonly maps: readonly TokenMapSpec[];
  readonly classes: readonly string[] | undefined;
  readonly sampling: SamplingDefaults | undefined;
  /** What its tokens decode to. */
  private readonly media: MediaInfo;
  private readonly model: PriorModel;
  /** Maximum number of text tokens of a prompt, for priors conditioned on text. */
  readonly textLength: number | undefined;
  private readonly strict: ConditionSource;
  private readonly cutting: ConditionSource;
  private carried: Promise<LoadedCodec> | undefined;

  constructor(
    readonly card: ModelCard,
    tensors: NamedTensors,
    /** The text tokenizer, for priors conditioned on text. */
    readonly text: TextTokenizer | undefined,
    /** The words of its training captions, if they were kept. */
    private readonly words?: readonly string[],
    private readonly openCarried?: () => Promise<LoadedCodec>,
  ) {
    const family = priorFamily(card.name);
    const config = family.parseConfig(card.config);
    const condition: Condition = family.condition(config);
    this.name = card.name;
    this.fingerprint = card.fingerprint;
    this.codec = codecOfPrior(card);
    this.conditioning = condition.conditioning;
    this.maps = family.maps(config);
    expectOwnMaps(card, this.maps);
    this.classes = condition.classes;
    this.sampling = card.sampling;
    this.textLength = condition.textLength;
    this.media = mediaOf(card, this.maps);
    const params = importParams(`prior ${card.name}`, Stages.of(family, config).params, tensors);
    this.model = new PriorModel(family, config, params);
    this.strict = new ConditionSource(condition, { text });
    this.cutting = new ConditionSource(condition, { text, tooLong: 'cut' });
  }

  /** Labels of samples are indices into {@link classes}. Captions that are too long are cut, as in training. */
  async score(samples: readonly TokenSample[]): Promise<Float64Array> {
    if (!Array.isArray(samples))
      throw new ShapeError('E_TOKENS_SHAPE', `score: expected samples in a list, received ${shownType(samples)}.`);
    samples.forEach((sample, i) => this.checkSample(`score[${i}]`, sample));
    const nats = new Float64Array(samples.length);
    for (let first = 0; first < samples.length; first += 32) {
      const batch = samples.slice(first, first + 32);
      const codes = flatCodes(batch);
      const conditions = Int32Array.from(batch.flatMap((sample) => [...this.cutting.of(sample)]));
      nats.set((await this.model.score(codes, conditions, batch.length)).nats, first);
    }
    return nats;
  }

  async generate(prompts: readonly Prompt[], given: PriorOptions = {}): Promise<Tokens[]> {
    checkSampling(given, CALL);
    checkCall(given, 'E_SAMPLING');
    const options = withDefaults(given, this.sampling);
    checkPrompts(prompts, this.conditioning);
    const { n = 1 } = options;
    const source = options.tooLong === 'cut' ? this.cutting : this.strict;
    const conditions = prompts.flatMap((prompt) =>
      new Array<Int32Array>(n).fill(this.heard(prompt, source, options.onNote)),
    );
    const task = { model: this.model, conditions, unconditional: source.prompt(null) };
    const drawn = await generateCodes(task, options);
    return drawn.map((codes) => ({
      codec: this.codec,
      media: this.media,
      maps: this.maps.map((map) => ({ ...specOf(map), ids: toIds(codes[map.name]!, map.vocabSize) })),
    }));
  }

  /** Encodes a prompt. Reports words that the prior cannot know; if the prompt cannot be encoded, they become the error. */
  private heard(prompt: Prompt, source: ConditionSource, onNote: ((note: string) => void) | undefined): Int32Array {
    const unknown =
      this.text && typeof prompt === 'string' && this.conditioning === 'text'
        ? unknownWords(prompt, this.text, this.words)
        : [];
    const what = `prompt "${excerpt(String(prompt))}"`;
    const names = listNames(unknown, MOST_NAMES);
    const remedy = (): string =>
      `Use words it knows, such as ${someKnownWords(this.text!, this.words, MOST_NAMES).join(', ')}.`;
    try {
      const condition = source.prompt(prompt);
      const cut = source === this.cutting ? this.cutPrompt(prompt) : undefined;
      if (cut)
        onNote?.(
          `${what}: read up to "${excerpt(cut.read)}", ${this.textLength} of its ${cut.isLonger ? 'more than ' : ''}${cut.tokens} text tokens.`,
        );
      if (unknown.length > 0)
        onNote?.(
          `${what}: ${this.words ? 'no training caption has' : 'the tokenizer has only letters for'} ${names}, so the prior does not know what ${unknown.length === 1 ? 'it means' : 'they mean'}. ${remedy()}`,
        );
      return condition;
    } catch (error) {
      if (unknown.length === 0 || !(error instanceof TesseraeError && FOR_UNKNOWN.includes(error.code))) throw error;
      throw new UsageError(
        'E_PROMPT_UNKNOWN',
        `${what}: expected words of the training captions, received ${names}, which this prior does not know. ${remedy()}`,
        { cause: error },
      );
    }
  }

  private checkSample(where: string, sample: TokenSample): void {
    checkTokens(where, sample?.tokens, this.maps);
    this.expectCodec(sample.tokens.codec);
    const { captions, label } = sample;
    if (!Array.isArray(captions) || captions.some((caption) => typeof caption !== 'string'))
      throw new UsageError('E_PROMPT', `${where}: expected captions in a list of texts, received ${typeof captions}.`);
    if (label !== undefined && !Number.isInteger(label))
      throw new UsageError('E_PROMPT', `${where}: expected a label that is a whole number, received ${String(label)}.`);
  }

  /**
   * The part of a long prompt that is read, and its length in text tokens as far as it can be encoded. Undefined for prompts
   * that fit.
   */
  cutPrompt(prompt: Prompt): { read: string; tokens: number; isLonger: boolean } | undefined {
    if (typeof prompt !== 'string' || this.text === undefined || this.textLength === undefined) return undefined;
    const beginning = beginningOf(prompt, this.text);
    const ids = this.text.encode(beginning);
    const isLonger = beginning !== prompt;
    return ids.length > this.textLength || isLonger
      ? { read: this.text.decode(ids.slice(0, this.textLength)), tokens: ids.length, isLonger }
      : undefined;
  }

  /** @throws {CorruptError} E_CODEC_MISMATCH unless the codec is the one this prior was trained for. */
  expectCodec(fingerprint: string): void {
    expectCodecOf(this.card, fingerprint);
  }

  /**
   * The codec that the prior carries. It is opened once, and stays open until the prior is disposed.
   *
   * @throws {UsageError} E_NO_CODEC for a prior without a copy of its codec, or from bytes. @throws {CorruptError} for a damaged copy.
   */
  async carriedCodec(): Promise<LoadedCodec> {
    if (!this.openCarried)
      throw new UsageError(
        'E_NO_CODEC',
        `prior ${shortFingerprint(this.fingerprint)}: expected a directory with a copy of its codec, received a prior without one. Name the codec.`,
      );
    this.carried ??= this.openCarried();
    return this.carried;
  }

  /** Frees the weights and compiled graphs, also those of the carried codec. Calls in progress are finished first. */
  dispose(): void {
    this.model.dispose();
    this.carried?.then(
      (codec) => codec.dispose(),
      () => undefined,
    );
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
