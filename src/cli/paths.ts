// Paths, checked before anything is loaded and before anything is written.
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { refuseForeignFormat } from '../checkpoint/safetensors-file.js';
import { UsageError } from '../errors.js';
import { guarded } from '../files/system.js';
import { isGlob } from '../names.js';
import { isTemporary } from '../files/commit.js';
import { acquireLock } from '../output.js';
import { expectCreatable, refuseFileName } from '../sdk/output-names.js';
import type { OutputFlags } from './options.js';

/** What a command reads: paths by flag. */
export type Sources = Readonly<Record<string, string | undefined>>;

const LOCK_FILES = ['.tesserae.lock', '.tesserae.lock.reclaim'];

/** @throws {UsageError} E_NOT_FOUND naming the flag. */
export function expectExisting(flag: string, path: string): void {
  if (!existsSync(path))
    throw new UsageError(
      'E_NOT_FOUND',
      `${flag} ${path}: expected a file or directory, found nothing. Check the path.`,
    );
}

/** @throws {UsageError} E_NOT_FOUND naming the flag, unless the path may be a glob: what that matches is seen when the data is opened. */
export function expectData(paths: readonly string[], flag = '--data'): void {
  for (const path of paths) if (!isGlob(path)) expectExisting(flag, path);
}

/** Datasets as inputs of a command. */
export function dataSources(paths: readonly string[]): Sources {
  return Object.fromEntries(paths.map((path, i) => [i === 0 ? '--data' : `--data ${path}`, path]));
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_FILE naming the flag. */
export function expectFile(flag: string, path: string): void {
  expectExisting(flag, path);
  const found = statSync(path);
  if (!found.isFile())
    throw new UsageError(
      'E_NOT_A_FILE',
      `${flag} ${path}: expected a file, found ${found.isDirectory() ? 'a directory' : 'a pipe or device'}.`,
    );
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL unless there is a codec, or something that carries its codec. */
export function expectModel(flag: string, path: string): void {
  expectOneOf(flag, path, [...MODEL_FILES, ...MODEL_FILES.map((file) => join('codec', file))]);
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL unless there is a model. */
export function expectPrior(flag: string, path: string): void {
  expectOneOf(flag, path, MODEL_FILES);
}

/** A journal alone is a model too: a save that was cut short after its bytes were durable. */
const MODEL_FILES = ['model.json', '.commit.json'];

function expectOneOf(flag: string, path: string, files: readonly string[]): void {
  expectExisting(flag, path);
  if (files.some((file) => existsSync(join(path, file)))) return;
  if (!statSync(path).isDirectory()) refuseForeignFormat(path);
  throw new UsageError(
    'E_NOT_A_MODEL',
    `${flag} ${path}: expected a model directory with model.json, found none. Give the directory that training wrote.`,
  );
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET unless there are finished tokens. */
export function expectTokens(flag: string, path: string): void {
  expectExisting(flag, path);
  if (!existsSync(join(path, 'manifest.json'))) {
    throw new UsageError(
      'E_NOT_A_DATASET',
      `${flag} ${path}: expected tokens with manifest.json, found none. Give the directory that "tesserae tokenize" wrote; finish an interrupted one with --resume.`,
    );
  }
}

/**
 * Refuses an output directory that may not be written, without writing.
 *
 * @param options.resumes whether the command has --resume to offer.
 * @throws {UsageError} E_SAME_PATH, E_OUTPUT_NAME, E_OUTPUT_NOT_DIRECTORY, E_OUTPUT_EXISTS. @throws {LockError} E_LOCKED.
 * @throws {IoError} E_IO when nothing can be created there.
 */
export function expectOutputDirectory(
  { out, resume, force }: OutputFlags,
  sources: Sources,
  { resumes = true } = {},
): void {
  expectOtherPath(out, sources);
  if (!existsSync(out)) {
    refuseFileName(out);
    return expectCreatable(out);
  }
  if (!statSync(out).isDirectory())
    throw new UsageError('E_OUTPUT_NOT_DIRECTORY', `--out ${out}: expected a directory, found a file.`);
  const names = guarded(out, 'reading', () => readdirSync(out)).filter((name) => !isTemporary(name));
  // A live writer is the better reason; a dead one's lock goes.
  if (names.includes(LOCK_FILES[0]!)) acquireLock(out).release();
  const content = names.filter((name) => !LOCK_FILES.includes(name)).sort();
  if (content.length > 0 && !resume && !force) {
    const remedy = resumes ? 'Pass --resume to continue, or --force to write over it' : 'Pass --force to write over it';
    throw new UsageError(
      'E_OUTPUT_EXISTS',
      `--out ${out}: expected a new or empty directory, found ${content.length === 1 ? content[0] : `${content[0]} and ${content.length - 1} more`}. ${remedy}.`,
    );
  }
}

/**
 * Refuses an output file that may not be written, without writing.
 *
 * @throws {UsageError} E_SAME_PATH, E_NOT_A_FILE, E_OUTPUT_NOT_DIRECTORY, E_OUTPUT_EXISTS. @throws {IoError} E_IO when
 *   nothing can be created there.
 */
export function expectOutputFile({ out, force }: Pick<OutputFlags, 'out' | 'force'>, sources: Sources): void {
  expectOtherPath(out, sources);
  if (!existsSync(out)) return expectCreatable(out);
  if (statSync(out).isDirectory())
    throw new UsageError('E_NOT_A_FILE', `--out ${out}: expected a new file, found a directory.`);
  if (!force)
    throw new UsageError(
      'E_OUTPUT_EXISTS',
      `--out ${out}: expected a new file, found one. Pass --force to write over it.`,
    );
}

/** @throws {UsageError} E_SAME_PATH when the output is one of the inputs, E_OPTION when it is empty. */
export function expectOtherPath(out: string, sources: Sources): void {
  if (out.trim() === '') throw new UsageError('E_OPTION', '--out: expected a path, received an empty text.');
  for (const [flag, path] of Object.entries(sources)) {
    if (path !== undefined && realPath(path) === realPath(out))
      throw new UsageError(
        'E_SAME_PATH',
        `--out ${out}: expected another path than ${flag}, received the same. Nothing was written.`,
      );
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
