// The folder of this package, and what ships in it: presets and bundled models.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: the checkout, or the installed package. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** A folder that ships with the package; undefined if it is missing. */
export function shippedFolder(name: string): string | undefined {
  const path = join(packageFolder(), name);
  return existsSync(path) ? path : undefined;
}
