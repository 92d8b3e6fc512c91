// Encodes batches: in this thread, which decodes ahead, or in parallel in worker threads.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { StoredModel } from '../checkpoint/card.js';
import { defaultThreads, engineInUse, exportOnnx } from '../engine/index.js';
import type { tf } from '../engine/index.js';
import { AbortedError, EngineError, MemoryError, messageOf } from '../errors.js';
import type { InputError } from '../errors.js';
import type { RawSample, Tokens } from '../interfaces/index.js';
import { isOutOfMemory } from '../memory.js';
import { MAX_ROWS } from '../codec/encode.js';
import type { EncoderPlan, Fitted } from '../codec/encode.js';
import { fullMedium } from '../media/node.js';
import { itemShapeOf } from '../media/item-shape.js';
import type { BatchInput } from '../data/batches.js';
import { disposeParams } from '../model/params.js';
import { BATCH, decodePieces, encodeBatch, encodeSingly } from './encoder.js';
import type { Encoded } from './encoder.js';
import type { Piece } from './in-flight.js';
import { codecOf, codecParams, openCodec } from './codec.js';
import type { LoadedCodec } from './codec.js';
import { sizeOf } from '../shape.js';
import { unpackError } from './thread-errors.js';
import type { PackedError } from './thread-errors.js';

/** The pieces of a batch, as they become available. */
export type Pieces = AsyncIterable<Piece> | Iterable<Piece>;

export interface EncoderPool {
  /** Number of batches that may be in progress at once. */
  readonly depth: number;
  /** Encodes a batch that arrives in pieces. Each piece is released once it is decoded. */
  encode(pieces: Pieces): Promise<Encoded[]>;
  /** Call this when no batch is in progress. */
  close(): Promise<void>;
}

/** Maximum number of threads for each core: more would only take memory. */
const MOST_PER_CORE = 4;

/**
 * Opens `workers` threads, at most four for each core. Work stays in this thread for 0 and 1 workers, for other engines than
 * ONNX Runtime, for codecs that take samples of any extent (threads have a graph for one extent only), and for media whose
 * module is not known.
 *
 * @param signal stops threads that are still starting. Afterwards batches are brought to their end.
 * @throws {CorruptError} for weights that do not fit the codec's config. @throws {ShapeError} E_ITEM_SHAPE.
 */
export function openEncoderPool(stored: StoredModel, workers: number, signal?: AbortSignal): EncoderPool {
  const { module } = codecInput(stored).medium;
  return module !== undefined && workers > 1 && engineInUse() === 'onnxruntime' && !takesAnyExtent(stored)
    ? new ThreadPool(stored, module, Math.min(workers, MOST_PER_CORE * availableParallelism()), signal)
    : new LocalEncoder(stored);
}

/** Whether a codec's samples keep their extent. */
export function takesAnyExtent(stored: Pick<StoredModel, 'card'>): boolean {
  const { medium, input } = codecInput(stored);
  return medium.keepsExtent(input);
}

/** The medium of a codec, and what its samples are brought to. */
function codecInput(stored: Pick<StoredModel, 'card'>): BatchInput {
  const { family, config } = codecOf(stored);
  return { medium: fullMedium(family.medium), input: family.input(config) };
}

/** Maximum number of bytes of decoded batches at the codec's size. */
const DECODED_BYTES = 256 * 2 ** 20;

/** How many of `wanted` batches may be in progress: fewer for large samples, but at least two, so that one is decoded while another is encoded. */
function depthFor({ medium, input }: BatchInput, wanted: number): number {
  return Math.min(wanted, Math.max(2, Math.floor(DECODED_BYTES / (BATCH * sizeOf(itemShapeOf(medium, input))))));
}

/** Encodes one batch after another. The samples of the next batch are decoded meanwhile. */
class LocalEncoder implements EncoderPool {
  readonly depth: number;
  private readonly codec: LoadedCodec;
  private readonly input: BatchInput;
  private last: Promise<unknown> = Promise.resolve();

  constructor(stored: StoredModel) {
    this.codec = openCodec(stored);
    this.input = codecInput(stored);
    this.depth = depthFor(this.input, 3);
  }

  encode(pieces: Pieces): Promise<Encoded[]> {
    const { input } = this;
    const encode = (fitted: readonly Fitted[]): Promise<Tokens[]> => this.codec.encodeFitted(fitted);
    const decoded = input.medium.keepsExtent(input.input) ? undefined : decodePieces(input, pieces);
    decoded?.catch(() => undefined);
    const result = this.last.then(async () =>
      decoded ? encodeBatch(await decoded, encode) : encodeSingly(input, pieces, encode),
    );
    this.last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.codec.dispose();
  }
}

/** A codec's encoder as plain data, for a worker. */
export interface EncoderModel extends EncoderPlan {
  /** Address of the module that registers the medium. */
  module: string;
  /**
   * An ONNX graph for the runtime that is in use: `inputs` float32 [{@link MAX_ROWS}, ...itemShape] to the ids of each map, by its name.
   */
  model: Uint8Array;
  threads: number;
}

/** Messages to a worker: first the encoder, then batches in pieces, each with its end, and finally the request to end. */
export type Message =
  | EncoderModel
  | { id: number; piece: number; samples: readonly RawSample[] }
  | { id: number; complete: true }
  | { end: true };

/** Messages from a worker: that it has started, that a piece is decoded, then the tokens of a batch, or why it failed. */
export type Answer =
  | { started: true }
  | { id: number; piece: number }
  | { id: number; encoded: ({ key: string; error: PackedError } | { key: string; tokens: Tokens })[] }
  | { id: number; failure: PackedError };

interface Pending {
  resolve: (encoded: Encoded[]) => void;
  reject: (error: Error) => void;
  /** Releases the pieces that the worker has, in the order in which they were sent. */
  pieces: Piece['release'][];
}

/** The id of a thread that has ended. */
const ENDED = -1;

/** Worker threads that share the cores. */
class ThreadPool implements EncoderPool {
  readonly depth: number;
  private readonly workers: Worker[];
  private readonly pending = new Map<number, Pending>();
  private readonly ready: Promise<void>;
  private next = 0;
  /** Number of threads that have not started yet. */
  private starting: number;
  /** The reason why no more batches are accepted. */
  private failure: Error | undefined;

  /** @param module address of the module that registers the codec's medium. */
  constructor(
    stored: StoredModel,
    module: string,
    count: number,
    private readonly signal?: AbortSignal,
  ) {
    this.starting = count;
    this.depth = depthFor(codecInput(stored), 2 * count);
    this.workers = Array.from({ length: count }, () => new Worker(new URL('../encode-worker.js', import.meta.url)));
    for (const worker of this.workers) {
      worker.on('message', (answer: Answer) => this.settle(answer));
      worker.on('error', (error) => this.failAll(workerError(error)));
      worker.on('exit', (code) =>
        this.failAll(new EngineError('E_WORKER', `tokenize: a worker ended with code ${code} before its work did.`)),
      );
    }
    // The workers load at the same time.
    this.ready = encoderModel(stored, module, Math.max(1, Math.floor(defaultThreads() / count))).then((model) => {
      for (const worker of this.workers) this.send(worker, model);
    });
    this.ready.catch((error: Error) => this.failAll(error));
    signal?.addEventListener('abort', this.abort);
    if (signal?.aborted) this.abort();
  }

  async encode(pieces: Pieces): Promise<Encoded[]> {
    if (this.failure) throw this.failure;
    const id = this.next++;
    const worker = this.workers[id % this.workers.length]!;
    const releases: Piece['release'][] = [];
    const answer = new Promise<Encoded[]>((resolve, reject) =>
      this.pending.set(id, { resolve, reject, pieces: releases }),
    );
    answer.catch(() => undefined);
    await this.ready.catch(() => undefined);
    try {
      for await (const { samples, release } of pieces) {
        if (this.failure) break;
        this.send(worker, { id, piece: releases.push(release) - 1, samples });
      }
    } catch (error) {
      this.pending.delete(id);
      throw error;
    } finally {
      this.send(worker, { id, complete: true });
    }
    return answer;
  }

  /** Waits until the workers end by themselves: stopping a thread inside native code would end the process. */
  async close(): Promise<void> {
    this.signal?.removeEventListener('abort', this.abort);
    this.failAll(new EngineError('E_WORKER', 'tokenize: the workers were closed before their work was done.'));
    await Promise.all(
      this.workers.map(async (worker) => {
        if (worker.threadId === ENDED) return;
        this.send(worker, { end: true });
        await once(worker, 'exit');
      }),
    );
  }

  private send(worker: Worker, message: Message): void {
    worker.postMessage(message);
  }

  private readonly abort = (): void => {
    if (this.starting > 0)
      this.failAll(
        new AbortedError(
          'E_ABORTED',
          'tokenize: stopped while worker threads were starting; whole parts are kept. Continue with --resume.',
        ),
      );
  };

  private settle(answer: Answer): void {
    if ('started' in answer) {
      this.starting--;
      return;
    }
    const waiting = this.pending.get(answer.id);
    if ('piece' in answer) return waiting?.pieces[answer.piece]!();
    this.pending.delete(answer.id);
    if ('failure' in answer) waiting?.reject(unpackError(answer.failure));
    // Bad samples are InputErrors: encodeBatch throws everything else.
    else
      waiting?.resolve(
        answer.encoded.map((one) =>
          'error' in one ? { key: one.key, error: unpackError(one.error) as InputError } : one,
        ),
      );
  }

  /** Rejects all batches with the first failure. */
  private failAll(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}

function workerError(error: Error): Error {
  if (isOutOfMemory(error))
    return new MemoryError(
      'E_MEMORY',
      `tokenize: no memory left for a worker (${messageOf(error)}). Lower --workers.`,
      { cause: error },
    );
  return new EngineError('E_WORKER', `tokenize: a worker failed: ${messageOf(error)}.`, { cause: error });
}

async function encoderModel(stored: StoredModel, module: string, threads: number): Promise<EncoderModel> {
  const { family, config } = codecOf(stored);
  const params = codecParams(stored.card.name, { family, config }, stored.tensors);
  try {
    const { medium, input } = codecInput(stored);
    const maps = family.maps(config);
    const itemShape = medium.itemShape(input);
    const inputs = { dtype: 'float32' as const, shape: [MAX_ROWS, ...itemShape] };
    const model = await exportOnnx((batch: tf.Tensor) => family.encode(params, batch, config), [inputs], {
      target: 'native',
      inputNames: ['inputs'],
      outputNames: maps.map(({ name }) => name),
    });
    const { fingerprint } = stored.card;
    return { fingerprint, medium: medium.name, module, input, itemShape, maps, model, threads };
  } finally {
    disposeParams(params);
  }
}
