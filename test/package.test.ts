// What installing the package asks of people: nothing. `npm run test:packed` tries it; this guards what it rests on.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fallbackLine, hasNativeBuild, nativeMissing } from '../src/native.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  files: string[];
  repository: { url: string };
}
interface Locked {
  version: string;
  dev?: boolean;
  hasInstallScript?: boolean;
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const locked = (JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }).packages;

describe('package-lock.json', () => {
  // npm runs the scripts of those that are marked, and the one of onnxruntime-node needs hosts beside the registry. The
  // mark is all that npm ci goes by. `npm install` sets it again for a package that it updates: delete the line then.
  it('marks no package as having an install script', () => {
    expect(Object.keys(locked).filter((path) => locked[path]!.hasInstallScript)).toEqual([]);
  });
});

describe('the package', () => {
  it('depends on none of those it carries, and names their versions in its notices', () => {
    for (const name of ['onnxruntime-node', 'onnxruntime-web', 'msgpackr', 'opentype.js', '@fontsource/inter']) {
      expect(manifest.dependencies[name]).toBeUndefined();
      const { version } = locked[`node_modules/${name}`]!;
      expect(manifest.devDependencies[name]).toBe(version);
      expect(read('NOTICE.md')).toMatch(new RegExp(`${name}\`?.*${version.replaceAll('.', '\\.')}`));
    }
    // Both sides must be of one version: the carried library is called through it.
    expect(manifest.dependencies['onnxruntime-common']).toBe(locked['node_modules/onnxruntime-node']!.version);
  });

  it('lists files that exist', () => {
    const missing = manifest.files.filter(
      (name) =>
        name !== 'dist' &&
        (name.includes('*')
          ? !readdirSync(join(root, 'docs')).some((file) => file.endsWith(name.slice(name.indexOf('*') + 1)))
          : !existsSync(join(root, name))),
    );
    expect(missing).toEqual([]);
  });

  it('has no settings for npm that some version does not know', () => {
    expect(read('.npmrc')).toBe('fund=false\naudit=false\n');
  });
});

describe('the line about WebAssembly', () => {
  it('names reason, cost and remedy', () => {
    expect(nativeMissing()).toBeUndefined();
    expect(hasNativeBuild).toBe(true);
    expect(fallbackLine('some reason')).toBe(
      'Computing in WebAssembly, 2 to 5 times slower than the native library, which did not load: some reason. "npx tesserae doctor --repair" checks its files.',
    );
  });
});
