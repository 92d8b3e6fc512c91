// Which samples are held out. Membership is a hash of the sample's key, so it neither depends on the order of files nor
// changes for the others when a sample is added or removed.
import { createHash } from 'node:crypto';

import type { Split } from '../interfaces/dataset.js';

export const DEFAULT_HOLDOUT = 0.1;

/** Names of the held-out half of a dataset that comes with one, best first. */
const TEST_NAMES = ['test', 'val', 'valid', 'validation'];

/** Uniform in [0, 1), a function of the key alone. */
export function keyFraction(key: string): number {
  return createHash('sha256').update(key).digest().readUIntBE(0, 6) / 2 ** 48;
}

/**
 * Divides samples into train and test.
 *
 * @param keys    unique keys, in dataset order.
 * @param holdout fraction in (0, 1) to hold out.
 * @returns indices into `keys`, each in dataset order. Two samples or more give at least one on each side: when the
 *   hash leaves a side empty, the sample nearest to the border crosses it.
 */
export function splitByKey(keys: readonly string[], holdout: number): Record<Split, number[]> {
  const fractions = keys.map(keyFraction);
  const split: Record<Split, number[]> = { train: [], test: [] };
  fractions.forEach((fraction, i) => split[fraction < holdout ? 'test' : 'train'].push(i));
  if (keys.length === 1) return { train: [0], test: [] };
  const byFraction = (a: number, b: number): number => fractions[a]! - fractions[b]! || a - b;
  if (split.test.length === 0) moveOne(split.train, split.test, [...split.train].sort(byFraction)[0]);
  else if (split.train.length === 0) moveOne(split.test, split.train, [...split.test].sort(byFraction).at(-1));
  return split;
}

function moveOne(from: number[], to: number[], index: number | undefined): void {
  if (index === undefined) return;
  from.splice(from.indexOf(index), 1);
  to.push(index);
}

/**
 * The split a dataset brings itself: `train` and one of `test`, `val`, `valid`, `validation` among its top-level names.
 *
 * @returns the two names, or undefined unless both are present.
 */
export function officialSplit(names: Iterable<string>): Record<Split, string> | undefined {
  const present = new Set(names);
  const test = TEST_NAMES.find((name) => present.has(name));
  return present.has('train') && test ? { train: 'train', test } : undefined;
}
