// Folders that ship with the package: presets and bundled models.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A folder next to package.json, which is above `src` in a checkout and above `dist` in the package; undefined if it is missing. */
export function packageFolder(name: string): string | undefined {
  for (let folder = fileURLToPath(new URL('.', import.meta.url)); ; folder = join(folder, '..')) {
    if (existsSync(join(folder, 'package.json'))) {
      const path = join(folder, name);
      return existsSync(path) ? path : undefined;
    }
    if (folder === join(folder, '..')) return undefined;
  }
}
