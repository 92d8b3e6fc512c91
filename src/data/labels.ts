// Labels and captions: converts what the various sources contain to class indices and sentences.
import { InputError, UsageError } from '../errors.js';

export const DEFAULT_TEMPLATE = 'a photo of a {label}';

/** A label as it appears in a source: a class name or a class index. */
export type RawLabel = string | number;

export interface Labels {
  /** Class names by index; undefined when no sample has a label. */
  classes?: string[];
  /** Class index of each sample. */
  labels: Array<number | undefined>;
  /** Number of distinct integers that were taken for sample ids and dropped, if any. */
  ids?: number;
}

/**
 * Converts raw labels to indices.
 *
 * If class names are given, names are looked up and indices are checked. Otherwise the classes are the labels that
 * occur: integers in numerical order, names in code-unit order. Integers with about as many distinct values as there
 * are samples are ids, not classes, and are dropped.
 *
 * @param raw    One label, or undefined, per sample.
 * @param source Names sample i in errors.
 * @throws {InputError} E_DATA_LABEL for an unknown name or an index out of range.
 */
export function resolveLabels(
  raw: ReadonlyArray<RawLabel | undefined>,
  classes: readonly string[] | undefined,
  source: (index: number) => string,
): Labels {
  const given = raw.filter((label) => label !== undefined);
  if (given.length === 0) return { classes: classes && [...classes], labels: raw.map(() => undefined) };
  if (classes) return { classes: [...classes], labels: indicesAmong(raw, classes, source) };
  const numbers = given.map(wholeNumber);
  const areNumbers = numbers.every((number) => number !== undefined);
  const values = new Set(areNumbers ? numbers.map(String) : given.map(String));
  if (areNumbers && areIds(values.size, given.length)) return { labels: raw.map(() => undefined), ids: values.size };
  const names = [...values].sort(areNumbers ? (a, b) => Number(a) - Number(b) : undefined);
  const byName = new Map(names.map((name, i) => [name, i]));
  return {
    classes: names,
    labels: raw.map((label) =>
      label === undefined ? undefined : byName.get(String(areNumbers ? wholeNumber(label) : label)),
    ),
  };
}

function indicesAmong(
  raw: ReadonlyArray<RawLabel | undefined>,
  classes: readonly string[],
  source: (index: number) => string,
): Array<number | undefined> {
  const byName = new Map(classes.map((name, i) => [name, i]));
  return raw.map((label, i) => {
    if (label === undefined) return undefined;
    const index = byName.get(String(label)) ?? wholeNumber(label);
    if (index !== undefined && index < classes.length) return index;
    throw new InputError(
      'E_DATA_LABEL',
      `${source(i)}: expected one of ${classes.length} classes (${classes.slice(0, 5).join(', ')}${classes.length > 5 ? ', ...' : ''}), found label "${String(label).slice(0, 80)}".`,
    );
  });
}

/** With fewer samples than this, every class may have a single sample by chance. */
const FEWEST_IDS = 10;

/**
 * Whether there are about as many values as samples. A class with hardly more than one sample is useless for training.
 */
export function areIds(values: number, samples: number): boolean {
  return values >= FEWEST_IDS && values > 0.7 * samples;
}

function wholeNumber(label: RawLabel): number | undefined {
  return /^\d{1,9}$/.test(String(label)) ? Number(label) : undefined;
}

/** @throws {UsageError} E_DATA_OPTIONS when the template has no `{label}`. */
export function checkTemplate(template: string): void {
  if (!template.includes('{label}')) {
    throw new UsageError(
      'E_DATA_OPTIONS',
      `captionTemplate: expected a sentence with {label}, received "${template}".`,
    );
  }
}

/**
 * Gives every sample that has a label but no caption the caption of its class. Samples of one class share an array, so
 * that a hundred thousand samples need only ten sentences.
 */
export function captionByLabel(
  captions: ReadonlyArray<readonly string[]>,
  { classes, labels }: Labels,
  template: string,
): Array<readonly string[]> {
  const ofClass = (classes ?? []).map((name) => [template.replaceAll('{label}', () => name)]);
  return captions.map((own, i) => (own.length > 0 || labels[i] === undefined ? own : ofClass[labels[i]]!));
}
