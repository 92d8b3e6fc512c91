// Copies the declarations of tfjs-core into dist/types, and makes those of this package refer to them: `npm pack` runs this.
// The published ones do not compile without `skipLibCheck`: they bring an older declaration of WebGPU than TypeScript's own,
// and name a global `Long` that they do not declare.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const from = join(root, 'node_modules/@tensorflow/tfjs-core');
const to = join(dist, 'types/tfjs-core');

/** What is left out or replaced, in which file. Each must occur, so that another version of tfjs-core is not copied unseen. */
const WEBGPU = [/^\/\/\/ <reference types="@webgpu\/types\/dist" \/>\n/m, ''];
const CHANGES = {
  'types.d.ts': [WEBGPU, [/buffer: GPUBuffer;/, 'buffer: object;']],
  'tensor.d.ts': [WEBGPU, [/buffer\?: GPUBuffer;/, 'buffer?: object;']],
  'hash_util.d.ts': [[/\bLong;/g, '{ high: number; low: number; unsigned: boolean };']],
};

/** Of this package: what imports TF.js. The cpu backend is a detail that nobody outside calls. */
const OWN = {
  'src/engine/tf.d.ts': [
    [/^import '@tensorflow\/tfjs-backend-cpu';\n/m, ''],
    [/^import type \{ MathBackendCPU \} from '@tensorflow\/tfjs-backend-cpu';\n/m, ''],
    [/\bMathBackendCPU\b/g, 'tf.KernelBackend'],
  ],
};

function changed(name, text, changes = []) {
  return changes.reduce((now, [what, by]) => {
    const next = now.replace(what, by);
    if (next === now) throw new Error(`${name}: expected ${what}, found none. Adapt scripts/declarations.mjs.`);
    return next;
  }, text);
}

/** The declarations that one of tfjs-core leads to, by path, itself included. */
function closure(path, found = new Map()) {
  if (found.has(path)) return found;
  const text = readFileSync(join(from, 'dist', path), 'utf8');
  found.set(path, text);
  for (const [, name, own] of text.matchAll(
    /(?:from|import) '(\.[^']*)'|import\("@tensorflow\/tfjs-core\/dist\/([^"]*)"\)/g,
  )) {
    const base = own ?? posix.join(posix.dirname(path), name);
    const target = [`${base}.d.ts`, `${base}/index.d.ts`].find((one) => existsSync(join(from, 'dist', one)));
    if (target) closure(target, found);
  }
  return found;
}

rmSync(to, { recursive: true, force: true });
for (const [path, text] of closure('index.d.ts')) {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  // Of the comments only licenses stay.
  const bare = changed(path, text, CHANGES[path])
    .replace(/^[ \t]*\/\*\*(?!\s*\*?\s*@license)[\s\S]*?\*\/\n/gm, '')
    .replace(/^\/\/\/ <amd-module .*\n/m, '')
    .replaceAll(/import\("@tensorflow\/tfjs-core\/dist\/([^"]*)"\)/g, (_, name) => {
      const target = posix.relative(posix.dirname(path), name);
      return `import("${target.startsWith('.') ? target : `./${target}`}")`;
    });
  writeFileSync(join(to, path), bare);
}
const { version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
const card = { name: '@tensorflow/tfjs-core', version, license, private: true, type: 'commonjs', types: 'index.d.ts' };
writeFileSync(join(to, 'package.json'), `${JSON.stringify(card, null, 2)}\n`);

for (const path of readdirSync(dist, { recursive: true }).map((one) => one.replaceAll('\\', '/'))) {
  if (!path.endsWith('.d.ts') || path.startsWith('types/') || path.startsWith('vendor/')) continue;
  const text = readFileSync(join(dist, path), 'utf8');
  if (!text.includes('@tensorflow/')) continue;
  const target = relative(dirname(join(dist, path)), join(to, 'index.js')).replaceAll('\\', '/');
  writeFileSync(
    join(dist, path),
    changed(path, text, OWN[path]).replaceAll(/(['"])@tensorflow\/tfjs-core\1/g, `'./${target}'`),
  );
}
