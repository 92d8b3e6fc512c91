// Copies what is needed of some packages into dist/vendor, from where the published package loads it: `npm pack` runs
// this. As dependencies the first three would run install scripts, one of which downloads CUDA from outside the npm
// registry and fails the whole install where it cannot; a client that refuses scripts stops or warns. Of the font and of
// its reader, 9 MB, captions need 0.4 MB.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const vendor = join(root, 'dist', 'vendor');

/** The file that is loaded, if it is code, and the files that come along. */
const PACKAGES = {
  'onnxruntime-node': {
    main: 'dist/index.js',
    // DirectML and the compilers of DirectX serve GPUs: onnxruntime.dll loads them on demand, and the engine never asks.
    // Of the two equal libraries for macOS the binding loads libonnxruntime.1.dylib.
    keep: (path) =>
      /^(dist\/[^/]+\.js|bin\/.*\.(node|dll|dylib|so\.1))$/.test(path) &&
      !/(DirectML|dxcompiler|dxil)\.dll$|1\.\d+\.\d+\.dylib$/.test(path),
  },
  'onnxruntime-web': {
    main: 'dist/ort.node.min.js',
    keep: (path) => /^dist\/(ort\.node\.min\.js|ort-wasm-simd-threaded\.(mjs|wasm))$/.test(path),
  },
  msgpackr: { main: 'dist/index-no-eval.cjs', keep: (path) => /^(dist\/index-no-eval\.cjs|LICENSE)$/.test(path) },
  'opentype.js': { main: 'dist/opentype.min.js', keep: (path) => /^(dist\/opentype\.min\.js|LICENSE)$/.test(path) },
  '@fontsource/inter': { keep: (path) => /^(files\/inter-[a-z-]+-400-normal\.woff|LICENSE)$/.test(path) },
};

const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;

rmSync(vendor, { recursive: true, force: true });
const manifest = {};
for (const [name, { main, keep }] of Object.entries(PACKAGES)) {
  const from = join(root, 'node_modules', name);
  const { version, license } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'));
  if (version !== locked[`node_modules/${name}`].version)
    throw new Error(
      `${name}: expected ${locked[`node_modules/${name}`].version} as in package-lock.json, found ${version}. Run "npm ci".`,
    );
  const files = readdirSync(from, { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => keep(path) && statSync(join(from, path)).isFile())
    .sort();
  for (const file of files) {
    mkdirSync(dirname(join(vendor, name, file)), { recursive: true });
    cpSync(join(from, file), join(vendor, name, file));
  }
  writeFileSync(
    join(vendor, name, 'package.json'),
    `${JSON.stringify({ name, version, license, private: true, type: 'commonjs', main }, null, 2)}\n`,
  );
  manifest[name] = {
    version,
    /** Of the tarball in the registry, from which `tesserae doctor --repair` takes files that got lost. */
    integrity: locked[`node_modules/${name}`].integrity,
    files: Object.fromEntries(
      files.map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(join(from, file)))
          .digest('hex'),
      ]),
    ),
  };
}
writeFileSync(join(vendor, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
