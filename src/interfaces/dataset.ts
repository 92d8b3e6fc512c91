// What training, tokenizing and evaluation read: an indexed, lazily decoded collection of samples.
import type { Image } from './media.js';

export type Split = 'train' | 'test';

/** How a dataset is split, where that was asked for. */
export interface Splitting {
  splitBy?: 'name' | 'folder' | 'hash';
  holdout?: number;
}

/** One decoded sample. */
export interface Sample {
  key: string;
  image: Image;
  captions: string[];
  label?: number;
}

/** The bytes of a sample before decoding: cheap to read, and what a worker is handed. */
export interface RawSample {
  key: string;
  /** Where it came from, for error messages: a path, or `archive.tar:member`. */
  source: string;
  /** The encoded file, or raw pixels when `pixels` is given. */
  bytes: Uint8Array;
  /** Set when `bytes` are already pixels (IDX). */
  pixels?: { width: number; height: number; channels: 1 | 3 };
  captions: string[];
  label?: number;
  /** Why its file could not be read any more; `bytes` are empty then, and decoding ends in that error. */
  failure?: { code: string; detail: string };
  /** How the picture is varied once it is decoded and brought to size. */
  variation?: Variation;
}

/** A change that leaves a picture what it is: mirrored left to right, then shifted, the border's pixels repeated. */
export interface Variation {
  mirrored: boolean;
  /** Pixels that the view moves right and down. */
  dx: number;
  dy: number;
}

/**
 * A dataset on disk. Opening it reads names and captions only; media are read on demand, so memory does not grow with
 * the media. Order and split depend on the content alone, never on the file system's order or on time.
 */
export interface Dataset {
  readonly kind: 'folder' | 'webdataset' | 'idx' | 'memory';
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
  /** Reads the encoded bytes of sample `index` of a split. */
  read(split: Split, index: number): Promise<RawSample>;
  /** Key, captions and label of a sample without touching its media. */
  describe(split: Split, index: number): { key: string; captions: string[]; label?: number };
  close(): Promise<void>;
}

/** Files or captions that were not used, by reason. */
export interface LeftOut {
  /** What they are and why, after a count: `.caption files without an image of the same name`. */
  reason: string;
  /** True when they are pictures, which would be samples otherwise. */
  pictures?: true;
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
 * What opening a dataset found, used and left out. Every file found is counted once: `files` is the sum of `pictures`,
 * `texts`, the counts of `leftOut` and the number of `bad` files (rows of metadata not counted). Likewise every caption there is either used or counted
 * in `captions.unused`.
 */
export interface DataSummary {
  /** Files found, also in archives, hidden ones included. */
  files: number;
  /** Files that are samples (of IDX: that hold samples). */
  pictures: number;
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
  /** Pictures by lower-case extension. */
  formats: Record<string, number>;
  /** How the held-out split was made, for people: `10 % by a hash of the names`, `folders train and test`. */
  split: string;
  /** Things a user should know: one sentence each. */
  warnings: string[];
}
