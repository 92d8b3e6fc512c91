// What third parties register. It is checked at once, so that a mistake is reported where it was made, not in the middle of a job.
import { shown } from './arguments.js';
import { UsageError } from './errors.js';
import { excerpt } from './names.js';

/** Fields that a value must have. Those of nested objects are paths, such as `files.decode`. */
export interface Contract {
  /** Strings that are not empty. */
  texts: readonly string[];
  lists?: readonly string[];
  functions: readonly string[];
}

let registered = 0;

/** Number of values registered so far, including the package's own. */
export const registrations = (): number => registered;

/** Adds a checked value under its name. @throws {UsageError} E_REGISTERED when the name is taken. */
export function register<T extends { readonly name: string }>(kind: string, values: Map<string, T>, value: T): void {
  if (values.has(value.name))
    throw new UsageError(
      'E_REGISTERED',
      `register ${kind}: expected a new name, received "${value.name}", which is taken.`,
    );
  values.set(value.name, value);
  registered++;
}

/**
 * @param kind what it is, for errors: `codec`.
 * @throws {UsageError} E_REGISTERED_SHAPE naming a field that is missing.
 */
export function expectContract(kind: string, value: unknown, { texts, lists = [], functions }: Contract): void {
  if (typeof value !== 'object' || value === null) throw unlike(kind, value, 'an object', value);
  const expectAll = (fields: readonly string[], what: string, holds: (field: unknown) => boolean): void => {
    for (const path of fields) {
      const field = path
        .split('.')
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | null)?.[name], value);
      if (!holds(field)) throw unlike(kind, value, `${what} ${path}`, field);
    }
  };
  expectAll(texts, 'a non-empty string', (field) => typeof field === 'string' && field !== '');
  expectAll(lists, 'an array', Array.isArray);
  expectAll(functions, 'a function', (field) => typeof field === 'function');
}

/** The error for a value that cannot be registered. */
export function unlike(kind: string, value: unknown, expected: string, received: unknown): UsageError {
  const { name } = (value ?? {}) as { name?: unknown };
  const what = typeof name === 'string' && name !== '' ? `${kind} "${excerpt(name)}"` : kind;
  return new UsageError(
    'E_REGISTERED_SHAPE',
    `register ${what}: expected ${expected}, received ${shown(received)}. Correct the ${kind}.`,
  );
}

/** The error for a name that nothing is registered under. */
export function unknownName(code: string, where: string, names: Iterable<string>): UsageError {
  return new UsageError(
    code,
    `${where}: expected one of ${[...names].join(', ')}. Register others before use; commands load them with --plugin.`,
  );
}
