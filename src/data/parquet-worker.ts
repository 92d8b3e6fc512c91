// The worker thread that reads a Parquet table.
import { parentPort, workerData } from 'node:worker_threads';

import { parquetMetadata, parquetReadObjects, parquetSchema } from 'hyparquet';

import { firstLineOf } from '../errors.js';
import type { ParquetAnswer, ParquetTask } from './parquet.js';
import { isKnownColumn, type Row } from './rows.js';

async function rowsOf({ bytes, column }: ParquetTask): Promise<Row[]> {
  const file = bytes.buffer;
  const metadata = parquetMetadata(file);
  const columns = parquetSchema(metadata)
    .children.map(({ element }) => element.name)
    .filter((name) => isKnownColumn(name) || name === column);
  return columns.length === 0 ? [] : await parquetReadObjects({ file, metadata, columns });
}

const answer: ParquetAnswer = await rowsOf(workerData as ParquetTask).then(
  (rows) => ({ rows }),
  (error: unknown) => ({ problem: firstLineOf(error) }),
);
parentPort!.postMessage(answer);
