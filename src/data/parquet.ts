// Reads the rows of a Parquet table with hyparquet, in a worker thread because a damaged table can keep it busy
// forever.
import { Worker } from 'node:worker_threads';

import { InputError } from '../errors.js';
import type { Row } from './rows.js';

/** Base time limit for a table, and additional time per MiB, in milliseconds. */
const TIME_LIMIT = 5000;
const TIME_PER_MIB = 1000;

/** Memory limit of the thread in MiB. A few bytes of a table can say that a value is repeated a billion times. */
const MEMORY_LIMIT = 1024;

/** The thread's answer. */
export type ParquetAnswer = { rows: Row[] } | { problem: string };

/** The thread's input. */
export interface ParquetTask {
  bytes: Uint8Array<ArrayBuffer>;
  /** An additional column to read. */
  column: string | undefined;
}

/**
 * Reads the columns of a table that describe images.
 *
 * @param column An additional column to read.
 * @param timeLimit Time limit in milliseconds. Default: 5 s plus 1 s per MiB.
 * @throws {InputError} E_DATA_METADATA for an invalid table, or one that takes too much time or memory.
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
      () => resolve({ problem: `reading takes more than ${Math.round(timeLimit / 1000)} s` }),
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
