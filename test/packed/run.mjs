// Packs the package, installs the tarball as a user would, outside of the checkout, and tries it there on Node 20 and 22:
//
//   npm run test:packed                    (node test/packed/run.mjs [--report FILE])
//
// Prints one line a check and ends with "N passed, N failed". The projects have no settings; they reach the npm registry.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { values: flags } = parseArgs({ options: { report: { type: 'string' } } });
const work = realpathSync(mkdtempSync(join(tmpdir(), 'tesserae-packed-')));
// What npm tells its children would be taken for settings of a user.
const clean = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_registry)|INIT_CWD|NODE_OPTIONS|TESSERAE_)/i.test(name),
  ),
);
const PROMPT = 'a small red circle above a large blue square';

let [passed, failed] = [0, 0];

/** Runs one check and prints how it went. @returns what it returned, or undefined when it failed. */
function check(title, body) {
  const start = performance.now();
  try {
    const result = body();
    passed += 1;
    console.log(`ok      ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    return result;
  } catch (error) {
    failed += 1;
    console.log(`not ok  ${title}\n  ${String(error.stack ?? error).replaceAll('\n', '\n  ')}`);
    return undefined;
  }
}

function run(program, args, { cwd, env = clean, code = 0 }) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, env, encoding: 'utf8', timeout: 240_000 });
  if (error) throw error;
  assert.equal(
    status,
    code,
    `${program} ${args.join(' ')}: expected exit ${code}, received ${status}\n${stdout}${stderr}`,
  );
  return { stdout, stderr };
}

const linesOf = (text) => text.split('\n').filter((line) => line !== '');

/** The program of a Node of that major version. */
function nodeOf(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  return execFileSync('npx', ['-y', `node@${major}`, '-p', 'process.execPath'], {
    cwd: work,
    env: clean,
    encoding: 'utf8',
  }).trim();
}

/** Relative links of the pages of the package that lead nowhere in it. */
function brokenLinks(folder) {
  const pages = readdirSync(folder, { recursive: true }).filter(
    (path) => path.endsWith('.md') && !path.includes('node_modules'),
  );
  return pages.flatMap((page) =>
    [...readFileSync(join(folder, page), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
      .map(([, link]) => link)
      .filter(
        (link) =>
          !/^[a-z]+:/.test(link) &&
          !existsSync(join(folder, posix.join(posix.dirname(page.replaceAll('\\', '/')), link))),
      )
      .map((link) => `${page}: ${link}`),
  );
}

const NEEDED = [
  'README.md',
  'LICENSE',
  'NOTICE.md',
  'CHANGELOG.md',
  'docs/install.md',
  'docs/codecs.md',
  'docs/browser.md',
  'src/shards/FORMAT.md',
  'examples/codec-round-trip.mjs',
  'fixtures/models/shapes/model.json',
  'dist/src/index.d.ts',
];

/** The compilers that the declarations are for: the project's own, and the last one before it. */
function compilers() {
  const older = join(work, 'typescript-5.9');
  mkdirSync(older);
  writeFileSync(join(older, 'package.json'), '{ "name": "older", "version": "1.0.0", "private": true }\n');
  run('npm', ['install', 'typescript@5.9', '--no-audit', '--no-fund'], { cwd: older });
  return [root, older].map((folder) => join(folder, 'node_modules/typescript'));
}

const STRICT = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'];

function tryPackage(project, installed) {
  check('the package has its pages, examples and models', () =>
    assert.deepEqual(
      NEEDED.filter((path) => !existsSync(join(installed, path))),
      [],
    ),
  );
  check('no link of its pages leads nowhere', () => assert.deepEqual(brokenLinks(installed), []));
  check('it depends on nothing that runs an install script', () => {
    const { packages } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
    assert.deepEqual(
      Object.keys(packages).filter((path) => packages[path].hasInstallScript),
      [],
    );
  });
  cpSync(join(root, 'test/packed/use.mts'), join(project, 'use.mts'));
  for (const compiler of check('TypeScript 6 and 5.9 are here', compilers) ?? []) {
    const { version: typescript } = JSON.parse(readFileSync(join(compiler, 'package.json'), 'utf8'));
    for (const [module, resolution] of [
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ])
      check(`its declarations compile strictly, TypeScript ${typescript}, resolution ${resolution}`, () => {
        const options = ['--target', 'es2022', '--module', module, '--moduleResolution', resolution];
        const { stdout } = spawnSync(process.execPath, [join(compiler, 'bin/tsc'), ...STRICT, ...options, 'use.mts'], {
          cwd: project,
          env: clean,
          encoding: 'utf8',
        });
        assert.equal(stdout, '');
      });
  }
}

function tryOn(node, major, project) {
  const env = { ...clean, PATH: [dirname(node), clean.PATH].join(delimiter) };
  const on = `Node ${major}:`;
  const tesserae = (args, options = {}) =>
    run('npx', ['--no-install', 'tesserae', ...args], { cwd: project, env, ...options });
  const prior = 'node_modules/tesserae/fixtures/models/shapes';
  check(`${on} prints its version`, () => assert.equal(tesserae(['--version']).stdout, `${version}\n`));
  check(`${on} computes with the native library`, () => {
    const { stdout, stderr } = run(
      node,
      [
        '--input-type=module',
        '-e',
        "import { loadRuntime } from 'tesserae/engine'; console.log(process.versions.node, (await loadRuntime()).kind)",
      ],
      { cwd: project, env },
    );
    assert.match(stdout, new RegExp(`^${major}\\..* native\\n$`));
    assert.equal(stderr, '');
  });
  check(`${on} draws a picture`, () => {
    const { stderr } = tesserae(['generate', PROMPT, '--prior', prior, '--out', `node-${major}/birds.png`]);
    assert.doesNotMatch(stderr, /WebAssembly/);
    assert.equal(readFileSync(join(project, `node-${major}/birds.png`)).toString('latin1', 1, 4), 'PNG');
  });
  check(`${on} runs an example`, () => {
    const { stdout } = run(
      node,
      ['node_modules/tesserae/examples/codec-round-trip.mjs', prior, `node-${major}/birds.png`],
      { cwd: project, env },
    );
    assert.match(stdout, /PSNR \d+/);
  });
}

/** The native library gets lost, and comes back. */
function tryWithoutLibrary(project, installed) {
  const npx = (args, options = {}) => run('npx', ['--no-install', 'tesserae', ...args], { cwd: project, ...options });
  const direct = (args, options) =>
    run(process.execPath, [join(installed, 'dist/src/cli/main.js'), ...args], { cwd: project, ...options });
  const library = join(installed, 'dist/vendor/onnxruntime-node/bin/napi-v6', process.platform, process.arch);
  const prior = 'node_modules/tesserae/fixtures/models/shapes';
  rmSync(library, { recursive: true });
  const LINE =
    /^Computing in WebAssembly, 2 to 5 times slower than the native library, which did not load: .* is missing\. Run "npx tesserae doctor --repair" to restore it\.$/;
  check('without the native library: draws in WebAssembly, says so in one line, and keeps stdout clean', () => {
    const { stdout, stderr } = npx(['generate', PROMPT, '--prior', prior, '--out', 'wasm.png', '--json']);
    assert.equal(linesOf(stderr).filter((line) => LINE.test(line)).length, 1, stderr);
    assert.equal(JSON.parse(stdout).samples, 1);
    assert.ok(existsSync(join(project, 'wasm.png')));
  });
  check('without the native library: a command that computes nothing says so too', () =>
    assert.match(linesOf(npx(['inspect', prior]).stderr)[0], LINE),
  );
  check('without the native library: the SDK says so once', () => {
    const script =
      "import { loadCodec } from 'tesserae'; for (let i = 0; i < 2; i++) (await loadCodec(process.argv[1])).dispose(); const { loadRuntime } = await import('tesserae/engine'); console.log((await loadRuntime()).kind)";
    const { stdout, stderr } = run(process.execPath, ['--input-type=module', '-e', script, prior], { cwd: project });
    assert.equal(stdout, 'wasm\n');
    assert.match(linesOf(stderr).join('|'), LINE);
  });
  check('the repair fails in one line without npm', () => {
    const { stderr } = direct(['doctor', '--repair'], { env: { ...clean, PATH: work }, code: 5 });
    assert.match(
      linesOf(stderr).at(-1),
      /^E_REPAIR npm pack onnxruntime-node@[\d.]+: expected the tarball, received "spawn npm ENOENT"/,
    );
  });
  check('the repair fails in one line without a registry', () => {
    const { stderr } = npx(['doctor', '--repair'], {
      env: { ...clean, npm_config_registry: 'http://127.0.0.1:9/', npm_config_cache: join(work, 'empty-cache') },
      code: 5,
    });
    assert.match(linesOf(stderr).at(-1), /^E_REPAIR npm pack .* received ".*ECONNREFUSED.*"/);
  });
  check('the repair fails in one line where it may not write', () => {
    rmSync(library, { recursive: true, force: true });
    writeFileSync(library, 'a file in the way');
    const { stderr } = direct(['doctor', '--repair'], { code: 5 });
    assert.match(linesOf(stderr).at(-1), /^E_IO .*/);
    rmSync(library);
  });
  check('the repair brings the native library back', () => {
    const { stdout, stderr } = npx(['doctor', '--repair']);
    assert.match(stderr, /Restored .*onnxruntime_binding\.node/);
    assert.match(stdout, /onnxruntime {2}[\d.]+, native/);
    assert.match(npx(['doctor', '--repair']).stderr, /^All files of the native library are intact\.$/m);
  });
}

try {
  const tarball = check('npm pack', () => {
    run('npm', ['pack', '--pack-destination', work], { cwd: root });
    return join(work, `tesserae-${version}.tgz`);
  });
  if (tarball) {
    check('publint finds nothing', () =>
      run(process.execPath, [join(root, 'node_modules/publint/src/cli.js'), 'run', tarball, '--strict'], { cwd: root }),
    );
    for (const major of [20, 22]) {
      const node = check(`Node ${major} is here`, () => nodeOf(major));
      const project = join(work, `project-${major}`);
      mkdirSync(project);
      writeFileSync(join(project, 'package.json'), '{ "name": "empty", "version": "1.0.0", "private": true }\n');
      const installs =
        node &&
        check(`Node ${major}: npm installs the tarball without a warning`, () => {
          const { stdout, stderr } = run('npm', ['install', tarball, '--no-audit', '--no-fund'], {
            cwd: project,
            env: { ...clean, PATH: [dirname(node), clean.PATH].join(delimiter) },
          });
          assert.doesNotMatch(stdout + stderr, /npm warn/i);
          return true;
        });
      if (!installs) continue;
      const installed = join(project, 'node_modules/tesserae');
      tryOn(node, major, project);
      if (node !== process.execPath) continue;
      tryPackage(project, installed);
      tryWithoutLibrary(project, installed);
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (flags.report) writeFileSync(flags.report, JSON.stringify({ passed, failed }));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
