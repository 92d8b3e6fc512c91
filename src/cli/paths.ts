// Validates paths before anything is loaded or written.
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bundledRemedy, modelDirectory } from '../checkpoint/bundled.js';
import { refuseForeignFormat } from '../checkpoint/foreign-format.js';
import { UsageError } from '../errors.js';
import { guarded } from '../files/system.js';
import { isGlob } from '../names.js';
import { isTemporary } from '../files/commit.js';
import { acquireLock } from '../output.js';
import type { AnyMedium } from '../media/medium.js';
import {
  expectCreatable,
  isFileOf,
  prepareFile,
  prepareFolder,
  refuseFileName,
  refuseOneFile,
  refuseOtherFiles,
} from '../sdk/output-names.js';
import type { OutputFlags } from './options.js';

/** Paths that a command reads, by flag. */
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

/**
 * Checks that data paths exist, except globs, which are matched when the data are opened.
 *
 * @throws {UsageError} E_NOT_FOUND naming the flag.
 */
export function expectData(paths: readonly string[], flag = '--data'): void {
  for (const path of paths) if (!isGlob(path)) expectExisting(flag, path);
}

/** Returns dataset paths as inputs of a command. */
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

/**
 * @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL unless the path is a codec, or tokens or a prior that contain one.
 */
export function expectModel(flag: string, path: string): void {
  expectOneOf(flag, path, [...MODEL_FILES, ...MODEL_FILES.map((file) => join('codec', file))]);
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_MODEL unless the path is a model. */
export function expectPrior(flag: string, path: string): void {
  expectOneOf(flag, path, MODEL_FILES);
}

/** A journal alone also indicates a model, namely one whose save was interrupted after its bytes were durable. */
const MODEL_FILES = ['model.json', '.commit.json'];

function expectOneOf(flag: string, name: string, files: readonly string[]): void {
  const path = modelDirectory(name);
  if (!existsSync(path))
    throw new UsageError('E_NOT_FOUND', `${flag} ${path}: expected a model, found nothing. ${bundledRemedy()}`);
  if (files.some((file) => existsSync(join(path, file)))) return;
  if (!statSync(path).isDirectory()) refuseForeignFormat(path);
  throw new UsageError(
    'E_NOT_A_MODEL',
    `${flag} ${path}: expected a model directory with model.json, found none. Give the directory that training wrote.`,
  );
}

/** @throws {UsageError} E_NOT_FOUND, E_NOT_A_DATASET unless the path contains complete tokens. */
export function expectTokens(flag: string, path: string): void {
  expectExisting(flag, path);
  if (!existsSync(join(path, 'manifest.json'))) {
    throw new UsageError(
      'E_NOT_A_DATASET',
      `${flag} ${path}: expected tokens with manifest.json, found none. Give the directory that "tesserae tokenize" wrote, or complete an interrupted run with --resume.`,
    );
  }
}

/**
 * Checks that an output directory may be written, without writing.
 *
 * @param options.resumes Whether the command has --resume.
 * @throws {UsageError} E_SAME_PATH, E_OUTPUT_NAME, E_OUTPUT_NOT_DIRECTORY, E_OUTPUT_EXISTS.
 * @throws {LockError} E_LOCKED.
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
  // Report a live writer before reporting existing content. A stale lock is removed.
  if (names.includes(LOCK_FILES[0]!)) acquireLock(out).release();
  const content = names.filter((name) => !LOCK_FILES.includes(name)).sort();
  if (content.length > 0 && !resume && !force) {
    const remedy = resumes ? 'Pass --resume to continue, or --force to overwrite it' : 'Pass --force to overwrite it';
    throw new UsageError(
      'E_OUTPUT_EXISTS',
      `--out ${out}: the directory is not empty (${content.length === 1 ? content[0] : `${content[0]} and ${content.length - 1} more`}). ${remedy}.`,
    );
  }
}

/**
 * Checks that an output file may be written, without writing.
 *
 * @throws {UsageError} E_SAME_PATH, E_NOT_A_FILE, E_OUTPUT_NOT_DIRECTORY, E_OUTPUT_EXISTS.
 * @throws {IoError} E_IO when nothing can be created there.
 */
export function expectOutputFile({ out, force }: Pick<OutputFlags, 'out' | 'force'>, sources: Sources): void {
  expectOtherPath(out, sources);
  if (!existsSync(out)) return expectCreatable(out);
  if (statSync(out).isDirectory())
    throw new UsageError('E_NOT_A_FILE', `--out ${out}: expected a new file, found a directory.`);
  if (!force)
    throw new UsageError('E_OUTPUT_EXISTS', `--out ${out}: the file already exists. Pass --force to overwrite it.`);
}

/**
 * Checks that samples may be written, to a file of their medium or a directory, without writing them. Creates the directory.
 *
 * @param count number of samples.
 * @throws as {@link expectOutputFile} and {@link expectOutputDirectory}. @throws {UsageError} E_OUTPUT_NAME for other files, and for
 *   one file for several samples that cannot be joined.
 */
export function expectMediaOutput(
  { out, force }: Pick<OutputFlags, 'out' | 'force'>,
  sources: Sources,
  medium: AnyMedium,
  count: number,
): void {
  refuseOtherFiles(out, medium);
  refuseOneFile(out, medium, count);
  if (!isFileOf(medium, out)) {
    expectOutputDirectory({ out, force }, sources, { resumes: false });
    return prepareFolder(out);
  }
  expectOutputFile({ out, force }, sources);
  prepareFile(out);
}

/** @throws {UsageError} E_SAME_PATH when the output is one of the inputs, E_OPTION when it is empty. */
function expectOtherPath(out: string, sources: Sources): void {
  if (out.trim() === '') throw new UsageError('E_OPTION', '--out: expected a path, received an empty text.');
  for (const [flag, path] of Object.entries(sources)) {
    if (path !== undefined && realPath(path) === realPath(out))
      throw new UsageError('E_SAME_PATH', `--out ${out}: must differ from ${flag}. Nothing was written.`);
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}
