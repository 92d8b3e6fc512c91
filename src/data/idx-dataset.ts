// Samples of IDX files. There may be millions of images of a few bytes each, so only the label byte of each sample and
// its position in the split are kept in memory. Keys, captions and labels are the same as in any other dataset.
import { createHash } from 'node:crypto';

import { InputError, UsageError } from '../errors.js';
import type { Dataset, DataSummary, RawSample, Split } from '../interfaces/dataset.js';
import type { Image } from '../interfaces/media.js';
import { checkDatasetOptions, type DatasetOptions } from './indexed.js';
import { areIds, captionByLabel, DEFAULT_TEMPLATE, resolveLabels } from './labels.js';
import { DEFAULT_HOLDOUT, keyFraction } from './split.js';
import { idsWarning, summaryOf } from './summary.js';
import type { Tally } from './tally.js';

const SPLITS = ['train', 'test'] as const;

/** An images file with its labels. */
export interface IdxPart {
  path: string;
  /** Prefix of the keys of its samples. */
  prefix: string;
  count: number;
  /** Bytes per image. */
  itemBytes: number;
  labels?: Uint8Array;
  /** The split named by the files, set on all parts or on none. */
  split?: Split;
  read(index: number): Image;
  close(): Promise<void>;
}

export interface IdxSource {
  source: string;
  parts: readonly IdxPart[];
  tally: Tally;
  /** How the dataset's own split was found, for people. */
  split?: string;
}

/** What the label bytes stand for. */
interface Classes {
  names?: string[];
  /** Class index by label byte. */
  of: Array<number | undefined>;
  /** Caption by class index. */
  captions: string[];
  labeled: number;
  /** Number of classes that occur. */
  occurring: number;
  warnings: string[];
}

export class IdxDataset implements Dataset {
  readonly kind = 'idx';
  readonly medium = 'image';
  readonly source: string;
  readonly fingerprint: string;
  readonly classes?: readonly string[];
  readonly summary: DataSummary;
  private readonly parts: readonly IdxPart[];
  /** For each part, the number of samples in the parts before it. */
  private readonly firsts: number[] = [];
  private readonly labels: Classes;
  private readonly order: Record<Split, Uint32Array>;

  /** @throws {InputError} E_DATA_EMPTY, E_DATA_DUPLICATE, E_DATA_LABEL. */
  constructor({ source, parts, tally, split }: IdxSource, options: DatasetOptions) {
    checkDatasetOptions(options);
    let total = 0;
    for (const { count } of parts) {
      this.firsts.push(total);
      total += count;
    }
    if (total === 0) throw emptyError(source, tally);
    refuseDuplicates(source, parts);
    this.source = source;
    this.parts = parts;
    this.labels = classesOf(parts, options);
    this.classes = this.labels.names;
    const { train, test } = this.divide(total, options.holdout ?? DEFAULT_HOLDOUT);
    this.order = { train: train.subarray(0, options.limit), test: test.subarray(0, options.limit) };
    this.fingerprint = this.digest();
    const { names, labeled, occurring, warnings } = this.labels;
    this.summary = summaryOf(tally, {
      samples: total,
      captions: { samples: 0, distinct: 0 },
      labeled: names ? labeled : 0,
      classes: occurring,
      warnings,
      split,
      holdout: options.holdout,
    });
  }

  size(split: Split): number {
    return this.order[split].length;
  }

  async read(split: Split, index: number): Promise<RawSample> {
    const { part, at } = this.place(split, index);
    return { ...this.describe(split, index), source: `${part.path}#${at}`, content: { media: part.read(at) } };
  }

  describe(split: Split, index: number): { key: string; captions: string[]; label?: number } {
    const { part, at } = this.place(split, index);
    const label = part.labels && this.labels.of[part.labels[at]!];
    const key = keyOf(part.prefix, at);
    return label === undefined ? { key, captions: [] } : { key, captions: [this.labels.captions[label]!], label };
  }

  async close(): Promise<void> {
    await Promise.all(this.parts.map((part) => part.close()));
  }

  private place(split: Split, index: number): { part: IdxPart; at: number } {
    const i = this.order[split][index];
    if (i === undefined)
      throw new UsageError(
        'E_DATA_INDEX',
        `${this.source}: expected an index below ${this.size(split)} of ${split}, received ${index}.`,
      );
    const part = this.firsts.findLastIndex((first) => first <= i);
    return { part: this.parts[part]!, at: i - this.firsts[part]! };
  }

  /**
   * Divides the samples by the files' own split or else like {@link splitByKey}, without storing keys. If nothing is
   * held out, nothing is hashed.
   */
  private divide(total: number, holdout: number): Record<Split, Uint32Array> {
    const isTest = new Uint8Array(total);
    if (this.parts.some(({ split }) => split !== undefined)) {
      this.parts.forEach(({ split, count }, p) =>
        isTest.fill(Number(split === 'test'), this.firsts[p], this.firsts[p]! + count),
      );
    } else if (holdout > 0) this.holdOut(isTest, holdout);
    const tests = isTest.reduce((sum, one) => sum + one, 0);
    const order = { train: new Uint32Array(total - tests), test: new Uint32Array(tests) };
    for (let i = 0, train = 0, test = 0; i < total; i++) {
      if (isTest[i]) order.test[test++] = i;
      else order.train[train++] = i;
    }
    return order;
  }

  private holdOut(isTest: Uint8Array, holdout: number): void {
    let [tests, i, lowest, highest, least, most] = [0, 0, 0, 0, Infinity, -Infinity];
    for (const { prefix, count } of this.parts) {
      for (let at = 0; at < count; at++, i++) {
        const fraction = keyFraction(keyOf(prefix, at));
        if (fraction < holdout) {
          isTest[i] = 1;
          tests++;
        }
        if (fraction < least) [least, lowest] = [fraction, i];
        if (fraction >= most) [most, highest] = [fraction, i];
      }
    }
    // Two or more samples leave at least one on each side.
    if (i === 1) isTest[0] = 0;
    else if (tests === 0) isTest[lowest] = 1;
    else if (tests === i) isTest[highest] = 0;
  }

  /**
   * Returns the same digest as other datasets: it hashes each sample's line as JSON, assembled from parts that samples
   * share.
   */
  private digest(): string {
    const hash = createHash('sha256').update(JSON.stringify(['tesserae-dataset-1', this.classes ?? null]));
    for (const split of SPLITS) {
      const order = this.order[split];
      let i = 0;
      for (const [p, part] of this.parts.entries()) {
        const [first, last] = [this.firsts[p]!, this.firsts[p]! + part.count];
        const head = `["${split}",${JSON.stringify(part.prefix).slice(0, -1)}-`;
        const tails = Array.from({ length: 257 }, (_, byte) =>
          this.tail(byte === 256 ? undefined : this.labels.of[byte], part.itemBytes),
        );
        let lines = '';
        for (; i < order.length && order[i]! < last; i++) {
          const at = order[i]! - first;
          lines += `${head}${numbered(at)}${tails[part.labels ? part.labels[at]! : 256]!}`;
          if (lines.length < HASHED_TOGETHER) continue;
          hash.update(lines);
          lines = '';
        }
        hash.update(lines);
      }
    }
    return hash.digest('hex');
  }

  private tail(label: number | undefined, bytes: number): string {
    const captions = label === undefined ? [] : [this.labels.captions[label]!];
    return `",${JSON.stringify(captions)},${label ?? null},${bytes}]`;
  }
}

/** Number of characters hashed at a time. */
const HASHED_TOGETHER = 2 ** 16;

const numbered = (index: number): string => String(index).padStart(6, '0');
const keyOf = (prefix: string, index: number): string => `${prefix}-${numbered(index)}`;

function emptyError(source: string, { bad }: Tally): InputError {
  const [first] = bad;
  if (!first) return new InputError('E_DATA_EMPTY', `${source}: expected at least one sample, found none.`);
  return new InputError(
    'E_DATA_EMPTY',
    `${source}: expected at least one images file that can be used, found none: ${bad.length} ${bad.length === 1 ? 'file is' : 'files are'} bad, the first: ${first.error.slice(0, 200)}`,
  );
}

function refuseDuplicates(source: string, parts: readonly IdxPart[]): void {
  const seen = new Set<string>();
  for (const { prefix, count } of parts) {
    if (count > 0 && seen.has(prefix))
      throw new InputError('E_DATA_DUPLICATE', `${source}: expected distinct keys, found "${keyOf(prefix, 0)}" twice.`);
    if (count > 0) seen.add(prefix);
  }
}

/** Resolves the labels like {@link resolveLabels}, given how often each byte occurs. */
function classesOf(
  parts: readonly IdxPart[],
  { classes, captionTemplate = DEFAULT_TEMPLATE }: DatasetOptions,
): Classes {
  const counts = new Array<number>(256).fill(0);
  for (const { labels } of parts) if (labels) for (const label of labels) counts[label]!++;
  const bytes = [...counts.keys()].filter((byte) => counts[byte]! > 0);
  const labeled = bytes.reduce((sum, byte) => sum + counts[byte]!, 0);
  if (classes === undefined && areIds(bytes.length, labeled)) {
    const warning = idsWarning(
      bytes.length,
      parts.reduce((sum, { count }) => sum + count, 0),
    );
    return { of: [], captions: [], labeled: 0, occurring: 0, warnings: [warning] };
  }
  const names = bytes.length === 0 ? classes : (classes ?? bytes.map(String));
  const resolved = resolveLabels(bytes, names, (i) => firstWith(parts, bytes[i]!));
  const of: Array<number | undefined> = [];
  bytes.forEach((byte, i) => (of[byte] = resolved.labels[i]));
  const captions = captionByLabel(
    (names ?? []).map(() => []),
    { classes: resolved.classes, labels: [...(names ?? []).keys()] },
    captionTemplate,
  ).map(([caption]) => caption!);
  return { names: resolved.classes, of, captions, labeled, occurring: new Set(resolved.labels).size, warnings: [] };
}

/** Returns the first sample with a label, for errors. */
function firstWith(parts: readonly IdxPart[], byte: number): string {
  const part = parts.find(({ labels }) => labels?.includes(byte))!;
  return `${part.path}#${part.labels!.indexOf(byte)}`;
}
