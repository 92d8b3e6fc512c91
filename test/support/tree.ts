// The sources of the package and what they import, for tests of the architecture.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Sources by their path from the root, with slashes. */
export type Tree = ReadonlyMap<string, string>;

export interface Edge {
  from: string;
  /** A path of the tree, or the name of a package. */
  to: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

export function readTree(): Tree {
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

/** Static, type-only, dynamic and re-exporting imports alike. */
export function importsOf(path: string, source: string, tree: Tree): Edge[] {
  return ts.preProcessFile(source, true, true).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return { from: path, to: fileName };
    const target = posix.join(posix.dirname(path), fileName);
    const typescript = target.replace(/\.js$/, '.ts');
    return { from: path, to: tree.has(typescript) ? typescript : target };
  });
}
