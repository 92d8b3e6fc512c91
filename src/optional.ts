// Optional packages: loaded on demand, with one clear line when they are missing or broken.
import { UsageError, firstLineOf } from './errors.js';

/**
 * Imports a package the user may not have.
 *
 * @throws {UsageError} E_OPTIONAL with the exact install command, when it is missing or its native part does not load.
 */
export async function loadOptional<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T;
  } catch (error) {
    const reason = firstLineOf(error);
    throw new UsageError(
      'E_OPTIONAL',
      `${name}: expected this optional package to load, received "${reason}". Install it with "npm install ${name}".`,
      { cause: error },
    );
  }
}
