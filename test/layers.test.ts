// The map of the house, enforced: who may import whom. `LAYERS` and `SIDEWAYS` are the rule; CONTRIBUTING.md says why.
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { importsOf, readTree } from './support/tree.js';
import type { Edge, Tree } from './support/tree.js';

/** Files and folders, lowest layer first. A place may import its own files and every lower layer. */
const LAYERS: readonly (readonly string[])[] = [
  [
    'src/errors.ts',
    'src/names.ts',
    'src/registered.ts',
    'src/arguments.ts',
    'src/shape.ts',
    'src/rng.ts',
    'src/node-builtin.ts',
    'src/json.ts',
    'src/hash.ts',
    'src/fingerprint.ts',
    'src/files',
    'src/output.ts',
    'src/package-folder.ts',
    'src/memory.ts',
    'src/sealed.ts',
    'src/snapshot.ts',
    'src/optional.ts',
    'src/vendored.ts',
    'src/native.ts',
    'src/interfaces',
  ],
  [
    'src/media',
    'src/model',
    'src/nn',
    'src/losses',
    'src/engine',
    'src/shards',
    'src/checkpoint',
    'src/text',
    'src/metrics',
    'src/report',
    'src/data',
  ],
  ['tokenizers', 'priors', 'fixtures', 'src/codec', 'src/features', 'src/prior'],
  ['src/train', 'src/sample'],
  ['src/registry.ts'],
  ['src/sdk'],
  ['src/index.ts', 'src/browser.ts', 'src/nn.ts', 'src/encode-worker.ts', 'src/cli'],
];

/** What a place may import from its own layer besides itself: places, or single files of one. */
const SIDEWAYS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LAYERS[0]!.map((place) => [place, LAYERS[0]!])),
  'src/model': ['src/engine', 'src/checkpoint/tensors.ts'], // named tensors: plain data, no files
  'src/nn': ['src/engine', 'src/model'],
  'src/losses': ['src/engine', 'src/model', 'src/nn'],
  'src/media': ['src/metrics'],
  'src/data': ['src/media'],
  'src/report': ['src/media', 'src/metrics'],
  'src/train': ['src/sample'],
  'src/index.ts': ['src/nn.ts'],
  'src/encode-worker.ts': ['src/index.ts'],
  'src/cli': ['src/index.ts'],
};

/** Places and packages that only some may import. */
const RESERVED: readonly { what: RegExp; only: readonly string[]; why: string }[] = [
  { what: /^onnxruntime-/, only: ['src/engine'], why: 'only the engine imports ONNX Runtime' },
  { what: /^tokenizers\//, only: ['tokenizers', 'src/registry.ts'], why: 'only the registry names concrete codecs' },
  { what: /^priors\//, only: ['priors', 'src/registry.ts'], why: 'only the registry names concrete priors' },
  { what: /^fixtures\//, only: ['fixtures', 'src/sdk'], why: 'only the demo draws fixtures' },
];

/** Families are mathematics: what codecs, quantizers and priors may import besides each other. */
const MATHEMATICS = [
  'src/errors.ts',
  'src/names.ts',
  'src/registered.ts',
  'src/shape.ts',
  'src/interfaces',
  'src/engine',
  'src/model',
  'src/nn',
  'src/losses',
  'zod',
];

/** The entry for browsers. Whatever is loaded along with it must run there. */
const BROWSER_ENTRY = 'src/browser.ts';

/** Packages that run in browsers. ONNX Runtime is not among them: the page hands it in. */
const BROWSER_PACKAGES = ['@huggingface/tokenizers', '@tensorflow/tfjs-backend-cpu', '@tensorflow/tfjs-core', 'zod'];

/** Globals that only Node.js has. */
const NODE_GLOBALS = ['Buffer', '__dirname', '__filename', 'global', 'module', 'process', 'require', 'setImmediate'];

/** Names every import of a tree (path -> source) that breaks a rule, and every cycle. */
function problemsOf(tree: Tree): string[] {
  const lost = [...tree.keys()]
    .filter((path) => !placeOf(path))
    .map((path) => `${path}: belongs to no layer; give it a place in LAYERS`);
  const edges = [...tree].flatMap(([path, source]) => importsOf(path, source, tree));
  return [...lost, ...edges.flatMap(reasonAgainst), ...cyclesOf(edges.filter(({ to }) => tree.has(to)))];
}

function reasonAgainst({ from, to }: Edge): string[] {
  const place = placeOf(from);
  const target = placeOf(to);
  const reserved = RESERVED.find(({ what, only }) => what.test(to) && !only.includes(place ?? ''));
  if (reserved) return [`${from} -> ${to}: ${reserved.why}`];
  const isFamily = place === 'tokenizers' || place === 'priors';
  if (isFamily && target !== place && !MATHEMATICS.includes(target ?? to))
    return [`${from} -> ${to}: a family is mathematics; files, media and reports are the work of others`];
  if (!place || !target || place === target || SIDEWAYS[place]?.some((name) => name === target || name === to))
    return [];
  const [own, other] = [place, target].map((name) => LAYERS.findIndex((layer) => layer.includes(name))) as [
    number,
    number,
  ];
  if (other > own) return [`${from} -> ${to}: imports upwards, from layer ${own} to layer ${other}`];
  return other === own ? [`${from} -> ${to}: imports sideways within layer ${own}`] : [];
}

/** Names what keeps the browser entry from running in a browser, and the way it is reached. */
function browserProblemsOf(tree: Tree): string[] {
  const reachedBy = new Map<string, string | undefined>([[BROWSER_ENTRY, undefined]]);
  const wayTo = (path: string): string => {
    const importer = reachedBy.get(path);
    return importer === undefined ? path : `${wayTo(importer)} -> ${path}`;
  };
  const problems: string[] = [];
  for (const path of reachedBy.keys()) {
    const file = compiled(path, tree.get(path)!);
    problems.push(...nodeGlobalsIn(file).map((name) => `${wayTo(path)}: uses ${name}, which browsers lack`));
    for (const { to } of importsOf(path, file.text, tree)) {
      if (tree.has(to)) reachedBy.set(to, reachedBy.has(to) ? reachedBy.get(to) : path);
      else if (!BROWSER_PACKAGES.includes(to)) problems.push(`${wayTo(path)} -> ${to}: does not run in browsers`);
    }
  }
  return problems;
}

/** A file as it runs, without its types. */
function compiled(path: string, source: string): ts.SourceFile {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  return ts.createSourceFile(path, outputText, ts.ScriptTarget.ES2023, true, ts.ScriptKind.JS);
}

/** Bare names of Node's globals among a file's expressions. `globalThis.process?.` is a guard, and allowed. */
function nodeGlobalsIn(file: ts.SourceFile): string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    const isMember =
      (ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) ||
      (ts.isPropertyAssignment(node.parent) && node.parent.name === node);
    if (ts.isIdentifier(node) && NODE_GLOBALS.includes(node.text) && !isMember) found.add(node.text);
    node.forEachChild(visit);
  };
  file.forEachChild(visit);
  return [...found];
}

function placeOf(path: string): string | undefined {
  return LAYERS.flat().find((place) => path === place || path.startsWith(`${place}/`));
}

/** One cycle for each edge that closes one, by depth-first search. */
function cyclesOf(edges: readonly Edge[]): string[] {
  const next = new Map<string, Edge[]>();
  for (const edge of edges) next.set(edge.from, [...(next.get(edge.from) ?? []), edge]);
  const done = new Set<string>();
  const path: string[] = [];
  const cycles: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push(`cycle: ${[...path.slice(at), file].join(' -> ')}`);
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const { to } of next.get(file) ?? []) visit(to);
    path.pop();
    done.add(file);
  };
  for (const { from } of edges) visit(from);
  return cycles;
}

describe('the layers', () => {
  it('hold in this tree, without cycles', () => {
    const tree = readTree();
    expect(tree.size).toBeGreaterThan(10);
    expect(problemsOf(tree)).toEqual([]);
  });

  it.each<[string, Record<string, string>, string]>([
    [
      'an import upwards',
      { 'src/media/image.ts': `import { train } from '../train/codec.js';`, 'src/train/codec.ts': '' },
      'src/media/image.ts -> src/train/codec.ts: imports upwards, from layer 1 to layer 3',
    ],
    [
      'an import sideways',
      { 'src/shards/write.ts': `export { a } from '../data/open.js';`, 'src/data/open.ts': '' },
      'src/shards/write.ts -> src/data/open.ts: imports sideways within layer 1',
    ],
    [
      'more of a place than the file it opens',
      {
        'src/model/params.ts': `import '../checkpoint/tensors.js'; import '../checkpoint/model.js';`,
        'src/checkpoint/tensors.ts': '',
        'src/checkpoint/model.ts': '',
      },
      'src/model/params.ts -> src/checkpoint/model.ts: imports sideways within layer 1',
    ],
    [
      'a type imported upwards',
      { 'src/rng.ts': `import type { Codec } from './registry.js';`, 'src/registry.ts': '' },
      'src/rng.ts -> src/registry.ts: imports upwards, from layer 0 to layer 4',
    ],
    [
      'a codec that knows a prior',
      { 'tokenizers/vqvae.ts': `const gpt = await import('../priors/gpt.js');`, 'priors/gpt.ts': '' },
      'tokenizers/vqvae.ts -> priors/gpt.ts: only the registry names concrete priors',
    ],
    [
      'a family that reads files',
      { 'tokenizers/vqvae.ts': `import { readFile } from '../src/files/read.js';`, 'src/files/read.ts': '' },
      'tokenizers/vqvae.ts -> src/files/read.ts: a family is mathematics; files, media and reports are the work of others',
    ],
    [
      'a family that loads a package for pictures',
      { 'tokenizers/vqvae.ts': `import sharp from 'sharp';` },
      'tokenizers/vqvae.ts -> sharp: a family is mathematics; files, media and reports are the work of others',
    ],
    [
      'a command that names a codec',
      { 'src/cli/train.ts': `import { VqVae } from '../../tokenizers/vqvae.js';`, 'tokenizers/vqvae.ts': '' },
      'src/cli/train.ts -> tokenizers/vqvae.ts: only the registry names concrete codecs',
    ],
    [
      'ONNX Runtime outside the engine',
      { 'src/nn/conv.ts': `import * as ort from 'onnxruntime-node';` },
      'src/nn/conv.ts -> onnxruntime-node: only the engine imports ONNX Runtime',
    ],
    ['a file without a place', { 'src/utils.ts': '' }, 'src/utils.ts: belongs to no layer; give it a place in LAYERS'],
    [
      'a cycle',
      { 'src/nn/a.ts': `import './b.js';`, 'src/nn/b.ts': `import './c.js';`, 'src/nn/c.ts': `import './a.js';` },
      'cycle: src/nn/a.ts -> src/nn/b.ts -> src/nn/c.ts -> src/nn/a.ts',
    ],
  ])('name %s', (_, files, problem) => expect(problemsOf(new Map(Object.entries(files)))).toEqual([problem]));

  it('allow what the house is made of', () => {
    const files = {
      'src/registry.ts': `import { vqvae } from '../tokenizers/vqvae.js'; import '../priors/gpt.js';`,
      'tokenizers/vqvae.ts': `import { ema } from './quantizers/ema.js'; import { conv } from '../src/nn/conv.js'; import { z } from 'zod';`,
      'tokenizers/quantizers/ema.ts': '',
      'priors/gpt.ts': `import type { Prior } from '../src/interfaces/prior.js';`,
      'src/interfaces/prior.ts': '',
      'src/nn/conv.ts': `import { compile } from '../engine/index.js'; // import '../cli/main.js'`,
      'src/engine/index.ts': `import 'onnxruntime-node'; const text = "import '../cli/main.js'";`,
      'src/cli/main.ts': `import { open } from '../registry.js'; const sdk = await import('../sdk/demo.js');`,
      'src/sdk/demo.ts': `import { open } from '../registry.js'; import { drawScene } from '../../fixtures/shapes.js';`,
      'fixtures/shapes.ts': `import { Rng } from '../src/rng.js';`,
      'src/rng.ts': '',
    };
    expect(problemsOf(new Map(Object.entries(files)))).toEqual([]);
  });
});

describe('the browser entry', () => {
  it('loads nothing that needs Node.js', () => expect(browserProblemsOf(readTree())).toEqual([]));

  it.each<[string, Record<string, string>, string]>([
    [
      'a module of Node.js, with the way to it',
      {
        'src/browser.ts': `export { a } from './a.js';`,
        'src/a.ts': `import { b } from './b.js';`,
        'src/b.ts': `import * as fs from 'node:fs';`,
      },
      'src/browser.ts -> src/a.ts -> src/b.ts -> node:fs: does not run in browsers',
    ],
    [
      'a native package that is loaded late',
      { 'src/browser.ts': `const sharp = await import('sharp');` },
      'src/browser.ts -> sharp: does not run in browsers',
    ],
    [
      'a value among imported types',
      { 'src/browser.ts': `import { type Stats, statSync } from 'node:fs';` },
      'src/browser.ts -> node:fs: does not run in browsers',
    ],
    [
      'ONNX Runtime, which the page hands in',
      { 'src/browser.ts': `import * as ort from 'onnxruntime-web';` },
      'src/browser.ts -> onnxruntime-web: does not run in browsers',
    ],
    [
      'a global of Node.js',
      { 'src/browser.ts': `export const text = Buffer.from('a').toString();` },
      'src/browser.ts: uses Buffer, which browsers lack',
    ],
    [
      'the environment of a process',
      { 'src/browser.ts': `if (process.env.DEBUG) debugger;` },
      'src/browser.ts: uses process, which browsers lack',
    ],
  ])('may not use %s', (_, files, problem) =>
    expect(browserProblemsOf(new Map(Object.entries(files)))).toEqual([problem]),
  );

  it('may use types of Node.js, guarded globals, and members of the same names', () => {
    const files = {
      'src/browser.ts': `
        import type { Stats } from 'node:fs';
        export type { Worker } from 'node:worker_threads';
        import { z } from 'zod';
        export const builtin: typeof process.getBuiltinModule | undefined = globalThis.process?.getBuiltinModule;
        export const worker = { process: 1 }.process; // process.exit()
        export const text = 'require("fs")';`,
    };
    expect(browserProblemsOf(new Map(Object.entries(files)))).toEqual([]);
  });
});
