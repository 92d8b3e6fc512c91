// Training checkpoints: one directory for each step, committed as a whole. Training resumes from the newest valid one.
import { basename, join } from 'node:path';
import { z } from 'zod';
import { CorruptError, UsageError } from '../errors.js';
import type { TesseraeError } from '../errors.js';
import { createDirectory, isTemporary, temporaryName, writeFileAtomic } from '../files/commit.js';
import { decodeUtf8, formatJson, isRecord, parseJson } from '../json.js';
import { guarded, nodeFiles } from '../files/system.js';
import { isPlainName } from '../names.js';
import { readFile } from '../files/read.js';
import { sha256 } from '../hash.js';
import type { FileSystem } from '../files/system.js';
import { isAtLeast, sealJson, unsealJson } from '../sealed.js';
import { readListedFile } from './model.js';
import type { Extras } from './card.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';
import type { NamedTensors } from './tensors.js';

/** Major and minor version of the checkpoint format. 1.1: the manifest carries a sha256 over itself. */
const CHECKPOINT_FORMAT_VERSION = '1.1';

const MANIFEST = 'MANIFEST.json';
const MODEL = 'model.safetensors';
const OPTIMIZER = 'optimizer.safetensors';
const STATE = 'state.json';
const MANIFEST_LIMIT = 2 ** 20;
const STEP_NAME = /^step-(\d{1,15})$/;

const manifestSchema = z.strictObject({
  format: z.literal('tesserae-checkpoint'),
  formatVersion: z.string().regex(/^1\.\d+$/, 'expected version 1.x; a newer one needs a newer Tesserae'),
  step: z.int().nonnegative(),
  files: z.record(
    z.string().refine(isPlainName, 'expected a plain file name'),
    z.strictObject({ bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});

type Manifest = z.infer<typeof manifestSchema>;

/** Everything that training needs to continue as if it had not stopped. */
export interface CheckpointContent {
  model: NamedTensors;
  optimizer: NamedTensors;
  /** JSON: the step, positions in the data, best metrics. */
  state: Record<string, unknown>;
  extras?: Extras;
}

export interface Checkpoint {
  step: number;
  /** The checkpoint's directory. */
  path: string;
  model: NamedTensors;
  optimizer: NamedTensors;
  state: Record<string, unknown>;
  extras: Record<string, Uint8Array>;
}

/**
 * The checkpoints of one training run, `<directory>/step-<N>/`.
 *
 * A crash at any moment leaves the newest committed checkpoint loadable. Use it while holding the run's lock.
 */
export class CheckpointStore {
  private readonly keep: number;
  private readonly files: FileSystem;

  /**
   * Completes or removes what an interrupted save left.
   *
   * @param options.keep number of checkpoints to keep, at least 2. Default 2.
   */
  constructor(
    readonly directory: string,
    options: { keep?: number; files?: FileSystem } = {},
  ) {
    this.keep = options.keep ?? 2;
    this.files = options.files ?? nodeFiles;
    if (!Number.isInteger(this.keep) || this.keep < 2)
      throw new UsageError(
        'E_CHECKPOINT_KEEP',
        `CheckpointStore(keep): expected an integer of at least 2, received ${this.keep}.`,
      );
    guarded(directory, 'opening checkpoints', () => {
      createDirectory(directory, this.files);
      this.settle();
    });
  }

  /** Steps with a committed directory, ascending; not verified. */
  steps(): number[] {
    return guarded(this.directory, 'listing checkpoints', () => stepsAmong(this.files.list(this.directory)));
  }

  /**
   * Commits a checkpoint, then removes the oldest beyond `keep`. A step that was saved before is replaced.
   *
   * @returns the checkpoint's directory.
   * @throws {UsageError} E_TENSOR, E_CHECKPOINT_FILE, E_CHECKPOINT_STEP. @throws {IoError} E_DISK_FULL, E_IO; what was committed is intact.
   */
  save(step: number, content: CheckpointContent): string {
    if (!Number.isSafeInteger(step) || step < 0)
      throw new UsageError(
        'E_CHECKPOINT_STEP',
        `CheckpointStore.save(step): expected a non-negative integer, received ${step}.`,
      );
    const path = this.pathOf(step);
    const temporary = temporaryName(path);
    try {
      this.writeContent(temporary, step, content);
      this.place(temporary, path);
    } catch (error) {
      this.discard(temporary, path);
      throw guarded(path, 'saving a checkpoint', () => {
        throw error;
      });
    }
    this.prune();
    return path;
  }

  /**
   * The highest valid step, or `undefined` if there is none. Damaged checkpoints are skipped.
   *
   * @param onDamaged called for each checkpoint that is skipped.
   */
  latest(onDamaged: (step: number, error: TesseraeError) => void = () => {}): Checkpoint | undefined {
    for (const step of this.steps().reverse()) {
      try {
        return this.load(step);
      } catch (error) {
        if (!(error instanceof CorruptError)) throw error;
        onDamaged(step, error);
      }
    }
    return undefined;
  }

  /** Loads one step. @throws {CorruptError} E_CHECKPOINT, E_MODEL_FILE, E_SAFETENSORS. @throws {UsageError} E_NOT_FOUND. */
  load(step: number): Checkpoint {
    const path = this.pathOf(step);
    const files = this.verifiedFiles(path, step);
    const take = (name: string): Uint8Array => {
      const bytes = files[name];
      if (bytes === undefined)
        throw new CorruptError(
          'E_CHECKPOINT',
          `${join(path, MANIFEST)}: expected ${name} among its files, found none.`,
        );
      delete files[name];
      return bytes;
    };
    return {
      step,
      path,
      model: decodeSafetensors(take(MODEL), join(path, MODEL)).tensors,
      optimizer: decodeSafetensors(take(OPTIMIZER), join(path, OPTIMIZER)).tensors,
      state: parseState(take(STATE), join(path, STATE)),
      extras: files,
    };
  }

  private pathOf(step: number): string {
    return join(this.directory, `step-${step}`);
  }

  private writeContent(directory: string, step: number, content: CheckpointContent): void {
    const contents: Extras = {
      [MODEL]: encodeSafetensors(content.model),
      [OPTIMIZER]: encodeSafetensors(content.optimizer),
      [STATE]: formatJson(content.state),
    };
    for (const [name, extra] of Object.entries(content.extras ?? {})) {
      if (!isPlainName(name) || name === MANIFEST || contents[name] !== undefined)
        throw new UsageError(
          'E_CHECKPOINT_FILE',
          `CheckpointStore.save: expected a plain file name of its own, received "${name}".`,
        );
      contents[name] = extra;
    }
    this.files.makeDirectory(directory);
    const listed: Manifest['files'] = {};
    for (const [name, bytes] of Object.entries(contents)) {
      writeFileAtomic(join(directory, name), bytes, this.files);
      listed[name] = { bytes: Buffer.byteLength(bytes), sha256: sha256(bytes) };
    }
    const manifest: Manifest = {
      format: 'tesserae-checkpoint',
      formatVersion: CHECKPOINT_FORMAT_VERSION,
      step,
      files: listed,
    };
    writeFileAtomic(join(directory, MANIFEST), sealJson(manifest), this.files);
    this.files.fsyncDirectory(this.directory); // the temporary name is durable too: a complete one can be adopted
  }

  /** Renames a complete temporary into place; one already there steps aside first and is removed last. */
  private place(temporary: string, path: string): void {
    const old = this.files.status(path) === undefined ? undefined : temporaryName(path);
    if (old !== undefined) this.files.rename(path, old);
    this.files.rename(temporary, path);
    this.files.fsyncDirectory(this.directory);
    if (old !== undefined) this.files.remove(old);
  }

  /** After a failed save: keeps a temporary that may be the only copy of its step. */
  private discard(temporary: string, path: string): void {
    try {
      if (this.files.status(path) !== undefined || !this.verifies(temporary)) this.files.remove(temporary);
    } catch {
      // the next opening completes or removes it
    }
  }

  /** Adopts complete checkpoints whose rename was interrupted, and removes all other temporary files. */
  private settle(): void {
    for (const name of this.files.list(this.directory).filter(isTemporary)) {
      const temporary = join(this.directory, name);
      const final = temporary.slice(0, temporary.lastIndexOf('.tmp-'));
      if (this.files.status(final) === undefined && this.verifies(temporary)) this.files.rename(temporary, final);
      else this.files.remove(temporary);
    }
    this.files.fsyncDirectory(this.directory);
  }

  private verifies(path: string): boolean {
    const step = STEP_NAME.exec(path.slice(path.lastIndexOf('step-')).replace(/\.tmp-.*$/, ''))?.[1];
    if (step === undefined) return false;
    try {
      this.verifiedFiles(path, Number(step));
      return true;
    } catch (error) {
      if (error instanceof CorruptError || error instanceof UsageError) return false;
      throw error;
    }
  }

  private verifiedFiles(path: string, step: number): Record<string, Uint8Array> {
    const manifest = readManifest(path, step, this.files);
    return Object.fromEntries(
      Object.entries(manifest.files).map(([name, listed]) => [name, readListedFile(path, name, listed, this.files)]),
    );
  }

  private prune(): void {
    const old = this.steps().slice(0, -this.keep);
    guarded(this.directory, 'removing old checkpoints', () =>
      old.forEach((step) => this.files.remove(this.pathOf(step))),
    );
  }
}

/** @throws {UsageError} E_NOT_FOUND. @throws {CorruptError} E_CHECKPOINT, E_JSON. */
function readManifest(path: string, step: number, files: FileSystem): Manifest {
  const file = join(path, MANIFEST);
  if (files.status(path) === undefined)
    throw new UsageError('E_NOT_FOUND', `${path}: expected a checkpoint, found nothing.`);
  if (files.status(file)?.kind !== 'file')
    throw new CorruptError('E_CHECKPOINT', `${file}: expected a file, found none. The checkpoint is not complete.`);
  const text = decodeUtf8(readFile(file, { limit: MANIFEST_LIMIT, files }), file);
  const value = parseJson(text, file);
  const sealed = isAtLeast((value as { formatVersion?: unknown } | null)?.formatVersion, '1.1');
  const fields = unsealJson(text, value, {
    where: file,
    code: 'E_CHECKPOINT',
    sealed,
    remedy: 'The checkpoint is damaged; an older one may do.',
  });
  const result = manifestSchema.safeParse(fields);
  if (!result.success)
    throw new CorruptError(
      'E_CHECKPOINT',
      `${file}: expected a checkpoint manifest, ${z.prettifyError(result.error)}.`,
    );
  if (result.data.step !== step)
    throw new CorruptError(
      'E_CHECKPOINT',
      `${file}: expected step ${step}, found ${result.data.step}. The directory was renamed.`,
    );
  return result.data;
}

/**
 * The state of one checkpoint without its tensors, verified like them. Nothing is written: a live run may be saving.
 *
 * @param path of the checkpoint's own directory, `step-<N>`.
 * @throws {UsageError} E_NOT_FOUND. @throws {CorruptError} E_CHECKPOINT, E_MODEL_FILE, E_JSON.
 */
export function readCheckpointState(path: string, files: FileSystem = nodeFiles): Record<string, unknown> {
  const listed = readManifest(path, Number(STEP_NAME.exec(basename(path))?.[1]), files).files[STATE];
  if (listed === undefined)
    throw new CorruptError('E_CHECKPOINT', `${join(path, MANIFEST)}: expected ${STATE} among its files, found none.`);
  return parseState(readListedFile(path, STATE, listed, files), join(path, STATE));
}

function parseState(bytes: Uint8Array, where: string): Record<string, unknown> {
  const state = parseJson(decodeUtf8(bytes, where), where);
  if (!isRecord(state)) throw new CorruptError('E_CHECKPOINT', `${where}: expected an object, found something else.`);
  return state;
}

/** The steps of the checkpoints of a run, in order. */
export function checkpointSteps(run: string): number[] {
  const directory = join(run, 'checkpoints');
  return nodeFiles.status(directory)?.kind === 'directory' ? stepsAmong(nodeFiles.list(directory)) : [];
}

const stepsAmong = (names: readonly string[]): number[] =>
  names
    .flatMap((name) => STEP_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);

/** What the newest checkpoint of a run says of its settings. A live run may remove the oldest one at the same time. */
export function runIdentity(run: string): Record<string, unknown> | undefined {
  for (const step of checkpointSteps(run).toReversed()) {
    try {
      return readCheckpointState(join(run, 'checkpoints', `step-${step}`)).identity as
        Record<string, unknown> | undefined;
    } catch (error) {
      if (!(error instanceof UsageError) || error.code !== 'E_NOT_FOUND') throw error;
    }
  }
  return undefined;
}
