// Runs the built command line as people do, on data and models small enough to be made in a second.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeShapeFolder } from '../../fixtures/shapes.js';

export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
if (!existsSync(MAIN)) throw new Error(`${MAIN}: expected the built command line. Run "npm run build" first.`);

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  finished: Promise<Finished>;
}

/** Starts `tesserae ...args` in a folder. `shell` wraps the command line, e.g. in limits. */
export function start(
  cwd: string,
  args: readonly string[],
  { shell }: { shell?: (command: string) => string } = {},
): Running {
  // One thread computes the same as two, and leaves the other core to other tests.
  const env = { ...process.env, TESSERAE_THREADS: '1' };
  const quoted = [process.execPath, MAIN, ...args].map((part) => `'${part.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = shell
    ? spawn('bash', ['-c', shell(quoted)], { cwd, env })
    : spawn(process.execPath, [MAIN, ...args], { cwd, env });
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, finished };
}

export const run = (
  cwd: string,
  args: readonly string[],
  options: { shell?: (command: string) => string } = {},
): Promise<Finished> => start(cwd, args, options).finished;

/** Runs to the end and fails unless the exit code is 0. */
export async function succeed(cwd: string, args: readonly string[]): Promise<Finished> {
  const result = await run(cwd, args);
  if (result.code !== 0) throw new Error(`tesserae ${args.join(' ')}: exit ${result.code}\n${result.stderr}`);
  return result;
}

export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tesserae-cli-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Small enough for a step of a few milliseconds. */
export const CODEC_SETTINGS = {
  codec: 'vqvae',
  config: {
    height: 16,
    width: 16,
    downsample: 4,
    hidden: 8,
    residualLayers: 1,
    residualHidden: 4,
    quantizer: { codebookSize: 16, codeDim: 4 },
  },
  training: { steps: 12, batchSize: 8, learningRate: 1e-3, warmupSteps: 2, evalEvery: 1000, checkpointEvery: 5 },
};

export const PRIOR_SETTINGS = {
  prior: 'gpt',
  config: { nLayer: 1, nHead: 2, nEmbd: 16 },
  text: { vocabSize: 300 },
  training: { steps: 12, batchSize: 8, learningRate: 1e-3, warmupSteps: 2, evalEvery: 1000, checkpointEvery: 5 },
};

/** `data/` with captioned pictures, `codec.json` and `prior.json`. */
export async function writeInputs(folder: string, count = 60): Promise<void> {
  mkdirSync(join(folder, 'data'));
  await writeShapeFolder(join(folder, 'data'), { count, seed: 1 });
  writeFileSync(join(folder, 'codec.json'), JSON.stringify(CODEC_SETTINGS));
  writeFileSync(join(folder, 'prior.json'), JSON.stringify(PRIOR_SETTINGS));
}

/** Also `codec/` and `tokens/`, made by their commands. */
export async function writeTokens(folder: string): Promise<void> {
  await succeed(folder, ['train', 'codec', '--data', 'data', '--out', 'codec', '--config', 'codec.json']);
  await succeed(folder, ['tokenize', '--data', 'data', '--codec', 'codec', '--out', 'tokens']);
}

/** Also `prior/`. */
export async function writeModels(folder: string): Promise<void> {
  await writeTokens(folder);
  await succeed(folder, ['train', 'prior', '--tokens', 'tokens', '--out', 'prior', '--config', 'prior.json']);
}

/** sha256 of every file below a folder, by relative path. */
export function contentsOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), sha256Of(path)]));
}

export function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Waits until `condition` holds, at most half a minute. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 30_000; !condition();) {
    if (Date.now() > end) throw new Error(`waited half a minute for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The lines of a text, without the empty last one. */
export const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** The lines of stderr without the account of the data, and without warnings. */
export const errorsOf = (stderr: string): string[] =>
  linesOf(stderr).filter((line) => !/^(data|tokens|conditioning|warning): /.test(line));
