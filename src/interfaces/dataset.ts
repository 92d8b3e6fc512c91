// What training, tokenizing and evaluation read: an indexed, lazily decoded collection of samples.
import type { Media } from './media.js';

export type Split = 'train' | 'test';

/** How a dataset is split, where that was asked for. */
export interface Splitting {
  splitBy?: 'name' | 'folder' | 'hash';
  holdout?: number;
}

/** One decoded sample. */
export interface Sample<M extends Media = Media> {
  key: string;
  media: M;
  captions: string[];
  label?: number;
}

/** A sample before decoding: cheap to read, and what a worker receives. */
export interface RawSample {
  key: string;
  /** Where it came from, for error messages: a path, or `archive.tar:member`. */
  source: string;
  content: SampleContent;
  captions: string[];
  label?: number;
  /** How the sample is varied after it is decoded and brought to the codec's size. */
  variation?: Variation;
}

/**
 * What a sample consists of: the bytes of a file, media that are decoded already (IDX, datasets in memory), or the reason
 * why its file can no longer be read, which becomes the error of decoding it.
 */
export type SampleContent = { bytes: Uint8Array } | { media: Media } | { failure: { code: string; detail: string } };

/** A change that keeps the meaning of a sample: it is mirrored along its last axis, then shifted with its border repeated. */
export interface Variation {
  mirrored: boolean;
  /** Positions that the view moves along each axis. */
  shift: number[];
}

/**
 * A dataset on disk. Opening it reads names and captions only; media are read on demand, so memory does not grow with
 * the media. Order and split depend on the content alone, never on the file system's order or on time.
 */
export interface Dataset {
  readonly kind: 'folder' | 'webdataset' | 'idx' | 'memory';
  /** Name of the medium of its samples. */
  readonly medium: string;
  /** The path or description it was opened from. */
  readonly source: string;
  /** sha256, hex, over keys, captions, labels and sizes: changes when the dataset does. */
  readonly fingerprint: string;
  /** Class names, where samples carry labels. */
  readonly classes?: readonly string[];
  /** What opening found, used and left out. Datasets made by programs may not say. */
  readonly summary?: DataSummary;
  /** Number of samples of a split. */
  size(split: Split): number;
  /** Reads sample `index` of a split, without decoding it. */
  read(split: Split, index: number): Promise<RawSample>;
  /** Key, captions and label of a sample without touching its media. */
  describe(split: Split, index: number): { key: string; captions: string[]; label?: number };
  close(): Promise<void>;
}

/** Files or captions that were not used, by reason. */
export interface LeftOut {
  /** What they are and why, after a count: `.caption files without an image of the same name`. */
  reason: string;
  /** True for files of the dataset's medium, which would otherwise be samples. */
  media?: true;
  count: number;
  /** The first few of them. */
  examples: string[];
}

/** A file or a row of metadata that cannot be used, and what is wrong with it. */
export interface BadFile {
  /** Path inside the dataset. */
  file: string;
  /** Number of the row, from 1, when only that is bad. */
  row?: number;
  /** The error's one line. */
  error: string;
}

/**
 * What opening a dataset found, used and left out. Every file found is counted once: `files` is the sum of `media`,
 * `texts`, the counts of `leftOut` and the number of `bad` files (rows of metadata not counted). Likewise every caption there is either used or counted
 * in `captions.unused`.
 */
export interface DataSummary {
  /** Files found, also in archives, hidden ones included. */
  files: number;
  /** Name of the medium. */
  medium: string;
  /** What one sample and several are called. */
  noun: { one: string; many: string };
  /** Files that are samples (of IDX: that hold samples). */
  media: number;
  /** Files that gave captions, labels or metadata. */
  texts: number;
  leftOut: LeftOut[];
  /** Files left out because something is wrong with them, as `skipBad` or `onBad` allowed. */
  bad: BadFile[];
  /** Samples in both splits, before any limit. */
  samples: number;
  captions: {
    /** Samples with a caption of their own, not made from their class. */
    samples: number;
    /** Distinct captions among those. */
    distinct: number;
    /** Caption files and captions in metadata that were used, by where they came from: `.txt`, `column text`. */
    used: Record<string, number>;
    /** Those that were not used. */
    unused: LeftOut[];
  };
  /** Samples with a class, and the number of classes. */
  labeled: number;
  classes: number;
  /** Files that are samples by lower-case extension. */
  formats: Record<string, number>;
  /** How the held-out split was made, for people: `10 % by a hash of the names`, `folders train and test`. */
  split: string;
  /** Things a user should know: one sentence each. */
  warnings: string[];
}
