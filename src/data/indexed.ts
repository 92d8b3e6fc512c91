// The common form of all datasets: a table of keys, captions and labels in memory, and a function that reads sample i.
import { createHash } from 'node:crypto';

import { InputError, UsageError } from '../errors.js';
import type { Dataset, DataSummary, RawSample, SampleContent, Split } from '../interfaces/dataset.js';
import {
  captionByLabel,
  checkTemplate,
  DEFAULT_TEMPLATE,
  resolveLabels,
  type Labels,
  type RawLabel,
} from './labels.js';
import { DEFAULT_HOLDOUT, splitByKey, SPLIT_BY, type SplitBy } from './split.js';
import { idsWarning, summaryOf } from './summary.js';
import { fullMedium } from '../media/node.js';
import { Tally } from './tally.js';

export interface DatasetOptions {
  /** Name of the medium whose files are samples. Default: the one with the most files. */
  medium?: string;
  /** Class names by index. Default: those of the dataset, or else the labels themselves. */
  classes?: readonly string[];
  /** Caption of samples that have a label but no caption. Default "a photo of a {label}". */
  captionTemplate?: string;
  /** Fraction to hold out, in [0, 1), if the dataset has no split of its own. 0 holds out nothing. Default 0.1. */
  holdout?: number;
  /**
   * Where to look for the dataset's own split: in the names of archives, IDX files and images (`name`), in folders
   * (`folder`), or nowhere (`hash`). Default: everywhere, including a `split` column of the metadata.
   */
  splitBy?: SplitBy;
  /**
   * Where captions come from: a metadata column, a file extension (`.caption`), or `filename`. Default: the usual
   * columns and extensions, columns first.
   */
  captions?: string;
  /**
   * Skips files that cannot be used and lists them in {@link Dataset.summary}. By default the first such file is an
   * error.
   */
  skipBad?: boolean;
  /** Keeps only the first `limit` samples of each split, in dataset order. Default: all. */
  limit?: number;
}

/** A sample of a dataset before labels are resolved. */
export interface Entry {
  /** Unique in the dataset. */
  key: string;
  captions: readonly string[];
  label?: RawLabel;
  /** Size in bytes of the file, or of the decoded values. */
  bytes: number;
  /** The dataset's own split, set on all samples or on none. */
  split?: Split;
  /** Samples of one group are held out together. Default: each sample by its key. */
  group?: string;
}

export interface IndexedSource<E extends Entry> {
  kind: Dataset['kind'];
  medium: string;
  source: string;
  entries: readonly E[];
  /** Origin of a sample, for errors: a path, or `archive.tar:member`. */
  sourceOf(entry: E): string;
  read(entry: E): Promise<SampleContent>;
  close?(): Promise<void>;
  /** What was found while the dataset was opened. */
  tally?: Tally;
  /** How the dataset's own split was found, for people. */
  split?: string;
}

/** Validates the options before anything is read. @throws {UsageError} E_DATA_OPTIONS. */
export function checkDatasetOptions(options: DatasetOptions): void {
  const { holdout = DEFAULT_HOLDOUT, limit, captionTemplate, classes, splitBy, captions } = options;
  if (!(holdout >= 0 && holdout < 1)) {
    throw new UsageError(
      'E_DATA_OPTIONS',
      `holdout: expected a fraction of at least 0 and below 1, received ${holdout}.`,
    );
  }
  if (splitBy !== undefined && !SPLIT_BY.includes(splitBy)) {
    throw new UsageError(
      'E_DATA_OPTIONS',
      `splitBy: expected one of ${SPLIT_BY.join(', ')}, received "${String(splitBy)}".`,
    );
  }
  if (captions === '')
    throw new UsageError(
      'E_DATA_OPTIONS',
      'captions: expected a column, an extension or "filename", received an empty text.',
    );
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new UsageError('E_DATA_OPTIONS', `limit: expected a positive whole number, received ${limit}.`);
  }
  if (captionTemplate !== undefined) checkTemplate(captionTemplate);
  if (classes && new Set(classes).size !== classes.length) {
    throw new UsageError('E_DATA_OPTIONS', 'classes: expected distinct names, received a name twice.');
  }
}

/** A dataset over a table of entries. */
export class IndexedDataset<E extends Entry> implements Dataset {
  readonly kind: Dataset['kind'];
  readonly medium: string;
  readonly source: string;
  readonly fingerprint: string;
  readonly classes?: readonly string[];
  readonly summary: DataSummary;
  private readonly table: IndexedSource<E>;
  private readonly captions: ReadonlyArray<readonly string[]>;
  private readonly labels: ReadonlyArray<number | undefined>;
  private readonly order: Record<Split, readonly number[]>;

  /** @throws {InputError} E_DATA_EMPTY, E_DATA_DUPLICATE, E_DATA_LABEL. */
  constructor(table: IndexedSource<E>, options: DatasetOptions = {}) {
    checkDatasetOptions(options);
    const { entries } = table;
    if (entries.length === 0)
      throw new InputError('E_DATA_EMPTY', `${table.source}: expected at least one sample, found none.`);
    refuseDuplicates(entries, table.source);
    const labels = resolveLabels(
      entries.map((entry) => entry.label),
      options.classes,
      (i) => table.sourceOf(entries[i]!),
    );
    this.kind = table.kind;
    this.medium = table.medium;
    this.source = table.source;
    this.table = table;
    this.classes = labels.classes;
    this.labels = labels.labels;
    this.captions = captionByLabel(
      entries.map((entry) => entry.captions),
      labels,
      options.captionTemplate ?? DEFAULT_TEMPLATE,
    );
    this.order = orderOf(entries, options);
    this.fingerprint = this.digest();
    this.summary = summarize(table, labels, options);
  }

  size(split: Split): number {
    return this.order[split].length;
  }

  async read(split: Split, index: number): Promise<RawSample> {
    const entry = this.table.entries[this.at(split, index)]!;
    const content = await this.table.read(entry);
    return { ...this.describe(split, index), source: this.table.sourceOf(entry), content };
  }

  describe(split: Split, index: number): { key: string; captions: string[]; label?: number } {
    const i = this.at(split, index);
    const label = this.labels[i];
    const described = { key: this.table.entries[i]!.key, captions: [...this.captions[i]!] };
    return label === undefined ? described : { ...described, label };
  }

  async close(): Promise<void> {
    await this.table.close?.();
  }

  private at(split: Split, index: number): number {
    const i = this.order[split][index];
    if (i === undefined) {
      throw new UsageError(
        'E_DATA_INDEX',
        `${this.source}: expected an index below ${this.size(split)} of ${split}, received ${index}.`,
      );
    }
    return i;
  }

  private digest(): string {
    const hash = createHash('sha256').update(JSON.stringify(['tesserae-dataset-1', this.classes ?? null]));
    for (const split of ['train', 'test'] as const) {
      for (const i of this.order[split]) {
        const { key, bytes } = this.table.entries[i]!;
        hash.update(JSON.stringify([split, key, this.captions[i], this.labels[i] ?? null, bytes]));
      }
    }
    return hash.digest('hex');
  }
}

function refuseDuplicates(entries: readonly Entry[], source: string): void {
  const seen = new Set<string>();
  for (const { key } of entries) {
    if (seen.has(key))
      throw new InputError('E_DATA_DUPLICATE', `${source}: expected distinct keys, found "${key}" twice.`);
    seen.add(key);
  }
}

function orderOf(entries: readonly Entry[], options: DatasetOptions): Record<Split, number[]> {
  const indices = (split: Split): number[] => [...entries.keys()].filter((i) => entries[i]!.split === split);
  const order: Record<Split, number[]> = entries.some((entry) => entry.split !== undefined)
    ? { train: indices('train'), test: indices('test') }
    : splitByKey(
        entries.map((entry) => entry.group ?? entry.key),
        options.holdout ?? DEFAULT_HOLDOUT,
      );
  return { train: order.train.slice(0, options.limit), test: order.test.slice(0, options.limit) };
}

function summarize(
  { entries, medium, tally = new Tally({}, fullMedium(medium)), split }: IndexedSource<Entry>,
  { classes, labels, ids }: Labels,
  { holdout }: DatasetOptions,
): DataSummary {
  const captioned = entries.filter((entry) => entry.captions.length > 0);
  const labeled = classes ? labels.reduce<number>((count, label) => count + Number(label !== undefined), 0) : 0;
  const occurring = new Set(labels.filter((label) => label !== undefined)).size;
  const captions = { samples: captioned.length, distinct: new Set(captioned.flatMap((entry) => entry.captions)).size };
  const warnings = ids === undefined ? [] : [idsWarning(ids, entries.length)];
  return summaryOf(tally, { samples: entries.length, captions, labeled, classes: occurring, warnings, split, holdout });
}
