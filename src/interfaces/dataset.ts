// What training, tokenizing and evaluation read: an indexed, lazily decoded collection of samples.
import type { Image } from './media.js';

export type Split = 'train' | 'test';

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
  /** Number of samples of a split. */
  size(split: Split): number;
  /** Reads the encoded bytes of sample `index` of a split. */
  read(split: Split, index: number): Promise<RawSample>;
  /** Key, captions and label of a sample without touching its media. */
  describe(split: Split, index: number): { key: string; captions: string[]; label?: number };
  close(): Promise<void>;
}
