// Bundles pages with Vite and opens them in headless Chromium: one whose results are compared to the Node entry's, and
// the example of docs/browser.md.
//
//   npm run build && node test/browser/run.mjs [--report FILE]
//
// Needs Chromium (Debian: apt-get install chromium); CHROMIUM names another program. Ends with "N passed, N failed".
import { spawn, spawnSync } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'vite';
import { fromRgba } from '../../dist/src/browser.js';
import { loadCodec, loadPrior } from '../../dist/src/index.js';
import { drawing, perform } from './task.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values: flags } = parseArgs({ options: { report: { type: 'string' } } });
// Within the project, so that packages resolve.
const cache = join(root, 'node_modules/.cache');
mkdirSync(cache, { recursive: true });
const work = mkdtempSync(join(cache, 'browser-'));
/** A cold start on a busy machine takes half of it. */
const PAGE_MILLISECONDS = 120_000;
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

let [passed, failed] = [0, 0];

/** Runs one check and prints how it went. @returns what it returned, or undefined when it failed. */
async function check(title, body) {
  const start = performance.now();
  try {
    const result = await body();
    passed += 1;
    console.log(`ok      ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    return result;
  } catch (error) {
    failed += 1;
    console.log(`not ok  ${title}\n  ${String(error.stack ?? error).replaceAll('\n', '\n  ')}`);
    return undefined;
  }
}

function findChromium() {
  const names = [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome'].filter(Boolean);
  const found = names.find((name) => spawnSync(name, ['--version']).status === 0);
  assert.ok(found, `expected one of ${names.join(', ')}, found none: install Chromium, or name it in CHROMIUM`);
  return found;
}

/** Bundles the page of a folder; a module of Node.js in it fails the build. @returns the folder of the bundle. */
async function bundle(page) {
  const outDir = mkdtempSync(join(work, 'bundle-'));
  const warnings = [];
  await build({
    root: page,
    base: './',
    configFile: false,
    logLevel: 'error',
    resolve: { alias: { 'tesserae/browser': join(root, 'dist/src/browser.js') } },
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      rollupOptions: { onwarn: (warning) => void warnings.push(warning.message) },
    },
  });
  assert.deepEqual(
    warnings.filter((message) => /externalized for browser|node:/.test(message)),
    [],
  );
  return outDir;
}

/** Serves the bundle and the models. @returns the address, and the outcome that the page sends. */
async function serve(folder) {
  let receive;
  const outcome = new Promise((resolve) => (receive = resolve));
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    if (request.method === 'POST') {
      receive(JSON.parse(await text(request)));
      return response.end();
    }
    const file = path.startsWith('/models/')
      ? join(root, 'fixtures', path)
      : join(folder, path === '/' ? 'index.html' : path);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    return createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, outcome, close: () => server.close() };
}

/** Opens the page in a browser of its own. @returns what the page sends. */
async function openPage(chromium, { url, outcome }) {
  const browser = spawn(
    chromium,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
      `--user-data-dir=${join(work, 'profile')}`,
      url,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const messages = [];
  browser.stderr.on('data', (chunk) => messages.push(chunk));
  const closed = new Promise((resolve) => browser.once('exit', resolve));
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the page sent nothing in ${PAGE_MILLISECONDS / 1000} s\n${Buffer.concat(messages)}`)),
      PAGE_MILLISECONDS,
    );
  });
  try {
    const sent = await Promise.race([outcome, tooLate]);
    assert.equal(sent.error, undefined);
    return sent;
  } finally {
    clearTimeout(timer);
    browser.kill();
    await closed;
  }
}

/** What the Node entry makes. */
async function expectedOutcome() {
  const codec = await loadCodec(join(root, 'fixtures/models/shapes/codec'));
  const prior = await loadPrior(join(root, 'fixtures/models/shapes'));
  return perform(codec, prior, fromRgba(drawing()));
}

/** The native library and WebAssembly add up in different orders: a value may round to its neighbor. */
function assertNear(pixels, expected) {
  assert.equal(pixels.length, expected.length);
  const errors = pixels.map((value, i) => Math.abs(value - expected[i]));
  assert.ok(Math.max(...errors) <= 1);
  assert.ok(errors.filter((error) => error > 0).length < pixels.length / 100);
}

/**
 * Writes the example of docs/browser.md to a folder, with a line that sends what its canvas shows. @returns the folder.
 */
function writeExample() {
  const folder = join(work, 'example');
  const page = readFileSync(join(root, 'docs/browser.md'), 'utf8');
  const block = (language) => new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(page)[1];
  mkdirSync(folder);
  writeFileSync(join(folder, 'index.html'), block('html'));
  writeFileSync(
    join(folder, 'main.js'),
    `${block('js')}
const { width, height } = canvas;
const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
await fetch('outcome', { method: 'POST', body: JSON.stringify({ width, height, data: [...data] }) });
`,
  );
  return folder;
}

/** Bundles a page, serves it, and opens it. @returns what it sends. */
async function runPage(chromium, page) {
  const server = await serve(await bundle(page));
  try {
    return await openPage(chromium, server);
  } finally {
    server.close();
  }
}

async function compareWithNode(chromium) {
  const made = await check('a page encodes, decodes and generates', () =>
    runPage(chromium, join(root, 'test/browser/page')),
  );
  if (!made) return;
  const expected = await expectedOutcome();
  await check('ids are those of the Node entry', () => assert.deepEqual(made.ids, expected.ids));
  await check('pictures are those of the Node entry', () =>
    made.pictures.forEach((pixels, i) => assertNear(pixels, expected.pictures[i])),
  );
  await check('the canvas shows the reconstruction', () => assert.deepEqual(made.shown, made.pictures[0]));
}

/** True for a pixel of a color that is far nearer to one primary than to the others. */
const isMostly = (channel, [...rgb]) => rgb.every((value, c) => c === channel || rgb[channel] > value + 60);

async function tryExample(chromium) {
  await check('the example of docs/browser.md draws a red and a blue shape', async () => {
    const { width, height, data } = await runPage(chromium, writeExample());
    const colors = Array.from({ length: width * height }, (_, i) => data.slice(4 * i, 4 * i + 3));
    for (const channel of [0, 2]) assert.ok(colors.filter((color) => isMostly(channel, color)).length > 10);
  });
}

try {
  const chromium = await check('Chromium is here', findChromium);
  if (chromium) {
    await compareWithNode(chromium);
    await tryExample(chromium);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (flags.report) writeFileSync(flags.report, JSON.stringify({ passed, failed }));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
