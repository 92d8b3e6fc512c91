// The examples: they type-check against the package, and each runs to its end on small data.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = readdirSync(join(root, 'examples'));
const work = mkdtempSync(join(tmpdir(), 'tesserae-examples-'));

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  allowJs: true,
  checkJs: true,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
};

afterAll(() => rmSync(work, { recursive: true, force: true }));

/** Runs an example in a folder of its own and returns what it prints. */
function runExample(name: string, ...args: string[]): string {
  return execFileSync(process.execPath, [join(root, 'examples', `${name}.mjs`), ...args], {
    cwd: work,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

describe('the examples', () => {
  it('type-check against the package', () => {
    const program = ts.createProgram(
      names.map((name) => join(root, 'examples', name)),
      options,
    );
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText, file }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
    expect(problems).toEqual([]);
  }, 180_000);

  it('run: four jobs, then what they made is read, completed and measured', () => {
    const story = runExample('pictures-to-pictures', 'out', '4');
    expect(story).toContain("written: [ 'out/discs.png' ]");
    expect(runExample('read-shards', 'out/tokens')).toMatch(
      /^\d+ training samples, \d+ held out, codec vqvae\nfirst: disc-0, "a small red disc", ids/,
    );
    expect(runExample('codec-round-trip', 'out/codec', 'out/discs.png')).toMatch(
      /codes: \[8, 8\] with 1 of 256 codes at each position, the first: [\d ]+\nPSNR \d+\.\d\d dB/,
    );
    expect(runExample('complete-a-picture', 'out/prior', 'round-trip.png', 'a small red disc')).toContain(
      "written: [ 'completions.png' ]",
    );
    for (const file of ['out/discs.png', 'round-trip.png', 'completions.png'])
      expect(existsSync(join(work, file))).toBe(true);
  }, 180_000);

  it('are all run here, or in a test of their own', () => {
    expect(names.sort()).toEqual([
      'codec-round-trip.mjs',
      'complete-a-picture.mjs',
      'pictures-to-pictures.mjs',
      'read-shards.mjs',
      'server.mjs', // test/server.test.ts
    ]);
  });
});
