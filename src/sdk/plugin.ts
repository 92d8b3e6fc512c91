// Modules of third parties that register media, codecs, quantizers and priors.
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { firstLineOf, InputError, messageOf, TesseraeError, UsageError } from '../errors.js';

/** Modules that were loaded, by address. A module registers what it has once. */
const loaded = new Map<string, Promise<void>>();

/**
 * Loads a module that registers media or models when it is imported. If its default export is a function, the function is
 * called with the package's exports, so that a plugin can lie outside any project.
 *
 * @param module path, or `file:` address.
 * @param api    gives the package's exports.
 * @throws {UsageError} E_NOT_FOUND. @throws {InputError} E_PLUGIN for a module that fails or does not finish loading.
 */
export function usePlugin(module: string, api: () => Promise<unknown>): Promise<void> {
  // Stacks have the address without links.
  const address = pathToFileURL(realpathSync(fileOf(module))).href;
  const known = loaded.get(address) ?? load(module, address, api);
  loaded.set(address, known);
  return known;
}

function fileOf(module: string): string {
  const refused = (found: string): UsageError =>
    new UsageError('E_NOT_FOUND', `--plugin ${module || '""'}: expected a file, found ${found}. Check the path.`);
  let path: string;
  try {
    path = module.startsWith('file:') ? fileURLToPath(module) : resolve(module);
  } catch (error) {
    throw refused(`another address (${firstLineOf(error)})`);
  }
  const file = module === '' ? undefined : statSync(path, { throwIfNoEntry: false });
  if (file?.isFile()) return path;
  throw refused(file?.isDirectory() ? 'a directory' : 'nothing');
}

async function load(module: string, address: string, api: () => Promise<unknown>): Promise<void> {
  let stop = (): void => undefined;
  // Node.js would end without a word when nothing is left to do.
  const stuck = new Promise<never>((_, reject) => {
    stop = () =>
      reject(
        new InputError(
          'E_PLUGIN',
          `--plugin ${module}: expected the module to finish loading, but it waits for a promise that never settles. Correct the module.`,
        ),
      );
    process.once('beforeExit', stop);
  });
  try {
    await Promise.race([registering(address, api), stuck]);
  } catch (error) {
    if (error instanceof UsageError && error.code.startsWith('E_REGISTERED'))
      throw new UsageError(error.code, `--plugin ${module}: ${error.detail}`, { cause: error });
    if (error instanceof TesseraeError) throw error;
    const isTypeScript =
      (error as NodeJS.ErrnoException | null)?.code === 'ERR_UNKNOWN_FILE_EXTENSION' &&
      /"\.[cm]?tsx?"/.test(messageOf(error));
    throw new InputError(
      'E_PLUGIN',
      `--plugin ${module}: expected an ES module that registers media or models, but it failed (${firstLineOf(error)}). ` +
        (isTypeScript
          ? 'Compile TypeScript to .mjs, or use Node.js 22.18 or newer, which imports it.'
          : 'Correct the module.'),
      { cause: error },
    );
  } finally {
    process.off('beforeExit', stop);
  }
}

async function registering(address: string, api: () => Promise<unknown>): Promise<void> {
  const { default: register } = (await import(address)) as { default?: unknown };
  if (typeof register === 'function') await register(await api());
}

/** Address of the package's own modules. */
const PACKAGE = new URL('../../', import.meta.url).href;

/** The error to report when a function of a loaded module threw: its frame is above those of the package. Undefined for other errors. */
export function pluginError(error: unknown): InputError | undefined {
  const { stack } = (error ?? {}) as { stack?: unknown };
  if (typeof stack !== 'string') return undefined;
  const moduleIn = (line: string): string | undefined =>
    [...loaded.keys()].find((address) => line.includes(`${address}:`));
  const frame = stack
    .split('\n')
    .find((line) => /^\s+at /.test(line) && (line.includes(PACKAGE) || moduleIn(line) !== undefined));
  const address = frame === undefined ? undefined : moduleIn(frame);
  return address === undefined
    ? undefined
    : new InputError(
        'E_PLUGIN',
        `--plugin ${fileURLToPath(address)}: expected functions that work, but one failed (${firstLineOf(error)}). Correct the module; --debug shows where.`,
        { cause: error },
      );
}
