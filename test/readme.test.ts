// What the README and the pages beside it say is tried: its commands parse, its TypeScript type-checks, its Python reads a shard.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../src/cli/program.js';
import { Session } from '../src/cli/session.js';
import { ShardWriter } from '../src/shards/writer.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = ['README.md', 'docs/codecs.md'].map((name) => readFileSync(join(root, name), 'utf8'));

/** The code blocks of a language. */
const blocks = (language: string): string[] =>
  pages.flatMap((page) =>
    [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map((match) => match[1]!),
  );

const commands = blocks('sh').flatMap((block) => block.split('\n').filter((line) => line.startsWith('tesserae ')));

/** Words as a shell splits them; enough for what the README uses. */
const words = (line: string): string[] =>
  [...line.replace(/ #.*$/, '').matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);

/** The command line with actions that do nothing. */
function parser(): Command {
  const idle = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => undefined);
    command.commands.forEach((each) => idle(each as Command));
  };
  const program = buildProgram(new Session());
  idle(program);
  return program;
}

describe('the README', () => {
  it('has commands for every job', () => expect(commands.length).toBeGreaterThan(12));

  it.each(commands)('has a command that parses: %s', async (line) => {
    await expect(parser().parseAsync(words(line).slice(1), { from: 'user' })).resolves.toBeDefined();
  });

  it('has settings that are a preset', async () => {
    const { expectSettings } = await import('../src/cli/settings.js');
    const { codecFamily } = await import('../src/registry.js');
    const directory = mkdtempSync(join(tmpdir(), 'tesserae-readme-'));
    const [settings] = blocks('json');
    writeFileSync(join(directory, 'settings.json'), settings!);
    await expectSettings('codec', { config: join(directory, 'settings.json') });
    const { codec, config } = JSON.parse(settings!) as { codec: string; config: unknown };
    expect(() => codecFamily(codec).parseConfig(config)).not.toThrow();
    rmSync(directory, { recursive: true });
  });

  it('has TypeScript that type-checks against the package', () => {
    const path = join(root, 'dist', 'readme.ts');
    mkdirSync(join(root, 'dist'), { recursive: true });
    writeFileSync(path, blocks('ts').join('\n'));
    const program = ts.createProgram([path], {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      types: ['node'],
      strict: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      noEmit: true,
    });
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
    rmSync(path);
    expect(problems).toEqual([]);
  });

  const python = process.env['TESSERAE_PYTHON'] ?? 'python3';
  it.skipIf(spawnSync(python, ['-c', 'import msgpack, numpy']).status !== 0)(
    'has Python that reads a shard',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'tesserae-readme-'));
      const fingerprint = 'ab'.repeat(32);
      const maps = [{ name: 'codes', grid: [2, 3], levels: 1, vocabSize: 300 }];
      const writer = await ShardWriter.open(join(directory, 'runs/tokens'), {
        codec: { fingerprint, name: 'vqvae', config: {} },
        maps,
        source: 'a test',
        dataset: 'none',
      });
      await writer.append('train', {
        key: 'a',
        captions: [],
        tokens: {
          codec: fingerprint,
          media: { kind: 'image', width: 3, height: 2, channels: 3 },
          maps: [{ ...maps[0]!, ids: Uint16Array.of(0, 1, 2, 3, 4, 299) }],
        },
      });
      await writer.close();
      const { stdout, stderr } = spawnSync(python, ['-c', `${blocks('python')[0]}\nprint(ids.tolist())`], {
        cwd: directory,
        encoding: 'utf8',
      });
      rmSync(directory, { recursive: true });
      expect({ stdout, stderr }).toEqual({ stdout: '[[0, 1, 2], [3, 4, 299]]\n', stderr: '' });
    },
  );
});
