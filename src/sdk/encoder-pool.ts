// Where batches are encoded: in this thread, decoding ahead, or in worker threads side by side.
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { StoredModel } from '../checkpoint/card.js';
import { defaultThreads, engineInUse, exportOnnx } from '../engine/index.js';
import type { tf } from '../engine/index.js';
import { EngineError, MemoryError, messageOf } from '../errors.js';
import type { InputError } from '../errors.js';
import type { RawSample, Tokens } from '../interfaces/index.js';
import { isOutOfMemory } from '../memory.js';
import { MAX_ROWS } from '../codec/encode.js';
import type { EncoderPlan, Fitted } from '../codec/encode.js';
import { fullMedium } from '../media/node.js';
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

/** A batch, or what is there of it so far. */
export type Pieces = AsyncIterable<Piece> | Iterable<Piece>;

export interface EncoderPool {
  /** Batches that may be under way at once. */
  readonly depth: number;
  /** Encodes a batch that comes in pieces; each is released once it is decoded. */
  encode(pieces: Pieces): Promise<Encoded[]>;
  /** To be called when no batch is under way. */
  close(): Promise<void>;
}

/** Threads for each core, beyond which more only take memory. */
const MOST_PER_CORE = 4;

/**
 * Opens `workers` threads, at most four for each core. Work stays in this thread for 0 and 1 workers, for other engines than
 * ONNX Runtime, for codecs that take samples of any extent (threads have a graph for one extent only), and for media whose
 * module is not known.
 *
 * @throws {CorruptError} for weights that do not fit the codec's config.
 */
export function openEncoderPool(stored: StoredModel, workers: number): EncoderPool {
  const { module } = codecInput(stored).medium;
  return module !== undefined && workers > 1 && engineInUse() === 'onnxruntime' && !takesAnyExtent(stored)
    ? new ThreadPool(stored, module, Math.min(workers, MOST_PER_CORE * availableParallelism()))
    : new LocalEncoder(stored);
}

/** Whether a codec's samples keep their extent. */
export function takesAnyExtent(stored: Pick<StoredModel, 'card'>): boolean {
  const { medium, input } = codecInput(stored);
  return medium.keepsExtent(input);
}

/** What a codec's samples are brought to. */
function codecInput(stored: Pick<StoredModel, 'card'>): BatchInput {
  const { family, config } = codecOf(stored);
  return { medium: fullMedium(family.medium), input: family.input(config) };
}

/** Bytes that decoded batches, at the codec's size, may take. */
const DECODED_BYTES = 256 * 2 ** 20;

/** How many of `wanted` batches may be under way: fewer for large samples, but at least two, so that one is decoded while another is encoded. */
function depthFor({ medium, input }: BatchInput, wanted: number): number {
  return Math.min(wanted, Math.max(2, Math.floor(DECODED_BYTES / (BATCH * sizeOf(medium.itemShape(input))))));
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

/** A codec's encoder as plain data: what a worker gets to work with. */
export interface EncoderModel extends EncoderPlan {
  /** Address of the module that registers the medium. */
  module: string;
  /**
   * For the ONNX Runtime at hand: `inputs` float32 [{@link MAX_ROWS}, ...itemShape] to the ids of each map, by its name.
   */
  model: Uint8Array;
  threads: number;
}

/** What a worker is sent: first the encoder, then batches in pieces, each batch with its end, last the wish to end. */
export type Message =
  | EncoderModel
  | { id: number; piece: number; samples: readonly RawSample[] }
  | { id: number; complete: true }
  | { end: true };

/** What a worker says: that a piece is decoded, then the tokens of a batch, or why it failed. */
export type Answer =
  | { id: number; piece: number }
  | { id: number; encoded: ({ key: string; error: PackedError } | { key: string; tokens: Tokens })[] }
  | { id: number; failure: PackedError };

interface Pending {
  resolve: (encoded: Encoded[]) => void;
  reject: (error: Error) => void;
  /** Pieces that the worker has, in the order they were sent. */
  pieces: Piece['release'][];
}

/** The id of a thread that has ended. */
const ENDED = -1;

/** Threads that share the cores between them. */
class ThreadPool implements EncoderPool {
  readonly depth: number;
  private readonly workers: Worker[];
  private readonly pending = new Map<number, Pending>();
  private readonly ready: Promise<void>;
  private next = 0;
  /** Why no more batches are taken. */
  private failure: Error | undefined;

  /** @param module address of the module that registers the codec's medium. */
  constructor(stored: StoredModel, module: string, count: number) {
    this.depth = depthFor(codecInput(stored), 2 * count);
    this.workers = Array.from({ length: count }, () => new Worker(new URL('../encode-worker.js', import.meta.url)));
    for (const worker of this.workers) {
      worker.on('message', (answer: Answer) => this.settle(answer));
      worker.on('error', (error) => this.failAll(workerError(error)));
      worker.on('exit', (code) =>
        this.failAll(new EngineError('E_WORKER', `tokenize: a worker ended with code ${code} before its work did.`)),
      );
    }
    // The workers load meanwhile.
    this.ready = encoderModel(stored, module, Math.max(1, Math.floor(defaultThreads() / count))).then((model) => {
      for (const worker of this.workers) this.send(worker, model);
    });
    this.ready.catch((error: Error) => this.failAll(error));
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

  /** The workers end by themselves: a thread that is stopped inside native code takes the process with it. */
  async close(): Promise<void> {
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

  private settle(answer: Answer): void {
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

  /** The first failure is the one that is told. */
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
