// Recovers a damaged dataset: copies every complete record of every part into a new directory.
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

/** The result of repairing one part. */
export interface PartRepair {
  file: string;
  /** `undefined` if it cannot be determined; the part's records are lost in that case. */
  split: Split | undefined;
  recovered: number;
  /** Number of records it had, if the footer or the manifest says so. */
  expected: number | undefined;
  /** One line for each place that could not be recovered. */
  damage: string[];
}

export interface RepairReport {
  parts: PartRepair[];
  recovered: Record<Split, number>;
  /** Manifest of the new dataset. */
  manifest: ShardManifest;
}

/** What is known about a part, from whichever of header, footer and manifest is intact. */
interface SourcePart {
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
 * @param directory The damaged dataset, which is only read.
 * @param out A new or empty directory.
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET when there are no parts, E_OUTPUT_EXISTS.
 * @throws {CorruptError} E_REPAIR when neither the manifest nor any header is intact.
 */
export async function repair(directory: string, out: string, files: FileSystem = nodeFiles): Promise<RepairReport> {
  const names = guarded(directory, 'reading', () => files.list(directory)).filter(
    (name) => partNumber(name) !== undefined,
  );
  if (names.length === 0)
    throw new UsageError('E_NOT_A_DATASET', `${directory}: expected parts to repair, found none.`);
  const manifest = survivingManifest(directory, files);
  const sources = names.map((name) => examine(directory, name, files));
  const card = manifest === undefined ? sources.find((source) => source.header)?.header?.card : cardOf(manifest);
  if (card === undefined)
    throw new CorruptError(
      'E_REPAIR',
      `${directory}: expected an intact manifest or part header, found neither. Tokenize again.`,
    );
  const writer = await ShardWriter.open(out, card, {
    shardSamples: card.shardSamples,
    shardBytes: card.shardBytes,
    files,
  });
  try {
    const parts: PartRepair[] = [];
    const seen = new Set<string>();
    for (const source of inSplitOrder(sources, manifest))
      parts.push(await recover(source, card, manifest, writer, seen, files));
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
    damage: [`${file}: listed in the manifest, but missing`],
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

function examine(directory: string, file: string, files: FileSystem): SourcePart {
  const path = join(directory, file);
  const status = files.status(path);
  const source: SourcePart = {
    file,
    path,
    size: status?.kind === 'file' ? status.size : 0,
    header: undefined,
    footer: undefined,
    damage: [],
  };
  if (status?.kind !== 'file') {
    source.damage.push(`${path}: not a regular file`);
    return source;
  }
  withDescriptor(path, files, (fd) => {
    attempt(source, () => {
      const { footer, offsets } = readFooter(path, fd, source.size, files);
      source.footer = { split: footer.split, offsets };
    });
    attempt(source, () => {
      source.header = readSourceHeader(path, fd, source, files);
    });
  });
  return source;
}

function readSourceHeader(
  path: string,
  fd: number,
  { size, footer }: SourcePart,
  files: FileSystem,
): SourcePart['header'] {
  const head = new Uint8Array(footer?.offsets[0] ?? Math.min(size, LIMITS.headerBytes));
  readFully(fd, head, 0, files);
  const bytes = headerLength(head, path) ?? head.length;
  const header = decodeHeader(head.subarray(0, bytes), path);
  return { card: cardOf(header), part: header.part, split: header.split, bytes };
}

/** Runs `action` and records corruption as damage. */
function attempt(source: SourcePart, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CorruptError) || error.code === 'E_SHARD_VERSION') throw error;
    source.damage.push(error.detail);
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

function splitOf(source: SourcePart, manifest: ShardManifest | undefined): Split | undefined {
  return (
    source.header?.split ?? source.footer?.split ?? manifest?.parts.find((part) => part.file === source.file)?.split
  );
}

/**
 * Orders the parts by split, because the writer takes one split after the other. The split that occurs first comes
 * first.
 */
function inSplitOrder(sources: SourcePart[], manifest: ShardManifest | undefined): SourcePart[] {
  const first = sources.map((source) => splitOf(source, manifest)).find((split) => split !== undefined);
  const rank = (source: SourcePart): number => (splitOf(source, manifest) === first ? 0 : 1);
  return sources.toSorted((a, b) => rank(a) - rank(b)); // stable: the order of names within a split
}

/** @param seen Keys of the samples recovered so far. */
async function recover(
  source: SourcePart,
  card: FullCard,
  manifest: ShardManifest | undefined,
  writer: ShardWriter,
  seen: Set<string>,
  files: FileSystem,
): Promise<PartRepair> {
  const split = splitOf(source, manifest);
  const listed = manifest?.parts.find((part) => part.file === source.file);
  const expected = source.footer === undefined ? listed?.samples : source.footer.offsets.length - 1;
  const result: PartRepair = { file: source.file, split, recovered: 0, expected, damage: source.damage };
  if (source.header !== undefined && canonicalJson(source.header.card) !== canonicalJson(card)) {
    result.damage.push(`${source.path}: belongs to another dataset, skipped`);
  } else if (split === undefined) {
    result.damage.push(`${source.path}: its split is not in the header, footer or manifest, skipped`);
  } else {
    for (const sample of completeSamples(source, card, files, result.damage)) {
      if (seen.has(sample.key)) {
        result.damage.push(`${source.path}: repeats sample "${sample.key}", skipped`);
        continue;
      }
      seen.add(sample.key);
      await writer.append(split, sample);
      result.recovered++;
    }
  }
  return result;
}

/** Yields every record whose checksum and content are valid, in file order. Everything else is recorded in `damage`. */
function* completeSamples(
  source: SourcePart,
  card: FullCard,
  files: FileSystem,
  damage: string[],
): Generator<TokenSample> {
  const { path, footer } = source;
  const fd = files.open(path, 'r');
  try {
    const window = new Window(fd, source.size, files);
    const records =
      footer === undefined
        ? recordsByScan(window, source, damage)
        : recordsByOffsets(window, footer.offsets, path, damage);
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

/** Yields the records at the footer's offsets. */
function* recordsByOffsets(window: Window, offsets: Uint32Array, path: string, damage: string[]): Generator<Found> {
  for (let i = 0; i + 1 < offsets.length; i++) {
    const offset = offsets[i]!;
    const payload = openRecord(window.at(offset, offsets[i + 1]! - offset));
    if (typeof payload === 'string') damage.push(`${path}#${i}@${offset}: ${payload}`);
    else yield { payload, offset };
  }
}

/** Yields records without a footer, one after the other. After damage, it searches for the next complete record. */
function* recordsByScan(window: Window, source: SourcePart, damage: string[]): Generator<Found> {
  // Limits the bytes hashed while searching, and with them the time that forged records can cost.
  const budget = { left: 8 * source.size + (64 << 20) };
  let lostFrom: number | undefined;
  for (let offset = source.header?.bytes ?? 0; offset < source.size && budget.left > 0;) {
    const payload = recordAt(window, offset, budget);
    if (payload === undefined) {
      lostFrom ??= offset;
      offset = window.next(0x92, offset + 1);
      continue;
    }
    if (lostFrom !== undefined)
      damage.push(`${source.path}@${lostFrom}: ${offset - lostFrom} bytes without a complete record`);
    lostFrom = undefined;
    const length = recordLength(window.at(offset, 6));
    yield { payload, offset };
    offset += length;
  }
  if (lostFrom !== undefined)
    damage.push(`${source.path}@${lostFrom}: ${source.size - lostFrom} bytes at the end without a complete record`);
}

function recordAt(window: Window, offset: number, budget: { left: number }): Uint8Array | undefined {
  const length = recordLength(window.at(offset, 6));
  if (length === 0 || offset + length > window.size) return undefined;
  budget.left -= length;
  const payload = openRecord(window.at(offset, length));
  return typeof payload === 'string' ? undefined : payload;
}

const WINDOW_BYTES = 1 << 20;

/** Reads a file through a buffer of one megabyte, or of one record if that is larger. */
class Window {
  private bytes = new Uint8Array(0);
  private start = 0;

  constructor(
    private readonly fd: number,
    readonly size: number,
    private readonly files: FileSystem,
  ) {}

  /** Returns bytes from `offset`, fewer at the end of the file. They are valid until the next call. */
  at(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.size);
    if (offset < this.start || end > this.start + this.bytes.length) {
      this.bytes = new Uint8Array(Math.min(Math.max(WINDOW_BYTES, length), Math.max(0, this.size - offset)));
      this.start = offset;
      readFully(this.fd, this.bytes, offset, this.files);
    }
    return this.bytes.subarray(offset - this.start, Math.max(offset, end) - this.start);
  }

  /** Returns the first offset at or after `from` that holds `byte`, or the size of the file. */
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
