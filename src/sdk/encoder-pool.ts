// Where batches are encoded: in this thread, decoding ahead, or in worker threads side by side.
import { Worker } from 'node:worker_threads';
import { defaultThreads, engineInUse } from '../engine/index.js';
import type { EngineName } from '../engine/index.js';
import { EngineError, messageOf } from '../errors.js';
import type { InputError } from '../errors.js';
import type { RawSample, Tokens } from '../interfaces/index.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import type { Encoded } from './encoder.js';
import { loadCodec } from './models.js';
import type { LoadedCodec } from './models.js';
import { unpackError } from './thread-errors.js';
import type { PackedError } from './thread-errors.js';

export interface EncoderPool {
  /** Batches that may be under way at once. */
  readonly depth: number;
  encode(batch: readonly RawSample[]): Promise<Encoded[]>;
  close(): Promise<void>;
}

/** Opens `workers` threads, or none for 0 and 1. */
export async function openEncoderPool(codec: string, workers: number): Promise<EncoderPool> {
  return workers > 1 ? new ThreadPool(codec, workers) : new LocalEncoder(await loadCodec(codec));
}

/** Encodes one batch after another; the pictures of the next are decoded meanwhile. */
class LocalEncoder implements EncoderPool {
  readonly depth = 3;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly codec: LoadedCodec) {}

  encode(batch: readonly RawSample[]): Promise<Encoded[]> {
    const decoded = decodeBatch(batch);
    decoded.catch(() => undefined);
    const result = this.last.then(async () => encodeBatch(this.codec, batch, await decoded));
    this.last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    await this.last;
    this.codec.dispose();
  }
}

/** What a worker is started with. */
export interface WorkerSettings {
  codec: string;
  threads: number;
  engine: EngineName;
}

/** What a worker says: the tokens of a batch, why a batch failed, or why the worker cannot work at all. */
export type Answer =
  | { id: number; encoded: ({ key: string; error: PackedError } | { key: string; tokens: Tokens })[] }
  | { id: number; failure: PackedError }
  | { id?: undefined; failure: PackedError };

interface Pending {
  resolve: (encoded: Encoded[]) => void;
  reject: (error: Error) => void;
}

/** Threads that share the cores between them. */
class ThreadPool implements EncoderPool {
  readonly depth: number;
  private readonly workers: Worker[];
  private readonly pending = new Map<number, Pending>();
  private readonly underWay = new Set<Promise<Encoded[]>>();
  private next = 0;
  /** Why no more batches are taken. */
  private failure: Error | undefined;

  constructor(codec: string, count: number) {
    this.depth = 2 * count;
    const settings: WorkerSettings = { codec, threads: Math.max(1, Math.floor(defaultThreads() / count)), engine: engineInUse() };
    this.workers = Array.from({ length: count }, () => new Worker(new URL('./encode-worker.js', import.meta.url), { workerData: settings }));
    for (const worker of this.workers) {
      worker.on('message', (answer: Answer) => this.settle(answer));
      worker.on('error', (error) => this.failAll(new EngineError('E_WORKER', `tokenize: a worker failed: ${messageOf(error)}.`, { cause: error })));
      worker.on('exit', (code) => this.failAll(new EngineError('E_WORKER', `tokenize: a worker ended with code ${code} before its work did.`)));
    }
  }

  encode(batch: readonly RawSample[]): Promise<Encoded[]> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.next++;
    const answer = new Promise<Encoded[]>((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.workers[id % this.workers.length]!.postMessage({ id, batch });
    });
    this.underWay.add(answer);
    const done = (): boolean => this.underWay.delete(answer);
    answer.then(done, done);
    return answer;
  }

  async close(): Promise<void> {
    // A thread that is stopped inside native code takes the process with it.
    await Promise.allSettled(this.underWay);
    this.failAll(new EngineError('E_WORKER', 'tokenize: the workers were closed before their work was done.'));
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private settle(answer: Answer): void {
    if (answer.id === undefined) return this.failAll(unpackError(answer.failure));
    const waiting = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if ('failure' in answer) waiting?.reject(unpackError(answer.failure));
    // Bad samples are InputErrors: encodeBatch throws everything else.
    else waiting?.resolve(answer.encoded.map((one) => ('error' in one ? { key: one.key, error: unpackError(one.error) as InputError } : one)));
  }

  /** The first failure is the one that is told. */
  private failAll(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.pending.values()) reject(this.failure);
    this.pending.clear();
  }
}
