// Where batches are encoded: in this thread, decoding ahead, or in worker threads side by side.
import { Worker } from 'node:worker_threads';
import { defaultThreads } from '../engine/index.js';
import { EngineError, InputError } from '../errors.js';
import type { RawSample } from '../interfaces/index.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import type { Encoded } from './encoder.js';
import { loadCodec } from './models.js';

export interface EncoderPool {
  /** Batches that may be under way at once. */
  readonly depth: number;
  encode(batch: readonly RawSample[]): Promise<Encoded[]>;
  close(): Promise<void>;
}

/** Opens `workers` threads, or none for 0 and 1. */
export async function openEncoderPool(codec: string, workers: number): Promise<EncoderPool> {
  return workers > 1 ? new ThreadPool(codec, workers) : new LocalEncoder(codec, await loadCodec(codec));
}

/** Encodes one batch after another; the pictures of the next are decoded meanwhile. */
class LocalEncoder implements EncoderPool {
  readonly depth = 3;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly directory: string,
    private readonly codec: Awaited<ReturnType<typeof loadCodec>>,
  ) {}

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

type Answer = { id: number; failure?: string; encoded?: ({ key: string; code: string; detail: string } | Encoded)[] };

interface Pending {
  resolve: (encoded: Encoded[]) => void;
  reject: (error: Error) => void;
}

/** Threads that share the cores between them. */
class ThreadPool implements EncoderPool {
  readonly depth: number;
  private readonly workers: Worker[];
  private readonly pending = new Map<number, Pending>();
  private next = 0;

  constructor(codec: string, count: number) {
    this.depth = 2 * count;
    const threads = Math.max(1, Math.floor(defaultThreads() / count));
    this.workers = Array.from({ length: count }, () => new Worker(new URL('./encode-worker.js', import.meta.url), { workerData: { codec, threads } }));
    for (const worker of this.workers) {
      worker.on('message', (answer: Answer) => this.settle(answer));
      worker.on('error', (error) => this.failAll(error as Error));
    }
  }

  encode(batch: readonly RawSample[]): Promise<Encoded[]> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.workers[id % this.workers.length]!.postMessage({ id, batch });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private settle({ id, failure, encoded }: Answer): void {
    const { resolve, reject } = this.pending.get(id)!;
    this.pending.delete(id);
    if (encoded) resolve(encoded.map((one) => ('code' in one ? { key: one.key, error: new InputError(one.code, one.detail) } : one)));
    else reject(new EngineError('E_WORKER', `tokenize: a worker failed: ${failure}`));
  }

  private failAll(error: Error): void {
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }
}
