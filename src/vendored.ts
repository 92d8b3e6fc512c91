// Packages that the published package carries in dist/vendor, so that installing it runs no script of theirs and brings
// only what is used of them. In a checkout there is no such folder, and they come from node_modules.
import { existsSync, readFileSync } from 'node:fs';
import { Module, createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What scripts/vendor.mjs copied. */
export interface VendoredPackage {
  version: string;
  /** Subresource integrity of its tarball in the npm registry. */
  integrity: string;
  /** sha256 by path. */
  files: Record<string, string>;
}

/** `dist/vendor` of the published package; from the sources, a folder that does not exist. */
export const VENDOR = fileURLToPath(new URL('../vendor/', import.meta.url));

/** What dist/vendor should hold, or undefined in a checkout. */
export function vendoredPackages(): Record<string, VendoredPackage> | undefined {
  const path = join(VENDOR, 'manifest.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, VendoredPackage>) : undefined;
}

/** Loads a vendored package. @param entry what node_modules is asked for in a checkout. */
export function requireVendored<T>(name: string, entry = name): T {
  return createRequire(import.meta.url)(pathOf(name, entry)) as T;
}

/** The path of a file of a vendored package. */
export function vendoredFile(name: string, file: string): string {
  return vendoredPackages() ? join(VENDOR, name, file) : createRequire(import.meta.url).resolve(`${name}/${file}`);
}

/**
 * Ways to load a package outside of a sandbox, where there is one: test runners evaluate modules in contexts of their own
 * and put functions of their own in place of `require`. The first is left alone by Jest, the second by Vitest's vm pools.
 * Without a sandbox they are the same.
 */
export function loadersOutside<T>(name: string): (() => T)[] {
  const here = fileURLToPath(import.meta.url);
  const path = pathOf(name, name);
  return [
    () => new Module(here).require(path) as T,
    () => process.getBuiltinModule('node:module').createRequire(here)(path) as T,
  ];
}

function pathOf(name: string, entry: string): string {
  return vendoredPackages() ? join(VENDOR, name) : createRequire(import.meta.url).resolve(entry);
}
