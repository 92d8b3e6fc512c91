// The body of a worker thread of `tokenize`: receives batches of encoded files, answers with tokens.
import { parentPort, workerData } from 'node:worker_threads';
import { setDefaultThreads } from '../engine/index.js';
import { TesseraeError } from '../errors.js';
import type { RawSample } from '../interfaces/index.js';
import { decodeBatch, encodeBatch } from './encoder.js';
import { loadCodec } from './models.js';

const { codec: directory, threads } = workerData as { codec: string; threads: number };
setDefaultThreads(threads);
const codec = await loadCodec(directory);

parentPort!.on('message', ({ id, batch }: { id: number; batch: RawSample[] }) => {
  const answer = async (): Promise<object> => {
    const encoded = await encodeBatch(codec, batch, await decodeBatch(batch));
    // Errors lose their class between threads: code and detail travel instead.
    return { id, encoded: encoded.map((one) => ('error' in one ? { key: one.key, code: one.error.code, detail: one.error.detail } : one)) };
  };
  answer().then(
    (message) => parentPort!.postMessage(message),
    (error: unknown) => parentPort!.postMessage({ id, failure: error instanceof TesseraeError ? error.message : String((error as Error).stack ?? error) }),
  );
});
