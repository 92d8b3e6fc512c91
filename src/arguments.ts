// Checks what callers without types pass: options that are objects, paths, whole numbers, choices.
import { UsageError } from './errors.js';
import { isRecord } from './json.js';
import { closestName, excerpt } from './names.js';

/** The values of options that choose a split, or the whole dataset. */
export const SPLIT_CHOICES = ['train', 'test', 'all'] as const;

/** What the options of a job must be. Options that are undefined have defaults, except for paths. */
export interface OptionRules {
  /** Options that must be paths. */
  paths?: readonly string[];
  /** Whole numbers, with the range that they must lie in. Without `max`, all from `min` on. */
  whole?: Readonly<Record<string, readonly [min: number, max?: number]>>;
  /** Options with a few values. */
  choices?: Readonly<Record<string, readonly string[]>>;
  /** The names of all options, where an unknown one would be a mistake that changes the result. */
  known?: readonly string[];
}

/**
 * Checks the options of a job before it does anything.
 *
 * @param job names the function, for errors.
 * @throws {UsageError} with `code`, E_OPTIONS by default, naming the option.
 */
export function expectOptions(job: string, options: unknown, rules: OptionRules = {}, code = 'E_OPTIONS'): void {
  const { paths = [], whole = {}, choices = {}, known } = rules;
  const fail = (detail: string): never => {
    throw new UsageError(code, `${job}: ${detail}`);
  };
  if (!isRecord(options)) return fail(`expected an object of options, received ${shown(options)}.`);
  for (const name of paths) expectPath(`${job}: ${name}`, options[name], code);
  for (const [name, [min, max = Number.MAX_SAFE_INTEGER]] of Object.entries(whole)) {
    const value = options[name];
    if (value === undefined || (Number.isInteger(value) && Number(value) >= min && Number(value) <= max)) continue;
    const range = max < Number.MAX_SAFE_INTEGER ? `from ${min} to ${max}` : `of at least ${min}`;
    fail(`${name}: expected a whole number ${range}, received ${shown(value)}.`);
  }
  for (const [name, values] of Object.entries(choices))
    if (options[name] !== undefined && !values.includes(options[name] as string))
      fail(`${name}: expected ${values.map((value) => `"${value}"`).join(', ')}, received ${shown(options[name])}.`);
  for (const name of known ? Object.keys(options) : []) {
    if (known!.includes(name)) continue;
    const closest = closestName(name, known!);
    fail(`${excerpt(name)}: expected one of ${known!.join(', ')}.${closest === undefined ? '' : ` Use ${closest}.`}`);
  }
}

/** The names of all options of a type. The compiler refuses a list that lacks one. */
export const namesOf = <T>(names: Record<keyof T & string, true>): (keyof T & string)[] =>
  Object.keys(names) as (keyof T & string)[];

/** @throws {UsageError} E_OPTIONS unless the value is a path. `where` names it. */
export function expectPath(where: string, value: unknown, code = 'E_OPTIONS'): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw new UsageError(code, `${where}: expected a path, received ${shown(value)}.`);
}

/** A value in an error: what it is, or its type. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(excerpt(value));
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
