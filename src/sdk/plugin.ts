// Modules of third parties that register media, codecs, quantizers and priors.
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { firstLineOf, InputError, TesseraeError, UsageError } from '../errors.js';

/** Modules that were loaded, by address. A module registers what it has once. */
const loaded = new Map<string, Promise<void>>();

/**
 * Loads a module that registers media or models when it is imported. If its default export is a function, the function is
 * called with the package's exports, so that a plugin can lie outside any project.
 *
 * @param module path, or `file:` address.
 * @param api    gives the package's exports.
 * @throws {UsageError} E_NOT_FOUND. @throws {InputError} E_PLUGIN for a module that fails.
 */
export function usePlugin(module: string, api: () => Promise<unknown>): Promise<void> {
  const path = module.startsWith('file:') ? fileURLToPath(module) : isAbsolute(module) ? module : resolve(module);
  if (!existsSync(path))
    throw new UsageError('E_NOT_FOUND', `--plugin ${module}: expected a file, found nothing. Check the path.`);
  const address = pathToFileURL(path).href;
  const known = loaded.get(address) ?? load(module, address, api);
  loaded.set(address, known);
  return known;
}

async function load(module: string, address: string, api: () => Promise<unknown>): Promise<void> {
  try {
    const { default: register } = (await import(address)) as { default?: unknown };
    if (typeof register === 'function') await register(await api());
  } catch (error) {
    if (error instanceof TesseraeError) throw error;
    throw new InputError(
      'E_PLUGIN',
      `--plugin ${module}: expected an ES module that registers media or models, but it failed (${firstLineOf(error)}). Correct the module.`,
      { cause: error },
    );
  }
}
