// Writes a stream of samples to parts. The bytes depend only on the samples and the card: not on time, not on the
// number of workers, and not on whether the run was killed and resumed.
import { join } from 'node:path';
import { CorruptError, UsageError } from '../errors.js';
import { differences, differencesText } from '../json.js';
import { guarded, nodeFiles } from '../files/system.js';
import { sha256File } from '../files/read.js';
import { sweepTemporaries } from '../files/journal.js';
import type { FileSystem } from '../files/system.js';
import { openOutput, prepareOutput } from '../output.js';
import type { OutputLock } from '../output.js';
import type { Split } from '../interfaces/dataset.js';
import type { TokenSample } from '../interfaces/tokens.js';
import { LIMITS, MANIFEST, REJECTS, cardOf, fullCard, partName, partNumber } from './format.js';
import type { FullCard, ManifestPart, RejectsMark, ShardCard, ShardManifest } from './format.js';
import { makeManifest, writeManifest } from './manifest.js';
import { PartReader, PartWriter, encodeRecord } from './part.js';
import { RejectList } from './rejects.js';
import type { Reject } from './rejects.js';
import { decodeSample, encodeSample } from './sample.js';

export interface ShardWriterOptions {
  /** Keeps the parts that an interrupted run has committed. */
  resume?: boolean;
  /** Overwrites an existing dataset. */
  force?: boolean;
  /** Names that `force` removes in addition to the shards' own. */
  owned?: readonly (string | RegExp)[];
  /** Maximum number of samples per part. Default 4096. */
  shardSamples?: number;
  /** Maximum number of record bytes per part. A larger sample gets a part of its own. Default 128 MiB. */
  shardBytes?: number;
  /** For tests. No lock is taken with another file system. */
  files?: FileSystem;
}

/** Names of the files that belong to a token dataset. */
const SHARD_FILES: readonly (string | RegExp)[] = [MANIFEST, REJECTS, /^part-\d{5}\.msgpack$/];

/**
 * Writes a dataset of tokens, one split after the other.
 *
 * Every part is committed when it is full, and {@link ShardWriter.close} commits the manifest. A killed run can be
 * continued with `resume`: {@link ShardWriter.seen} returns how many samples of each split are already processed,
 * including those skipped by {@link ShardWriter.reject}, and the caller continues with the next one.
 */
export class ShardWriter {
  /** Number of samples appended, including earlier runs. */
  readonly done: Record<Split, number> = { train: 0, test: 0 };
  /** Damaged parts found while resuming. They and all later parts are written again. */
  readonly discarded: string[] = [];
  private readonly parts: ManifestPart[] = [];
  private current: PartWriter | undefined;
  private closed = false;
  private readonly rejects: RejectList;
  /** The rejects before the last appended sample. The part that contains the sample stores this mark. */
  private mark: RejectsMark;
  private readonly keys = new Set<string>();

  private constructor(
    readonly directory: string,
    private readonly card: FullCard,
    private readonly files: FileSystem,
    private readonly lock: OutputLock | undefined,
  ) {
    this.rejects = new RejectList(directory, files);
    this.mark = this.rejects.mark();
  }

  /**
   * Opens a writer.
   *
   * @throws {LockError} E_LOCKED.
   * @throws {UsageError} E_OUTPUT_EXISTS, E_SHARD_CARD, E_RESUME_MISMATCH naming the difference.
   * @throws {CorruptError} E_REJECTS when the list of rejects does not match the parts to resume.
   * @throws {IoError} E_IO, E_DISK_FULL.
   */
  static async open(directory: string, card: ShardCard, options: ShardWriterOptions = {}): Promise<ShardWriter> {
    const files = options.files ?? nodeFiles;
    const complete = fullCard(card, options.shardSamples ?? 4096, options.shardBytes ?? 128 * 2 ** 20);
    const output = { resume: options.resume, force: options.force, owned: [...SHARD_FILES, ...(options.owned ?? [])] };
    let lock: OutputLock | undefined;
    if (files === nodeFiles) lock = openOutput(directory, output);
    else {
      prepareOutput(directory, output, files);
      sweepTemporaries(directory, files);
    }
    const writer = new ShardWriter(directory, complete, files, lock);
    try {
      if (options.resume) guarded(directory, 'resuming', () => writer.adopt());
    } catch (error) {
      lock?.release();
      throw error;
    }
    return writer;
  }

  /**
   * Appends a sample. All samples of one split must come before those of the other.
   *
   * @throws {UsageError} E_SAMPLE naming the sample, E_DUPLICATE_KEY, E_SPLIT_ORDER.
   * @throws {IoError} E_DISK_FULL, E_IO; the run can be resumed.
   */
  async append(split: Split, sample: TokenSample): Promise<void> {
    this.assertOpen();
    if (this.keys.has(sample.key))
      throw new UsageError('E_DUPLICATE_KEY', `sample "${sample.key}": expected a unique key, another sample has it.`);
    const payload = encodeSample(sample, this.card);
    if (payload.length > LIMITS.payloadBytes)
      throw new UsageError(
        'E_SAMPLE',
        `sample "${sample.key}": expected at most ${LIMITS.payloadBytes} bytes, received ${payload.length}.`,
      );
    const record = encodeRecord(payload);
    this.partFor(split, record.length).append(record);
    this.keys.add(sample.key);
    this.mark = this.rejects.mark();
    this.done[split]++;
  }

  /**
   * Skips a sample and lists it in rejects.jsonl, which becomes durable before the next part. Call it where the sample
   * would have been appended.
   *
   * @throws {UsageError} E_REJECT_ORDER.
   * @throws {IoError} E_DISK_FULL, E_IO; the run can be resumed.
   */
  async reject(reject: Reject): Promise<void> {
    this.assertOpen();
    this.rejects.add(reject);
  }

  /** Number of samples skipped, including earlier runs. */
  get rejected(): number {
    return this.rejects.count;
  }

  /** Number of input samples that are processed: appended or skipped. */
  seen(split: Split): number {
    return this.done[split] + this.rejects.countOf(split);
  }

  /**
   * Commits the last part and the manifest.
   *
   * @throws {IoError} E_DISK_FULL, E_IO; the run can be resumed.
   */
  async close(): Promise<ShardManifest> {
    this.assertOpen();
    this.commitPart();
    this.rejects.finish();
    const manifest = makeManifest(this.card, this.parts, this.rejects.mark());
    writeManifest(this.directory, manifest, this.files);
    this.end();
    return manifest;
  }

  /** Stops writing. Committed parts are kept so that the run can be resumed; the rest is discarded. */
  async abort(): Promise<void> {
    if (this.closed) return;
    this.current?.discard();
    this.current = undefined;
    try {
      this.rejects.flush();
    } catch {
      // The list is only informative here: no part refers to these rejects, and a resumed run finds them again. The
      // error that caused the abort matters more.
    } finally {
      this.end();
    }
  }

  private end(): void {
    this.closed = true;
    this.lock?.release();
  }

  private assertOpen(): void {
    if (this.closed)
      throw new UsageError(
        'E_WRITER_CLOSED',
        `ShardWriter(${this.directory}): expected an open writer, but it was closed or aborted.`,
      );
  }

  private partFor(split: Split, recordBytes: number): PartWriter {
    const full = this.current !== undefined && this.isFull(this.current, recordBytes);
    if (full || this.current?.split !== split) this.commitPart();
    this.current ??= this.startPart(split);
    return this.current;
  }

  private isFull(part: PartWriter, recordBytes: number): boolean {
    return (
      part.samples >= this.card.shardSamples || (part.samples > 0 && part.bytes + recordBytes > this.card.shardBytes)
    );
  }

  private startPart(split: Split): PartWriter {
    const last = this.parts.at(-1)?.split;
    if (last !== split && this.parts.some((part) => part.split === split)) {
      throw new UsageError(
        'E_SPLIT_ORDER',
        `ShardWriter: expected all samples of a split together, received "${split}" again after "${last}".`,
      );
    }
    const index = this.parts.length;
    const name = partName(index);
    // The dataset is incomplete from here on, so a crash must not leave a manifest that says it is complete.
    guarded(this.directory, 'starting a part', () => this.files.remove(join(this.directory, MANIFEST)));
    return new PartWriter(join(this.directory, name), name, index, split, this.card, this.files);
  }

  private commitPart(): void {
    if (this.current === undefined) return;
    this.rejects.flush();
    this.parts.push(this.current.commit(this.mark));
    this.current = undefined;
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Resuming

  /**
   * Takes over the committed parts and their rejects, up to the first part that is missing or damaged. Every record is
   * verified.
   */
  private adopt(): void {
    const present = this.files.list(this.directory).filter((name) => partNumber(name) !== undefined);
    for (let index = 0; present.includes(partName(index)); index++) {
      const found = this.verifyPart(index);
      if (found === undefined) break;
      this.parts.push(found.part);
      this.done[found.part.split] += found.part.samples;
      this.mark = found.rejects;
    }
    this.rejects.adopt(this.mark);
    this.discarded.push(...present.filter((name) => partNumber(name)! >= this.parts.length));
    if (this.discarded.length > 0) this.files.remove(join(this.directory, MANIFEST));
    for (const name of this.discarded) this.files.remove(join(this.directory, name));
  }

  private verifyPart(index: number): { part: ManifestPart; rejects: RejectsMark } | undefined {
    const file = partName(index);
    const path = join(this.directory, file);
    let reader: PartReader | undefined;
    try {
      reader = PartReader.open(path, this.files);
      assertSameCard(path, this.card, cardOf(reader.header));
      const { rejects, header } = reader;
      const keys = this.keysOf(reader);
      if (keys === undefined || header.part !== index || this.returnsTo(header.split)) return undefined;
      for (const key of keys) this.keys.add(key);
      return {
        part: {
          file,
          split: header.split,
          samples: reader.samples,
          bytes: reader.size,
          sha256: sha256File(path, this.files),
        },
        rejects,
      };
    } catch (error) {
      if (error instanceof CorruptError && error.code !== 'E_SHARD_VERSION') return undefined;
      throw error;
    } finally {
      reader?.close();
    }
  }

  /**
   * Verifies every record of a part.
   *
   * @returns Their keys, or undefined if a key is repeated here or in an earlier part.
   */
  private keysOf(reader: PartReader): Set<string> | undefined {
    const keys = new Set<string>();
    for (let record = 0; record < reader.samples; record++) {
      const { key } = decodeSample(reader.payload(record), this.card, () => reader.place(record));
      if (keys.has(key) || this.keys.has(key)) return undefined;
      keys.add(key);
    }
    return keys;
  }

  /** Whether the parts so far have already switched from `split` to the other one. */
  private returnsTo(split: Split): boolean {
    return this.parts.at(-1)?.split !== split && this.parts.some((part) => part.split === split);
  }
}

function assertSameCard(path: string, expected: FullCard, found: FullCard): void {
  const different = differences(found, expected);
  if (different.length === 0) return;
  throw new UsageError(
    'E_RESUME_MISMATCH',
    `${path}: the interrupted run had ${differencesText(different)}. Resume with the same data and settings, or start again with --force.`,
  );
}
