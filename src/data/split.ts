// Which samples are held out: those that the dataset's own names say, else a part chosen by a hash of each sample's key,
// which neither depends on the order of files nor changes for the others when a sample is added or removed.
import { hash } from 'node:crypto';

import type { Split } from '../interfaces/dataset.js';

export const DEFAULT_HOLDOUT = 0.1;

/** Uniform in [0, 1), a function of the key alone. */
export function keyFraction(key: string): number {
  return hash('sha256', key, 'buffer').readUIntBE(0, 6) / 2 ** 48;
}

/**
 * Divides samples into train and test.
 *
 * @param keys    a key for each sample, in dataset order. Samples of one key stay together.
 * @param holdout fraction in [0, 1) to hold out.
 * @returns indices into `keys`, each in dataset order. Two samples or more give at least one on each side: when the
 *   hash leaves a side empty, the sample nearest to the border crosses it. With 0 all are for training.
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

/** What a name says of the data under it. */
type Side = 'train' | 'test' | 'validation';

const SIDES: ReadonlyArray<[side: Side, words: RegExp]> = [
  ['train', /^(train|training)(set|data|images)?$/],
  ['test', /^(t10k|test|testing)(set|data|images)?$/],
  ['validation', /^(val|valid|validation|validate|dev|eval)(set|data|images)?$/],
];

/** Words that say nothing of what a folder holds: numbers, versions, and what every dataset is made of. */
const GENERIC = /^(v?\d+|images?|imgs?|pictures?|photos?|data|dataset|set|split|files?|samples?)$/;

/** A name's side, and the name without the word that says so. */
interface Marked {
  side: Side;
  /** `imagenet-*` of `imagenet-train-000012`: equal for the parts of one dataset. */
  stem: string;
  /** True when the name is that word alone, numbers and words such as `images` aside. */
  whole: boolean;
}

/** Reads the word for a side out of a name: `Train`, `train2017`, `imagenet-val-000001`, `emnist-letters-test`, `TestImages`. */
export function markOf(name: string): Marked | undefined {
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

/** Where the split is looked for. */
export const SPLIT_BY = ['name', 'folder', 'hash'] as const;

export type SplitBy = (typeof SPLIT_BY)[number];

/** What is known of the place of a sample. */
export interface Placed {
  /** Path inside its folder or archive. */
  path: string;
  archive?: string;
  /** What its metadata call its split. */
  splitName?: string;
}

/** The split that a dataset's names say. */
export interface OfficialSplit {
  /** For each sample its side; undefined for one that belongs to neither and is left out. */
  sides: Array<Split | undefined>;
  /** For people: `archives named train and validation`. */
  description: string;
  /** Position of the path's part that said so: it is no class. */
  depth?: number;
  /** Why a sample is on neither side. */
  leftOut: (index: number) => string;
}

/**
 * The split that a dataset brings itself: by the `split` column of its metadata, by the names of its archives, or by
 * folders at any depth whose names differ only in the word (`train`/`Test`, `emnist-train`/`emnist-test`), or by the names of
 * all its pictures. Of test and validation data, test is held out and the other left out.
 *
 * @param by where to look; everywhere by default, and nowhere for `hash`.
 * @returns undefined when the names say nothing, or name a single side.
 */
export function officialSplit(samples: readonly Placed[], by?: SplitBy): OfficialSplit | undefined {
  if (by === 'hash' || samples.length === 0) return undefined;
  const byFolder = (): OfficialSplit | undefined => folderSplit(samples);
  if (by === 'folder') return byFolder();
  const byName = (): OfficialSplit | undefined =>
    namedSplit(
      samples.map(({ archive }) => archive),
      'archives',
    ) ?? (by === 'name' ? pictureSplit(samples, false) : undefined);
  if (by === 'name') return byName();
  return columnSplit(samples) ?? byName() ?? byFolder() ?? pictureSplit(samples, true);
}

const COLUMN = 'rows';

function columnSplit(samples: readonly Placed[]): OfficialSplit | undefined {
  const marks = samples.map(({ splitName }) => (splitName === undefined ? undefined : markOf(splitName)));
  return sidesOf(marks, COLUMN) ?? testOnly(marks, COLUMN);
}

/** Archives, or IDX files, whose names say a side; names that say none are for training where no other name is. */
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

/** Only names that differ from another in nothing but the side: `test_tube` and `steam_train` are classes. */
function paired(marks: ReadonlyArray<Marked | undefined>): Array<Marked | undefined> {
  const sides = new Map<string, Set<boolean>>();
  for (const mark of marks)
    if (mark) sides.set(mark.stem, (sides.get(mark.stem) ?? new Set()).add(mark.side === 'train'));
  return marks.map((mark) => (mark && sides.get(mark.stem)!.size === 2 ? mark : undefined));
}

/** Pictures named `train_0001.png`, `test_0001.png`. */
function pictureSplit(samples: readonly Placed[], all: boolean): OfficialSplit | undefined {
  const marks: Array<Marked | undefined> = [];
  for (const { path } of samples) {
    const mark = markOf(path.slice(path.lastIndexOf('/') + 1).replace(/\.[^.]*$/, ''));
    if (all && !mark) return undefined;
    marks.push(mark);
  }
  const pairs = paired(marks);
  // Where all names say a side, a class may be on one side only; one that is on both shows that the word means the split.
  if (all) return pairs.some((mark) => mark !== undefined) ? sidesOf(marks, 'pictures') : undefined;
  return sidesOf(pairs, 'pictures');
}

/** A split where both sides are named; of two held-out sides, test. */
function sidesOf(marks: ReadonlyArray<Marked | undefined>, what: string): OfficialSplit | undefined {
  const present = new Set(marks.map((mark) => mark?.side));
  const held: Side | undefined = present.has('test') ? 'test' : present.has('validation') ? 'validation' : undefined;
  if (held === undefined || !present.has('train')) return undefined;
  return {
    sides: marks.map((mark) => (mark?.side === 'train' ? 'train' : mark?.side === held ? 'test' : undefined)),
    description: `${what} named train and ${held}`,
    leftOut: (index) =>
      marks[index]
        ? 'validation pictures (the test split is held out)'
        : `pictures outside of the ${what} named train and ${held}`,
  };
}

/** Data named test beside data without a side: the former must not be trained on. */
function testOnly(marks: ReadonlyArray<Marked | undefined>, what: string): OfficialSplit | undefined {
  const present = new Set(marks.map((mark) => mark?.side));
  if (present.has('train') || !present.has(undefined) || present.size < 2) return undefined;
  const held: Side = present.has('test') ? 'test' : 'validation';
  return {
    sides: marks.map((mark) => (mark === undefined ? 'train' : mark.side === held ? 'test' : undefined)),
    description: `${what} named ${held} are held out, the others are for training`,
    leftOut: () => 'validation pictures (the test split is held out)',
  };
}
