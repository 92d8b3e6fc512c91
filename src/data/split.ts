// Decides which samples are held out: those named by the dataset itself, or else a fraction chosen by a hash of each
// sample's key. The hash does not depend on the order of files, and adding or removing a sample does not affect the
// others.
import { hash } from 'node:crypto';

import type { Split } from '../interfaces/dataset.js';

export const DEFAULT_HOLDOUT = 0.1;

/** Returns a uniform number in [0, 1) that depends only on the key. */
export function keyFraction(key: string): number {
  return hash('sha256', key, 'buffer').readUIntBE(0, 6) / 2 ** 48;
}

/**
 * Divides samples into train and test.
 *
 * @param keys    One key per sample, in dataset order. Samples with the same key stay together.
 * @param holdout Fraction to hold out, in [0, 1).
 * @returns Indices into `keys`, each in dataset order. Two or more samples leave at least one on each side: if the hash
 *   leaves a side empty, the sample closest to the threshold is moved. With 0, all samples are for training.
 */
export function splitByKey(keys: readonly string[], holdout: number): Record<Split, number[]> {
  const fractions = keys.map(keyFraction);
  const split: Record<Split, number[]> = { train: [], test: [] };
  fractions.forEach((fraction, i) => split[fraction < holdout ? 'test' : 'train'].push(i));
  if (keys.length === 1) return { train: [0], test: [] };
  const byFraction = (a: number, b: number): number => fractions[a]! - fractions[b]! || a - b;
  if (split.test.length === 0 && holdout > 0) moveOne(split.train, split.test, [...split.train].sort(byFraction)[0]);
  else if (split.train.length === 0) moveOne(split.test, split.train, [...split.test].sort(byFraction).at(-1));
  return split;
}

function moveOne(from: number[], to: number[], index: number | undefined): void {
  if (index === undefined) return;
  from.splice(from.indexOf(index), 1);
  to.push(index);
}

/** The role of the data that a name describes. */
type Side = 'train' | 'test' | 'validation';

const SIDES: ReadonlyArray<[side: Side, words: RegExp]> = [
  ['train', /^(train|training)(set|data|images)?$/],
  ['test', /^(t10k|test|testing)(set|data|images)?$/],
  ['validation', /^(val|valid|validation|validate|dev|eval)(set|data|images)?$/],
];

/** Words that carry no information about the contents of a folder: numbers, versions, and generic terms. */
const GENERIC = /^(v?\d+|images?|imgs?|pictures?|photos?|data|dataset|set|split|files?|samples?)$/;

/** The side that a name states, and the rest of the name. */
interface Marked {
  side: Side;
  /** For example `imagenet-*` for `imagenet-train-000012`; equal for all parts of one dataset. */
  stem: string;
  /** Whether the name consists only of that word, apart from numbers and words such as `images`. */
  whole: boolean;
}

/**
 * Finds the word for a side in a name: `Train`, `train2017`, `imagenet-val-000001`, `emnist-letters-test`,
 * `TestImages`.
 */
function markOf(name: string): Marked | undefined {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
  for (const [i, word] of words.entries()) {
    const side = SIDES.find(([, pattern]) => pattern.test(word) || pattern.test(word.replace(/\d+$/, '')))?.[0];
    if (side === undefined) continue;
    const rest = words.map((other, at) => (at === i ? '*' : other)).filter((other) => !GENERIC.test(other));
    return { side, stem: rest.join('-'), whole: rest.length === 1 };
  }
  return undefined;
}

/** Where to look for the split. */
export const SPLIT_BY = ['name', 'folder', 'hash'] as const;

export type SplitBy = (typeof SPLIT_BY)[number];

/** Location of a sample, from which its split may follow. */
export interface Placed {
  /** Path inside its folder or archive. */
  path: string;
  archive?: string;
  /** Value of the split column in its metadata. */
  splitName?: string;
}

/** The split defined by the dataset's names. */
export interface OfficialSplit {
  /** Side of each sample; undefined for samples that belong to neither side and are skipped. */
  sides: Array<Split | undefined>;
  /** Description for people: `archives named train and validation`. */
  description: string;
  /** Depth of the folder that defines the split. This folder is not a class. */
  depth?: number;
  /** Returns why a sample is on neither side. @param many what several samples are called. */
  leftOut: (index: number, many: string) => string;
}

/**
 * Finds the split that a dataset defines itself: by the `split` column of its metadata, by the names of its archives,
 * by folders at any depth whose names differ only in the word for the side (`train`/`Test`,
 * `emnist-train`/`emnist-test`), or by the names of all its files. If there are both test and validation data, test is
 * held out and validation is skipped.
 *
 * @param many What several samples are called.
 * @param by Where to look. Default: everywhere. With `hash`, nowhere.
 * @returns undefined if the names define no split, or only one side.
 */
export function officialSplit(samples: readonly Placed[], many: string, by?: SplitBy): OfficialSplit | undefined {
  if (by === 'hash' || samples.length === 0) return undefined;
  const byFolder = (): OfficialSplit | undefined => folderSplit(samples);
  if (by === 'folder') return byFolder();
  const byName = (): OfficialSplit | undefined =>
    namedSplit(
      samples.map(({ archive }) => archive),
      'archives',
    ) ?? (by === 'name' ? fileSplit(samples, many, false) : undefined);
  if (by === 'name') return byName();
  return columnSplit(samples) ?? byName() ?? byFolder() ?? fileSplit(samples, many, true);
}

const COLUMN = 'rows';

function columnSplit(samples: readonly Placed[]): OfficialSplit | undefined {
  const marks = samples.map(({ splitName }) => (splitName === undefined ? undefined : markOf(splitName)));
  return sidesOf(marks, COLUMN) ?? testOnly(marks, COLUMN);
}

/**
 * Finds a split in the names of archives or IDX files. If no name says train, names without a side are for training.
 */
export function namedSplit(names: ReadonlyArray<string | undefined>, what: string): OfficialSplit | undefined {
  const memory = new Map(names.map((name) => [name, name === undefined ? undefined : markOf(name)]));
  const marks = names.map((name) => memory.get(name));
  return sidesOf(marks, what) ?? testOnly(marks, what);
}

function folderSplit(samples: readonly Placed[]): OfficialSplit | undefined {
  const folders = samples.map(({ path }) => path.split('/').slice(0, -1));
  const deepest = folders.reduce((most, parts) => Math.max(most, parts.length), 0);
  const memory = new Map<string, Marked | undefined>();
  const marked = (name: string): Marked | undefined => {
    if (!memory.has(name)) memory.set(name, markOf(name));
    return memory.get(name);
  };
  for (let depth = 0; depth < deepest; depth++) {
    const marks = folders.map((parts) => (depth < parts.length ? marked(parts[depth]!) : undefined));
    const split =
      sidesOf(paired(marks), 'folders') ??
      testOnly(
        marks.map((mark) => (mark?.whole ? mark : undefined)),
        'folders',
      );
    if (split) return { ...split, depth };
  }
  return undefined;
}

/** Keeps only marks whose name differs from another one just in the side. `test_tube` and `steam_train` are classes. */
function paired(marks: ReadonlyArray<Marked | undefined>): Array<Marked | undefined> {
  const sides = new Map<string, Set<boolean>>();
  for (const mark of marks)
    if (mark) sides.set(mark.stem, (sides.get(mark.stem) ?? new Set()).add(mark.side === 'train'));
  return marks.map((mark) => (mark && sides.get(mark.stem)!.size === 2 ? mark : undefined));
}

/** Finds a split in names of files such as `train_0001.png` and `test_0001.png`. */
function fileSplit(samples: readonly Placed[], many: string, all: boolean): OfficialSplit | undefined {
  const marks: Array<Marked | undefined> = [];
  for (const { path } of samples) {
    const mark = markOf(path.slice(path.lastIndexOf('/') + 1).replace(/\.[^.]*$/, ''));
    if (all && !mark) return undefined;
    marks.push(mark);
  }
  const pairs = paired(marks);
  // Even if all names contain such a word, it may be a class. A name that occurs on both sides proves it is the split.
  if (all) return pairs.some((mark) => mark !== undefined) ? sidesOf(marks, many) : undefined;
  return sidesOf(pairs, many);
}

/** Returns a split if both sides occur. If both test and validation occur, test is held out. */
function sidesOf(marks: ReadonlyArray<Marked | undefined>, what: string): OfficialSplit | undefined {
  const present = new Set(marks.map((mark) => mark?.side));
  const held: Side | undefined = present.has('test') ? 'test' : present.has('validation') ? 'validation' : undefined;
  if (held === undefined || !present.has('train')) return undefined;
  return {
    sides: marks.map((mark) => (mark?.side === 'train' ? 'train' : mark?.side === held ? 'test' : undefined)),
    description: `${what} named train and ${held}`,
    leftOut: (index, many) =>
      marks[index] ? validationText(many) : `${many} outside of the ${what} named train and ${held}`,
  };
}

const validationText = (many: string): string => `validation ${many} (the test split is held out)`;

/** Returns a split for data named test next to data without a side: the former must not be used for training. */
function testOnly(marks: ReadonlyArray<Marked | undefined>, what: string): OfficialSplit | undefined {
  const present = new Set(marks.map((mark) => mark?.side));
  if (present.has('train') || !present.has(undefined) || present.size < 2) return undefined;
  const held: Side = present.has('test') ? 'test' : 'validation';
  return {
    sides: marks.map((mark) => (mark === undefined ? 'train' : mark.side === held ? 'test' : undefined)),
    description: `${what} named ${held} are held out, the others are for training`,
    leftOut: (_, many) => validationText(many),
  };
}
