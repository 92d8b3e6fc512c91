// `metrics.jsonl` holds the measurements of a run, one JSON object per line, appended as the run proceeds. A crash may
// leave an incomplete last line, which readers ignore and the next writer removes.
import * as fs from 'node:fs';
import { CorruptError } from '../errors.js';
import { decodeUtf8 } from '../json.js';
import { expectRegular, readFile } from '../files/read.js';
import { guarded, nodeFiles } from '../files/system.js';
import { writeFileAtomic } from '../files/commit.js';
import type { Split } from '../interfaces/dataset.js';

/** One measurement. Further fields depend on the run: `loss`, `nmse`, `learningRate`, ... */
export interface MetricsRecord {
  /** Training step after which it was taken. */
  step: number;
  /** Default: `train`. */
  split?: Split;
  [name: string]: number | string | null | undefined;
}

/**
 * Reads a metrics file.
 *
 * A last line without a newline is incomplete and is ignored. A number that was not finite reads as null.
 *
 * @throws {UsageError} E_NOT_FOUND when the file does not exist.
 * @throws {CorruptError} E_METRICS_LINE for any other line that is not a record.
 */
export function readMetrics(path: string): MetricsRecord[] {
  expectRegular(path, 'E_METRICS_FILE');
  const bytes = readFile(path);
  const text = decodeUtf8(bytes.subarray(0, wholeLines(bytes)), path);
  const lines = text.split('\n').slice(0, -1);
  return lines.flatMap((line, i) => (line.trim() === '' ? [] : [parseRecord(line, `${path}#${i + 1}`)]));
}

/**
 * Appends one record, after removing an incomplete last line. Creates the file if necessary.
 *
 * @throws {IoError} E_IO, E_DISK_FULL.
 */
export function appendMetrics(path: string, record: MetricsRecord): void {
  guarded(path, 'appending', () => {
    expectRegular(path, 'E_METRICS_FILE');
    cutTornLine(path);
    fs.appendFileSync(path, `${JSON.stringify(record)}\n`);
  });
}

/**
 * Removes every record after a step and those marked `final`. A run resumed from a checkpoint measures these again, so
 * its file ends up identical to that of an uninterrupted run. A missing file is not created.
 */
export function truncateMetrics(path: string, lastStep: number): void {
  if (nodeFiles.status(path) === undefined) return;
  const kept = readMetrics(path).filter(({ step, final }) => step <= lastStep && final === undefined);
  writeFileAtomic(path, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

function parseRecord(line: string, where: string): MetricsRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw badLine(where, line, error);
  }
  if (typeof value !== 'object' || value === null || typeof (value as { step?: unknown }).step !== 'number')
    throw badLine(where, line);
  return value as MetricsRecord;
}

function badLine(where: string, line: string, cause?: unknown): CorruptError {
  return new CorruptError(
    'E_METRICS_LINE',
    `${where}: expected a JSON object with a number "step", found ${JSON.stringify(line.slice(0, 60))}. Remove the line.`,
    { cause },
  );
}

const NEWLINE = 0x0a;

/** Returns the number of bytes up to and including the last newline. */
function wholeLines(bytes: Uint8Array): number {
  return bytes.lastIndexOf(NEWLINE) + 1;
}

function cutTornLine(path: string): void {
  const size = nodeFiles.status(path)?.size ?? 0;
  if (size === 0 || endsInNewline(path, size)) return;
  fs.truncateSync(path, wholeLines(readFile(path)));
}

function endsInNewline(path: string, size: number): boolean {
  const fd = fs.openSync(path, 'r');
  try {
    const last = new Uint8Array(1);
    fs.readSync(fd, last, 0, 1, size - 1);
    return last[0] === NEWLINE;
  } finally {
    fs.closeSync(fd);
  }
}
