// Models that ship with the package. Their names stand wherever the directory of a model is expected.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { shippedFolder } from '../package-folder.js';
import { CARD } from './card-file.js';
import { isModelDirectory } from './model-directory.js';

/** Names of the bundled models, in alphabetical order. */
export function bundledModels(): string[] {
  const folder = shippedFolder('models');
  if (folder === undefined) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, CARD)))
    .sort();
}

/**
 * The directory of a bundled model, or the path as it is. A path with a model, or with the codec of tokens, comes first; other
 * folders of that name do not hide the bundled model.
 */
export function modelDirectory(path: string): string {
  const hasModel = [path, join(path, 'codec')].some((directory) => isModelDirectory(directory));
  return !hasModel && bundledModels().includes(path) ? join(shippedFolder('models')!, path) : path;
}

/** What to do about a model that is not there. */
export function bundledRemedy(): string {
  const names = bundledModels();
  return names.length === 0
    ? 'Check the path.'
    : `Give the directory of a model, or the name of a bundled one: ${names.join(', ')}.`;
}
