// Rows of a Parquet table, read by hyparquet in a thread of its own: a damaged table can keep it busy for ever.
import { Worker } from 'node:worker_threads';

import { InputError } from '../errors.js';
import type { Row } from './rows.js';

/** Time that any table may take, and what each MiB of it adds, in milliseconds. */
const TIME_LIMIT = 5000;
const TIME_PER_MIB = 1000;

/** Memory of the thread in MiB: a table may say in a few bytes that a value repeats a billion times. */
const MEMORY_LIMIT = 1024;

/** What the thread answers. */
export type ParquetAnswer = { rows: Row[] } | { problem: string };

/** What the thread is given. */
export interface ParquetTask {
  bytes: Uint8Array<ArrayBuffer>;
  /** One more column to read. */
  column: string | undefined;
}

/**
 * Reads the columns of a table that say something of pictures.
 *
 * @param column one more column to read.
 * @param timeLimit in milliseconds. Default 5 s and a second for each MiB.
 * @throws {InputError} E_DATA_METADATA for what is no such table, or one that takes too much time or memory.
 */
export async function parquetRows(
  bytes: Uint8Array,
  source: string,
  column?: string,
  timeLimit = TIME_LIMIT + (TIME_PER_MIB * bytes.length) / 2 ** 20,
): Promise<Row[]> {
  const task: ParquetTask = { bytes: Uint8Array.from(bytes), column };
  const worker = new Worker(new URL('parquet-worker.js', import.meta.url), {
    workerData: task,
    transferList: [task.bytes.buffer],
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_LIMIT },
  });
  const answer = await new Promise<ParquetAnswer>((resolve) => {
    const timer = setTimeout(
      () => resolve({ problem: `it takes more than ${Math.round(timeLimit / 1000)} s to read` }),
      timeLimit,
    );
    worker.once('message', (message: ParquetAnswer) => resolve(message));
    worker.once('error', (error: Error) => resolve({ problem: error.message }));
    worker.once('exit', () => {
      clearTimeout(timer);
      resolve({ problem: 'its reader stopped' });
    });
  });
  await worker.terminate();
  if ('rows' in answer) return answer.rows;
  throw new InputError(
    'E_DATA_METADATA',
    `${source}: expected a Parquet table (${answer.problem.slice(0, 120)}). Save it again, with Snappy or without compression, or as metadata.jsonl.`,
  );
}
