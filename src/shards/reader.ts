// Reads a dataset of tokens with random access, in memory that grows with the dataset only by four bytes per sample of
// the open parts.
import { join } from 'node:path';
import { expectPath } from '../arguments.js';
import { CorruptError, UsageError } from '../errors.js';
import { expectCodec } from '../fingerprint.js';
import { canonicalJson } from '../json.js';
import { guarded, nodeFiles } from '../files/system.js';
import { sha256File } from '../files/read.js';
import type { FileSystem } from '../files/system.js';
import type { Split } from '../interfaces/dataset.js';
import { specOf } from '../interfaces/tokens.js';
import type { TokenMapSpec, TokenSample } from '../interfaces/tokens.js';
import { permutation } from '../rng.js';
import { cardOf, partNumber } from './format.js';
import type { FullCard, ManifestPart, ShardManifest } from './format.js';
import { readManifest } from './manifest.js';
import { PartReader } from './part.js';
import { verifyRejects } from './rejects.js';
import { decodeSample } from './sample.js';

export interface ShardReaderOptions {
  /**
   * What to verify. `structure` (default) checks the manifest, sizes, headers and footers when the dataset is opened,
   * and each record when it is read. `full` also checks the sha256 of every part, every record, that keys are unique,
   * and the list of rejects.
   */
  verify?: 'structure' | 'full';
  /** Rejects tokens of a codec with another fingerprint. */
  codec?: string;
  /** Maximum number of open parts. Default 256. */
  openParts?: number;
  files?: FileSystem;
}

interface SplitIndex {
  /** Indices into the manifest's parts. */
  parts: number[];
  /** Index of the first sample of each part, followed by the number of samples. */
  starts: number[];
}

/** A dataset of tokens on disk. Every read verifies what it returns. */
export class ShardReader {
  private readonly splits: Record<Split, SplitIndex>;
  /** Open parts, least recently used first. */
  private readonly open = new Map<number, PartReader>();
  private readonly card: FullCard;

  private constructor(
    readonly directory: string,
    readonly manifest: ShardManifest,
    private readonly files: FileSystem,
    private readonly openParts: number,
  ) {
    this.card = cardOf(manifest);
    this.splits = { train: indexSplit(manifest.parts, 'train'), test: indexSplit(manifest.parts, 'test') };
  }

  /**
   * Opens a dataset.
   *
   * @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET.
   * @throws {CorruptError} E_MANIFEST, E_JSON, E_SHARD_VERSION, E_SHARD_MISSING, E_SHARD_SIZE, E_SHARD_HEADER,
   *   E_SHARD_FOOTER, E_SHARD_MISMATCH, E_SHARD_UNLISTED, E_CODEC_MISMATCH; with `full` also E_SHARD_RECORD, E_SAMPLE,
   *   E_MSGPACK, E_SHARD_SHA256, E_DUPLICATE_KEY, E_REJECTS.
   */
  static async open(directory: string, options: ShardReaderOptions = {}): Promise<ShardReader> {
    expectPath('ShardReader.open', directory);
    const files = options.files ?? nodeFiles;
    return guarded(directory, 'opening', () => {
      const manifest = readManifest(directory, files);
      if (options.codec !== undefined) {
        const { fingerprint: received } = manifest.codec;
        expectCodec(directory, {
          expected: options.codec,
          received,
          remedy: 'Tokenize again with the expected codec.',
        });
      }
      const reader = new ShardReader(directory, manifest, files, options.openParts ?? 256);
      try {
        reader.verifyStructure();
        if (options.verify === 'full') reader.verifyContent();
      } catch (error) {
        reader.closeParts();
        throw error;
      }
      return reader;
    });
  }

  /** Identifies the dataset. It changes with any sample, setting or order. */
  get fingerprint(): string {
    return this.manifest.fingerprint;
  }

  get codec(): ShardManifest['codec'] {
    return this.manifest.codec;
  }

  get classes(): readonly string[] | undefined {
    return this.manifest.classes;
  }

  /** The token maps of every sample. An extent of -1 differs between samples. */
  get maps(): TokenMapSpec[] {
    return this.manifest.maps.map(specOf);
  }

  size(split: Split): number {
    return this.splits[split].starts.at(-1)!;
  }

  /**
   * Reads one sample.
   *
   * @throws {UsageError} E_SAMPLE_INDEX.
   * @throws {CorruptError} E_SHARD_RECORD, E_MSGPACK, E_SAMPLE naming file, record and offset.
   */
  async read(split: Split, index: number): Promise<TokenSample> {
    return this.readOne(split, index);
  }

  /** Reads samples synchronously, in the order of `indices`, for use inside a training step. */
  readBatch(split: Split, indices: ArrayLike<number>): TokenSample[] {
    return Array.from(indices, (index) => this.readOne(split, index));
  }

  /** Yields all samples of a split, in their order or in the given one. */
  async *stream(split: Split, order?: ArrayLike<number>): AsyncGenerator<TokenSample, void, undefined> {
    const count = order?.length ?? this.size(split);
    for (let i = 0; i < count; i++) yield this.readOne(split, order?.[i] ?? i);
  }

  /** Returns a permutation of a split's indices, uint32 [size], which depends only on split, size, seed and epoch. */
  shuffledOrder(split: Split, seed: number, epoch: number): Uint32Array {
    return permutation(this.size(split), seed, `shards/${split}`, epoch);
  }

  /** Closes the parts. Reading opens them again. */
  async close(): Promise<void> {
    this.closeParts();
  }

  private closeParts(): void {
    for (const part of this.open.values()) part.close();
    this.open.clear();
  }

  private readOne(split: Split, index: number): TokenSample {
    const { parts, starts } = this.splits[split];
    const size = starts.at(-1)!;
    if (!Number.isInteger(index) || index < 0 || index >= size)
      throw new UsageError(
        'E_SAMPLE_INDEX',
        `ShardReader.read(${split}): expected an index in [0, ${size}), received ${index}.`,
      );
    const slot = upperBound(starts, index) - 1;
    const part = this.part(parts[slot]!);
    const record = index - starts[slot]!;
    return guarded(part.path, 'reading', () => decodeSample(part.payload(record), this.card, () => part.place(record)));
  }

  private part(index: number): PartReader {
    let part = this.open.get(index);
    if (part !== undefined && this.open.size <= 1) return part;
    if (part === undefined) part = this.openPart(index);
    else this.open.delete(index);
    this.open.set(index, part); // last: most recently used
    if (this.open.size > this.openParts) {
      const [oldest, reader] = this.open.entries().next().value!;
      this.open.delete(oldest);
      reader.close();
    }
    return part;
  }

  private openPart(index: number): PartReader {
    const listed = this.manifest.parts[index]!;
    const path = join(this.directory, listed.file);
    const size = this.files.status(path)?.size;
    if (size !== undefined && size !== listed.bytes) {
      throw new CorruptError(
        'E_SHARD_SIZE',
        `${path}@${Math.min(size, listed.bytes)}: expected ${listed.bytes} bytes, found ${size}. Restore the part, or run repair to keep its complete records.`,
      );
    }
    const part = PartReader.open(path, this.files);
    try {
      this.assertListed(part, index, listed);
    } catch (error) {
      part.close();
      throw error;
    }
    return part;
  }

  private assertListed(part: PartReader, index: number, listed: ManifestPart): void {
    const { header } = part;
    const fail = (what: string, expected: unknown, found: unknown): never => {
      throw new CorruptError(
        'E_SHARD_MISMATCH',
        `${part.path}#header@0: expected ${what} ${String(expected)} of the manifest, found ${String(found)}. Parts were swapped or mixed; restore them.`,
      );
    };
    if (header.part !== index) fail('part', index, header.part);
    if (header.split !== listed.split) fail('split', listed.split, header.split);
    if (header.codec.fingerprint !== this.card.codec.fingerprint)
      fail('codec', this.card.codec.fingerprint, header.codec.fingerprint);
    if (part.samples !== listed.samples) fail('sample count', listed.samples, part.samples);
    if (canonicalJson(cardOf(header)) !== canonicalJson(this.card)) fail('card', 'the one', 'another');
  }

  private verifyStructure(): void {
    const listed = new Set(this.manifest.parts.map((part) => part.file));
    for (const name of this.files.list(this.directory)) {
      if (partNumber(name) !== undefined && !listed.has(name))
        throw new CorruptError(
          'E_SHARD_UNLISTED',
          `${join(this.directory, name)}: expected only parts listed in the manifest, found one that is not. Remove it.`,
        );
    }
    this.manifest.parts.forEach((_, index) => this.part(index));
  }

  /** Verifies every record first, so that damage is located, and then the sha256 of the whole file. */
  private verifyContent(): void {
    this.verifyKeys();
    verifyRejects(this.directory, this.manifest.rejects, this.files);
    for (const { file, sha256 } of this.manifest.parts) {
      const path = join(this.directory, file);
      const found = sha256File(path, this.files);
      if (found !== sha256)
        throw new CorruptError(
          'E_SHARD_SHA256',
          `${path}: expected sha256 ${sha256} of the manifest, found ${found}. The part was replaced; restore it.`,
        );
    }
  }

  private verifyKeys(): void {
    const keys = new Set<string>();
    for (const split of ['train', 'test'] as const) {
      for (let i = 0; i < this.size(split); i++) {
        const { key } = this.readOne(split, i);
        if (keys.has(key))
          throw new CorruptError(
            'E_DUPLICATE_KEY',
            `${this.directory}: expected each sample once, found "${key}" again as ${split} ${i}. Tokenize again, or run repair to keep the first of each.`,
          );
        keys.add(key);
      }
    }
  }
}

function indexSplit(parts: readonly ManifestPart[], split: Split): SplitIndex {
  const index: SplitIndex = { parts: [], starts: [0] };
  parts.forEach((part, i) => {
    if (part.split !== split) return;
    index.parts.push(i);
    index.starts.push(index.starts.at(-1)! + part.samples);
  });
  return index;
}

/** Returns the first position in ascending `values` that is greater than `value`. */
function upperBound(values: readonly number[], value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
