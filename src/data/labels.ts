// Labels and captions: what the various sources say, brought to class indices and sentences.
import { InputError, UsageError } from '../errors.js';

export const DEFAULT_TEMPLATE = 'a photo of a {label}';

const MAX_CLASSES = 1_000_000;

/** A label as a source gives it: a class name or a class index. */
export type RawLabel = string | number;

export interface Labels {
  /** Class names by index; undefined when no sample has a label. */
  classes?: string[];
  /** Class index of each sample. */
  labels: Array<number | undefined>;
}

/**
 * Turns raw labels into indices.
 *
 * Given class names, names are looked up and indices checked. Without, whole numbers are indices named by their digits,
 * and names are numbered in code-unit order.
 *
 * @param raw    one label, or undefined, a sample.
 * @param source names sample i in errors.
 * @throws {InputError} E_DATA_LABEL for an unknown name or an index out of range.
 */
export function resolveLabels(
  raw: ReadonlyArray<RawLabel | undefined>,
  classes: readonly string[] | undefined,
  source: (index: number) => string,
): Labels {
  const given = raw.filter((label) => label !== undefined);
  if (given.length === 0) return { classes: classes && [...classes], labels: raw.map(() => undefined) };
  const names = classes ?? nameClasses(given);
  const byName = new Map(names.map((name, i) => [name, i]));
  const indexOf = (label: RawLabel, i: number): number => {
    const index = byName.get(String(label)) ?? wholeNumber(label);
    if (index === undefined || index >= names.length) {
      throw new InputError(
        'E_DATA_LABEL',
        `${source(i)}: expected one of ${names.length} classes (${names.slice(0, 5).join(', ')}, ...), found label "${label}".`,
      );
    }
    return index;
  };
  return { classes: [...names], labels: raw.map((label, i) => (label === undefined ? undefined : indexOf(label, i))) };
}

function nameClasses(labels: readonly RawLabel[]): string[] {
  const numbers = labels.map(wholeNumber);
  if (numbers.every((number) => number !== undefined)) {
    const count = numbers.reduce((max, number) => Math.max(max, number), 0) + 1;
    if (count <= MAX_CLASSES) return Array.from({ length: count }, (_, i) => String(i));
  }
  return [...new Set(labels.map(String))].sort();
}

function wholeNumber(label: RawLabel): number | undefined {
  return /^\d{1,9}$/.test(String(label)) ? Number(label) : undefined;
}

/** @throws {UsageError} E_DATA_OPTIONS when the template has no `{label}`. */
export function checkTemplate(template: string): void {
  if (!template.includes('{label}')) {
    throw new UsageError('E_DATA_OPTIONS', `captionTemplate: expected a sentence with {label}, received "${template}".`);
  }
}

/**
 * Gives every sample that has a label but no caption the caption of its class. Samples of a class share one array, so
 * that a hundred thousand of them cost ten sentences.
 */
export function captionByLabel(
  captions: ReadonlyArray<readonly string[]>,
  { classes, labels }: Labels,
  template: string,
): Array<readonly string[]> {
  const ofClass = (classes ?? []).map((name) => [template.replaceAll('{label}', () => name)]);
  return captions.map((own, i) => (own.length > 0 || labels[i] === undefined ? own : ofClass[labels[i]]!));
}

/**
 * Reads captions, one a line: trimmed, empty lines dropped.
 *
 * @throws {InputError} E_DATA_TEXT when the bytes are not UTF-8.
 */
export function captionLines(bytes: Uint8Array, source: string): string[] {
  return utf8(bytes, source)
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** @throws {InputError} E_DATA_TEXT when the bytes are not UTF-8. A byte order mark is dropped. */
export function utf8(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new InputError('E_DATA_TEXT', `${source}: expected UTF-8 text. Save the file as UTF-8.`, { cause: error });
  }
}

/** What a row of metadata may say of a sample, whatever the file format. */
export interface Described {
  captions: string[];
  label?: RawLabel;
}

/**
 * Picks captions and label out of a metadata row (`text`, `caption` or `captions`; `label` or `cls`).
 *
 * @throws {InputError} E_DATA_METADATA when one has a type that makes no sense.
 */
export function describeRow(row: Readonly<Record<string, unknown>>, source: string): Described {
  const own = (name: string): unknown => (Object.hasOwn(row, name) ? (row[name] ?? undefined) : undefined);
  const text = own('text') ?? own('caption') ?? own('captions');
  const texts = text === undefined ? [] : Array.isArray(text) ? text : [text];
  const label = own('label') ?? own('cls');
  if (!texts.every((item) => typeof item === 'string')) {
    throw new InputError('E_DATA_METADATA', `${source}: expected captions as text, found ${JSON.stringify(text).slice(0, 60)}.`);
  }
  if (label !== undefined && typeof label !== 'string' && typeof label !== 'number') {
    throw new InputError('E_DATA_METADATA', `${source}: expected a label as text or number, found ${JSON.stringify(label).slice(0, 60)}.`);
  }
  return {
    captions: texts.map((item: string) => item.trim()).filter((item) => item !== ''),
    label: label === '' ? undefined : label,
  };
}
