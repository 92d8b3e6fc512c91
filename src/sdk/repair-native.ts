// Restores the native library of ONNX Runtime: npm downloads the package's tarball from its registry, with the user's own
// settings, and the files are copied from there, whichever package manager installed Tesserae.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { CorruptError, IoError, UsageError, firstLineOf } from '../errors.js';
import { createDirectory, writeFileAtomic } from '../files/commit.js';
import { guarded } from '../files/system.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import { NATIVE_PACKAGE, SYSTEM, hasNativeBuild, nativeFiles, nativeFolder } from '../native.js';
import { vendoredPackages } from '../vendored.js';

export interface NativeRepair {
  /** Folder of the package that was repaired. */
  folder: string;
  /** Files that were missing or damaged and were written. */
  restored: string[];
}

/**
 * Restores the files of the native library that are missing or damaged.
 *
 * @param onStep called with a sentence for each step.
 * @throws {UsageError} E_REPAIR if there is no build for this system, or in a checkout. @throws {IoError} E_REPAIR
 *   when npm or the registry cannot be reached, or the folder may not be written. @throws {CorruptError} E_REPAIR when
 *   the download is not the package.
 */
export async function repairNative(onStep: (line: string) => void = () => undefined): Promise<NativeRepair> {
  if (!hasNativeBuild)
    throw new UsageError(
      'E_REPAIR',
      `native library: expected a system that ONNX Runtime has a build for, received ${SYSTEM}. WebAssembly goes on computing there.`,
    );
  const vendored = vendoredPackages()?.[NATIVE_PACKAGE];
  const folder = nativeFolder();
  if (!vendored || !folder)
    throw new UsageError(
      'E_REPAIR',
      'native library: expected an installed package, found a checkout. Run "npm ci" there.',
    );
  const lost = nativeFiles().filter((file) => !isIntact(join(folder, file), vendored.files[file]!));
  if (lost.length === 0) return { folder, restored: [] };
  lost.forEach((file) => onStep(`${join(folder, file)} is missing or damaged.`));
  // Before the download, because a folder that may not be written ends the repair.
  lost.forEach((file) => createDirectory(dirname(join(folder, file))));
  probe(dirname(join(folder, lost[0]!)));
  const spec = `${NATIVE_PACKAGE}@${vendored.version}`;
  onStep(`Fetching ${spec} from the npm registry (about 115 MB), without running its scripts.`);
  const work = mkdtempSync(join(tmpdir(), 'tesserae-repair-'));
  try {
    const tarball = await fetchTarball(spec, work);
    await expectIntegrity(tarball, vendored.integrity, spec);
    const wanted = new Set(lost);
    for await (const entry of createReadStream(tarball).pipe(createGunzip()).pipe(extract())) {
      const file = entry.header.name.replace(/^[^/]+\//, '');
      if (!wanted.delete(file)) entry.resume();
      else writeFileAtomic(join(folder, file), await buffer(entry));
    }
    const [absent] = wanted;
    if (absent !== undefined)
      throw new CorruptError(
        'E_REPAIR',
        `${spec}: expected ${absent} in its tarball, found none. Install tesserae again.`,
      );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { folder, restored: lost };
}

function isIntact(path: string, expected: string): boolean {
  try {
    return sha256(readFile(path)) === expected;
  } catch {
    return false;
  }
}

/** Fails if the folder may not be written. */
function probe(folder: string): void {
  guarded(folder, 'writing', () => rmSync(mkdtempSync(join(folder, 'probe.tmp-')), { recursive: true }));
}

/** Lets npm, which knows the user's registry, proxy and credentials, download a tarball. @returns its path. */
async function fetchTarball(spec: string, work: string): Promise<string> {
  const failed = (reason: string, cause?: unknown): IoError =>
    new IoError(
      'E_REPAIR',
      `npm pack ${spec}: expected the tarball, received "${reason}". Check that npm works here and reaches its registry, or install tesserae again.`,
      { cause },
    );
  // npm is a script of the shell on Windows. Nothing here comes from outside.
  const child = spawn(
    'npm',
    ['pack', spec, '--ignore-scripts', '--fetch-retries=1', '--fetch-retry-mintimeout=1000', '--loglevel=error'],
    { cwd: work, shell: process.platform === 'win32', stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(failed(firstLineOf(error), error)));
    child.on('close', resolve);
  });
  const [tarball] = readdirSync(work).filter((name) => name.endsWith('.tgz'));
  if (code !== 0 || tarball === undefined) throw failed(reasonIn(complaints) ?? `exit code ${code}`);
  return join(work, tarball);
}

/** The error message of npm, without its prefixes. */
function reasonIn(complaints: string): string | undefined {
  const lines = complaints.split('\n').map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim());
  return lines.find((line) => line !== '' && !/^(code|errno|syscall)\b/.test(line));
}

/** @throws {CorruptError} E_REPAIR unless the file has the digest that was recorded when Tesserae was packed. */
async function expectIntegrity(path: string, integrity: string, spec: string): Promise<void> {
  const [algorithm, expected] = integrity.split(/-(.*)/s) as [string, string];
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const found = hash.digest('base64');
  if (found !== expected)
    throw new CorruptError(
      'E_REPAIR',
      `${spec}: expected a tarball with ${algorithm} ${expected}, received ${found}. The registry serves another file under this name.`,
    );
}
