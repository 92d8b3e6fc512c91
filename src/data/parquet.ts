// Rows of a Parquet table, read by hyparquet, which is loaded when there is one.
import { InputError, TesseraeError, firstLineOf } from '../errors.js';
import { isKnownColumn, type Row } from './rows.js';

/** Bound on rows: a table may say in a few bytes that a value repeats a billion times. */
const MAX_ROWS = 10_000_000;

/**
 * Reads the columns of a table that say something of pictures.
 *
 * @param column one more column to read.
 * @throws {InputError} E_DATA_METADATA for what is no such table, or one that hyparquet cannot read.
 */
export async function parquetRows(bytes: Uint8Array, source: string, column?: string): Promise<Row[]> {
  try {
    const { parquetMetadata, parquetReadObjects, parquetSchema } = await import('hyparquet');
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const metadata = parquetMetadata(file);
    const rows = Number(metadata.num_rows);
    if (!(rows <= Math.min(MAX_ROWS, 64 * bytes.length))) throw new InputError('E_DATA_METADATA', `${source}: expected at most ${Math.min(MAX_ROWS, 64 * bytes.length)} rows in a table of ${bytes.length} bytes, found ${rows}.`);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name).filter((name) => isKnownColumn(name) || name === column);
    return columns.length === 0 ? [] : ((await parquetReadObjects({ file, metadata, columns })) as Row[]);
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    throw new InputError('E_DATA_METADATA', `${source}: expected a Parquet table (${firstLineOf(error).slice(0, 120)}). Save it again, with Snappy or without compression, or as metadata.jsonl.`, { cause: error });
  }
}
