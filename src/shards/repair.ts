// Saves what can be saved of a damaged dataset: every complete record of every part, into a new directory.
import { join } from 'node:path';
import { CorruptError, TesseraeError, UsageError } from '../errors.js';
import { canonicalJson } from '../json.js';
import { guarded, nodeFiles } from '../files/system.js';
import { readFully } from '../files/read.js';
import type { FileSystem } from '../files/system.js';
import type { Split } from '../interfaces/dataset.js';
import type { TokenSample } from '../interfaces/tokens.js';
import { LIMITS, cardOf, partNumber } from './format.js';
import type { FullCard, ShardManifest } from './format.js';
import { readManifest } from './manifest.js';
import { decodeHeader, headerLength, openRecord, readFooter, recordLength } from './part.js';
import { decodeSample } from './sample.js';
import { ShardWriter } from './writer.js';

/** What became of one part. */
export interface PartRepair {
  file: string;
  /** `undefined` when nothing tells: its records are lost then. */
  split: Split | undefined;
  recovered: number;
  /** How many records it had, where footer or manifest tell. */
  expected: number | undefined;
  /** One line for each place that could not be saved. */
  damage: string[];
}

export interface RepairReport {
  parts: PartRepair[];
  recovered: Record<Split, number>;
  /** The new dataset's manifest. */
  manifest: ShardManifest;
}

/** A part as repair sees it: what is known of it, from whichever of header, footer and manifest survives. */
interface Patient {
  file: string;
  path: string;
  size: number;
  header: { card: FullCard; part: number; split: Split; bytes: number } | undefined;
  footer: { split: Split; offsets: Uint32Array } | undefined;
  damage: string[];
}

/**
 * Copies every complete record of a damaged dataset into a new one. The manifest may be missing.
 *
 * @param directory the damaged dataset, which is only read.
 * @param out a new or empty directory.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET when there are no parts, E_OUTPUT_EXISTS.
 * @throws {CorruptError} E_REPAIR when neither the manifest nor any header survives.
 */
export async function repair(directory: string, out: string, files: FileSystem = nodeFiles): Promise<RepairReport> {
  const names = guarded(directory, 'reading', () => files.list(directory)).filter(
    (name) => partNumber(name) !== undefined,
  );
  if (names.length === 0)
    throw new UsageError('E_NOT_A_DATASET', `${directory}: expected parts to repair, found none.`);
  const manifest = survivingManifest(directory, files);
  const patients = names.map((name) => examine(directory, name, files));
  const card = manifest === undefined ? patients.find((patient) => patient.header)?.header?.card : cardOf(manifest);
  if (card === undefined)
    throw new CorruptError(
      'E_REPAIR',
      `${directory}: expected the manifest or one part's header intact, found neither. Tokenize again.`,
    );
  const writer = await ShardWriter.open(out, card, {
    shardSamples: card.shardSamples,
    shardBytes: card.shardBytes,
    files,
  });
  try {
    const parts: PartRepair[] = [];
    const seen = new Set<string>();
    for (const patient of inSplitOrder(patients, manifest))
      parts.push(await rescue(patient, card, manifest, writer, seen, files));
    parts.push(...missingParts(names, manifest));
    return { parts, recovered: { ...writer.done }, manifest: await writer.close() };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

function missingParts(present: string[], manifest: ShardManifest | undefined): PartRepair[] {
  const missing = manifest?.parts.filter((part) => !present.includes(part.file)) ?? [];
  return missing.map(({ file, split, samples }) => ({
    file,
    split,
    recovered: 0,
    expected: samples,
    damage: [`${file}: listed in the manifest, not there`],
  }));
}

function survivingManifest(directory: string, files: FileSystem): ShardManifest | undefined {
  try {
    return readManifest(directory, files);
  } catch (error) {
    if (error instanceof TesseraeError && error.code !== 'E_SHARD_VERSION') return undefined;
    throw error;
  }
}

function examine(directory: string, file: string, files: FileSystem): Patient {
  const path = join(directory, file);
  const status = files.status(path);
  const patient: Patient = {
    file,
    path,
    size: status?.kind === 'file' ? status.size : 0,
    header: undefined,
    footer: undefined,
    damage: [],
  };
  if (status?.kind !== 'file') {
    patient.damage.push(`${path}: not a regular file`);
    return patient;
  }
  withDescriptor(path, files, (fd) => {
    attempt(patient, () => {
      const { footer, offsets } = readFooter(path, fd, patient.size, files);
      patient.footer = { split: footer.split, offsets };
    });
    attempt(patient, () => {
      patient.header = readPatientHeader(path, fd, patient, files);
    });
  });
  return patient;
}

function readPatientHeader(path: string, fd: number, { size, footer }: Patient, files: FileSystem): Patient['header'] {
  const head = new Uint8Array(footer?.offsets[0] ?? Math.min(size, LIMITS.headerBytes));
  readFully(fd, head, 0, files);
  const bytes = headerLength(head, path) ?? head.length;
  const header = decodeHeader(head.subarray(0, bytes), path);
  return { card: cardOf(header), part: header.part, split: header.split, bytes };
}

/** Runs `action`; what it finds corrupt is noted as damage. */
function attempt(patient: Patient, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CorruptError) || error.code === 'E_SHARD_VERSION') throw error;
    patient.damage.push(error.detail);
  }
}

function withDescriptor<T>(path: string, files: FileSystem, action: (fd: number) => T): T {
  return guarded(path, 'reading', () => {
    const fd = files.open(path, 'r');
    try {
      return action(fd);
    } finally {
      files.close(fd);
    }
  });
}

function splitOf(patient: Patient, manifest: ShardManifest | undefined): Split | undefined {
  return (
    patient.header?.split ?? patient.footer?.split ?? manifest?.parts.find((part) => part.file === patient.file)?.split
  );
}

/** The writer takes one split after the other: the parts of the split seen first come first. */
function inSplitOrder(patients: Patient[], manifest: ShardManifest | undefined): Patient[] {
  const first = patients.map((patient) => splitOf(patient, manifest)).find((split) => split !== undefined);
  const rank = (patient: Patient): number => (splitOf(patient, manifest) === first ? 0 : 1);
  return patients.toSorted((a, b) => rank(a) - rank(b)); // stable: the order of names within a split
}

/** @param seen the keys of the samples recovered so far. */
async function rescue(
  patient: Patient,
  card: FullCard,
  manifest: ShardManifest | undefined,
  writer: ShardWriter,
  seen: Set<string>,
  files: FileSystem,
): Promise<PartRepair> {
  const split = splitOf(patient, manifest);
  const listed = manifest?.parts.find((part) => part.file === patient.file);
  const expected = patient.footer === undefined ? listed?.samples : patient.footer.offsets.length - 1;
  const result: PartRepair = { file: patient.file, split, recovered: 0, expected, damage: patient.damage };
  if (patient.header !== undefined && canonicalJson(patient.header.card) !== canonicalJson(card)) {
    result.damage.push(`${patient.path}: belongs to another dataset, left out`);
  } else if (split === undefined) {
    result.damage.push(`${patient.path}: neither header, footer nor manifest tells its split, left out`);
  } else {
    for (const sample of completeSamples(patient, card, files, result.damage)) {
      if (seen.has(sample.key)) {
        result.damage.push(`${patient.path}: repeats sample "${sample.key}", left out`);
        continue;
      }
      seen.add(sample.key);
      await writer.append(split, sample);
      result.recovered++;
    }
  }
  return result;
}

/** Every record whose checksum and content hold, in file order; what does not is noted in `damage`. */
function* completeSamples(
  patient: Patient,
  card: FullCard,
  files: FileSystem,
  damage: string[],
): Generator<TokenSample> {
  const { path, footer } = patient;
  const fd = files.open(path, 'r');
  try {
    const window = new Window(fd, patient.size, files);
    const records =
      footer === undefined ? scanned(window, patient, damage) : tabled(window, footer.offsets, path, damage);
    for (const { payload, offset } of records) {
      try {
        yield decodeSample(payload, card, () => `${path}@${offset}`);
      } catch (error) {
        if (!(error instanceof CorruptError)) throw error;
        damage.push(error.detail);
      }
    }
  } finally {
    files.close(fd);
  }
}

interface Found {
  payload: Uint8Array;
  offset: number;
}

/** Records by the footer's offsets. */
function* tabled(window: Window, offsets: Uint32Array, path: string, damage: string[]): Generator<Found> {
  for (let i = 0; i + 1 < offsets.length; i++) {
    const offset = offsets[i]!;
    const payload = openRecord(window.at(offset, offsets[i + 1]! - offset));
    if (typeof payload === 'string') damage.push(`${path}#${i}@${offset}: ${payload}`);
    else yield { payload, offset };
  }
}

/** Records without a footer: one after the other, and after damage from the next place where a whole one stands. */
function* scanned(window: Window, patient: Patient, damage: string[]): Generator<Found> {
  // Bytes hashed in search of records: bounds the time that made-up records can cost.
  const budget = { left: 8 * patient.size + (64 << 20) };
  let lostFrom: number | undefined;
  for (let offset = patient.header?.bytes ?? 0; offset < patient.size && budget.left > 0;) {
    const payload = recordAt(window, offset, budget);
    if (payload === undefined) {
      lostFrom ??= offset;
      offset = window.next(0x92, offset + 1);
      continue;
    }
    if (lostFrom !== undefined)
      damage.push(`${patient.path}@${lostFrom}: ${offset - lostFrom} bytes without a complete record`);
    lostFrom = undefined;
    const length = recordLength(window.at(offset, 6));
    yield { payload, offset };
    offset += length;
  }
  if (lostFrom !== undefined)
    damage.push(`${patient.path}@${lostFrom}: ${patient.size - lostFrom} bytes at the end without a complete record`);
}

function recordAt(window: Window, offset: number, budget: { left: number }): Uint8Array | undefined {
  const length = recordLength(window.at(offset, 6));
  if (length === 0 || offset + length > window.size) return undefined;
  budget.left -= length;
  const payload = openRecord(window.at(offset, length));
  return typeof payload === 'string' ? undefined : payload;
}

const WINDOW_BYTES = 1 << 20;

/** A file seen through a buffer of a megabyte, or of one record where that is larger. */
class Window {
  private bytes = new Uint8Array(0);
  private start = 0;

  constructor(
    private readonly fd: number,
    readonly size: number,
    private readonly files: FileSystem,
  ) {}

  /** Bytes from `offset`, fewer at the end of the file; valid until the next call. */
  at(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.size);
    if (offset < this.start || end > this.start + this.bytes.length) {
      this.bytes = new Uint8Array(Math.min(Math.max(WINDOW_BYTES, length), Math.max(0, this.size - offset)));
      this.start = offset;
      readFully(this.fd, this.bytes, offset, this.files);
    }
    return this.bytes.subarray(offset - this.start, Math.max(offset, end) - this.start);
  }

  /** The first offset from `from` on where `byte` stands, or the size of the file. */
  next(byte: number, from: number): number {
    for (let offset = from; offset < this.size;) {
      const seen = this.at(offset, 1).length === 0 ? this.bytes : this.bytes.subarray(offset - this.start);
      const found = seen.indexOf(byte);
      if (found >= 0) return offset + found;
      offset += Math.max(1, seen.length);
    }
    return this.size;
  }
}
