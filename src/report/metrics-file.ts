// `metrics.jsonl`: what a run measured, one JSON object a line, appended as it goes. A crash may tear the last line, so
// readers pass over it and the next writer cuts it off.
import * as fs from 'node:fs';
import { CorruptError } from '../errors.js';
import { decodeUtf8 } from '../json.js';
import { expectRegular, readFile } from '../files/read.js';
import { guarded, nodeFiles } from '../files/system.js';
import { writeFileAtomic } from '../files/commit.js';
import type { Split } from '../interfaces/dataset.js';

/** One measurement. Further names are the run's own: `loss`, `nmse`, `learningRate`, ... */
export interface MetricsRecord {
  /** Training step it was taken after. */
  step: number;
  /** Absent means `train`. */
  split?: Split;
  [name: string]: number | string | null | undefined;
}

/**
 * Reads a metrics file.
 *
 * A last line without its newline is torn and left out. A number that was not finite reads as null.
 *
 * @throws {UsageError} E_NOT_FOUND. @throws {CorruptError} E_METRICS_LINE for any other line that is not a record.
 */
export function readMetrics(path: string): MetricsRecord[] {
  expectRegular(path, 'E_METRICS_FILE');
  const bytes = readFile(path);
  const text = decodeUtf8(bytes.subarray(0, wholeLines(bytes)), path);
  const lines = text.split('\n').slice(0, -1);
  return lines.flatMap((line, i) => (line.trim() === '' ? [] : [parseRecord(line, `${path}#${i + 1}`)]));
}

/**
 * Appends one record; a torn last line is cut off first. The file is created when it is missing.
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
 * Drops every record after a step, and those marked `final`: a run that resumes from a checkpoint measures these again,
 * and its file is then that of an uninterrupted run. A missing file stays missing.
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

/** Bytes up to and with the last newline. */
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
