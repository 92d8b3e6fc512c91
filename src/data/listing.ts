// The common form of folders and archives: a list of files that can be read.
import { InputError } from '../errors.js';

/** A file of a dataset. */
export interface DataFile {
  /** Path inside the folder or archive, separated by `/`, in composed Unicode, without parts that lead outside. */
  readonly path: string;
  readonly bytes: number;
  /** Where the file is, for errors: a path, or `archive.tar:member`. */
  readonly where: string;
  /** @throws {InputError}, {IoError} when it cannot be read. */
  read(): Promise<Uint8Array>;
}

/** Maximum size of any file of a dataset in bytes. */
const MAX_FILE = 1 << 28;

/** Rejects a file that is too large before it is read. @throws {InputError} E_IMAGE_TOO_LARGE. */
export function expectSize({ where, bytes }: { where: string; bytes: number }): void {
  if (bytes > MAX_FILE)
    throw new InputError(
      'E_IMAGE_TOO_LARGE',
      `${where}: expected at most ${MAX_FILE} bytes, found ${bytes}. Shrink it first.`,
    );
}

/** The files of one folder or of one archive. Files are matched with each other only within a listing. */
export interface Listing {
  /** Prefix of the keys of its samples; may be empty. */
  prefix: string;
  /** Name of the archive without its extension; undefined for a folder. */
  archive?: string;
  /** Sorted by path, or in the order of the archive. */
  files: readonly DataFile[];
}

/** Extensions of caption files with one caption per line, in order of preference. */
export const CAPTION_EXTENSIONS = ['txt', 'caption', 'captions', 'text'] as const;

/** Extensions of files that describe the image of the same name. */
export const SIDECAR_EXTENSIONS: ReadonlySet<string> = new Set([...CAPTION_EXTENSIONS, 'json', 'cls']);

/** Whether a path is a metadata table, which has one row per image. */
export function isMetadata(path: string): boolean {
  return /(^|\/)metadata\.(csv|tsv|jsonl|ndjson|parquet)$/i.test(path);
}

/** Maximum size in bytes of a text file that belongs to an image. */
export const MAX_TEXT = 1 << 20;

/** Maximum size of a metadata table in bytes. */
export const MAX_METADATA = 1 << 28;
