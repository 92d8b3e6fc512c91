// CONTRIBUTING.md says which files each addition touches. Here they are counted, for everything that was added so far.
import { describe, expect, it } from 'vitest';
import { importsOf, readTree } from './support/tree.js';

const tree = readTree();
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
    expect(QUANTIZERS).toHaveLength(8);
    expect(CODECS).toHaveLength(4);
    expect(PRIORS).toHaveLength(1);
    expect(COMMANDS.length).toBeGreaterThan(10);
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
    expect(layers).toHaveLength(5);
    for (const path of layers) expect(touchedBy(path)).toContain('src/nn.ts');
  });

  it('a medium touches the two registries of media', () => {
    expect(touchedBy('src/media/image/core.ts')).toContain('src/media/registry.ts');
    expect(touchedBy('src/media/image/medium.ts')).toContain('src/media/node.ts');
  });

  // The defaults are named where they are the default: ema-vq, vqvae and gpt. A dVAE is made of Gumbel codes.
  it.each(['simvq', 'vq', 'fsq', 'lfq', 'grouped', 'residual', 'vqvae2', 'dvae', 'vae'])(
    'no file knows "%s" but its own',
    (name) => expect(naming(name)).toEqual([expect.stringContaining(`/${name}.ts`)]),
  );
});
