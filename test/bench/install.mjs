// Installs the packed package in an empty project with every package manager, and prints the table of docs/install.md:
//
//   node test/bench/install.mjs [--tarball FILE] [--only npm@10,pnpm@9]
//
// Each run has a home of its own, so no setting and no cache of this machine's user takes part. On a machine that reaches
// nothing but the npm registry it shows that nothing else is needed.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values: flags } = parseArgs({ options: { tarball: { type: 'string' }, only: { type: 'string' } } });
const work = mkdtempSync(join(tmpdir(), 'tesserae-install-'));
const settings = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^(npm_|yarn_|pnpm_|INIT_CWD|CI$|NODE_OPTIONS|TESSERAE_)/i.test(name),
  ),
);

/** Name, the package that is the client, its program, the Node it runs on, how it adds a tarball, how a command of the package runs. */
const CLIENTS = [
  ...[
    ['10', 20],
    ['10', 22],
    ['11', 20],
    ['11', 22],
    ['12', 22],
  ].map(([version, node]) => ({
    name: `npm ${version}`,
    tool: `npm@${version}`,
    program: 'bin/npm-cli.js',
    node,
    add: (tarball) => ['install', tarball],
  })),
  {
    name: 'npm 11, `npm install --global`',
    tool: 'npm@11',
    program: 'bin/npm-cli.js',
    node: 22,
    add: (tarball) => ['install', '--global', '--prefix', 'global', tarball],
    bin: 'global/bin/tesserae',
  },
  {
    name: 'npm 11, `npx`',
    tool: 'npm@11',
    program: 'bin/npm-cli.js',
    node: 22,
    add: (tarball) => ['exec', '--yes', `--package=${tarball}`, '--', 'tesserae', '--version'],
    run: (tarball) => ['exec', '--yes', `--package=${tarball}`, '--', 'tesserae'],
  },
  ...[
    ['9', 20],
    ['10', 20],
    ['latest', 22],
  ].map(([version, node]) => ({
    name: `pnpm ${version}`,
    tool: `pnpm@${version}`,
    program: ['bin/pnpm.cjs', 'bin/pnpm.mjs'],
    node,
    add: (tarball) => ['add', tarball],
  })),
  { name: 'Yarn 1', tool: 'yarn@1', program: 'bin/yarn.js', node: 20, add: (tarball) => ['add', tarball] },
  {
    name: 'Yarn 4, `nodeLinker: node-modules`',
    tool: '@yarnpkg/cli-dist@4',
    program: 'bin/yarn.js',
    node: 22,
    files: { '.yarnrc.yml': 'nodeLinker: node-modules\n', 'yarn.lock': '' },
    add: (tarball) => ['add', `tesserae@file:${tarball}`],
  },
  {
    name: "Yarn 4, Plug'n'Play",
    tool: '@yarnpkg/cli-dist@4',
    program: 'bin/yarn.js',
    node: 22,
    files: { 'yarn.lock': '' },
    add: (tarball) => ['add', `tesserae@file:${tarball}`],
    run: () => ['tesserae'],
  },
];

/** Installs a package of tools apart from everything and returns its folder. */
function tool(spec) {
  const folder = join(work, 'tools', spec.replaceAll('/', '+'));
  if (!existsSync(folder)) {
    mkdirSync(folder, { recursive: true });
    execFileSync(
      'npm',
      ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', spec],
      { env: settings, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' },
    );
  }
  return join(folder, 'node_modules', spec.replace(/(.)@.*$/, '$1'));
}

/** The folder of a Node of that major version: this one, or from the npm registry. */
function nodeFolder(major) {
  if (process.versions.node.startsWith(`${major}.`)) return dirname(process.execPath);
  return join(tool(`node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}@${major}`), 'bin');
}

const megabytes = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + readFileSync(join(entry.parentPath, entry.name)).length, 0) / 1e6;

function measure(
  { name, tool: spec, program, node, files = {}, add, run, bin = 'node_modules/.bin/tesserae' },
  tarball,
) {
  const folder = mkdtempSync(join(work, 'project-'));
  const home = join(folder, '..', `home-of-${folder.split('-').at(-1)}`);
  mkdirSync(home);
  for (const [path, content] of Object.entries({
    'package.json': '{ "name": "empty", "version": "1.0.0", "private": true }\n',
    ...files,
  }))
    writeFileSync(join(folder, path), content);
  const nodeBin = nodeFolder(node);
  const client = [program]
    .flat()
    .map((path) => join(tool(spec), path))
    .find(existsSync);
  const env = {
    ...settings,
    HOME: home,
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CACHE_HOME: join(home, 'cache'),
    PATH: [nodeBin, settings.PATH].join(delimiter),
  };
  const start = performance.now();
  const installed = spawnSync(join(nodeBin, 'node'), [client, ...add(tarball)], { cwd: folder, env, encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  const output = `${installed.stdout}${installed.stderr}`;
  const warnings = output.split('\n').filter((line) => /warn|ignored build/i.test(line));
  const command = run ? [client, ...run(tarball)] : [join(folder, bin)];
  const isScript = bin === 'node_modules/.bin/tesserae' && spec.startsWith('pnpm'); // a shell script, not a link
  const [executable, prefix] = isScript ? [command[0], []] : [join(nodeBin, 'node'), command];
  const doctor = spawnSync(executable, [...prefix, 'doctor', '--json'], { cwd: folder, env, encoding: 'utf8' });
  let engine = `fails: ${doctor.stderr.split('\n')[0] || output.trim().split('\n').at(-1)}`;
  try {
    engine = JSON.parse(doctor.stdout.split('\n').find((line) => line.startsWith('{'))).native
      ? 'native'
      : 'WebAssembly';
  } catch {
    // the reason stands above
  }
  const version = JSON.parse(readFileSync(join(tool(spec), 'package.json'), 'utf8')).version;
  const size = existsSync(join(folder, 'node_modules'))
    ? Math.round(megabytes(join(folder, 'node_modules')))
    : undefined;
  rmSync(folder, { recursive: true, force: true });
  rmSync(home, { recursive: true, force: true });
  const row = {
    name,
    version,
    node: execFileSync(join(nodeBin, 'node'), ['--version'], { encoding: 'utf8' }).trim().slice(1),
    exit: installed.status,
    warnings,
    engine,
    seconds,
    size,
  };
  process.stderr.write(
    `${name} (${version}): exit ${row.exit}, ${engine}, ${seconds.toFixed(0)} s${warnings.map((line) => `\n  ${line}`).join('')}\n`,
  );
  return row;
}

function pack() {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', work], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  return join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
}

try {
  const tarball = flags.tarball ? resolve(flags.tarball) : pack();
  const only = flags.only?.split(',');
  const rows = CLIENTS.filter(({ tool: spec }) => !only || only.includes(spec)).map((client) =>
    measure(client, tarball),
  );
  console.log(
    '| client | version, Node | exit code | warnings | engine | seconds | node_modules |\n|---|---|---|---|---|---|---|',
  );
  for (const { name, version, node, exit, warnings, engine, seconds, size } of rows)
    console.log(
      `| ${name} | ${version}, ${node} | ${exit} | ${warnings.length || 'none'} | ${engine} | ${seconds.toFixed(0)} | ${size === undefined ? '-' : `${size} MB`} |`,
    );
} finally {
  rmSync(work, { recursive: true, force: true });
}
