// The map of the house, enforced: who may import whom. `LAYERS` and `SIDEWAYS` are the rule; CONTRIBUTING.md says why.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/** Files and folders, lowest layer first. A place may import its own files and every lower layer. */
const LAYERS: readonly (readonly string[])[] = [
  [
    'src/errors.ts',
    'src/names.ts',
    'src/shape.ts',
    'src/rng.ts',
    'src/node-builtin.ts',
    'src/json.ts',
    'src/hash.ts',
    'src/files',
    'src/output.ts',
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
    'src/nn',
    'src/engine',
    'src/shards',
    'src/checkpoint',
    'src/text',
    'src/metrics',
    'src/report',
    'src/data',
  ],
  ['tokenizers', 'priors', 'fixtures'],
  ['src/train', 'src/sample'],
  ['src/registry.ts'],
  ['src/sdk'],
  ['src/index.ts', 'src/cli'],
];

/** What a place may import from its own layer besides itself: places, or single files of one. */
const SIDEWAYS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LAYERS[0]!.map((place) => [place, LAYERS[0]!])),
  'src/nn': ['src/engine', 'src/checkpoint/tensors.ts'], // named tensors: plain data, no files
  'src/data': ['src/media'],
  'src/report': ['src/media', 'src/metrics'],
  'src/train': ['src/sample'],
  'src/cli': ['src/index.ts'],
};

/** Places and packages that only some may import. */
const RESERVED: readonly { what: RegExp; only: readonly string[]; why: string }[] = [
  { what: /^onnxruntime-/, only: ['src/engine'], why: 'only the engine imports ONNX Runtime' },
  { what: /^tokenizers\//, only: ['tokenizers', 'src/registry.ts'], why: 'only the registry names concrete codecs' },
  { what: /^priors\//, only: ['priors', 'src/registry.ts'], why: 'only the registry names concrete priors' },
  { what: /^fixtures\//, only: ['fixtures', 'src/sdk'], why: 'only the demo draws fixtures' },
];

type Tree = ReadonlyMap<string, string>;

interface Edge {
  from: string;
  /** A path of the tree, or the name of a package. */
  to: string;
}

/** Names every import of a tree (path -> source) that breaks a rule, and every cycle. */
function problemsOf(tree: Tree): string[] {
  const lost = [...tree.keys()]
    .filter((path) => !placeOf(path))
    .map((path) => `${path}: belongs to no layer; give it a place in LAYERS`);
  const edges = [...tree].flatMap(([path, source]) => importsOf(path, source, tree));
  return [...lost, ...edges.flatMap(reasonAgainst), ...cyclesOf(edges.filter(({ to }) => tree.has(to)))];
}

/** Static, type-only, dynamic and re-exporting imports alike. */
function importsOf(path: string, source: string, tree: Tree): Edge[] {
  return ts.preProcessFile(source, true, true).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return { from: path, to: fileName };
    const target = posix.join(posix.dirname(path), fileName);
    const typescript = target.replace(/\.js$/, '.ts');
    return { from: path, to: tree.has(typescript) ? typescript : target };
  });
}

function reasonAgainst({ from, to }: Edge): string[] {
  const place = placeOf(from);
  const target = placeOf(to);
  const reserved = RESERVED.find(({ what, only }) => what.test(to) && !only.includes(place ?? ''));
  if (reserved) return [`${from} -> ${to}: ${reserved.why}`];
  if (!place || !target || place === target || SIDEWAYS[place]?.some((name) => name === target || name === to))
    return [];
  const [own, other] = [place, target].map((name) => LAYERS.findIndex((layer) => layer.includes(name))) as [
    number,
    number,
  ];
  if (other > own) return [`${from} -> ${to}: imports upwards, from layer ${own} to layer ${other}`];
  return other === own ? [`${from} -> ${to}: imports sideways within layer ${own}`] : [];
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

const root = fileURLToPath(new URL('..', import.meta.url));

function readTree(): Tree {
  const paths = ['src', 'tokenizers', 'priors', 'fixtures'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) =>
      posix.join(folder, path.replaceAll('\\', '/')),
    ),
  );
  return new Map(
    paths
      .filter((path) => path.endsWith('.ts'))
      .sort()
      .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
  );
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
        'src/nn/conv.ts': `import '../checkpoint/tensors.js'; import '../checkpoint/model.js';`,
        'src/checkpoint/tensors.ts': '',
        'src/checkpoint/model.ts': '',
      },
      'src/nn/conv.ts -> src/checkpoint/model.ts: imports sideways within layer 1',
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
