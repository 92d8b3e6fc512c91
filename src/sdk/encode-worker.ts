// The body of a worker thread of `tokenize`: receives batches of encoded files, answers with tokens.
import { parentPort, workerData } from 'node:worker_threads';
import { setDefaultThreads, useEngine } from '../engine/index.js';
import type { RawSample } from '../interfaces/index.js';
import type { Answer, WorkerSettings } from './encoder-pool.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import { loadCodec } from './models.js';
import type { LoadedCodec } from './models.js';
import { packError } from './thread-errors.js';

const { codec: directory, threads, engine } = workerData as WorkerSettings;

async function start(): Promise<void> {
  setDefaultThreads(threads);
  await useEngine(engine);
  const codec = await loadCodec(directory);
  parentPort!.on('message', ({ id, batch }: { id: number; batch: RawSample[] }) => {
    answer(codec, id, batch).then(send, (error: unknown) => send({ id, failure: packError(error) }));
  });
}

async function answer(codec: LoadedCodec, id: number, batch: readonly RawSample[]): Promise<Answer> {
  const encoded = await encodeBatch(codec, batch, await decodeBatch(batch));
  return { id, encoded: encoded.map((one) => ('error' in one ? { key: one.key, error: packError(one.error) } : one)) };
}

function send(message: Answer): void {
  parentPort!.postMessage(message);
}

start().catch((error: unknown) => send({ failure: packError(error) }));
