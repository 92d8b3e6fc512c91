// Wrong arguments are answered at once: nothing heavy is loaded before they are checked.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { MAIN, linesOf, run, temporaryFolder } from './support.js';

const built = join(dirname(MAIN), '..');

/** Modules that are loaded with the given one, itself included; dynamic imports are what waits until it is needed. */
function loadedWith(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  if (!existsSync(path)) return seen; // a package
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext);
  for (const statement of source.statements) {
    const isImport = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement);
    if (!isImport || !statement.moduleSpecifier || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    const name = statement.moduleSpecifier.text;
    loadedWith(name.startsWith('.') ? join(dirname(path), name) : name, seen);
  }
  return seen;
}

it('loads neither engine nor models, images or data before a command runs', () => {
  const loaded = [...loadedWith(MAIN)];
  expect(loaded.length).toBeGreaterThan(15);
  const packages = loaded.filter((path) => !path.startsWith('/') && !path.startsWith('node:') && !existsSync(path));
  expect(packages).toEqual(['commander']);
  const places = new Set(loaded.filter((path) => existsSync(path)).map((path) => relative(built, path).split('/')[0]));
  expect(
    [...places].filter((place) =>
      ['engine', 'nn', 'media', 'data', 'train', 'registry.js', 'shards', 'text'].includes(place!),
    ),
  ).toEqual([]);
});

it('answers a wrong argument in 300 ms', async () => {
  const folder = temporaryFolder();
  const wrong = ['train', 'codec', '--data', 'd', '--out', 'o', '--batch', '-1'];
  // Of processor time, which is what there is to wait for on a machine that does nothing else.
  const { stderr } = await run(folder.path, wrong, { shell: (command) => `TIMEFORMAT='%U %S'; time ${command}` });
  folder.remove();
  const [line, times] = linesOf(stderr) as [string, string];
  expect(line).toMatch(/^E_OPTION --batch: /);
  const seconds = times.split(' ').reduce((sum, part) => sum + Number(part), 0);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(0.3);
});
