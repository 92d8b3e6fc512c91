// CONTRIBUTING.md says which files each addition touches. Here they are counted, for everything that was added so far. Families are
// found by the type of the value they export: a family is a `QuantizerFamily<..>`, a `CodecFamily<..>` or what `oneMapFamily` and
// `imageFamily` return, or a `PriorFamily<..>`.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importsOf, readTree } from './support/tree.js';

const tree = readTree();
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const edges = [...tree].flatMap(([path, source]) => importsOf(path, source, tree));

/** The files that would change if `path` were added now: itself, and those that import it. */
const touchedBy = (path: string): string[] => [
  path,
  ...new Set(edges.filter(({ to }) => to === path).map(({ from }) => from)),
];

/** The files of a folder that contain `pattern`, which all of one kind do. */
const filesWith = (folder: string, pattern: RegExp): string[] =>
  [...tree].filter(([path, source]) => path.startsWith(folder) && pattern.test(source)).map(([path]) => path);

/** The files that contain a name as a whole string. */
const naming = (name: string): string[] =>
  [...tree].filter(([, source]) => new RegExp(`['"\`]${name}['"\`]`).test(source)).map(([path]) => path);

const QUANTIZERS = filesWith('tokenizers/quantizers/', /: QuantizerFamily<\w+> = \{/);
const CODECS = filesWith('tokenizers/', /= (oneMapFamily|imageFamily)<|: CodecFamily<\w+(, [\w.]+)?> = \{/);
const PRIORS = filesWith('priors/', /: PriorFamily<\w+> = \{/);
const COMMANDS = filesWith('src/cli/', /export function \w+Command\(session: Session\): Command/);

describe('adding', () => {
  it('finds what was added', () => {
    expect(QUANTIZERS.length).toBeGreaterThanOrEqual(8);
    expect(CODECS.length).toBeGreaterThanOrEqual(4);
    expect(PRIORS.length).toBeGreaterThanOrEqual(1);
    expect(COMMANDS.length).toBeGreaterThanOrEqual(14);
  });

  it.each(QUANTIZERS)('the quantizer %s touches one other file, the registry', (path) =>
    expect(touchedBy(path)).toEqual([path, 'tokenizers/quantizers/index.ts']),
  );

  it.each(CODECS)('the codec %s touches one other file, the registry', (path) =>
    expect(touchedBy(path)).toEqual([path, 'src/registry.ts']),
  );

  it.each(PRIORS)('the prior %s touches one other file, the registry', (path) =>
    expect(touchedBy(path)).toEqual([path, 'src/registry.ts']),
  );

  it.each(COMMANDS)('the command %s touches one other file, the program', (path) =>
    expect(touchedBy(path)).toEqual([path, 'src/cli/program.ts']),
  );

  it('a layer touches the entry that exports it', () => {
    const layers = filesWith('src/nn/', /\): Layer \{/);
    expect(layers.length).toBeGreaterThanOrEqual(5);
    const exported = tree.get('src/nn.ts')!;
    for (const path of layers)
      for (const [, name] of tree.get(path)!.matchAll(/^export function (\w+)\([^;]*?\): Layer \{/gm))
        expect(exported).toMatch(new RegExp(`\\b${name}\\b`));
  });

  it('a medium touches the two registries of media', () => {
    expect(touchedBy('src/media/image/core.ts')).toContain('src/media/registry.ts');
    expect(touchedBy('src/media/image/medium.ts')).toContain('src/media/node.ts');
  });

  // The defaults are named where they are the default. A dVAE is made of Gumbel codes.
  const named = [...QUANTIZERS, ...CODECS, ...PRIORS].map((path) => [
    /name: '([\w-]+)',\s*(?:medium|parseConfig|schema)/.exec(tree.get(path)!)![1]!,
    path,
  ]);
  it.each(named.filter(([name]) => !['ema-vq', 'vqvae', 'gpt', 'gumbel'].includes(name!)))(
    'no file knows "%s" but its own',
    (name, path) => expect(naming(name!)).toEqual([path]),
  );

  it.each(named)('the README names "%s"', (name) => expect(readme).toContain(`\`${name}\``));
});
