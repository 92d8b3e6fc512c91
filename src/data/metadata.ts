// Metadata tables with one row per image: metadata.csv, .tsv, .jsonl and .parquet, as in Hugging Face's imagefolder.
import { parse } from 'csv-parse/sync';

import { InputError, messageOf } from '../errors.js';
import { isMetadata, MAX_METADATA, type DataFile } from './listing.js';
import { extensionOf, fileName, insidePath } from './names.js';
import { parquetRows } from './parquet.js';
import { describeRow, filesOf, type Described, type Row } from './rows.js';
import type { Tally } from './tally.js';
import { jsonObject, utf8 } from './text.js';

/** The contents of all tables of a folder or archive. */
export interface Metadata {
  /** Descriptions by path of the image. */
  rows: Map<string, Described>;
  /** Images whose row cannot be used. */
  unusable: Set<string>;
  /** Names of all columns. */
  columns: Set<string>;
}

/** A row and its number, which starts at 1, for errors. */
type Numbered = [row: Row, number: number];

/**
 * Reads every table among the files. A table describes images in its own folder and below.
 *
 * @param present Paths of the existing images.
 * @param column  Caption column to use instead of the usual ones.
 * @throws {InputError} E_DATA_METADATA, E_DATA_TEXT, unless the tally skips bad files.
 */
export async function readMetadata(
  files: readonly DataFile[],
  present: ReadonlySet<string>,
  column: string | undefined,
  tally: Tally,
): Promise<Metadata> {
  const metadata: Metadata = { rows: new Map(), unusable: new Set(), columns: new Set() };
  for (const file of files) {
    if (!isMetadata(file.path)) continue;
    const table = await tally.attempt(file.path, async () => readTable(file, present.size, column, tally));
    if (!table) continue;
    tally.texts++;
    for (const [row, number] of table) addRow(metadata, file, row, number, present, column, tally);
  }
  return metadata;
}

function addRow(
  { rows, unusable, columns }: Metadata,
  file: DataFile,
  row: Row,
  number: number,
  present: ReadonlySet<string>,
  column: string | undefined,
  tally: Tally,
): void {
  const where = `${file.where}#${number}`;
  const folder = file.path.slice(0, file.path.length - fileName(file.path).length);
  for (const name of Object.keys(row)) columns.add(name);
  let samples: string[] = [];
  try {
    samples = filesOf(row, where).map((name) => mediaFileIn(folder, name, where));
    const missing = samples.find((sample) => !present.has(sample));
    if (missing !== undefined)
      throw metadataError(
        where,
        `a file_name below its folder, found "${missing.slice(0, 120)}", which does not exist. Give the path relative to the folder of the metadata, with its extension`,
      );
    const doubled = samples.find((sample) => rows.has(sample));
    if (doubled !== undefined)
      throw metadataError(
        where,
        `one row per image, found a second for "${doubled}". Put several captions of an image into one row, as a list in metadata.jsonl`,
      );
    const described = describeRow(row, where, column);
    for (const sample of samples) rows.set(sample, described);
  } catch (error) {
    tally.reject(file.path, error, number);
    for (const sample of samples) if (present.has(sample) && !rows.has(sample)) unusable.add(sample);
  }
}

/** @throws {InputError} E_DATA_METADATA for a path that leads out of the folder. */
function mediaFileIn(folder: string, name: string, where: string): string {
  if (name.split(/[/\\]/).includes('..'))
    throw metadataError(where, `a file_name below its folder, found "${name.slice(0, 120)}", which leads out of it`);
  return folder + insidePath(name);
}

/**
 * Limits the rows of a table to a number per image plus a constant. A table of millions of rows for a few images
 * belongs to a different dataset.
 */
const ROWS_PER_SAMPLE = 20;
const ROWS_BESIDES = 10_000;

function expectRows(file: DataFile, rows: number, samples: number): void {
  const most = ROWS_PER_SAMPLE * samples + ROWS_BESIDES;
  if (rows > most)
    throw metadataError(
      file.where,
      `at most ${most} rows for ${samples} images, found ${rows}. Keep only the rows of images that exist`,
    );
}

function linesIn(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

async function readTable(
  file: DataFile,
  samples: number,
  column: string | undefined,
  tally: Tally,
): Promise<Numbered[]> {
  if (file.bytes > MAX_METADATA) throw metadataError(file.where, `at most ${MAX_METADATA} bytes, found ${file.bytes}`);
  const bytes = await file.read();
  const extension = extensionOf(file.path);
  if (extension === 'parquet') {
    const rows = await parquetRows(bytes, file.where, column);
    expectRows(file, rows.length, samples);
    return rows.map((row, i) => [row, i + 1]);
  }
  const text = utf8(bytes, file.where);
  expectRows(file, linesIn(text), samples);
  return extension === 'csv' || extension === 'tsv' ? csvRows(text, file, tally) : jsonlRows(text, file, tally);
}

function csvRows(text: string, file: DataFile, tally: Tally): Numbered[] {
  const rows: Numbered[] = [];
  const bad: Array<[error: unknown, row: number]> = [];
  const number = (): number => rows.length + bad.length + 1;
  try {
    parse(text.replace(SEPARATOR_LINE, ''), {
      columns: true,
      bom: true,
      skip_empty_lines: true,
      trim: true,
      delimiter: delimiterOf(text),
      skip_records_with_error: true,
      on_skip: (error) => void bad.push([error, number()]),
      on_record: (record: Record<string, string>) => {
        rows.push([record, number()]);
        return null;
      },
    });
  } catch (error) {
    throw csvError(file.where, error);
  }
  for (const [error, row] of bad) tally.reject(file.path, csvError(`${file.where}#${row}`, error), row);
  return rows;
}

/** A first line that Excel understands: it names the character that separates the columns. */
const SEPARATOR_LINE = /^\ufeff?sep=(.)\r?\n/i;

/** Returns the delimiter. Spreadsheets in many countries separate values with semicolons or tabs. */
function delimiterOf(text: string): string {
  const declared = SEPARATOR_LINE.exec(text)?.[1];
  if (declared !== undefined) return declared;
  const header = text.slice(0, text.search(/[\r\n]|$/));
  const counts = [',', ';', '\t'].map((one): [string, number] => [one, header.split(one).length]);
  return counts.sort((a, b) => b[1] - a[1])[0]![0];
}

function csvError(where: string, error: unknown): InputError {
  const { code, columns, record, lines } = error as {
    code?: string;
    columns?: readonly unknown[];
    record?: readonly unknown[];
    lines?: number;
  };
  const detail =
    code === 'CSV_RECORD_INCONSISTENT_COLUMNS' && columns && record
      ? `expected ${columns.length} columns as in the header, found ${record.length} in line ${lines}. Quote texts that contain commas.`
      : code === 'CSV_QUOTE_NOT_CLOSED'
        ? `expected a closing quote, found none after line ${lines}. Close the quote, and double the quotes inside quoted text.`
        : `expected comma-separated values (${messageOf(error).slice(0, 160)}).`;
  return new InputError('E_DATA_METADATA', `${where}: ${detail}`, { cause: error });
}

function jsonlRows(text: string, file: DataFile, tally: Tally): Numbered[] {
  return text.split('\n').flatMap((line, i): Numbered[] => {
    if (line.trim() === '') return [];
    try {
      return [[jsonObject(line, `${file.where}#${i + 1}`), i + 1]];
    } catch (error) {
      tally.reject(file.path, error, i + 1);
      return [];
    }
  });
}

function metadataError(where: string, expected: string): InputError {
  return new InputError('E_DATA_METADATA', `${where}: expected ${expected}.`);
}
